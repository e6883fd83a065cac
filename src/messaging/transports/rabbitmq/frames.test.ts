import type { ConfirmChannel } from 'amqplib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Publishing, publishAll } from './frames.ts'

const number = 7

/** A channel of the driver, as far as frames are written to it. */
function channelWith(frameMax: number) {
  const written: Buffer[] = []
  const waiting: unknown[] = []
  const published: unknown[] = []
  const channels: unknown[] = []
  const channel = {
    ch: number,
    connection: { frameMax, channels },
    pushConfirmCallback: (confirmed: unknown) => void waiting.push(confirmed),
    publish: (...given: unknown[]) => void published.push(given[1]),
  } as unknown as ConfirmChannel
  channels[number] = { channel, buffer: { write: (chunk: Buffer) => void written.push(chunk) } }
  return { channel, channels, waiting, published, bytes: () => Buffer.concat(written) }
}

const text = fc.string({ unit: 'grapheme', maxLength: 30 })
const properties = fc.record(
  { contentType: text, messageId: text, type: text, correlationId: text },
  { requiredKeys: [] },
)
const publishing = fc
  .record({
    exchange: text,
    routingKey: text,
    content: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
    headers: fc.dictionary(text, fc.string({ unit: 'grapheme', maxLength: 300 })),
    properties,
    timestamp: fc.nat(2 ** 40),
  })
  .map(({ exchange, routingKey, content, headers, properties, timestamp }): Publishing => {
    const options = { persistent: true, headers, timestamp, ...properties } as const
    const wire = { content, options }
    return { exchange, routingKey, wire, confirmed: () => undefined, unfit: () => undefined }
  })

/** Reads fields one after another. */
function reader(bytes: Buffer) {
  let at = 0
  const take = (length: number) => {
    at += length
    return bytes.subarray(at - length, at)
  }
  const u8 = () => take(1).readUInt8()
  const u16 = () => take(2).readUInt16BE()
  const u32 = () => take(4).readUInt32BE()
  return {
    u8,
    u16,
    u32,
    take,
    u64: () => Number(take(8).readBigUInt64BE()),
    short: () => take(u8()).toString(),
    long: () => take(u32()).toString(),
    isAtEnd: () => at === bytes.length,
  }
}

function readFrame(from: ReturnType<typeof reader>, type: number) {
  expect([from.u8(), from.u16()]).toEqual([type, number])
  const payload = from.take(from.u32())
  expect(from.u8()).toBe(0xce)
  return payload
}

/** A message as the specification says that it is read. */
function readMessage(from: ReturnType<typeof reader>) {
  const method = reader(readFrame(from, 1))
  expect([method.u16(), method.u16(), method.u16()]).toEqual([60, 40, 0])
  const [exchange, routingKey] = [method.short(), method.short()]
  expect([method.u8(), method.isAtEnd()]).toEqual([0, true])
  const header = reader(readFrame(from, 2))
  expect([header.u16(), header.u16()]).toEqual([60, 0])
  const size = header.u64()
  const flags = header.u16()
  const given = (flag: number, name: string) =>
    (flags & flag) === 0 ? {} : { [name]: header.short() }
  const contentType = given(0x8000, 'contentType')
  const table = reader(header.take(header.u32()))
  const headers: Record<string, string> = Object.create(null)
  while (!table.isAtEnd()) {
    const name = table.short()
    expect(table.take(1).toString()).toBe('S')
    headers[name] = table.long()
  }
  expect(header.u8()).toBe(2)
  const correlationId = given(0x400, 'correlationId')
  const messageId = given(0x80, 'messageId')
  const timestamp = header.u64()
  const options = { ...contentType, ...correlationId, ...messageId, ...given(0x20, 'type') }
  expect(header.isAtEnd()).toBe(true)
  const content = size === 0 ? Buffer.alloc(0) : readFrame(from, 3)
  return { exchange, routingKey, content, timestamp, headers: { ...headers }, ...options }
}

test('messages are frames of the specification, in their order', () => {
  fc.assert(
    fc.property(fc.array(publishing, { minLength: 1, maxLength: 20 }), (messages) => {
      const { channel, bytes, waiting } = channelWith(131_072)
      publishAll(channel, messages)
      const from = reader(bytes())
      for (const { exchange, routingKey, wire } of messages) {
        const { persistent: _, headers, ...options } = wire.options
        const { content } = wire
        const expected = { exchange, routingKey, content, headers: { ...headers }, ...options }
        expect(readMessage(from)).toEqual(expected)
      }
      expect(from.isAtEnd()).toBe(true)
      expect(waiting).toEqual(messages.map(({ confirmed }) => confirmed))
    }),
  )
})

const message = (content: Buffer, routingKey = '0'): Publishing => ({
  exchange: 'orders',
  routingKey,
  wire: { content, options: { persistent: true, headers: {}, timestamp: 1 } },
  confirmed: () => undefined,
  unfit: () => undefined,
})

test('a body that needs several frames is left to the driver, in its place', () => {
  const { channel, bytes, published, waiting } = channelWith(4096)
  publishAll(channel, [message(Buffer.alloc(9), '1'), message(Buffer.alloc(5000), '2')])
  expect(published).toEqual(['2'])
  expect(waiting).toHaveLength(1)
  expect(readMessage(reader(bytes())).routingKey).toBe('1')
})

test('a number that another channel has by now is not written to', () => {
  const { channel, channels, bytes, published } = channelWith(4096)
  channels[number] = { channel: {}, buffer: channels[number] }
  publishAll(channel, [message(Buffer.alloc(9))])
  expect(bytes()).toHaveLength(0)
  expect(published).toEqual(['0'])
})

test('headers that the driver cannot encode are refused, and the next message goes out', () => {
  const { channel, channels } = channelWith(4096)
  channels[number] = null
  const sent: string[] = []
  Object.assign(channel, {
    publish(_exchange: string, routingKey: string) {
      if (routingKey === '1') throw new RangeError('exceeds the encoding buffer')
      sent.push(routingKey)
    },
  })
  const refused: string[] = []
  const first = { ...message(Buffer.alloc(0), '1'), unfit: () => void refused.push('1') }
  publishAll(channel, [first, message(Buffer.alloc(0), '2')])
  expect([refused, sent]).toEqual([['1'], ['2']])
})
