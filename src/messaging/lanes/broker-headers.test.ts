import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeEnvelope } from '../../contracts/index.ts'
import type { OutgoingRecord } from '../transport.ts'
import { type BrokerMessage, fromBrokerHeaders, toBrokerHeaders } from './broker-headers.ts'

const body = Buffer.from('{"n":1}')

function read(message: Partial<BrokerMessage>) {
  const place = { address: 'orders', position: '7', publishedAt: 5, headers: {}, body }
  return fromBrokerHeaders({ ...place, ...message }, 'ce_')
}

const record = fc.record(
  {
    id: fc.string({ minLength: 1 }),
    type: fc.string({ minLength: 1 }),
    key: fc.string(),
    priority: fc.integer({ min: 0, max: 3 }),
    expiresAt: fc.integer({ min: 1, max: 2 ** 45 }),
    deliverAt: fc.integer({ min: 1, max: 2 ** 45 }),
    correlationId: fc.string({ minLength: 1 }),
    causationId: fc.string({ minLength: 1 }),
    contentType: fc.constantFrom('application/json', 'text/plain'),
    headers: fc.dictionary(
      fc.oneof(
        fc.constantFrom(
          'treaty-id',
          'treaty-key',
          'content-type',
          'ce-type',
          'ce-id',
          'x',
          '__proto__',
          'constructor',
        ),
        fc.stringMatching(/^[a-z][a-z-]{0,10}$/),
      ),
      fc.string(),
    ),
  },
  { requiredKeys: ['id', 'type', 'contentType', 'headers'] },
)

describe('headers on a broker', () => {
  it('bring back every field and every header', () => {
    fc.assert(
      fc.property(record, (made) => {
        const outgoing = { address: 'orders', body, ...made } as OutgoingRecord
        const back = read({ headers: toBrokerHeaders(outgoing, 'ce_') })
        expect(back).toEqual({
          ...outgoing,
          headers: { ...outgoing.headers },
          position: '7',
          publishedAt: 5,
        })
      }),
    )
  })

  it('say each thing once under the envelope none', () => {
    const message = {
      id: 'm1',
      type: 'order.placed',
      source: 'shop',
      timestamp: '2026-01-01T00:00:00Z',
      correlation_id: 'c1',
      data: { n: 1 },
    }
    const wire = encodeEnvelope(message, 'none')
    const outgoing = {
      ...wire,
      id: 'm1',
      type: 'order.placed',
      address: 'orders',
      correlationId: 'c1',
    }
    const headers = toBrokerHeaders(outgoing, 'ce_')
    expect(Object.keys(headers).filter((name) => name.startsWith('treaty-own-'))).toEqual([])
    expect(read({ headers }).headers).toEqual(wire.headers)
  })

  it('name CloudEvents as the broker spells them', () => {
    const headers = { 'ce-type': 'order.placed', 'ce-id': 'e1' }
    const sent = toBrokerHeaders(
      {
        id: 'e1',
        type: 'order.placed',
        address: 'orders',
        body,
        headers,
        contentType: 'application/json',
      },
      'ce_',
    )
    expect(sent).toMatchObject({ ce_type: 'order.placed', ce_id: 'e1' })
    expect(read({ headers: sent }).headers).toEqual(headers)
  })

  it('find what another program says of its message', () => {
    expect(read({ headers: { ce_type: 'order.placed', ce_id: 'e1' } })).toMatchObject({
      id: 'e1',
      type: 'order.placed',
    })
    const envelope = Buffer.from('{"id":"m1","type":"order.placed","data":{}}')
    expect(read({ body: envelope })).toMatchObject({ id: 'm1', type: 'order.placed' })
    const older = Buffer.from('{"eventId":"m2","eventType":"order.closed"}')
    expect(read({ body: older })).toMatchObject({ id: 'm2', type: 'order.closed' })
  })

  it('take garbage as it comes', () => {
    for (const garbage of ['', '{', '{"type":7,"id":{}}', '\u0000\u0001', 'null', '[1]']) {
      const found = read({ body: Buffer.from(garbage) })
      expect(found).toMatchObject({ id: 'orders/7', type: '' })
    }
    expect(read({ headers: { 'treaty-priority': 'high' } })).not.toHaveProperty('priority')
  })
})
