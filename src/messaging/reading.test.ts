import { afterEach, describe, expect, it } from 'vitest'
import { defineContract } from '../contracts/index.ts'
import { isTreatyError } from '../core/errors.ts'
import { fakeClock } from '../testing/fake-clock.ts'
import type { OutgoingRecord } from './index.ts'
import { openBus } from './index.ts'
import type { Bus, SettledEvent } from './types.ts'

const open: Bus[] = []
const data = { orderId: 'o-1', customer: 'c-1' }

function contract(more: { version?: string; sunset?: string; idempotencyKey?: string } = {}) {
  return defineContract({
    id: 'shop.orders',
    version: more.version ?? '2.1.0',
    status: 'active',
    purpose: 'Tells every service that an order was placed.',
    owner: { team: 'orders' },
    channels: { orders: { address: 'shop.orders' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when a checkout has been paid.',
        schema: {
          type: 'object',
          required: ['orderId'],
          properties: { orderId: { type: 'string' }, customer: { type: 'string' } },
        },
        ...(more.sunset === undefined
          ? {}
          : { deprecated: { since: '2.0.0', sunset: more.sunset, use: 'order.closed' } }),
      },
    },
    producers: { shop: {} },
    consumers: {
      billing: {
        accepts: '^2.0.0',
        events: { 'order.placed': { needs: ['orderId'], handling: 'Creates one invoice.' } },
        retry: { attempts: 2, base: '1s', factor: 2, cap: '5s', jitter: 'none' },
        ...(more.idempotencyKey === undefined
          ? {}
          : { idempotency: { key: more.idempotencyKey, window: '60d' } }),
      },
    },
  })
}

async function shop(more: Parameters<typeof contract>[0] = {}) {
  const clock = fakeClock(Date.parse('2026-11-20T10:00:00Z'))
  const bus: Bus = await openBus({ contracts: [contract(more)], transport: 'memory:', clock })
  open.push(bus)
  const events: SettledEvent[] = []
  const runs: unknown[] = []
  await bus.consume(
    'billing',
    { 'order.placed': (message) => void runs.push(message.data) },
    { onSettled: (event) => events.push(event) },
  )
  return { bus, clock, events, runs }
}

/** What another program could have put on the channel. */
function record(message: object, type = 'order.placed'): OutgoingRecord {
  return {
    id: '0198a3c0-0000-7000-8000-0000000000ff',
    address: 'shop.orders',
    type,
    body: Buffer.from(JSON.stringify(message)),
    headers: {},
    contentType: 'application/json',
  }
}
const message = (more: object) => ({
  id: '0198a3c0-0000-7000-8000-0000000000ff',
  type: 'order.placed',
  source: 'shop',
  timestamp: '2026-11-20T10:00:00Z',
  correlation_id: '0198a3c0-0000-7000-8000-0000000000aa',
  data,
  ...more,
})

afterEach(async () => {
  await Promise.all(open.splice(0).map((bus) => bus.close({ drainMs: 0 })))
})

describe('what arrives', () => {
  it.each([
    ['bytes that are no JSON', Buffer.from('{"id":'), 'UNDECODABLE'],
    ['data that breaks the contract', message({ data: { orderId: 7 } }), 'SCHEMA_MISMATCH'],
    [
      'another major version',
      message({ metadata: { schema_version: '3.0.0' } }),
      'UNSUPPORTED_VERSION',
    ],
  ])('dies with a reason: %s', async (_, content, reason) => {
    const { bus, clock, runs } = await shop()
    const sent = Buffer.isBuffer(content) ? { ...record({}), body: content } : record(content)

    await bus.transport.publish([sent])
    await clock.advance(0)

    expect((await bus.dead.list()).items).toMatchObject([
      { reason, consumer: 'billing', attempts: 1 },
    ])
    expect(runs).toEqual([])
  })

  it('is read with fields that a newer minor version has added', async () => {
    const { bus, clock, runs } = await shop()
    const newer = { ...data, coupon: 'X' }

    await bus.transport.publish([
      record(message({ data: newer, metadata: { schema_version: '2.9.0' } })),
    ])
    await clock.advance(0)

    expect(runs).toEqual([newer])
  })

  it('does not stop what comes behind it', async () => {
    const { bus, clock, runs } = await shop()

    await bus.transport.publish([{ ...record({}), body: Uint8Array.of(0xff) }])
    await bus.publish('order.placed', data)
    await clock.advance(0)

    expect(runs).toEqual([data])
  })
})

describe('idempotency', () => {
  it('runs one effect for an id, also when the message comes again later', async () => {
    const { bus, clock, events, runs } = await shop({ idempotencyKey: 'id' })
    await bus.transport.publish([record(message({}))])
    await clock.advance(0)

    await bus.transport.publish([record(message({}))])
    await clock.advance(0)

    expect(runs).toHaveLength(1)
    expect(events.map((event) => event.outcome)).toEqual(['ack', 'duplicate'])
    expect(await bus.stats()).toMatchObject({ deliveries: 2, handled: 1, skipped: 1 })
  })

  it('runs one effect for a business key, whatever the message id', async () => {
    const { bus, clock, runs } = await shop({ idempotencyKey: 'data.orderId' })

    await bus.publishMany([
      { event: 'order.placed', data },
      { event: 'order.placed', data },
      { event: 'order.placed', data: { orderId: 'o-2' } },
    ])
    await clock.advance(5000)

    expect(runs).toEqual([data, { orderId: 'o-2' }])
    expect(await bus.stats()).toMatchObject({ handled: 2, skipped: 1, waiting: 0 })
  })
})

describe('a retired event', () => {
  it('is refused from its sunset on, naming its successor', async () => {
    const { bus, clock } = await shop({ sunset: '2026-11-21' })
    await bus.publish('order.placed', data)
    await clock.advance(86_400_000)

    const error = await bus.publish('order.placed', data).catch((thrown: unknown) => thrown)

    expect(isTreatyError(error) && [error.code, error.hint]).toEqual([
      'EVENT_RETIRED',
      'Publish "order.closed" instead.',
    ])
  })
})
