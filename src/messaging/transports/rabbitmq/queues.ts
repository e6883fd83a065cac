import type { ConfirmChannel, Options } from 'amqplib'

/** How durable queues of ours are declared. */
export type QueueKind = 'quorum' | 'classic'

/**
 * More than any queue ever sees: RabbitMQ 4 deletes a message at its 21st return unless a limit is named, and 3.10 takes -1 for a limit that
 * the first return exceeds. Every look at a shelf is a return.
 */
const deliveryLimit = 1_000_000_000_000

/** One consumer at a time gets messages, the next one when that is gone: the lock of a lane, of a journal, of a shelf. */
export function lockedQueue(kind: QueueKind): Options.AssertQueue {
  return {
    durable: true,
    arguments: {
      'x-queue-type': kind,
      'x-single-active-consumer': true,
      ...(kind === 'quorum' ? { 'x-delivery-limit': deliveryLimit } : {}),
    },
  }
}

/** As many unsettled messages as a consumer may have: 0 would mean 2000 on a quorum queue (rabbitmq-server #14485). */
export const unlimited = 65_535

/**
 * Acknowledgements that were sent shortly before a channel closes can get lost on quorum queues, because only so many commands are under way
 * from a channel. After two passive declares of the queue none was lost in any run.
 */
export async function settled(channel: ConfirmChannel, queue: string): Promise<void> {
  await channel.checkQueue(queue)
  await channel.checkQueue(queue)
}
