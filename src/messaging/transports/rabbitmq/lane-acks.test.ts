import type { ConfirmChannel, Message } from 'amqplib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LaneAcks } from './lane-acks.ts'

/** A channel that knows, as a broker does, what is still to be acknowledged. */
function channelWith(count: number) {
  const unsettled = new Set(Array.from({ length: count }, (_, at) => at + 1))
  const frames: string[] = []
  const channel = {
    ack({ fields: { deliveryTag } }: Message, isUpTo: boolean) {
      // Brokers close a channel that acknowledges what it does not hold.
      if (!unsettled.has(deliveryTag)) throw new Error(`unknown delivery tag ${deliveryTag}`)
      frames.push(`${deliveryTag}${isUpTo ? ' and before' : ''}`)
      unsettled.delete(deliveryTag)
      if (isUpTo) for (const tag of unsettled) if (tag < deliveryTag) unsettled.delete(tag)
    },
  } as unknown as ConfirmChannel
  const acks = new LaneAcks(channel)
  for (const tag of unsettled) acks.arrived(tag)
  return { acks, unsettled, frames }
}

test('messages that ended in their order share a frame', () => {
  const { acks, frames } = channelWith(5)
  acks.end([1, 2, 3])
  acks.end([4])
  expect(frames).toEqual(['3 and before', '4'])
})

test('what ended behind a message that has not is acknowledged by itself, once', () => {
  const { acks, frames, unsettled } = channelWith(5)
  acks.end([2, 4])
  expect(unsettled).toEqual(new Set([1, 3, 5]))
  acks.end([3, 1])
  expect(frames).toEqual(['2', '4', '3 and before'])
  expect(unsettled).toEqual(new Set([5]))
})

test('whatever the order, exactly what has ended is acknowledged', () => {
  const orders = fc.shuffledSubarray(Array.from({ length: 30 }, (_, at) => at + 1))
  fc.assert(
    fc.property(orders, fc.array(fc.nat(8)), (ended, sizes) => {
      const { acks, unsettled } = channelWith(30)
      const rest = [...ended]
      for (const size of [...sizes, 30]) acks.end(rest.splice(0, size))
      const left = Array.from({ length: 30 }, (_, at) => at + 1).filter((t) => !ended.includes(t))
      expect([...unsettled]).toEqual(left)
    }),
  )
})
