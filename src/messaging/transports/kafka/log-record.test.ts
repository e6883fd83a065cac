import * as driver from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { OutgoingRecord } from '../../transport.ts'
import { readBatches } from './log-record.ts'
import { encodeMessage } from './message-tail.ts'
import { foreignMessage, headersOf, messageOf } from './messages.ts'
import { encodeBatch, noSource } from './record-batch.ts'
import { type BatchRecord, encodeTail, type RecordTail, TailWriter } from './record-tail.ts'

const how = { now: 1_700_000_000_123, crc: driver.crc32c as (bytes: Buffer) => number }
const reading = { from: 0, aborted: [], inflate: (_: number, bytes: Buffer) => bytes }
const place = { address: 'orders', partition: 3 }
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const name = fc.oneof(
  fc.constantFrom('treaty-id', 'treaty-type', 'treaty-key', 'content-type', 'treaty-to'),
  fc.string({ unit: 'grapheme', minLength: 1 }),
)
const record = fc
  .record({
    key: fc.option(bytes, { nil: undefined }),
    value: fc.option(bytes),
    headers: fc
      .array(fc.tuple(name, fc.string({ unit: 'grapheme' })))
      .map((pairs) => new Map(pairs)),
  })
  .map(({ key, ...rest }): BatchRecord => ({ ...rest, ...(key ? { key } : {}) }))

const logOf = (tails: readonly RecordTail[]) =>
  readBatches(encodeBatch(tails, noSource, how), reading).records

const text = fc.string({ unit: 'grapheme' })
const whole = fc.option(fc.integer({ min: 0, max: 2 ** 45 }), { nil: undefined })
const perhaps = fc.option(text, { nil: undefined })
const message = fc
  .record({
    id: text,
    type: fc.oneof(
      fc.constantFrom('placed', 'cancelled'),
      text.filter((each) => each !== ''),
    ),
    contentType: fc.constantFrom('application/json', 'text/plain; charset=ü'),
    body: bytes,
    headers: fc.oneof(
      fc.constant({}),
      fc.dictionary(fc.string({ minLength: 1 }), text, { noNullPrototype: true }),
    ),
    key: perhaps,
    priority: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
    expiresAt: whole,
    deliverAt: whole,
    correlationId: perhaps,
    causationId: perhaps,
  })
  .map((fields) => {
    const given = Object.entries(fields).filter(([, value]) => value !== undefined)
    return { address: 'orders', ...Object.fromEntries(given) } as OutgoingRecord
  })

describe('records of a log', () => {
  it('are read as the client reads them', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 100 }), (given) => {
        const encoded = encodeBatch(
          given.map((each) => encodeTail(new TailWriter(), each)),
          noSource,
          how,
        )
        const [batch] = driver.readRecordsBatches(driver.Reader.from(encoded))
        const { records, next } = readBatches(encoded, reading)

        expect(next).toBe(given.length)
        expect(records.map(({ key, value, timestamp }) => ({ key, value, timestamp }))).toEqual(
          batch?.records.map(({ key, value }) => ({ key, value, timestamp: how.now })),
        )
        expect(records.map((each) => Object.entries(each.texts()).sort())).toEqual(
          given.map(({ headers }) => [...headers].sort()),
        )
      }),
      { numRuns: 30 },
    )
  })

  it('begin where reading goes on, though their batch begins earlier', () => {
    const tails = ['a', 'b', 'c'].map((each) =>
      encodeTail(new TailWriter(), { value: Buffer.from(each), headers: new Map() }),
    )
    const { records } = readBatches(encodeBatch(tails, noSource, how), { ...reading, from: 1 })

    expect(records.map(({ offset, value }) => [offset, value?.toString()])).toEqual([
      [1, 'b'],
      [2, 'c'],
    ])
  })

  it('end before a batch that is cut off', () => {
    const tail = encodeTail(new TailWriter(), { value: Buffer.from('a'), headers: new Map() })
    const batch = encodeBatch([tail], noSource, how)
    const cut = Buffer.concat([batch, batch.subarray(0, -1)])

    expect(readBatches(cut, reading).records).toHaveLength(1)
    expect(readBatches(batch.subarray(0, 40), reading)).toEqual({ records: [], next: 0 })
  })

  it('leave out what transactions wrote that were given up, up to their marker', () => {
    const batchOf = (value: string, offset: number, attributes: number) => {
      const tail = encodeTail(new TailWriter(), { value: Buffer.from(value), headers: new Map() })
      const source = { producerId: 5n, producerEpoch: 0, sequence: 0 }
      const batch = encodeBatch([tail], source, how)
      batch.writeBigInt64BE(BigInt(offset), 0)
      batch.writeInt16BE(attributes, 21)
      return batch
    }
    const log = Buffer.concat([
      batchOf('before', 0, 1 << 4),
      batchOf('given up', 1, 1 << 4),
      batchOf('marker', 2, (1 << 4) | (1 << 5)),
      batchOf('after', 3, 1 << 4),
    ])
    const aborted = [{ producerId: 5n, firstOffset: 1n }]
    const { records, next } = readBatches(log, { ...reading, aborted })

    expect(records.map(({ value }) => value?.toString())).toEqual(['before', 'after'])
    expect(next).toBe(4)
  })

  it('keep no more than a few kilobytes of their neighbours in memory', () => {
    const tails = Array.from({ length: 500 }, () =>
      encodeTail(new TailWriter(), { value: Buffer.alloc(500), headers: new Map() }),
    )
    for (const { value } of logOf(tails)) expect(value?.buffer.byteLength).toBeLessThanOrEqual(8192)
  })
})

describe('a message in a record', () => {
  it('comes back as it was sent, and the same by the quick way and the general one', () => {
    const writer = new TailWriter()
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 20 }), (given) => {
        const read = logOf(given.map((each) => encodeMessage(writer, each)))
        for (const [at, sent] of given.entries()) {
          const record = read[at] as (typeof read)[number]
          const quick = messageOf(record, place)

          expect(quick).toMatchObject({ ...sent, headers: {} })
          expect(quick).toStrictEqual(foreignMessage(record, place, record.texts()))
          const { key: _key, ...keyless } = sent
          expect(record.texts()).toEqual(Object.fromEntries(headersOf(keyless)))
        }
      }),
      { numRuns: 30 },
    )
  })

  it('is read the quick way where all its headers are ours, and the general way where one is not', () => {
    const sent = { id: 'a', type: 'placed', address: 'orders', contentType: 'application/json' }
    const plain = { ...sent, body: Buffer.from('{}'), headers: {} }
    const more = { ...plain, headers: { trace: 'x' } }
    const writer = new TailWriter()
    const [one, two] = logOf([plain, more].map((each) => encodeMessage(writer, each)))

    expect(one?.own).toMatchObject({ id: 'a', type: 'placed' })
    expect(two?.own).toBeUndefined()
  })
})
