import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { defineContract } from '../contracts/index.ts'
import { isTreatyError, TreatyError } from '../core/errors.ts'
import { openStore } from '../store/index.ts'
import { fakeClock } from '../testing/fake-clock.ts'
import { commandFailure, openBus, openTransport } from './index.ts'
import type { Bus, BusOptions, SettledEvent } from './types.ts'

const contracts = join(import.meta.dirname, '../../test/fixtures/shop')
const open: Bus[] = []

async function shop(options: Partial<BusOptions> = {}) {
  const clock = fakeClock()
  const bus = await openBus({
    contracts,
    transport: 'memory:',
    service: 'order-service',
    clock,
    ...options,
  })
  open.push(bus)
  return { bus, clock }
}
const order = (orderId = 'o-1', sequence = 0) => ({
  orderId,
  sequence,
  total: { amount: 1990, currency: 'EUR' },
})
/** Resolves when `count` deliveries of a consumer were settled. */
function settlements(count: number) {
  const events: SettledEvent[] = []
  const { promise, resolve } = Promise.withResolvers<SettledEvent[]>()
  const onSettled = (event: SettledEvent) => {
    events.push(event)
    if (events.length === count) resolve(events)
  }
  return { promise, onSettled, events }
}
const codeOf = (error: unknown) => (isTreatyError(error) ? error.code : error)

afterEach(async () => {
  await Promise.all(open.splice(0).map((bus) => bus.close({ drainMs: 0 })))
})

describe('publish', () => {
  it('hands the data to the consumer, with identity, source and version', async () => {
    const { bus } = await shop()
    const { promise, resolve } = Promise.withResolvers<unknown>()
    await bus.consume('audit', { 'order.placed': (message) => resolve(message) })

    const { id } = await bus.publish('order.placed', order())

    expect(await promise).toMatchObject({
      id,
      type: 'order.placed',
      source: 'order-service',
      data: order(),
      metadata: { schema_version: '1.2.0', key: 'o-1' },
    })
  })

  it('keeps what was sent before a consumer first connected', async () => {
    const { bus } = await shop()
    await bus.publish('order.placed', order('early'))
    const { promise, resolve } = Promise.withResolvers<unknown>()

    await bus.consume('audit', { 'order.placed': (message) => resolve(message.data) })

    expect(await promise).toMatchObject({ orderId: 'early' })
  })

  it('refuses data that breaks the contract, names every place, and sends nothing', async () => {
    const { bus } = await shop()

    const error = await bus
      .publish('order.placed', { orderId: '', sequence: -1, total: { amount: '1' } })
      .catch((thrown: unknown) => thrown)

    expect(codeOf(error)).toBe('SCHEMA_MISMATCH')
    const pointers = isTreatyError(error) ? error.findings.map((finding) => finding.pointer) : []
    expect(pointers).toEqual(
      expect.arrayContaining([
        '/data/orderId',
        '/data/sequence',
        '/data/total/amount',
        '/data/total',
      ]),
    )
    expect(await bus.stats()).toMatchObject({ published: 0, deliveries: 0 })
  })

  it.each([
    ['an unknown event', 'UNKNOWN_EVENT', (bus: Bus) => bus.publish('order.plcaed', order())],
    [
      'another key than the contract takes',
      'KEY_CONFLICT',
      (bus: Bus) => bus.publish('order.placed', order(), { key: 'x' }),
    ],
    [
      'a time to live of zero',
      'OPTION_INVALID',
      (bus: Bus) => bus.publish('order.placed', order(), { ttlMs: 0 }),
    ],
  ])('refuses %s with %s', async (_, code, call) => {
    const { bus } = await shop()

    expect(codeOf(await call(bus).catch((error: unknown) => error))).toBe(code)
  })

  it('refuses a message above the size limit and goes on', async () => {
    const { bus } = await shop({ messageBytesMax: 500 })

    const results = await bus.publishMany([
      { event: 'order.placed', data: { ...order(), note: 'x'.repeat(199) } },
      { event: 'order.placed', data: order() },
    ])

    expect(results.map((result) => ('error' in result ? result.error.code : 'sent'))).toEqual([
      'MESSAGE_TOO_LARGE',
      'sent',
    ])
  })

  it('recognises an id that is sent again', async () => {
    const { bus } = await shop()
    const id = '0198a3c0-0000-7000-8000-000000000001'

    await bus.publish('order.placed', order(), { id })
    await bus.publish('order.placed', order(), { id })

    expect(await bus.stats()).toMatchObject({ published: 1 })
  })
})

describe('consume', () => {
  it('passes correlation and cause on to what the handler publishes, behind awaits too', async () => {
    const { bus } = await shop()
    const { promise, resolve } = Promise.withResolvers<{
      correlation_id: string
      metadata?: object
    }>()
    await bus.consume('billing', {
      'order.placed': async (message, context) => {
        await Promise.resolve()
        await context.publish('order.cancelled', {
          orderId: (message.data as { orderId: string }).orderId,
        })
      },
      'order.cancelled': (message) => resolve(message),
    })

    const { id } = await bus.publish('order.placed', order(), {
      correlationId: '0198a3c0-0000-7000-8000-00000000abcd',
    })

    expect(await promise).toMatchObject({
      correlation_id: '0198a3c0-0000-7000-8000-00000000abcd',
      metadata: { causation_id: id },
    })
  })

  it('tries a failed message again after the wait of the contract, and keeps later ones of its key behind it', async () => {
    const { bus, clock } = await shop()
    const seen: string[] = []
    const { promise, onSettled } = settlements(3)
    await bus.consume(
      'audit',
      {
        'order.placed': (message, context) => {
          const { sequence } = message.data as { sequence: number }
          seen.push(`${sequence}/${context.attempt}`)
          if (sequence === 0 && context.attempt === 1) throw new Error('not yet')
        },
      },
      { onSettled },
    )

    await bus.publish('order.placed', order('k', 0))
    await bus.publish('order.placed', order('k', 1))
    await clock.advance(999)
    expect(seen).toEqual(['0/1'])
    await clock.advance(1)
    await promise

    expect(seen).toEqual(['0/1', '0/2', '1/1'])
  })

  it('makes a dead letter of a message whose attempts are spent, and replays it under its id', async () => {
    const { bus, clock } = await shop()
    let isBroken = true
    const { promise, onSettled } = settlements(2)
    const healed = Promise.withResolvers<[string, number]>()
    await bus.consume(
      'audit',
      {
        'order.placed': (message, context) => {
          if (isBroken) throw new Error('database away')
          healed.resolve([message.id, context.attempt])
        },
      },
      { onSettled },
    )
    const { id } = await bus.publish('order.placed', order())
    await clock.advance(0)
    await clock.advance(1000)
    await promise

    const { items } = await bus.dead.list()
    expect(items).toMatchObject([
      {
        messageId: id,
        event: 'order.placed',
        consumer: 'audit',
        reason: 'HANDLER_FAILED',
        attempts: 2,
        message: 'database away',
      },
    ])
    isBroken = false
    expect(await bus.dead.replay(items[0]?.id ?? '')).toBe(true)

    expect(await healed.promise).toEqual([id, 1])
    expect((await bus.dead.list()).items).toEqual([])
  })

  it('does not try again what can never succeed', async () => {
    const { bus } = await shop()
    const { promise, onSettled } = settlements(1)
    await bus.consume(
      'audit',
      { 'order.placed': (_, context) => context.dead('customer was deleted') },
      { onSettled },
    )

    await bus.publish('order.placed', order())
    await promise

    expect((await bus.dead.list()).items).toMatchObject([
      { reason: 'REJECTED', message: 'customer was deleted', attempts: 1 },
    ])
  })

  it('runs an effect in the acknowledgement, and undoes it when it throws', async () => {
    const { bus, clock } = await shop()
    const { promise, onSettled } = settlements(2)
    await bus.consume(
      'audit',
      {
        'order.placed': (_, context) => {
          context.commit((tx) => {
            const db = tx as { exec(sql: string): void }
            db.exec('CREATE TABLE IF NOT EXISTS copies (n INTEGER)')
            db.exec('INSERT INTO copies VALUES (1)')
            if (context.attempt === 1) throw new Error('constraint')
          })
        },
      },
      { onSettled },
    )
    await bus.publish('order.placed', order())
    await clock.advance(1000)
    const events = await promise

    expect(events.map((event) => event.outcome)).toEqual(['retry', 'ack'])
    expect(await bus.stats()).toMatchObject({ deliveries: 2, handled: 1, retried: 1, waiting: 1 })
  })

  it('refuses a handler for an event that is not listed, and a listed event without a handler', async () => {
    const { bus } = await shop()
    const nothing = () => {}

    const unlisted = await bus
      .consume('audit', { 'order.placed': nothing, 'order.cancelled': nothing })
      .catch(codeOf)
    const missing = await bus.consume('billing', { 'order.placed': nothing }).catch(codeOf)
    const unknown = await bus.consume('biling', { '*': nothing }).catch(codeOf)

    expect([unlisted, missing, unknown]).toEqual([
      'EVENT_NOT_LISTED',
      'HANDLER_MISSING',
      'CONSUMER_NOT_FOUND',
    ])
  })

  it('releases what a shutdown cut off without counting an attempt', async () => {
    const { bus, clock } = await shop()
    const started = Promise.withResolvers<void>()
    const aborted = Promise.withResolvers<unknown>()
    const subscription = await bus.consume('audit', {
      'order.placed': (_, context) => {
        started.resolve()
        context.signal.addEventListener('abort', () => aborted.resolve(context.signal.reason))
        return new Promise(() => {})
      },
    })
    await bus.publish('order.placed', order())
    await started.promise

    const stopping = subscription.stop({ drainMs: 1000 })
    await clock.advance(1000)
    await stopping
    expect(codeOf(await aborted.promise)).toBe('HANDLER_ABORTED')
    const attempt = Promise.withResolvers<number>()
    await bus.consume('audit', { 'order.placed': (_, context) => attempt.resolve(context.attempt) })

    expect(await attempt.promise).toBe(1)
  })

  it('stops at its deadline although the disk is full and no settlement is taken', async () => {
    const inner = await openTransport('memory:')
    const settle = () => Promise.reject(new TreatyError('STORE_FULL', 'the disk is full'))
    const transport = Object.assign(Object.create(inner), { settle })
    const { bus, clock } = await shop({ transport })
    const handled = Promise.withResolvers<void>()
    const subscription = await bus.consume('audit', { 'order.placed': () => handled.resolve() })
    await bus.publish('order.placed', order())
    await handled.promise

    let hasStopped = false
    const stopping = subscription.stop({ drainMs: 5000 }).then(() => {
      hasStopped = true
    })
    await clock.advance(4000)
    expect(hasStopped).toBe(false)
    await clock.advance(2000)
    await stopping
  })

  it('aborts the signal of a handler whose work was handed to another process', async () => {
    const inner = await openTransport('memory:')
    let lose = (_: TreatyError) => {}
    const transport = Object.assign(Object.create(inner), {
      onError: (listener: typeof lose) => {
        lose = listener
      },
    })
    const { bus } = await shop({ transport })
    const signal = Promise.withResolvers<AbortSignal>()
    await bus.consume('audit', {
      'order.placed': (_, context) => {
        signal.resolve(context.signal)
        return new Promise(() => {})
      },
    })
    await bus.publish('order.placed', order())
    const running = await signal.promise

    lose(new TreatyError('LEASES_LOST', 'the lease has ended'))

    expect(codeOf(running.reason)).toBe('LEASES_LOST')
  })

  it('runs many handlers that end at once without growing the stack', async () => {
    const { bus } = await shop()
    const { promise, onSettled } = settlements(3000)
    for (let at = 0; at < 3; at += 1) {
      await bus.publishMany(
        Array.from({ length: 1000 }, (_, n) => ({
          event: 'order.placed' as const,
          data: order(`k${at}-${n}`),
        })),
      )
    }

    await bus.consume(
      'audit',
      { 'order.placed': () => {} },
      { onSettled, concurrency: 10, prefetch: 5000 },
    )

    expect((await promise).every((event) => event.outcome === 'ack')).toBe(true)
  })
})

describe('ingest', () => {
  const bytes = (text: string) => Buffer.from(text)

  it('publishes valid bytes and keeps invalid ones as a dead letter with the place', async () => {
    const { bus } = await shop()
    const message = {
      id: '0198a3c0-0000-7000-8000-000000000001',
      type: 'order.placed',
      source: 'partner',
      timestamp: '2026-11-20T10:00:00Z',
      correlation_id: '0198a3c0-0000-7000-8000-000000000002',
      data: order(),
    }

    const good = await bus.ingest('order.placed', bytes(JSON.stringify(message)), {
      source: 'partner',
    })
    const bad = await bus.ingest(
      'order.placed',
      bytes(JSON.stringify({ ...message, data: { ...order(), sequence: 'x' } })),
      { source: 'partner' },
    )
    const garbage = await bus.ingest('order.placed', Uint8Array.of(0xff, 0xfe, 0x00), {
      source: 'partner',
    })

    expect(good).toEqual({ id: message.id })
    const errors = bad.findings?.filter((finding) => finding.severity === 'error')
    expect(errors?.map((finding) => finding.pointer)).toEqual(['/data/sequence'])
    expect(garbage.deadLetter).toBeDefined()
    const letter = await bus.dead.get(garbage.deadLetter ?? '')
    expect([...(letter?.body ?? [])]).toEqual([0xff, 0xfe, 0x00])
    expect(await bus.stats()).toMatchObject({ published: 1, dead: 2 })
  })
})

describe('ingest of bytes that come again', () => {
  it('keeps one dead letter for the same id', async () => {
    const { bus } = await shop()
    const again = () =>
      bus.ingest('order.placed', Buffer.from('{"id":'), { source: 'partner', id: 'delivery-7' })

    const first = await again()
    const second = await again()

    expect(second).toEqual(first)
    expect(await bus.stats()).toMatchObject({ deliveries: 1, dead: 1 })
  })

  it('keeps other bytes under the same id as a letter of their own', async () => {
    const { bus } = await shop()
    const send = (text: string) =>
      bus.ingest('order.placed', Buffer.from(text), { source: 'partner', id: 'delivery-7' })

    const first = await send('{"id":')
    const second = await send('{"id":"')

    expect(second.deadLetter).not.toBe(first.deadLetter)
    expect(await bus.stats()).toMatchObject({ dead: 2 })
  })
})

describe('request', () => {
  it('resolves with the reply of the handler', async () => {
    const { bus } = await shop()
    await bus.handle('payment.capture', (message) => ({
      receipt: `r-${(message.data as { orderId: string }).orderId}`,
    }))

    const reply = await bus.request('payment.capture', { orderId: 'o-1', amount: 5 })

    expect(reply.data).toEqual({ receipt: 'r-o-1' })
  })

  it('rejects with the typed error that the handler threw', async () => {
    const { bus } = await shop()
    await bus.handle('payment.capture', () => {
      throw commandFailure('declined', { why: 'limit' })
    })

    const error = await bus
      .request('payment.capture', { orderId: 'o-1', amount: 5 })
      .catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({
      code: 'COMMAND_FAILED',
      details: { error: 'declined', data: { why: 'limit' } },
    })
  })

  it('rejects after the timeout of the contract when nobody answers', async () => {
    const { bus, clock } = await shop()

    const reply = bus.request('payment.capture', { orderId: 'o-1', amount: 5 }).catch(codeOf)
    await clock.advance(5000)

    expect(await reply).toBe('REQUEST_TIMEOUT')
  })
})

describe('trace', () => {
  it('lists the messages of a correlation id, causes before effects', async () => {
    const { bus } = await shop()
    const { promise, onSettled } = settlements(2)
    await bus.consume(
      'billing',
      {
        'order.placed': (_, context) =>
          context.publish('order.cancelled', { orderId: 'o-1' }).then(() => {}),
        'order.cancelled': () => {},
      },
      { onSettled },
    )
    const correlationId = '0198a3c0-0000-7000-8000-00000000abcd'
    await bus.publish('order.placed', order(), { correlationId })
    await promise

    const trace = await bus.trace(correlationId)

    expect(trace.entries.map((entry) => [entry.message.type, entry.depth])).toEqual([
      ['order.placed', 0],
      ['order.cancelled', 1],
    ])
    expect(trace.missing).toEqual([])
  })
})

describe('a broker that other contracts are on too', () => {
  it('shows messages and traces of the own contracts only, also where both call an event the same', async () => {
    const contractOf = (id: string) =>
      defineContract({
        id,
        version: '1.0.0',
        purpose: 'One of several on the same broker.',
        channels: { orders: { address: `${id}.orders`, retention: '1d' } },
        events: {
          'order.placed': { channel: 'orders', purpose: 'An order.', schema: { type: 'object' } },
        },
        producers: { shop: {} },
        consumers: { billing: { accepts: '^1.0.0', events: { 'order.placed': { needs: [] } } } },
      })
    const open = (id: string) =>
      openBus({ contracts: [contractOf(id)], transport: 'memory:shared-by-two' })
    const [ours, theirs] = [await open('ours'), await open('theirs')]
    const correlationId = '0198a3c0-0000-7000-8000-00000000abcd'
    await theirs.publish('order.placed', { number: 1 }, { correlationId })
    await ours.publish('order.placed', { number: 2 }, { correlationId })

    const { items } = await ours.messages({ event: 'order.placed' })
    expect(items.map(({ message }) => message?.data)).toEqual([{ number: 2 }])
    expect((await ours.trace(correlationId)).entries).toHaveLength(1)
    await Promise.all([ours, theirs].map((bus) => bus.close({ drainMs: 0 })))
  })
})

describe('close', () => {
  it('lets a handler that is at work publish what it has still to say', async () => {
    const { bus } = await shop()
    const started = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    const outcomes: string[] = []
    await bus.consume(
      'audit',
      {
        'order.placed': async (_, context) => {
          started.resolve()
          await go.promise
          await context.publish('order.cancelled', { orderId: 'o-1' })
        },
      },
      { onSettled: (event) => outcomes.push(event.outcome) },
    )
    await bus.publish('order.placed', order())
    await started.promise

    const closing = bus.close()
    go.resolve()
    await closing

    expect(outcomes).toEqual(['ack'])
  })

  it('leaves a store open that it was given', async () => {
    const store = await openStore('memory:')
    const { bus } = await shop({ store })

    await bus.close()

    expect(await store.records.put('a', 'b', 1)).toMatchObject({ revision: 1 })
    await store.close()
  })

  it('may be called twice, and refuses work after it', async () => {
    const { bus } = await shop()

    await Promise.all([bus.close(), bus.close()])

    expect(await bus.publish('order.placed', order()).catch(codeOf)).toBe('BUS_CLOSED')
  })
})
