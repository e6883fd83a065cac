import type { ConfirmChannel, ConsumeMessage } from 'amqplib'

/**
 * Acknowledges what a channel was handed of one queue: one frame for everything up to the first message that has not ended, and one for each that
 * ended before its turn. A quorum queue writes down each frame, so that is what an acknowledgement costs.
 */
export class LaneAcks {
  readonly #channel: ConfirmChannel
  /** Lowest tag that has not ended; undefined: nothing was handed out. */
  #first: number | undefined
  /** Those that ended before it. */
  readonly #ahead = new Set<number>()

  constructor(channel: ConfirmChannel) {
    this.#channel = channel
  }

  /** A message was handed out; tags grow by one from message to message. */
  arrived(tag: number): void {
    this.#first ??= tag
  }

  /** These have ended, each for the first time. */
  end(tags: readonly number[]): void {
    for (const tag of tags) this.#ahead.add(tag)
    let first = this.#first ?? 1
    while (this.#ahead.delete(first)) first += 1
    this.#first = first
    let highest = 0
    let below = 0
    for (const tag of tags) {
      if (tag >= first) ackTag(this.#channel, tag)
      else {
        below += 1
        highest = Math.max(highest, tag)
      }
    }
    if (below > 0) ackTag(this.#channel, highest, below > 1)
  }
}

/** The driver wants a message, and looks at its tag alone. */
export function ackTag(channel: ConfirmChannel, deliveryTag: number, isUpTo = false): void {
  channel.ack({ fields: { deliveryTag } } as ConsumeMessage, isUpTo)
}
