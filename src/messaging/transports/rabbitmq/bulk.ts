import type { ConfirmChannel } from 'amqplib'
import { channelCode } from './errors.ts'
import type { Link } from './link.ts'

/** Channels at once: each answers one question at a time. */
const atOnce = 8

/** Runs tasks side by side, each with a channel to itself; a task that rejects ends its channel, and all the others that have not begun. */
export async function onChannels(
  link: Link,
  tasks: readonly ((channel: ConfirmChannel) => Promise<unknown>)[],
): Promise<void> {
  let next = 0
  const work = async () => {
    const channel = await link.channel()
    try {
      for (let task = tasks[next++]; task !== undefined; task = tasks[next++]) await task(channel)
    } catch (error) {
      next = tasks.length
      throw error
    } finally {
      await channel.close().catch(() => undefined)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, tasks.length) }, work))
}

export interface QueueLook {
  readonly messages: number
  readonly consumers: number
}

/** What the broker says of queues; those that are not there are left out. */
export async function inspect(
  link: Link,
  queues: readonly string[],
): Promise<ReadonlyMap<string, QueueLook>> {
  const looks = new Map<string, QueueLook>()
  let next = 0
  const work = async () => {
    let channel = await link.channel()
    for (let queue = queues[next++]; queue !== undefined; queue = queues[next++]) {
      try {
        const { messageCount, consumerCount } = await channel.checkQueue(queue)
        looks.set(queue, { messages: messageCount, consumers: consumerCount })
      } catch (error) {
        // The broker closes the channel of who asks for what is not there.
        if (channelCode(error) !== 404) throw error
        channel = await link.channel()
      }
    }
    await channel.close().catch(() => undefined)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, queues.length) }, work))
  return looks
}

/** What a declaration says to something of that name that is otherwise. */
export function isOtherwise(error: unknown): boolean {
  return channelCode(error) === 406
}
