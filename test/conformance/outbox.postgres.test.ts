import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Pool } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Bus, OutboxOptions, Transport } from '../../src/index.ts'
import { openBus, openTransport, TreatyError } from '../../src/index.ts'
import { orders } from './outbox-contract.ts'
import { freshSchema } from './postgres-place.ts'
import { withService } from './service-url.ts'

const order = (number: number, orderId = 'o-1') => ({ orderId, number })

await withService('postgres', (serverUrl) => {
  let place: ReturnType<typeof freshSchema>
  let folder: string
  const open: { close(): unknown }[] = []
  const kept = <T extends { close(): unknown }>(thing: T): T => {
    open.push(thing)
    return thing
  }

  beforeEach(() => {
    place = freshSchema(serverUrl)
    folder = mkdtempSync(join(tmpdir(), 'treaty-outbox-'))
  })
  afterEach(async () => {
    for (const thing of open.splice(0).reverse()) await thing.close()
    await place.drop()
    rmSync(folder, { recursive: true, force: true })
  })

  async function busOn(options: {
    transport?: string | Transport
    outbox?: OutboxOptions
  }): Promise<Bus> {
    const bus = (await openBus({
      contracts: [orders],
      transport: 'memory:',
      outbox: { url: place.url },
      ...options,
    })) as Bus
    kept({ close: () => bus.close({ drainMs: 0 }) })
    return bus
  }

  async function client(): Promise<Client> {
    const one = new Client({ connectionString: serverUrl })
    await one.connect()
    kept({ close: () => one.end() })
    return one
  }

  /** Everything that billing gets, in the order of its getting it. */
  async function collect(bus: Bus): Promise<{ orderId: string; number: number }[]> {
    const got: { orderId: string; number: number }[] = []
    await bus.consume(
      'billing',
      { 'order.placed': (message) => void got.push(message.data as never) },
      { concurrency: 1 },
    )
    return got
  }
  const numbers = (got: readonly { number: number }[]) => got.map(({ number }) => number)

  describe('an outbox on PostgreSQL', () => {
    it('sends with the commit, and nothing after a rollback', async () => {
      const bus = await busOn({})
      const got = await collect(bus)
      const tx = await client()

      for (let number = 0; number < 20; number += 1) {
        await tx.query('BEGIN')
        await bus.outbox(tx).publish('order.placed', order(number))
        await tx.query(number % 4 === 3 ? 'ROLLBACK' : 'COMMIT')
      }

      const expected = Array.from({ length: 20 }, (_, at) => at).filter((at) => at % 4 !== 3)
      await expect.poll(() => numbers(got)).toEqual(expected)
      await expect.poll(() => bus.outboxDesk?.status()).toMatchObject({ backlog: 0, parked: 0 })
    })

    it('is woken by the commit, long before the safety poll', async () => {
      const bus = await busOn({ outbox: { url: place.url, pollMs: 60_000 } })
      const got = await collect(bus)
      const tx = await client()

      for (let number = 0; number < 3; number += 1) {
        await tx.query('BEGIN')
        await bus.outbox(tx).publish('order.placed', order(number))
        await tx.query('COMMIT')
        await expect.poll(() => got.length, { timeout: 5000 }).toBe(number + 1)
      }
    })

    it('keeps the order of publishing where commits come in inverted order', async () => {
      const bus = await busOn({})
      const got = await collect(bus)
      const [early, late] = [await client(), await client()]

      await early.query('BEGIN')
      await bus.outbox(early).publish('order.placed', order(1))
      await late.query('BEGIN')
      await bus.outbox(late).publish('order.placed', order(2))
      await late.query('COMMIT')
      const after = await client()
      await after.query('BEGIN')
      await bus.outbox(after).publish('order.placed', order(3))
      await after.query('COMMIT')
      await new Promise((resolve) => setTimeout(resolve, 300))
      expect(got).toEqual([])
      await early.query('COMMIT')

      await expect.poll(() => numbers(got)).toEqual([1, 2, 3])
    })

    it('keeps the order that a row lock gives, also where the later transaction has the lower xid', async () => {
      const bus = await busOn({})
      const got = await collect(bus)
      const [first, second, third] = [await client(), await client(), await client()]
      await first.query(`CREATE TABLE "${place.schema}".account (name text PRIMARY KEY)`)
      await first.query(`INSERT INTO "${place.schema}".account VALUES ('a'), ('b'), ('c')`)
      const touch = (tx: Client, name: string) =>
        tx.query(`UPDATE "${place.schema}".account SET name = name WHERE name = $1`, [name])

      await second.query('BEGIN')
      await touch(second, 'b')
      // Holds the snapshot back between the two, so that one of them is below it and the other is not.
      await third.query('BEGIN')
      await touch(third, 'c')
      await first.query('BEGIN')
      await touch(first, 'a')
      await bus.outbox(first).publish('order.placed', order(1))
      const waiting = touch(second, 'a')
      await first.query('COMMIT')
      await waiting
      await bus.outbox(second).publish('order.placed', order(2))
      await second.query('COMMIT')
      await new Promise((resolve) => setTimeout(resolve, 300))
      expect(got).toEqual([])
      await third.query('COMMIT')

      await expect.poll(() => numbers(got)).toEqual([1, 2])
    })

    it('is written from within an effect of the PostgreSQL broker', async () => {
      const bus = await busOn({ transport: place.url, outbox: {} })
      const got: number[] = []
      await bus.consume('billing', {
        'order.placed': (message, context) => {
          const { number } = message.data as { number: number }
          got.push(number)
          if (number < 3) {
            context.commit(async (tx) => {
              await bus.outbox(tx).publish('order.placed', order(number + 1))
            })
          }
        },
      })

      await bus.publish('order.placed', order(1))

      await expect.poll(() => got).toEqual([1, 2, 3])
    })

    it('writes nothing of a list of which one message breaks the contract', async () => {
      const bus = await busOn({ outbox: { url: place.url, relay: false } })
      const tx = await client()
      await tx.query('BEGIN')

      await expect(
        bus.outbox(tx).publishMany([
          { event: 'order.placed', data: order(1) },
          { event: 'order.placed', data: { orderId: 1 } },
        ]),
      ).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
      await tx.query('COMMIT')

      expect(await bus.outboxDesk?.status()).toMatchObject({ backlog: 0, oldestAgeMs: null })
    })

    it('refuses a pool, whose statements are in no transaction of the caller', async () => {
      const bus = await busOn({ outbox: { url: place.url, relay: false } })
      const pool = new Pool({ connectionString: serverUrl })
      kept({ close: () => pool.end() })

      await expect(
        bus.outbox(pool as never).publish('order.placed', order(1)),
      ).rejects.toMatchObject({ code: 'OUTBOX_NO_TRANSACTION' })
    })

    it('writes thousands in one call, in their order', async () => {
      const bus = await busOn({})
      const got = await collect(bus)
      const tx = await client()
      await tx.query('BEGIN')
      await bus.outbox(tx).publishMany(
        Array.from({ length: 2500 }, (_, number) => ({
          event: 'order.placed' as const,
          data: order(number, `o-${number % 100}`),
        })),
      )
      await tx.query('COMMIT')

      await expect.poll(() => got.length, { timeout: 30_000 }).toBe(2500)
      expect(isOrdered(got)).toBe(true)
    })

    it('parks what fails too often, and never holds another key up', async () => {
      const inner = await openTransport('memory:')
      const transport: Transport = {
        ...inner,
        publish: async (records, signal) => {
          const results = await inner.publish(
            records.filter((record) => record.key !== 'bad'),
            signal,
          )
          return records.map((record) =>
            record.key === 'bad'
              ? { error: new TreatyError('MESSAGE_TOO_LARGE', 'the broker refuses the key') }
              : (results.shift() as never),
          )
        },
      }
      const bus = await busOn({ transport, outbox: { url: place.url, failuresMax: 3 } })
      const alerts: string[] = []
      bus.onError((error) => alerts.push(error.code))
      const got = await collect(bus)
      const tx = await client()
      await tx.query('BEGIN')
      await bus.outbox(tx).publish('order.placed', order(0, 'bad'))
      for (let number = 0; number < 30; number += 1) {
        await bus.outbox(tx).publish('order.placed', order(number, `o-${number % 3}`))
      }
      await tx.query('COMMIT')

      await expect.poll(() => got.length).toBe(30)
      await expect
        .poll(() => bus.outboxDesk?.status(), { timeout: 10_000 })
        .toMatchObject({ backlog: 0, parked: 1 })
      expect(alerts).toEqual(['OUTBOX_PARKED'])
      const [letter] = (await bus.outboxDesk?.parked({ limit: 5 }))?.items ?? []
      expect(letter).toMatchObject({ key: 'bad', failures: 3, event: 'order.placed' })
      expect(await bus.outboxDesk?.discard(letter?.id ?? '')).toBe(true)
      expect(await bus.outboxDesk?.discard(letter?.id ?? '')).toBe(false)
    })

    it('is sent by one of several relays at a time, each key in its order', async () => {
      const broker = join(folder, 'broker.db')
      const buses = await Promise.all([1, 2, 3].map(() => busOn({ transport: `sqlite:${broker}` })))
      const [first] = buses as [Bus]
      const got = await collect(first)
      const tx = await client()

      for (let number = 0; number < 300; number += 1) {
        await tx.query('BEGIN')
        await first.outbox(tx).publish('order.placed', order(number, `o-${number % 7}`))
        await tx.query('COMMIT')
      }

      await expect.poll(() => got.length, { timeout: 20_000 }).toBe(300)
      expect(isOrdered(got)).toBe(true)
      await expect.poll(() => first.outboxDesk?.status()).toMatchObject({ backlog: 0 })
    })

    it('loses and doubles nothing when its relays are killed with kill -9, one after the other', async () => {
      const broker = `sqlite:${join(folder, 'broker.db')}`
      const bus = await busOn({ transport: broker, outbox: { url: place.url, relay: false } })
      const got = await collect(bus)
      const tx = await client()
      const path = join(import.meta.dirname, 'outbox-relay-child.ts')
      let isOver = false
      let kills = 0
      const killing = (async () => {
        while (!isOver) {
          const child = fork(path, [place.url, broker])
          const ended = new Promise((resolve) => child.once('exit', resolve))
          await new Promise((resolve) => child.once('message', resolve))
          await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 250))
          child.kill('SIGKILL')
          await ended
          kills += 1
        }
      })()

      const total = 1500
      for (let number = 0; number < total; number += 10) {
        await tx.query('BEGIN')
        for (let at = 0; at < 10; at += 1) {
          const key = `o-${(number + at) % 13}`
          await bus.outbox(tx).publish('order.placed', order(number + at, key))
        }
        await tx.query('COMMIT')
      }
      await expect.poll(() => got.length, { timeout: 60_000, interval: 100 }).toBe(total)
      isOver = true
      await killing

      expect(new Set(numbers(got)).size).toBe(total)
      expect(isOrdered(got)).toBe(true)
      expect(kills).toBeGreaterThan(3)
    })
  })
})

/** Each key with growing numbers only. */
function isOrdered(got: readonly { orderId: string; number: number }[]): boolean {
  const last = new Map<string, number>()
  return got.every(({ orderId, number }) => {
    const isAfter = number > (last.get(orderId) ?? -1)
    last.set(orderId, number)
    return isAfter
  })
}
