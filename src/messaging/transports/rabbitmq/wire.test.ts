import type { ConsumeMessage } from 'amqplib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { OutgoingRecord } from '../../transport.ts'
import { fromWire, ownHeaders, refusalOf, toWire } from './wire.ts'

const record: OutgoingRecord = {
  id: 'm1',
  address: 'orders',
  type: 'placed',
  body: new TextEncoder().encode('{}'),
  headers: {},
  contentType: 'application/json',
}

/** What comes out of a queue for what went in. */
function asRead(content: Buffer, properties: Record<string, unknown>): ConsumeMessage {
  return {
    content,
    fields: {
      deliveryTag: 1,
      redelivered: false,
      exchange: '',
      routingKey: '',
      consumerTag: '',
    },
    properties: properties as unknown as ConsumeMessage['properties'],
  }
}
const throughTheWire = (sent: OutgoingRecord, own: Record<string, string> = {}) => {
  const { content, options } = toWire(sent, { [ownHeaders.at]: '1700000000000', ...own })
  return fromWire(asRead(content, { ...options }), sent.address, 5)
}

describe('a record on the wire', () => {
  it('comes back as it was, whatever its headers are called', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 })
    fc.assert(
      fc.property(fc.dictionary(text, text), text, fc.uint8Array(), (headers, key, body) => {
        const sent = { ...record, headers, key, body, correlationId: 'c', priority: 3 }
        fc.pre(refusalOf(sent, 1000) === undefined)
        const read = throughTheWire(sent, { [ownHeaders.place]: 'p.1' })
        expect(read.record).toEqual({
          ...sent,
          body: Buffer.from(body),
          headers: { ...headers },
          position: '1700000000000-0000000001',
          publishedAt: 1_700_000_000_000,
        })
        expect(read).toMatchObject({ id: 'p.1', isUnique: true })
      }),
    )
  })

  it('has a header called __proto__ like any other', () => {
    const headers = Object.fromEntries([['__proto__', 'x']])
    expect(Object.entries(toWire({ ...record, headers }, {}).options.headers)).toContainEqual([
      '__proto__',
      'x',
    ])
    expect(Object.entries(throughTheWire({ ...record, headers }).record.headers)).toEqual([
      ['__proto__', 'x'],
    ])
  })

  it('sends no copies elsewhere for a header that the broker would read', () => {
    const { options } = toWire({ ...record, headers: { CC: 'a', BCC: 'b' } }, {})
    expect(options.headers).not.toHaveProperty('CC')
    expect(options.headers).not.toHaveProperty('BCC')
    expect(throughTheWire({ ...record, headers: { CC: 'a' } }).record.headers).toEqual({ CC: 'a' })
  })

  it('is refused before it is sent when it cannot fit', () => {
    expect(refusalOf(record, 1)).toMatch(/body of 2 bytes/)
    expect(refusalOf({ ...record, headers: { ['n'.repeat(300)]: '' } }, 9)).toMatch(/name/)
    expect(refusalOf({ ...record, headers: { name: 'v'.repeat(70_000) } }, 9)).toMatch(/headers/)
    expect(refusalOf(record, 2)).toBeUndefined()
  })
})

describe('a message of another program', () => {
  it('has the type, the id and the correlation of its properties', () => {
    const properties = { type: 'placed', messageId: 'x1', correlationId: 'c', timestamp: 1 }
    const { record: read, isUnique } = fromWire(asRead(Buffer.alloc(0), properties), 'orders', 5)
    expect(read).toMatchObject({ type: 'placed', id: 'x1', correlationId: 'c', publishedAt: 1000 })
    expect(isUnique).toBe(false)
  })

  it('is read by the attributes of CloudEvents, with either sign behind the prefix', () => {
    const headers = { 'cloudEvents:type': 'placed', cloudEvents_id: 'x2', 'x-death': [{}] }
    const { record: read } = fromWire(asRead(Buffer.from('no'), { headers }), 'orders', 5)
    expect(read).toMatchObject({ type: 'placed', id: 'x2', publishedAt: 5 })
    expect(read.headers).toEqual({ 'ce-type': 'placed', 'ce-id': 'x2' })
  })

  it('may hold anything and is a record all the same', () => {
    const value = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.array(fc.integer()),
      fc.dictionary(fc.string(), fc.string()),
      fc.double().map((at) => ({ '!': 'timestamp', value: at })),
    )
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), value),
        fc.uint8Array(),
        fc.record({ timestamp: value, messageId: value, type: value, contentType: value }),
        (headers, body, properties) => {
          const message = asRead(Buffer.from(body), { ...properties, headers })
          const first = fromWire(message, 'orders', 5)
          expect(first.record.position).toBeTypeOf('string')
          expect(
            Object.values(first.record.headers).every((each) => typeof each === 'string'),
          ).toBe(true)
          expect(fromWire(message, 'orders', 6).id).toBe(first.id)
        },
      ),
    )
  })
})
