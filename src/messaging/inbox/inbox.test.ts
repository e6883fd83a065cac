import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { defineContract } from '../../contracts/index.ts'
import type { Bus, BusOptions, HandlerContext } from '../index.ts'
import { openBus } from '../index.ts'
import { openTransport } from '../open-transport.ts'
import type { Settlement, Transport } from '../transport.ts'

const contractWith = (key: string) =>
  defineContract({
    id: 'bank',
    version: '1.0.0',
    purpose: 'Moves money on a broker that has no transactions.',
    channels: { moves: { address: 'bank.moves' } },
    events: {
      'money.moved': {
        channel: 'moves',
        purpose: 'Money shall move.',
        schema: { type: 'object', properties: { number: { type: 'integer' } } },
      },
    },
    producers: { teller: {} },
    consumers: {
      ledger: {
        accepts: '^1.0.0',
        events: { 'money.moved': { needs: [] } },
        idempotency: { key, window: '30d' },
        retry: { attempts: 4, base: '1ms', factor: 1, cap: '1ms', jitter: 'none' },
      },
    },
  })

const folder = mkdtempSync(join(tmpdir(), 'treaty-inbox-'))
let files = 0
const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** As Kafka or NATS: acknowledgements that are only acknowledgements, and some of them are lost. */
async function plainBroker(lose: (count: number) => boolean = () => false): Promise<Transport> {
  const inner = await openTransport('memory:')
  let acks = 0
  const { inboxSeen: _seen, publishWithin: _within, ...rest } = inner
  return {
    ...rest,
    capabilities: { ...inner.capabilities, transactions: 'none' },
    settle(settlements) {
      return inner.settle(
        settlements.map((one): Settlement => {
          if (one.outcome !== 'ack') return one
          expect(one.effect).toBeUndefined()
          acks += 1
          return lose(acks) ? { outcome: 'release', delivery: one.delivery } : one
        }),
      )
    },
  }
}

async function busOn(
  transport: Transport,
  options: Partial<BusOptions> & { key?: string } = {},
): Promise<Bus> {
  const { key = 'id', ...rest } = options
  const bus = (await openBus({ contracts: [contractWith(key)], transport, ...rest })) as Bus
  open.push({ close: () => bus.close({ drainMs: 0 }) })
  return bus
}

function ownDatabase() {
  const path = join(folder, `app-${++files}.db`)
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE entry (id TEXT, number INTEGER)')
  open.push(database)
  return {
    url: `sqlite:${path}`,
    entries: () => database.prepare('SELECT id, number FROM entry ORDER BY number').all(),
  }
}

interface Sql {
  prepare(sql: string): { run(...values: unknown[]): unknown }
}
const book = (context: HandlerContext, id: string, number: number) =>
  context.commit((tx) => {
    ;(tx as Sql).prepare('INSERT INTO entry VALUES (?, ?)').run(id, number)
  })

async function untilHandled(bus: Bus, deliveries: number): Promise<void> {
  // A key that another handler has comes again after a second.
  await expect.poll(async () => (await bus.stats()).waiting, { timeout: 8000 }).toBe(0)
  expect((await bus.stats()).deliveries).toBe(deliveries)
}

describe('an effect on a broker without transactions', () => {
  it('runs once in the database of the inbox, although acknowledgements are lost', async () => {
    const { url, entries } = ownDatabase()
    const transport = await plainBroker((count) => count % 3 === 0)
    const bus = await busOn(transport, { inbox: { url } })
    let runs = 0
    await bus.consume('ledger', {
      'money.moved': (message, context) => {
        runs += 1
        book(context, message.id, (message.data as { number: number }).number)
      },
    })

    for (let number = 0; number < 20; number += 1) await bus.publish('money.moved', { number })
    await untilHandled(bus, 20)

    expect(entries().map((row) => row.number)).toEqual(Array.from({ length: 20 }, (_, at) => at))
    expect(runs).toBe(20)
  })

  it('is rolled back as a whole when it throws, and tried again', async () => {
    const { url, entries } = ownDatabase()
    const bus = await busOn(await plainBroker(), { inbox: { url } })
    await bus.consume('ledger', {
      'money.moved': (message, context) => {
        book(context, message.id, context.attempt)
        context.commit(() => {
          if (context.attempt < 3) throw new Error('the ledger was busy')
        })
      },
    })

    await bus.publish('money.moved', { number: 1 })
    await untilHandled(bus, 1)

    expect(entries().map((row) => row.number)).toEqual([3])
    expect(await bus.stats()).toMatchObject({ retried: 2, handled: 1 })
  })

  it('has the database of the outbox where no other is named, and publishes from there', async () => {
    const { url, entries } = ownDatabase()
    const bus = await busOn(await plainBroker(), { outbox: { url } })
    await bus.consume('ledger', {
      'money.moved': (message, context) => {
        const { number } = message.data as { number: number }
        book(context, message.id, number)
        if (number < 3) {
          context.commit((tx) => {
            bus.outbox(tx).publish('money.moved', { number: number + 1 })
          })
        }
      },
    })

    await bus.publish('money.moved', { number: 1 })

    await expect.poll(() => entries().map((row) => row.number)).toEqual([1, 2, 3])
  })

  it('goes to the database that is named also where the broker has transactions', async () => {
    const { url, entries } = ownDatabase()
    const bus = await busOn(await openTransport('memory:'), { inbox: { url } })
    await bus.consume('ledger', {
      'money.moved': (message, context) => book(context, message.id, 7),
    })

    await bus.publish('money.moved', { number: 1 })
    await untilHandled(bus, 1)

    expect(entries().map((row) => row.number)).toEqual([7])
  })

  it('is refused where no database is named', async () => {
    const bus = await busOn(await plainBroker())
    await bus.consume('ledger', {
      'money.moved': (message, context) => book(context, message.id, 1),
    })

    await bus.publish('money.moved', { number: 1 })

    await expect.poll(() => bus.dead.count()).toBe(1)
    const { items } = await bus.dead.list()
    expect(items).toMatchObject([{ reason: 'EFFECTS_UNSUPPORTED' }])
  })
})

describe('an idempotency key on a broker without transactions', () => {
  it('is remembered in the store where no database is named', async () => {
    const transport = await plainBroker((count) => count === 1)
    const bus = await busOn(transport, { store: 'memory:' })
    let runs = 0
    const told: string[] = []
    await bus.consume(
      'ledger',
      {
        'money.moved': () => {
          runs += 1
        },
      },
      { onSettled: ({ outcome }) => told.push(outcome) },
    )

    await bus.publish('money.moved', { number: 1 })
    await untilHandled(bus, 1)

    expect(runs).toBe(1)
    expect(told).toEqual(['ack', 'duplicate'])
  })

  it('of the business is handled once, also with two messages at once', async () => {
    const { url, entries } = ownDatabase()
    const bus = await busOn(await plainBroker(), {
      inbox: { url },
      key: 'data.number',
      store: 'memory:',
    })
    await bus.consume('ledger', {
      'money.moved': async (message, context) => {
        await new Promise((resolve) => setImmediate(resolve))
        book(context, message.id, (message.data as { number: number }).number)
      },
    })

    await Promise.all([1, 2, 1, 2, 1].map((number) => bus.publish('money.moved', { number })))
    await untilHandled(bus, 5)

    expect(entries().map((row) => row.number)).toEqual([1, 2])
  })
})
