import * as driver from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeBatch, noSource } from './record-batch.ts'
import { type BatchRecord, encodeTail, TailWriter } from './record-tail.ts'

const how = { now: 1_700_000_000_123, crc: driver.crc32c as (bytes: Buffer) => number }
const tailOf = (record: BatchRecord) => encodeTail(new TailWriter(), record)
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))

describe('a batch of records', () => {
  it('is read by the client as it was written', () => {
    const record = fc.record({
      key: fc.option(bytes, { nil: undefined }),
      value: fc.option(bytes),
      headers: fc
        .array(fc.tuple(fc.string({ unit: 'grapheme', minLength: 1 }), fc.string()))
        .map((pairs) => new Map(pairs)),
    })
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 200 }), (records) => {
        const given = records.map(({ key, ...rest }) => ({ ...rest, ...(key ? { key } : {}) }))
        const encoded = encodeBatch(
          given.map(tailOf),
          { producerId: 7n, producerEpoch: 3, sequence: 9 },
          how,
        )
        const [batch] = driver.readRecordsBatches(driver.Reader.from(encoded))

        expect(batch).toMatchObject({
          magic: 2,
          producerId: 7n,
          producerEpoch: 3,
          firstSequence: 9,
        })
        expect(batch?.crc).toBe(driver.crc32c(encoded.subarray(21)))
        expect(batch?.records.map(({ value }) => value)).toEqual(given.map(({ value }) => value))
        expect(batch?.records.map(({ key }) => key ?? undefined)).toEqual(
          given.map(({ key }) => key),
        )
        expect(
          batch?.records.map(({ headers }) =>
            headers.map(([name, value]) => [String(name), String(value)]),
          ),
        ).toEqual(given.map(({ headers }) => [...headers]))
      }),
      { numRuns: 60 },
    )
  })

  it('equals what the client would have written', () => {
    const value = Buffer.from('value')
    const headers = new Map([[Buffer.from('name'), Buffer.from('text')]])
    const timestamp = BigInt(how.now)
    const theirs = driver.createRecordsBatch(
      [{ topic: 't', partition: 0, value, headers, timestamp }],
      { producerId: -1n, producerEpoch: -1, partitionLeaderEpoch: -1 },
    ).buffer
    const ours = encodeBatch(
      [tailOf({ value, headers: new Map([['name', 'text']]) })],
      noSource,
      how,
    )

    // Theirs has the sequence 0 where there is no producer.
    expect(ours.subarray(61)).toEqual(theirs.subarray(61))
    expect(ours.subarray(23, 53)).toEqual(theirs.subarray(23, 53))
  })
})
