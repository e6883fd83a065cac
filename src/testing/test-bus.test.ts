import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { defineContract } from '../contracts/index.ts'
import { isTreatyError } from '../core/errors.ts'
import type { TestBus } from './test-bus.ts'
import { createTestBus } from './test-bus.ts'

const folder = join(import.meta.dirname, '../../test/fixtures/shop')

const shop = defineContract({
  id: 'shop.orders',
  version: '1.0.0',
  purpose: 'Tells that orders were placed and paid.',
  channels: { orders: { address: 'shop.orders', key: 'orderId', ordering: 'per-key' } },
  events: {
    'order.placed': {
      channel: 'orders',
      purpose: 'Sent when an order was placed.',
      schema: {
        type: 'object',
        required: ['orderId', 'amount'],
        properties: {
          orderId: { type: 'string', minLength: 1 },
          amount: { type: 'integer', minimum: 1 },
        },
      },
    },
    'order.paid': {
      channel: 'orders',
      purpose: 'Sent when an order was paid.',
      schema: {
        type: 'object',
        required: ['orderId'],
        properties: { orderId: { type: 'string' } },
      },
    },
  },
  producers: { store: { events: ['order.placed'] }, billing: { events: ['order.paid'] } },
  consumers: {
    billing: {
      accepts: '^1.0.0',
      events: { 'order.placed': { needs: ['orderId', 'amount'] } },
      retry: { attempts: 4, base: '10s', factor: 10, cap: '1h', jitter: 'none' },
    },
    mail: { accepts: '^1.0.0', events: { 'order.paid': { needs: ['orderId'] } } },
  },
})

const open: TestBus<never>[] = []
async function busOf() {
  const bus = await createTestBus(shop)
  open.push(bus as never)
  return bus
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((bus) => bus.close({ drainMs: 0 })))
})

describe('createTestBus', () => {
  it('tells what was published and handled, through a chain of services', async () => {
    const bus = await busOf()
    await bus.consume('billing', {
      'order.placed': async (message, context) => {
        await context.publish('order.paid', { orderId: message.data.orderId })
      },
    })
    await bus.consume('mail', { 'order.paid': () => undefined })

    await bus.publish('order.placed', { orderId: 'o-1', amount: 5 })
    await bus.settled()

    expect(bus.published('order.paid').map((message) => message.data)).toEqual([{ orderId: 'o-1' }])
    expect(bus.published().map((message) => message.type)).toEqual(['order.placed', 'order.paid'])
    expect(bus.handled('mail')).toHaveLength(1)
    expect(bus.published('order.paid')[0]?.source).toBe('billing')
    expect(bus.published('order.paid')[0]?.correlation_id).toBe(
      bus.published('order.placed')[0]?.correlation_id,
    )
  })

  it('moves the clock over every retry and ends with the dead letter', async () => {
    const bus = await busOf()
    const at: number[] = []
    await bus.consume('billing', {
      'order.placed': () => {
        at.push(bus.clock.monotonic() / 1000)
        throw new TypeError('the printer is on fire')
      },
    })

    await bus.publish('order.placed', bus.fake('order.placed', { orderId: 'o-2' }))
    await bus.settled()

    expect(at).toEqual([0, 10, 110, 1110])
    expect(await bus.deadLetters('billing')).toMatchObject([
      { attempts: 4, event: 'order.placed', message: expect.stringContaining('on fire') },
    ])
    expect(bus.handled('billing')).toEqual([])
  })

  it('leaves retries and delayed messages alone when time shall stand still', async () => {
    const bus = await busOf()
    let calls = 0
    await bus.consume('billing', {
      'order.placed': (_, context) => {
        calls += 1
        return calls === 1 ? context.retry() : undefined
      },
    })
    await bus.publish('order.placed', { orderId: 'o-3', amount: 1 })

    await bus.settled({ advance: false })
    expect(calls).toBe(1)
    await bus.clock.advance(9_999)
    expect(calls).toBe(1)
    await bus.clock.advance(1)
    await bus.settled({ advance: false })

    expect(calls).toBe(2)
  })

  it('settles where nobody listens, and hands the message over later', async () => {
    const bus = await busOf()
    await bus.publish('order.placed', { orderId: 'o-4', amount: 1 }, { delayMs: 60_000 })
    await bus.settled()
    expect(bus.clock.monotonic()).toBe(0)

    await bus.consume('billing', { 'order.placed': () => undefined })
    await bus.settled()

    expect(bus.handled('billing')).toHaveLength(1)
    expect(bus.clock.monotonic()).toBe(60_000)
  })

  it('waits for handlers that wait for the clock, or for something real', async () => {
    const bus = await busOf()
    const done: string[] = []
    await bus.consume('billing', {
      'order.placed': async (message) => {
        if (message.data.orderId === 'fake') {
          await new Promise<void>((resolve) => bus.clock.setTimeout(resolve, 5000))
        } else await import('node:zlib')
        done.push(message.data.orderId)
      },
    })
    await bus.publish('order.placed', { orderId: 'fake', amount: 1 })
    await bus.publish('order.placed', { orderId: 'real', amount: 1 })

    await bus.settled()

    expect(done.sort()).toEqual(['fake', 'real'])
  })

  it('names the handler that never returns', async () => {
    const bus = await busOf()
    await bus.consume('billing', { 'order.placed': () => new Promise(() => undefined) })
    const { id } = await bus.publish('order.placed', { orderId: 'o-5', amount: 1 })

    const error = await bus.settled({ realMs: 200 }).catch((thrown: unknown) => thrown)

    expect(isTreatyError(error) && error.code).toBe('NOT_SETTLED')
    expect(String(error)).toContain(
      `the handler of "billing" has not returned for "order.placed" ${id}`,
    )
  })

  it('names the event with which handlers cause each other for ever', async () => {
    const bus = await busOf()
    await bus.consume('billing', {
      'order.placed': async (message, context) => {
        await context.publish('order.paid', { orderId: message.data.orderId })
      },
    })
    await bus.consume('mail', {
      'order.paid': async (message) => {
        await bus.publish('order.placed', { orderId: message.data.orderId, amount: 1 })
      },
    })
    await bus.publish('order.placed', { orderId: 'o-6', amount: 1 })

    const error = await bus.settled({ realMs: 4000 }).catch((thrown: unknown) => thrown)

    expect(String(error)).toMatch(/"order\.(placed|paid)" was published \d+ times/)
  })

  it('refuses what the contract forbids, as the real bus does', async () => {
    const bus = await busOf()

    await expect(bus.publish('order.placed', { orderId: 'o-7', amount: 0 })).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
    })
    expect(bus.published()).toEqual([])
  })

  it('says which events and consumers there are when one is misspelt', async () => {
    const bus = await busOf()

    expect(() => bus.published('order.payed' as never)).toThrow(
      expect.objectContaining({
        code: 'UNKNOWN_EVENT',
        hint: expect.stringContaining('order.paid'),
      }),
    )
    expect(() => bus.handled('bilingual' as never)).toThrow(
      expect.objectContaining({
        code: 'CONSUMER_NOT_FOUND',
        hint: expect.stringContaining('billing'),
      }),
    )
  })

  it('gives fakes that differ within a bus and repeat in the next one', async () => {
    const [one, two] = [await busOf(), await busOf()]
    const first = [one.fake('order.placed'), one.fake('order.placed')]
    const second = [two.fake('order.placed'), two.fake('order.placed')]

    expect(second).toEqual(first)
    expect(first[0]).not.toEqual(first[1])
  })

  it('answers requests and times them out on the fake clock', async () => {
    const bus = await createTestBus(folder, { service: 'order-service' })
    open.push(bus as never)
    const handled = await bus.handle('payment.capture', () => ({ receipt: 'r-1' }))
    const reply = await bus.request('payment.capture', { orderId: 'o-1', amount: 3 })
    expect(reply.data).toEqual({ receipt: 'r-1' })
    await handled.stop({ drainMs: 0 })

    const asked = bus.request('payment.capture', { orderId: 'o-2', amount: 3 })
    const failed = expect(asked).rejects.toMatchObject({ code: 'REQUEST_TIMEOUT' })
    await bus.clock.advance(5000)

    await failed
  })
})
