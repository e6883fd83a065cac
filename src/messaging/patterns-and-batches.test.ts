import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { defineContract } from '../contracts/index.ts'
import { closestPattern, fitsPattern } from './event-pattern.ts'
import type { Bus, ConsumeOptions } from './index.ts'
import { openBus } from './index.ts'

const event = {
  channel: 'orders',
  purpose: 'Something happened to an order.',
  schema: {
    type: 'object' as const,
    properties: { id: { type: 'string' as const }, number: { type: 'integer' as const } },
  },
}
const names = ['order.placed', 'order.line.added', 'payment.received'] as const
const shop = defineContract({
  id: 'shop',
  version: '1.0.0',
  purpose: 'Events with several segments.',
  channels: { orders: { address: 'shop.orders', key: 'id', ordering: 'per-key' } },
  events: Object.fromEntries(names.map((name) => [name, event])),
  producers: { shop: {} },
  consumers: {
    all: {
      accepts: '^1.0.0',
      events: Object.fromEntries(names.map((name) => [name, { needs: [] }])),
      retry: { attempts: 3, base: '1ms', factor: 1, cap: '1ms', jitter: 'none' },
    },
  },
})

const folder = mkdtempSync(join(tmpdir(), 'treaty-batches-'))
let files = 0
const open: Bus[] = []
afterEach(async () => {
  for (const bus of open.splice(0)) await bus.close({ drainMs: 0 })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function busOn(transport: string): Promise<Bus> {
  const url = transport === 'sqlite' ? `sqlite:${join(folder, `${++files}.db`)}` : 'memory:'
  const bus = (await openBus({ contracts: [shop], transport: url })) as Bus
  open.push(bus)
  return bus
}
const settled = (bus: Bus) => expect.poll(async () => (await bus.stats()).waiting).toBe(0)

describe('a pattern', () => {
  it.each([
    ['order.*', 'order.placed', true],
    ['order.*', 'order.line.added', false],
    ['order.#', 'order.line.added', true],
    ['order.#', 'order', true],
    ['order.#', 'orders.placed', false],
    ['*.placed', 'order.placed', true],
    ['*.*.added', 'order.line.added', true],
    ['#', 'order.placed', true],
    ['*', 'order.placed', true],
    ['#.placed', 'order.placed', false],
    ['order.placed', 'order.placed', true],
    ['order.placed', 'order.placed.late', false],
  ])('%s over %s: %s', (pattern, name, fits) => {
    expect(fitsPattern(pattern, name)).toBe(fits)
  })

  it('gives way to one that says more about the event', () => {
    expect(closestPattern(['*', '#', 'order.#', 'order.*'], 'order.placed')).toBe('order.*')
    expect(closestPattern(['*', '#', 'order.#', 'order.*'], 'order.line.added')).toBe('order.#')
    expect(closestPattern(['*', '#'], 'payment.received')).toBe('#')
    expect(closestPattern(['order.*'], 'payment.received')).toBeUndefined()
  })
})

describe.each(['memory', 'sqlite'])('handlers by pattern on %s', (transport) => {
  it('get the events that no closer handler has', async () => {
    const bus = await busOn(transport)
    const seen: string[] = []
    const as = (who: string) => (message: { type: string }) =>
      void seen.push(`${who} ${message.type}`)
    await bus.consume('all', {
      'order.#': as('order.#'),
      'order.placed': as('order.placed'),
      '*': as('*'),
    })

    for (const name of names) await bus.publish(name, { id: 'a' })
    await settled(bus)

    expect(seen.toSorted()).toEqual([
      '* payment.received',
      'order.# order.line.added',
      'order.placed order.placed',
    ])
  })

  it('are refused at the start where an event has none, or a pattern fits nothing', async () => {
    const bus = await busOn(transport)
    await expect(bus.consume('all', { 'order.*': () => {} })).rejects.toMatchObject({
      code: 'HANDLER_MISSING',
      details: { events: ['order.line.added', 'payment.received'] },
    })
    await expect(
      bus.consume('all', { '#': () => {}, 'invoice.*': () => {} }),
    ).rejects.toMatchObject({ code: 'EVENT_NOT_LISTED', details: { events: ['invoice.*'] } })
  })
})

describe.each(['memory', 'sqlite'])('batches on %s', (transport) => {
  async function publishAll(bus: Bus, count: number): Promise<void> {
    await bus.publishMany(
      Array.from({ length: count }, (_, number) => ({
        event: 'order.placed',
        data: { id: `k${number}`, number },
      })),
    )
  }
  type Batch = readonly { data: unknown; id: string; correlation_id: string }[]
  const numbersOf = (batch: Batch) => batch.map(({ data }) => (data as { number: number }).number)
  const consume = (
    bus: Bus,
    handler: (batch: Batch, context: never) => unknown,
    options: Partial<ConsumeOptions> & { batch: number | { size?: number; waitMs?: number } },
  ) => bus.consume('all', { '*': handler as never }, options)

  it('hold at most their size, and come after their wait when they are not full', async () => {
    const bus = await busOn(transport)
    const sizes: number[] = []
    await publishAll(bus, 25)
    await consume(bus, (batch) => void sizes.push(batch.length), {
      batch: { size: 10, waitMs: 40 },
    })
    await settled(bus)

    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(25)
    expect(Math.max(...sizes)).toBe(10)
    expect(sizes.length).toBeLessThan(10)
    expect(await bus.stats()).toMatchObject({ handled: 25, retried: 0 })
  })

  it('are settled each message for itself where the handler says so', async () => {
    const bus = await busOn(transport)
    await publishAll(bus, 6)
    const again: number[] = []
    await consume(
      bus,
      (batch, context: never) => {
        const { each, retry, dead } = context as {
          each: { attempt: number }[]
          retry(): unknown
          dead(why: string): unknown
        }
        return numbersOf(batch).map((number, at) => {
          if ((each[at]?.attempt ?? 0) > 1) again.push(number)
          else if (number === 2) return retry()
          if (number === 4) return dead('number four')
          return undefined
        })
      },
      { batch: 6 },
    )
    await settled(bus)

    expect(again).toEqual([2])
    expect(await bus.stats()).toMatchObject({ handled: 5, retried: 1, dead: 1 })
  })

  it('are given back as a whole by one outcome', async () => {
    const bus = await busOn(transport)
    await publishAll(bus, 4)
    let calls = 0
    await consume(
      bus,
      (_batch, context: never) => {
        calls += 1
        return calls === 1 ? (context as { retry(): unknown }).retry() : undefined
      },
      { batch: 4 },
    )
    await settled(bus)

    expect(await bus.stats()).toMatchObject({ handled: 4, retried: 4 })
  })

  it('that throw are tried one by one, so that only what cannot pass fails', async () => {
    const bus = await busOn(transport)
    await publishAll(bus, 8)
    const handled: number[] = []
    await consume(
      bus,
      (batch) => {
        const numbers = numbersOf(batch)
        if (numbers.includes(5)) throw new Error('five is too much')
        handled.push(...numbers)
      },
      { batch: 8 },
    )
    await settled(bus)

    expect(handled.toSorted()).toEqual([0, 1, 2, 3, 4, 6, 7])
    expect(await bus.stats()).toMatchObject({ handled: 7, retried: 2, dead: 1 })
  })

  it('publish and commit in the name of each of their messages', async () => {
    const bus = await busOn(transport)
    await publishAll(bus, 3)
    const correlations: string[] = []
    let effects = 0
    const seen: string[] = []
    await consume(
      bus,
      async (batch, context: never) => {
        const { each } = context as {
          each: {
            publish(event: string, data: unknown): Promise<unknown>
            commit(effect: () => void): void
          }[]
        }
        for (const [at, message] of batch.entries()) {
          if ((message as { type?: string }).type === 'payment.received') {
            seen.push(message.correlation_id)
            continue
          }
          correlations.push(message.correlation_id)
          each[at]?.commit(() => {
            effects += 1
          })
          await each[at]?.publish('payment.received', { id: 'p' })
        }
      },
      { batch: 3 },
    )
    await settled(bus)

    expect(effects).toBe(3)
    expect(seen.toSorted()).toEqual(correlations.toSorted())
  })

  it('refuse a size that is none', async () => {
    const bus = await busOn(transport)
    await expect(consume(bus, () => {}, { batch: 0 })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    })
  })
})
