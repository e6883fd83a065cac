import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { OutgoingRecord } from '../../transport.ts'
import { adoptedFields, fieldsOf, positionOf, readEntry, refusalOf } from './records.ts'
import type { Argument, Reply } from './resp.ts'

const place = { address: 'orders', lane: 3, entry: '1700000000000-2' }
/** As they come from the server: bytes. */
const asRead = (fields: readonly Argument[]): Reply[] =>
  fields.map((field) => (Buffer.isBuffer(field) ? field : Buffer.from(String(field))))
const entry = (fields: Readonly<Record<string, string>>): Reply[] =>
  asRead(Object.entries(fields).flat())

const recordOf = (over: Partial<OutgoingRecord> = {}): OutgoingRecord => ({
  id: 'm1',
  address: 'orders',
  type: 'placed',
  body: new Uint8Array([1, 2, 0, 255]),
  headers: {},
  contentType: 'application/json',
  ...over,
})

describe('an entry that Treaty wrote', () => {
  it('gives back the record, whatever its headers are called', () => {
    const names = fc.oneof(
      fc.constantFrom('body', 'treaty', 'to', ':to', '::x', 'ce-id'),
      fc.string().filter((name) => name !== '__proto__'),
    )
    fc.assert(
      fc.property(fc.dictionary(names, fc.string()), fc.uint8Array(), (headers, body) => {
        const { record, isForeign, to } = readEntry(
          place,
          asRead(fieldsOf(recordOf({ headers, body }))),
        )
        expect(isForeign).toBe(false)
        expect(to).toBeUndefined()
        expect({ ...record.headers }).toEqual({ ...headers })
        expect([...record.body]).toEqual([...body])
      }),
    )
  })

  it('gives back every field of a record, with headers and without', () => {
    const text = fc.string({ unit: 'grapheme' })
    const time = fc.integer({ min: 1, max: 9_000_000_000_000 })
    const optional = {
      key: text,
      priority: fc.integer({ min: 0, max: 3 }),
      expiresAt: time,
      deliverAt: time,
      correlationId: text,
      causationId: text,
    }
    const record = fc.record(
      {
        id: text,
        type: fc.string({ minLength: 1 }),
        contentType: fc.constantFrom('application/json', 'text/plain', ''),
        headers: fc.constantFrom({}, { 'x-a': 'b' }, { 'treaty-id': 'x', 'content-type': 'y' }),
        ...optional,
      },
      { requiredKeys: ['id', 'type', 'contentType', 'headers'] },
    )
    fc.assert(
      fc.property(record, (over) => {
        const { record: read } = readEntry(place, asRead(fieldsOf(recordOf(over))))
        expect({ ...read, headers: { ...read.headers } }).toEqual({
          ...recordOf(over),
          body: Buffer.from(read.body),
          position: positionOf(place.entry, place.lane),
          publishedAt: 1_700_000_000_000,
        })
      }),
    )
  })

  it('was published when it was first written, also when it was moved later', () => {
    const fields = asRead(fieldsOf(recordOf(), 1_600_000_000_000))
    expect(readEntry(place, fields).record.publishedAt).toBe(1_600_000_000_000)
    expect(readEntry(place, asRead(fieldsOf(recordOf()))).record.publishedAt).toBe(
      1_700_000_000_000,
    )
  })
})

describe('an entry of another program', () => {
  it('with CloudEvents in its fields has their id, type and key', () => {
    const { record, isForeign } = readEntry(
      place,
      entry({ 'ce-id': 'e1', 'ce-type': 'placed', 'ce-partitionkey': 'k', data: '{"a":1}' }),
    )
    expect(isForeign).toBe(true)
    expect(record).toMatchObject({ id: 'e1', type: 'placed', key: 'k' })
    expect(String(record.body)).toBe('{"a":1}')
  })

  it('with nothing but fields has them as its content', () => {
    const { record } = readEntry(place, entry({ orderId: '7', total: '12' }))
    expect(JSON.parse(String(record.body))).toEqual({ orderId: '7', total: '12' })
    expect(record).toMatchObject({ id: `orders/${positionOf(place.entry, 3)}`, type: '' })
  })

  it('that pretends to be ours, or is garbage, is a record all the same', () => {
    for (const fields of [{ treaty: 'x' }, { treaty: '9' }, { body: '\u0000{' }, { '': '' }]) {
      expect(readEntry(place, entry(fields)).record.address).toBe('orders')
    }
    expect(readEntry(place, []).record.body.byteLength).toBe(2)
  })

  it('keeps its identity when it goes into its lane', () => {
    const found = readEntry(place, entry({ orderId: '7' }))
    const moved = readEntry({ ...place, entry: '1800000000000-0' }, asRead(adoptedFields(found)))
    expect(moved.isForeign).toBe(false)
    expect(moved.record).toMatchObject({
      id: found.record.id,
      type: '',
      publishedAt: 1_700_000_000_000,
    })
    expect(String(moved.record.body)).toBe('{"orderId":"7"}')
  })
})

describe('a position', () => {
  it('sorts as text in the order of time', () => {
    const entries = ['9-0', '10-0', '10-2', '10-10', '1700000000000-0']
    const positions = entries.map((each) => positionOf(each, 1))
    expect(positions.toSorted()).toEqual(positions)
  })
})

describe('a record', () => {
  it('that is too large or holds half a character is refused by name', () => {
    expect(refusalOf(recordOf(), 4)).toBeUndefined()
    expect(refusalOf(recordOf(), 3)).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    const headers = { long: 'x'.repeat(300_000) }
    expect(refusalOf(recordOf({ headers }), 100)).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    const many = Object.fromEntries(Array.from({ length: 1001 }, (_, at) => [`h${at}`, '']))
    expect(refusalOf(recordOf({ headers: many }), 100)).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(refusalOf(recordOf({ key: '\ud800' }), 100)).toMatchObject({ code: 'OPTION_INVALID' })
  })
})
