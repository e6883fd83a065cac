import { afterEach, describe, expect, it } from 'vitest'
import { defineContract, type Message } from '../../contracts/index.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import { openBus } from '../index.ts'
import type { Bus, SettledEvent } from '../types.ts'

const open: Bus[] = []
afterEach(async () => {
  for (const bus of open.splice(0)) await bus.close({ drainMs: 0 })
})

const upcast = {
  event: 'order.placed',
  from: '1.x',
  to: '2.x',
  jsonata: '$merge([$, {"total": {"amount": amount, "currency": "EUR"}}])',
}
const id = '0198a3c0-0000-7000-8000-0000000000ff'

/** A consumer of version 2 whose channel holds a message of another version. */
async function received(version: string, data: object, steps = [upcast]) {
  const contract = defineContract({
    id: 'shop.orders',
    version: '2.1.0',
    purpose: 'Tells every service that an order was placed.',
    owner: { team: 'orders' },
    channels: { orders: { address: 'shop.orders' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when a checkout has been paid.',
        schema: {
          type: 'object',
          required: ['total'],
          properties: {
            total: {
              type: 'object',
              required: ['amount', 'currency'],
              properties: { amount: { type: 'integer' }, currency: { type: 'string' } },
            },
          },
        },
      },
    },
    producers: { shop: {} },
    consumers: {
      billing: {
        accepts: '^2.0.0',
        events: { 'order.placed': { handling: 'Creates one invoice.' } },
        retry: { attempts: 3, base: '1s' },
      },
    },
    evolution: { upcast: steps },
  })
  const clock = fakeClock(Date.parse('2026-11-20T10:00:00Z'))
  const bus: Bus = await openBus({ contracts: [contract], transport: 'memory:', clock })
  open.push(bus)
  const messages: Message[] = []
  const settled = Promise.withResolvers<SettledEvent>()
  await bus.consume(
    'billing',
    { 'order.placed': (message) => void messages.push(message as Message) },
    { onSettled: (event) => settled.resolve(event) },
  )
  const message = {
    id,
    type: 'order.placed',
    source: 'shop',
    timestamp: '2026-11-20T10:00:00Z',
    correlation_id: id,
    data,
    metadata: { schema_version: version },
  }
  await bus.transport.publish([
    {
      id,
      address: 'shop.orders',
      type: 'order.placed',
      body: Buffer.from(JSON.stringify(message)),
      headers: {},
      contentType: 'application/json',
    },
  ])
  const event = await settled.promise
  return { event, messages, dead: (await bus.dead.list()).items }
}

describe('a message of an earlier major version', () => {
  it('reaches the handler in the present form, and says where it came from', async () => {
    const { event, messages } = await received('1.3.0', { amount: 5 })

    expect(event.outcome).toBe('ack')
    expect(messages).toMatchObject([
      {
        id,
        data: { amount: 5, total: { amount: 5, currency: 'EUR' } },
        metadata: { schema_version: '2.1.0', upcast_from: '1.3.0' },
      },
    ])
  })

  it('dies at once where its upcast does not satisfy the schema, with the findings', async () => {
    const { event, messages, dead } = await received('1.3.0', { amount: 'five' })

    expect(messages).toEqual([])
    expect(event).toMatchObject({ outcome: 'dead', attempt: 1 })
    expect(dead).toMatchObject([
      { reason: 'UPCAST_FAILED', findings: [{ pointer: '/data/total/amount' }] },
    ])
  })

  it('dies at once where the expression fails', async () => {
    const failing = [{ ...upcast, jsonata: '$error("no")' }]
    const { dead } = await received('1.3.0', { amount: 5 }, failing)

    expect(dead).toMatchObject([{ reason: 'UPCAST_FAILED', attempts: 1 }])
  })

  it('dies as UNSUPPORTED_VERSION where no upcast leads from it', async () => {
    const { dead } = await received('0.9.0', { amount: 5 })

    expect(dead).toMatchObject([{ reason: 'UNSUPPORTED_VERSION' }])
  })

  it('is left as it is within the major version', async () => {
    const { messages } = await received('2.9.0', { total: { amount: 1, currency: 'EUR' } })

    expect(messages).toMatchObject([{ metadata: { schema_version: '2.9.0' } }])
  })
})
