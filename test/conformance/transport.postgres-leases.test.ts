import { fork } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { Delivery, OutgoingRecord, Topology, Transport } from '../../src/index.ts'
import { createPostgresTransport } from '../../src/messaging/transports/postgres/index.ts'
import { lockOf } from '../../src/messaging/transports/postgres/locks.ts'
import { freshSchema, onPostgres } from './postgres-place.ts'
import { withService } from './service-url.ts'

const group = 'shop.billing'
const topology: Topology = {
  channels: [{ address: 'orders', ordering: 'per-key' }],
  groups: [
    {
      name: group,
      consumer: 'billing',
      subscriptions: [{ address: 'orders', types: '*' }],
      start: 'earliest',
      deadLetter: { address: 'dead', retentionMs: 60_000, onDead: 'next', onExpired: 'drop' },
      deliveriesMax: 5,
    },
  ],
}

function record(id: string, more: Partial<OutgoingRecord> = {}): OutgoingRecord {
  return {
    id,
    address: 'orders',
    type: 'order.placed',
    body: Buffer.from('{}'),
    headers: {},
    contentType: 'application/json',
    ...more,
  }
}

/** Settles what `isHandled` lets pass, and keeps the ids in the order in which they came. */
async function consume(transport: Transport, isHandled: (delivery: Delivery) => boolean) {
  const ids: string[] = []
  const open: Delivery[] = []
  const acknowledge = async (delivery: Delivery) => {
    await transport.settle([{ outcome: 'ack', delivery }])
    subscription.grant(1)
  }
  const subscription = await transport.subscribe({ group }, (deliveries) => {
    for (const delivery of deliveries) {
      ids.push(delivery.record.id)
      if (isHandled(delivery)) void acknowledge(delivery)
      else open.push(delivery)
    }
  })
  subscription.grant(20)
  return { ids, open, acknowledge, subscription }
}

await withService('postgres', (server) => {
  async function scene() {
    const place = freshSchema(server)
    const transport = createPostgresTransport({ url: place.url })
    await transport.connect()
    await transport.ensure(topology, 'create')
    return {
      ...place,
      transport,
      async end() {
        await transport.close({ drainMs: 0 })
        await place.drop()
      },
    }
  }

  describe('leases on PostgreSQL', () => {
    it('of a process that was killed come free long before they end', async () => {
      const { url, transport, end } = await scene()
      await transport.publish([record('a'), record('b', { key: 'k' }), record('c', { key: 'k' })])
      const child = fork(new URL('./postgres-holder-child.ts', import.meta.url), [url, group])
      await once(child, 'message')
      child.kill('SIGKILL')
      const killedAt = performance.now()
      const { ids } = await consume(transport, () => true)
      await expect.poll(() => ids.length, { timeout: 20_000 }).toBe(3)

      expect(performance.now() - killedAt).toBeLessThan(15_000)
      expect(ids.indexOf('b')).toBeLessThan(ids.indexOf('c'))
      await end()
    })

    it('of a key with a long backlog let the other keys pass, and keep its order', async () => {
      const { transport, end } = await scene()
      const hot = Array.from({ length: 6000 }, (_, at) => record(`hot-${at}`, { key: 'hot' }))
      await transport.publish(hot)
      await transport.publish([record('cold', { key: 'cold' })])
      let isHeldUp = true
      const intake = await consume(transport, ({ record: { key } }) => key !== 'hot' || !isHeldUp)
      await expect.poll(() => intake.ids, { timeout: 20_000 }).toContain('cold')
      expect(intake.ids.filter((id) => id !== 'cold')).toEqual(['hot-0'])

      isHeldUp = false
      for (const delivery of intake.open) await intake.acknowledge(delivery)
      await expect.poll(() => intake.ids.length, { timeout: 20_000 }).toBeGreaterThan(100)
      const came = intake.ids.filter((id) => id !== 'cold')
      expect(came).toEqual(hot.slice(0, came.length).map(({ id }) => id))
      await end()
    })

    it('go back in order when the first of a key dies and a later one has become a row', async () => {
      const { transport, end } = await scene()
      await transport.publish([record('first', { key: 'k' }), record('second', { key: 'k' })])
      const intake = await consume(transport, () => false)
      await expect.poll(() => intake.ids, { timeout: 20_000 }).toEqual(['first'])
      // Where priorities are about, arrivals are made rows one by one; the second is leased in bulk behind the first.
      await transport.publish([
        record('urgent', { key: 'other', priority: 3 }),
        record('third', { key: 'k' }),
      ])
      await expect.poll(() => intake.ids, { timeout: 20_000 }).toContain('urgent')
      const [first] = intake.open
      if (first === undefined) throw new Error('nothing came')
      await transport.settle([{ outcome: 'dead', delivery: first, failure: { reason: 'X' } }])
      await expect.poll(() => intake.ids.length, { timeout: 20_000 }).toBeGreaterThan(2)

      expect(intake.ids).toEqual(['first', 'urgent', 'second'])
      await end()
    })

    it('let nobody overtake a message that is leased still to one who had the first of its key before', async () => {
      const { transport, url, schema, end } = await scene()
      const leased = ['first', 'second'].map((id) => record(id, { key: 'k' }))
      await transport.publish(leased)
      const holder = await consume(transport, () => false)
      await expect.poll(() => holder.ids, { timeout: 20_000 }).toEqual(['first'])
      // Arrivals are made rows, one by one, while priorities are about.
      await transport.publish([record('urgent', { priority: 3 }), record('third', { key: 'k' })])
      await expect.poll(() => holder.ids, { timeout: 20_000 }).toContain('urgent')
      // As if the second had been leased just while the first was given up, and its holder had died before giving it back.
      await onPostgres(url.split('?')[0] ?? '', async (client) => {
        const { rows } = await client.query(
          `SELECT done FROM ${schema}.bus_lease AS lease CROSS JOIN LATERAL ${schema}.bus_settle(
             lease.owner, 0, ARRAY[lease.grp], lease.seqs[1:1], ARRAY[1], ARRAY[lease.no], ARRAY['retry'], ARRAY[0::bigint],
             ARRAY[NULL], ARRAY[NULL], ARRAY[NULL], NULL, ARRAY[0::bigint], NULL)
           WHERE lease.chains[1] IS NOT NULL`,
        )
        expect(rows).toEqual([{ done: [1] }])
      })
      const other = createPostgresTransport({ url })
      await other.connect()
      const intake = await consume(other, () => true)
      await expect.poll(() => intake.ids, { timeout: 20_000 }).toContain('first')
      const handled = async () =>
        (await other.stats()).counts.find(({ consumer }) => consumer === 'billing')?.handled
      await expect.poll(handled).toBe(1)
      expect(intake.ids).toEqual(['first'])

      await transport.close({ drainMs: 0 })
      await expect.poll(() => intake.ids.length, { timeout: 20_000 }).toBe(4)
      expect(intake.ids.filter((id) => id !== 'urgent')).toEqual(['first', 'second', 'third'])
      await other.close({ drainMs: 0 })
      await end()
    })

    it('are of single rows where priorities are about, and come back to order', async () => {
      const { transport, end } = await scene()
      await transport.publish([
        record('normal', { key: 'k' }),
        record('critical', { key: 'k', priority: 3 }),
        record('other', { key: 'l', priority: 3 }),
        record('last', { key: 'k' }),
      ])
      const { ids } = await consume(transport, () => true)
      await expect.poll(() => ids.length).toBe(4)

      expect(ids.filter((id) => id !== 'other')).toEqual(['normal', 'critical', 'last'])
      await end()
    })

    it('of a consumer that pauses go to another at once', async () => {
      const { url, transport, end } = await scene()
      const paused = await consume(transport, () => false)
      const key = 'k'
      await transport.publish(['a', 'b', 'c'].map((id) => record(id, { key })))
      await expect.poll(() => paused.ids).toEqual(['a'])
      paused.subscription.pause()
      const other = createPostgresTransport({ url })
      await other.connect()
      const { ids } = await consume(other, () => true)
      for (const delivery of paused.open) await paused.acknowledge(delivery)
      await expect.poll(() => ids).toEqual(['b', 'c'])

      await other.close({ drainMs: 0 })
      await end()
    })

    it('do not go to a process that was taken for dead while its claim waited', async () => {
      const { url, schema, transport, end } = await scene()
      // A priority, so that the claim wants the lock of the group.
      await transport.publish([record('a', { priority: 3 }), record('b')])
      const server = url.split('?')[0] ?? ''
      const claim = `SELECT count(*) FROM ${schema}.bus_claim(999, 1, 10, 0, 0, 1)`
      const lock = `SELECT ${lockOf.groupAlone(`"${schema}"`, '1')}`
      await onPostgres(server, async (client) => {
        await client.query(
          `INSERT INTO ${schema}.bus_owner (id, name, lease_until) VALUES (999, 'gone', 9e15::bigint)`,
        )
        await client.query('BEGIN')
        await client.query(lock)
        const claiming = onPostgres(server, (other) => other.query(claim))
        const waits = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
          AND pid IN (SELECT pid FROM pg_stat_activity WHERE query LIKE '%${schema}.bus_claim(999%')`
        await expect.poll(async () => (await client.query(waits)).rowCount).toBe(1)
        await client.query(`DELETE FROM ${schema}.bus_owner WHERE id = 999`)
        await client.query('COMMIT')
        expect((await claiming).rows).toEqual([{ count: '0' }])
      })
      const { ids } = await consume(transport, () => true)
      await expect.poll(() => [...ids].sort()).toEqual(['a', 'b'])
      await end()
    })

    it('are not looked for again and again where nothing is due', async () => {
      const { url, schema, transport, end } = await scene()
      await consume(transport, () => true)
      await onPostgres(url.split('?')[0] ?? '', async (client) => {
        const { rows } = await client.query(
          `SELECT id, ${schema}.bus_next_due(id) AS due FROM ${schema}.bus_group`,
        )
        expect(rows).toEqual([{ id: 1, due: null }])
      })
      await end()
    })
  })

  describe('the URL of the broker on PostgreSQL', () => {
    it('says how many connections there may be', async () => {
      const place = freshSchema(server)
      const transport = createPostgresTransport({ url: `${place.url}&poolMax=3` })
      await transport.connect()
      await transport.ensure(topology, 'create')
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, at) => transport.publish([record(`m${at}`)])),
      )
      expect(results.flat().every((result) => 'position' in result)).toBe(true)
      await transport.close({ drainMs: 0 })
      await place.drop()
    })

    it.each(['0', '1', 'many', '2.5', '5000'])('does not take %s for that', (count) => {
      expect(() => createPostgresTransport({ url: `${server}?poolMax=${count}` })).toThrow(
        expect.objectContaining({ code: 'STORE_URL_INVALID' }),
      )
    })
  })
})
