import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { defineContract } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Bus, OutboxOptions } from '../index.ts'
import { openBus } from '../index.ts'
import { openTransport } from '../open-transport.ts'
import type { PublishResult, Transport } from '../transport.ts'

const shop = defineContract({
  id: 'shop.orders',
  version: '1.0.0',
  purpose: 'Tells of orders, so that the outbox has something to send.',
  channels: { orders: { address: 'shop.orders', key: 'orderId', ordering: 'per-key' } },
  events: {
    'order.placed': {
      channel: 'orders',
      purpose: 'Sent when an order was placed.',
      schema: {
        type: 'object',
        required: ['orderId', 'number'],
        properties: { orderId: { type: 'string' }, number: { type: 'integer' } },
      },
    },
  },
  producers: { shop: {} },
  consumers: {
    billing: {
      accepts: '^1.0.0',
      events: { 'order.placed': { needs: ['orderId'] } },
      idempotency: { key: 'id', window: '30d' },
    },
  },
})

const folder = mkdtempSync(join(tmpdir(), 'treaty-outbox-'))
let files = 0
const fresh = (name: string) => join(folder, `${name}-${++files}.db`)
const open: { close(): unknown }[] = []
const kept = <T extends { close(): unknown }>(thing: T): T => {
  open.push(thing)
  return thing
}

afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function busOn(options: {
  transport: string | Transport
  outbox?: OutboxOptions
}): Promise<Bus> {
  const bus = (await openBus({ contracts: [shop], ...options })) as Bus
  kept({ close: () => bus.close({ drainMs: 0 }) })
  return bus
}

function ownDatabase(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: 2000 })
  kept({ close: () => db.isOpen && db.close() })
  db.exec('CREATE TABLE IF NOT EXISTS orders (id TEXT)')
  return db
}

function inTransaction(db: DatabaseSync, work: () => void, end: 'COMMIT' | 'ROLLBACK' = 'COMMIT') {
  db.exec('BEGIN IMMEDIATE')
  work()
  db.exec(end)
}

async function numbersOf(bus: Bus, count: number): Promise<number[]> {
  const numbers: number[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  if (count === 0) resolve()
  await bus.consume(
    'billing',
    {
      'order.placed': (message) => {
        numbers.push((message.data as { number: number }).number)
        if (numbers.length === count) resolve()
      },
    },
    { concurrency: 1 },
  )
  await promise
  return numbers
}

const order = (number: number, orderId = 'o-1') => ({ orderId, number })

/** A broker that refuses some messages, for as long as it is told to. */
async function refusing(error: (number: number) => TreatyError | undefined): Promise<Transport> {
  const inner = await openTransport('memory:')
  return {
    ...inner,
    async publish(records, signal) {
      const numberOf = (body: Uint8Array) =>
        (JSON.parse(Buffer.from(body).toString()).data as { number: number }).number
      const errors = records.map((record) => error(numberOf(record.body)))
      const good = await inner.publish(
        records.filter((_, at) => errors[at] === undefined),
        signal,
      )
      const results = [...good]
      return errors.map((one) => (one ? { error: one } : (results.shift() as PublishResult)))
    },
  }
}

describe('an outbox in the file of the embedded broker', () => {
  it('publishes with the commit, without a relay', async () => {
    const path = fresh('own')
    const bus = await busOn({ transport: `sqlite:${path}` })
    const db = ownDatabase(path)

    inTransaction(db, () => {
      db.prepare('INSERT INTO orders VALUES (?)').run('o-1')
      const queued = bus.outbox(db).publish('order.placed', order(1))
      expect(queued.id).toMatch(/^[0-9a-f-]{36}$/)
      bus.outbox(db).publishMany([
        { event: 'order.placed', data: order(2) },
        { event: 'order.placed', data: order(3) },
      ])
    })

    expect(await numbersOf(bus, 3)).toEqual([1, 2, 3])
    expect(await bus.stats()).toMatchObject({ published: 3, deliveries: 3 })
    expect(bus.outboxDesk).toBeUndefined()
  })

  it('leaves nothing after a rollback', async () => {
    const path = fresh('own')
    const bus = await busOn({ transport: `sqlite:${path}` })
    const db = ownDatabase(path)

    inTransaction(db, () => bus.outbox(db).publish('order.placed', order(1)), 'ROLLBACK')
    inTransaction(db, () => bus.outbox(db).publish('order.placed', order(2)))

    expect(await numbersOf(bus, 1)).toEqual([2])
    expect(await bus.stats()).toMatchObject({ published: 1, deliveries: 1 })
  })

  it('takes its place among the publishes of the bus itself', async () => {
    const path = fresh('own')
    const bus = await busOn({ transport: `sqlite:${path}` })
    const db = ownDatabase(path)

    for (let number = 0; number < 20; number += 2) {
      await bus.publish('order.placed', order(number))
      inTransaction(db, () => bus.outbox(db).publish('order.placed', order(number + 1)))
    }

    expect(await numbersOf(bus, 20)).toEqual(Array.from({ length: 20 }, (_, at) => at))
  })

  it('wakes a consumer that waits already', async () => {
    const path = fresh('own')
    const bus = await busOn({ transport: `sqlite:${path}` })
    const db = ownDatabase(path)
    const numbers = numbersOf(bus, 1)

    inTransaction(db, () => bus.outbox(db).publish('order.placed', order(7)))

    expect(await numbers).toEqual([7])
  })

  it('publishes from within an effect, with the acknowledgement', async () => {
    const path = fresh('own')
    const bus = await busOn({ transport: `sqlite:${path}` })
    const seen: number[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    let failures = 0
    await bus.consume(
      'billing',
      {
        'order.placed': (message, context) => {
          const { number } = message.data as { number: number }
          seen.push(number)
          if (number === 2) return resolve()
          context.commit((tx) => {
            bus.outbox(tx).publish('order.placed', order(2))
            failures += 1
            if (failures === 1) throw new Error('the effect failed after it had published')
          })
        },
      },
      { concurrency: 1 },
    )

    await bus.publish('order.placed', order(1))
    await promise
    await bus.close({ drainMs: 1000 })

    expect(seen).toEqual([1, 1, 2])
  })

  it('refuses a message that breaks its contract before anything is written', async () => {
    const path = fresh('own')
    const bus = await busOn({ transport: `sqlite:${path}` })
    const db = ownDatabase(path)

    db.exec('BEGIN IMMEDIATE')
    const many = () =>
      bus.outbox(db).publishMany([
        { event: 'order.placed', data: order(1) },
        { event: 'order.placed', data: { orderId: 7 } },
      ])
    expect(many).toThrow(expect.objectContaining({ code: 'SCHEMA_MISMATCH' }))
    db.exec('COMMIT')

    expect((await bus.stats()).published).toBe(0)
  })

  it('refuses a handle that is in no transaction', async () => {
    const path = fresh('own')
    const bus = await busOn({ transport: `sqlite:${path}` })
    const db = ownDatabase(path)

    expect(() => bus.outbox(db).publish('order.placed', order(1))).toThrow(
      expect.objectContaining({ code: 'OUTBOX_NO_TRANSACTION' }),
    )
  })
})

describe('an outbox in a file of the caller', () => {
  it('is sent by the relay after the commit, each key in its order', async () => {
    const path = fresh('app')
    const bus = await busOn({ transport: 'memory:', outbox: { url: `sqlite:${path}` } })
    const db = ownDatabase(path)

    for (let number = 0; number < 50; number += 1) {
      inTransaction(
        db,
        () => bus.outbox(db).publish('order.placed', order(number)),
        number % 10 === 9 ? 'ROLLBACK' : 'COMMIT',
      )
    }

    const expected = Array.from({ length: 50 }, (_, at) => at).filter((at) => at % 10 !== 9)
    expect(await numbersOf(bus, 45)).toEqual(expected)
    await expect.poll(() => bus.outboxDesk?.status()).toMatchObject({ backlog: 0, parked: 0 })
  })

  it('keeps what is written where another process relays', async () => {
    const path = fresh('app')
    const outbox = { url: `sqlite:${path}` }
    const writing = await busOn({ transport: 'memory:', outbox: { ...outbox, relay: false } })
    const db = ownDatabase(path)
    inTransaction(db, () => writing.outbox(db).publish('order.placed', order(1)))
    expect(await writing.outboxDesk?.status()).toMatchObject({ backlog: 1, relays: 0 })

    const relaying = await busOn({ transport: 'memory:', outbox })

    expect(await numbersOf(relaying, 1)).toEqual([1])
  })

  it('stops a key at its first failure while the others go on, and parks what fails too often', async () => {
    const path = fresh('app')
    const transport = await refusing((number) =>
      number === 2
        ? new TreatyError('MESSAGE_TOO_LARGE', 'the broker refuses number 2')
        : undefined,
    )
    const alerts: string[] = []
    const bus = await busOn({ transport, outbox: { url: `sqlite:${path}`, failuresMax: 2 } })
    bus.onError((error) => alerts.push(error.code))
    const db = ownDatabase(path)
    inTransaction(db, () => {
      for (const number of [1, 2, 3]) bus.outbox(db).publish('order.placed', order(number, 'a'))
      for (const number of [4, 5]) bus.outbox(db).publish('order.placed', order(number, 'b'))
    })

    const numbers = await numbersOf(bus, 4)

    expect(numbers.filter((number) => number > 3)).toEqual([4, 5])
    expect(numbers.filter((number) => number < 4)).toEqual([1, 3])
    expect(numbers.indexOf(3)).toBe(3)
    expect(alerts).toEqual(['OUTBOX_PARKED'])
    expect(await bus.health()).toMatchObject({ ready: true, problems: ['1 parked in the outbox'] })
    const parked = await bus.outboxDesk?.parked({ limit: 10 })
    expect(parked?.items).toMatchObject([{ event: 'order.placed', key: 'a', failures: 2 }])
  })

  it('holds the key of a parked message back where that is asked for, until it is discarded', async () => {
    const path = fresh('app')
    const transport = await refusing((number) =>
      number === 2
        ? new TreatyError('MESSAGE_TOO_LARGE', 'the broker refuses number 2')
        : undefined,
    )
    const outbox = { url: `sqlite:${path}`, failuresMax: 1, onParked: 'block' } as const
    const bus = await busOn({ transport, outbox })
    const db = ownDatabase(path)
    inTransaction(db, () => {
      for (const number of [1, 2, 3]) bus.outbox(db).publish('order.placed', order(number, 'a'))
    })
    await expect.poll(() => bus.outboxDesk?.status()).toMatchObject({ backlog: 1, parked: 1 })
    const [letter] = (await bus.outboxDesk?.parked({ limit: 1 }))?.items ?? []

    expect(await bus.outboxDesk?.discard(letter?.id ?? '')).toBe(true)

    expect(await numbersOf(bus, 2)).toEqual([1, 3])
  })

  it('counts no failure while the broker is away, and sends a parked message once it is retried', async () => {
    const path = fresh('app')
    let why: TreatyError | undefined = new TreatyError('STORE_UNAVAILABLE', 'the broker is away')
    let tries = 0
    const transport = await refusing(() => {
      tries += 1
      return why
    })
    const bus = await busOn({ transport, outbox: { url: `sqlite:${path}`, failuresMax: 1 } })
    const db = ownDatabase(path)
    inTransaction(db, () => bus.outbox(db).publish('order.placed', order(1)))
    await expect.poll(() => tries).toBeGreaterThan(1)
    expect(await bus.outboxDesk?.status()).toMatchObject({ backlog: 1, failing: 1, parked: 0 })

    why = new TreatyError('MESSAGE_TOO_LARGE', 'the broker refuses it')
    await expect.poll(() => bus.outboxDesk?.status()).toMatchObject({ backlog: 0, parked: 1 })
    why = undefined
    const [letter] = (await bus.outboxDesk?.parked({ limit: 1 }))?.items ?? []
    expect(await bus.outboxDesk?.retry(letter?.id ?? '')).toBe(true)

    expect(await numbersOf(bus, 1)).toEqual([1])
  })

  it('is refused in a file that the bus was not told of', async () => {
    const bus = await busOn({ transport: 'memory:', outbox: { url: `sqlite:${fresh('app')}` } })
    const db = ownDatabase(fresh('other'))
    db.exec('BEGIN')

    expect(() => bus.outbox(db).publish('order.placed', order(1))).toThrow(
      expect.objectContaining({ code: 'OUTBOX_NOT_CONFIGURED' }),
    )
  })
})
