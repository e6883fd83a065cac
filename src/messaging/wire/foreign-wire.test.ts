import { describe, expect, it } from 'vitest'
import { defineContract } from '../../contracts/index.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import { openBus } from '../index.ts'
import type { OutgoingRecord } from '../transport.ts'
import { createMemoryTransport } from '../transports/memory.ts'
import { messageOf } from './foreign-wire.ts'

type Envelope = 'none' | 'cloudevents-structured' | 'cloudevents-binary'

function orders(envelope: Envelope) {
  return defineContract({
    id: 'shop.orders',
    version: '1.0.0',
    status: 'active',
    purpose: 'Tells every service that an order was placed.',
    envelope,
    channels: { orders: { address: 'shop.orders' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when a checkout has been paid.',
        schema: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } },
      },
    },
    producers: { shop: {} },
    consumers: {
      billing: {
        accepts: '^1.0.0',
        events: { 'order.placed': { handling: 'Creates one invoice.' } },
      },
    },
  })
}

/** What a consumer gets of a record that another program wrote to the channel. */
async function receive(envelope: Envelope, record: Partial<OutgoingRecord>) {
  const clock = fakeClock(Date.parse('2026-11-20T10:00:00Z'))
  const contract = orders(envelope)
  const transport = createMemoryTransport({ clock })
  await using bus = await openBus({ contracts: [contract], transport, clock })
  const ended = Promise.withResolvers<unknown>()
  const messages: unknown[] = []
  await bus.consume(
    'billing',
    { 'order.placed': (message) => void messages.push(message) },
    { onSettled: ({ outcome }) => ended.resolve(outcome) },
  )
  const plain = { id: 'm1', address: 'shop.orders', type: 'order.placed', headers: {} }
  const contentType = 'application/json'
  await transport.publish([{ ...plain, contentType, body: Buffer.from('{"n":1}'), ...record }])
  await clock.tick()
  const outcome = await ended.promise
  const [letter] = (await bus.dead.list()).items
  return { messages, outcome: letter?.reason ?? outcome, findings: letter?.findings }
}

describe('messages of other programs', () => {
  it('are data alone under the envelope none, and the broker says the rest', async () => {
    const { messages, outcome } = await receive('none', {})
    expect(outcome).toBe('ack')
    expect(messages).toMatchObject([
      { type: 'order.placed', source: 'unknown', data: { n: 1 }, metadata: { original_id: 'm1' } },
    ])
  })

  it('are of the only type that the channel carries, where they name none', () => {
    const record = {
      id: 'm1',
      type: '',
      address: 'shop.orders',
      position: '1',
      publishedAt: 0,
      headers: {},
      contentType: 'application/json',
      body: Buffer.from('{"n":1}'),
    }
    expect(messageOf(record, orders('none')).type).toBe('order.placed')
    expect(messageOf({ ...record, address: 'elsewhere' }, orders('none')).type).toBe('')
  })

  it('are CloudEvents in either form, whichever the contract writes', async () => {
    const attributes = { specversion: '1.0', id: 'e1', source: 'other', type: 'order.placed' }
    const headers = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]),
    )
    const binary = await receive('cloudevents-structured', { headers })
    const structured = await receive('cloudevents-binary', {
      contentType: 'application/cloudevents+json',
      body: Buffer.from(JSON.stringify({ ...attributes, data: { n: 1 } })),
    })
    expect(binary.messages).toEqual(structured.messages)
    for (const { messages } of [binary, structured]) {
      expect(messages).toMatchObject([{ source: 'other', metadata: { original_id: 'e1' } }])
    }
  })

  it('are dead letters when they are garbage', async () => {
    for (const body of ['', '{', '[1]', '\u0000\u0000\u0000\u0000\u0007{"n":1}']) {
      const { messages, outcome } = await receive('none', { body: Buffer.from(body) })
      expect(messages).toEqual([])
      expect(['UNDECODABLE', 'SCHEMA_MISMATCH']).toContain(outcome)
    }
  })
})
