import { afterEach, describe, expect, it } from 'vitest'
import type { Delivery, GroupTopology, Topology, Transport } from '../../src/messaging/transport.ts'
import { createRedisTransport } from '../../src/messaging/transports/redis/index.ts'
import { freshPrefix, onRedis } from './redis-broker.ts'
import { withService } from './service-url.ts'

// What is particular to Redis, or to having state on a broker that other programs use too.

const groupOf = (consumer: string, over: Partial<GroupTopology> = {}): GroupTopology => ({
  name: `shop.${consumer}`,
  consumer,
  subscriptions: [{ address: 'orders', types: '*' }],
  start: 'earliest',
  deliveriesMax: 5,
  deadLetter: { address: 'dead', retentionMs: 60_000, onDead: 'next', onExpired: 'drop' },
  ...over,
})
const topologyOf = (
  groups: readonly GroupTopology[],
  channel: Partial<Topology['channels'][number]> = {},
): Topology => ({
  channels: [{ address: 'orders', ordering: 'per-key', ...channel }],
  groups,
})
const recordOf = (id: string, over: object = {}) => ({
  id,
  address: 'orders',
  type: 'placed',
  key: id,
  body: new TextEncoder().encode(`{"id":"${id}"}`),
  headers: {},
  contentType: 'application/json',
  ...over,
})
const until = async (condition: () => boolean | Promise<boolean>, boundMs = 10_000) => {
  const deadline = performance.now() + boundMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('waited in vain')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

await withService('redis', (server) => {
  describe('a transport on Redis', () => {
    const ends: (() => Promise<void>)[] = []
    afterEach(async () => {
      for (const end of ends.splice(0).reverse()) await end()
    })

    const stand = (connection = server) => {
      const place = freshPrefix(connection)
      ends.push(place.drop)
      const connect = async () => {
        const transport = createRedisTransport({ url: place.url, leaseMs: 1500 })
        ends.push(() => transport.close({ drainMs: 0 }))
        await transport.connect()
        return transport
      }
      return { ...place, connect }
    }
    const consume = async (
      transport: Transport,
      group: string,
      outcome: 'ack' | 'dead' = 'ack',
    ) => {
      const came: Delivery[] = []
      const subscription = await transport.subscribe({ group }, (deliveries) => {
        came.push(...deliveries)
        subscription.grant(deliveries.length)
        void transport.settle(
          deliveries.map((delivery) =>
            outcome === 'ack'
              ? { outcome, delivery }
              : { outcome, delivery, failure: { reason: 'HANDLER_FAILED' } },
          ),
        )
      })
      subscription.grant(50)
      return { came, subscription, ids: () => came.map(({ record }) => record.id).sort() }
    }
    const rowOf = async (transport: Transport, consumer: string | null) =>
      (await transport.stats()).counts.find((row) => row.consumer === consumer)

    it('takes what other programs write to the stream with the name of the channel, and counts it', async () => {
      const { connect, prefix } = stand()
      const transport = await connect()
      await transport.ensure(topologyOf([groupOf('billing'), groupOf('audit')]), 'create')
      const billing = await consume(transport, 'shop.billing')
      const audit = await consume(transport, 'shop.audit')
      const write = (...fields: string[]) =>
        onRedis(server, (client) => client.xadd(`${prefix}orders`, '*', ...fields))
      await write('ce-id', 'e1', 'ce-type', 'placed', 'ce-partitionkey', 'k', 'data', '{"a":1}')
      await until(() => billing.came.length === 1 && audit.came.length === 1)
      // Now the stream is known: what comes rings.
      await write('type', 'placed', 'orderId', '7')
      await write('body', 'no json at all')
      await until(() => billing.came.length === 3 && audit.came.length === 3, 900)

      expect(billing.came[0]?.record).toMatchObject({ id: 'e1', type: 'placed', key: 'k' })
      expect(String(billing.came[0]?.record.body)).toBe('{"a":1}')
      const bodies = billing.came.map(({ record }) => String(record.body))
      expect(bodies).toContain('{"type":"placed","orderId":"7"}')
      expect(bodies).toContain('no json at all')
      await until(async () => (await rowOf(transport, 'audit'))?.waiting === 0)
      const { counts } = await transport.stats()
      for (const row of counts) {
        expect(row.deliveries).toBe(
          row.handled + row.skipped + row.dead + row.expired + row.waiting,
        )
      }
      const sum = counts.reduce((total, row) => total + row.published, 0)
      expect(sum).toBe(3)
      expect(await onRedis(server, (client) => client.xlen(`${prefix}orders`))).toBe(0)
    })

    it('leaves the stream of other programs to their own groups', async () => {
      const { connect, prefix } = stand()
      const transport = await connect()
      await transport.ensure(topologyOf([groupOf('billing')]), 'create')
      await onRedis(server, async (client) => {
        await client.xgroup('CREATE', `${prefix}orders`, 'theirs', '0', 'MKSTREAM')
        await client.xadd(`${prefix}orders`, '*', 'ce-type', 'placed', 'data', '{}')
      })
      const { came } = await consume(transport, 'shop.billing')
      await until(() => came.length === 1)
      expect(await onRedis(server, (client) => client.xlen(`${prefix}orders`))).toBe(1)
    })

    it('takes what other programs write straight into a lane, once for each group', async () => {
      const { connect, prefix } = stand()
      const transport = await connect()
      await transport.ensure(topologyOf([groupOf('billing'), groupOf('audit')]), 'create')
      const billing = await consume(transport, 'shop.billing')
      const audit = await consume(transport, 'shop.audit')
      await onRedis(server, (client) =>
        client.xadd(`${prefix}treaty:{${prefix}orders}:s3`, '*', 'ce-type', 'placed', 'data', '{}'),
      )
      await until(() => billing.came.length === 1 && audit.came.length === 1)
      await until(async () => (await rowOf(transport, 'billing'))?.handled === 1)
      expect((await rowOf(transport, null))?.published).toBe(1)
    })

    it('lets a group that comes later read what is kept, and counts it by type', async () => {
      const { connect } = stand()
      const transport = await connect()
      const kept = { retentionMs: 60_000 }
      await transport.ensure(topologyOf([groupOf('billing')], kept), 'create')
      const billing = await consume(transport, 'shop.billing')
      await transport.publish([recordOf('a'), recordOf('b'), recordOf('c', { type: 'closed' })])
      await transport.publish([recordOf('d', { deliverAt: Date.now() + 700 })])
      await until(() => billing.came.length === 3)

      const late = [groupOf('audit'), groupOf('fresh', { start: 'latest' })]
      await transport.ensure(topologyOf(late, kept), 'create')
      const before = (await transport.stats()).counts.filter(({ consumer }) => consumer === 'audit')
      expect(before.map(({ event, waiting }) => [event, waiting]).sort()).toEqual([
        ['closed', 1],
        ['placed', 3],
      ])
      const audit = await consume(transport, 'shop.audit')
      const fresh = await consume(transport, 'shop.fresh')
      await transport.publish([recordOf('e')])
      await until(() => audit.came.length === 5 && fresh.came.length === 2)
      expect(audit.ids()).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect(fresh.ids()).toEqual(['d', 'e'])
      await until(async () =>
        (await transport.stats()).counts.every(({ waiting }) => waiting === 0),
      )
      const page = await transport.browse?.({ limit: 10 })
      // What came within one millisecond is in different lanes, in any order.
      expect(page?.items.map(({ record }) => record.id).sort()).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect(page?.items[0]?.consumers.map(({ state }) => state)).toEqual(['done', 'done', 'done'])
    })

    it('pages through what is kept, in the order of time', async () => {
      const { connect } = stand()
      const transport = await connect()
      await transport.ensure(topologyOf([groupOf('billing')]), 'create')
      const ids = Array.from({ length: 25 }, (_, at) => `m${String(at).padStart(2, '0')}`)
      for (const id of ids) await transport.publish([recordOf(id, { correlationId: 'flow' })])
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const query = {
          limit: 7,
          correlationId: 'flow',
          ...(cursor === undefined ? {} : { cursor }),
        }
        const page = await transport.browse?.(query)
        seen.push(...(page?.items ?? []).map(({ record }) => record.id))
        cursor = page?.next
      } while (cursor !== undefined)
      expect(seen.sort()).toEqual(ids)
    })

    it('frees what every group is done with', async () => {
      const { connect, prefix } = stand()
      const transport = await connect()
      await transport.ensure(topologyOf([groupOf('billing')]), 'create')
      const { came } = await consume(transport, 'shop.billing')
      await transport.publish(Array.from({ length: 100 }, (_, at) => recordOf(`m${at}`)))
      await until(() => came.length === 100)
      await until(async () => {
        const { channels } = (await transport.inventory?.()) ?? { channels: [] }
        return channels[0]?.messages === 0
      })
      expect(prefix).not.toBe('')
    })

    it('tells what is there and takes it away again, what waited counting as expired', async () => {
      const { connect, prefix } = stand()
      const transport = await connect()
      const over = {
        subscriptions: [
          { address: 'orders', types: '*' as const },
          { address: 'refunds', types: '*' as const },
        ],
      }
      await transport.ensure(topologyOf([groupOf('billing', over)]), 'create')
      await transport.publish([recordOf('a'), recordOf('b', { address: 'refunds' })])
      expect(await transport.inventory?.()).toEqual({
        channels: [
          { address: 'orders', messages: 1 },
          { address: 'refunds', messages: 1 },
        ],
        groups: [{ name: 'shop.billing', consumer: 'billing', addresses: ['orders', 'refunds'] }],
      })
      const nothing = { subscriptions: [], groups: [], channels: [] }
      await expect(transport.remove?.({ ...nothing, channels: ['orders'] })).rejects.toMatchObject({
        code: 'TOPOLOGY_IN_USE',
      })
      const subscriptions = [{ group: 'shop.billing', address: 'refunds' }]
      await transport.remove?.({ ...nothing, subscriptions })
      const surplus = { ...nothing, groups: ['shop.billing'], channels: ['orders', 'refunds'] }
      await transport.remove?.(surplus)
      await transport.remove?.(surplus)
      expect(await transport.inventory?.()).toEqual({ channels: [], groups: [] })
      expect(await rowOf(transport, 'billing')).toMatchObject({
        deliveries: 2,
        expired: 2,
        waiting: 0,
      })
      expect(await rowOf(transport, null)).toMatchObject({ published: 2 })
      await transport.close({ drainMs: 0 })
      const left = await onRedis(server, (client) => client.keys(`${prefix}*`))
      expect(left.filter((key) => !/past$|bell$/.test(key))).toEqual([])
    })

    it('reads two channels as one group, and keeps each apart', async () => {
      const { connect } = stand()
      const [one, other] = [await connect(), await connect()]
      const group = groupOf('billing', {
        subscriptions: [
          { address: 'orders', types: ['placed'] },
          { address: 'refunds', types: '*' },
        ],
      })
      for (const each of [one, other]) await each.ensure(topologyOf([group]), 'create')
      const [here, there] = [await consume(one, group.name), await consume(other, group.name)]
      const ids = Array.from({ length: 60 }, (_, at) => `m${at}`)
      await one.publish(
        ids.map((id, at) => recordOf(id, { address: at % 2 ? 'orders' : 'refunds' })),
      )
      await one.publish([recordOf('unseen', { type: 'closed' })])
      await until(() => here.came.length + there.came.length === 60)
      await until(async () => (await rowOf(one, 'billing'))?.waiting === 0)
      const { counts } = await one.stats()
      const closed = counts.find(({ event, consumer }) => event === 'closed' && consumer !== null)
      expect(closed).toMatchObject({ deliveries: 1, skipped: 1 })
    })

    it('answers questions about dead letters to a process that knows nothing but the URL', async () => {
      const { connect } = stand()
      const transport = await connect()
      await transport.ensure(topologyOf([groupOf('billing')]), 'create')
      const dying = await consume(transport, 'shop.billing', 'dead')
      await transport.publish([recordOf('a', { expiresAt: Date.now() + 60_000 })])
      await until(() => dying.came.length === 1)
      await dying.subscription.stop()
      const other = await connect()
      await until(async () => (await other.dead.count({})) === 1)
      const [letter] = (await other.dead.list({}, { limit: 5 })).items
      expect(await other.dead.replay(letter?.id ?? '')).toBe(true)
      expect(await rowOf(other, 'billing')).toMatchObject({ dead: 0, waiting: 1, deliveries: 1 })
      const healthy = await consume(transport, 'shop.billing')
      await until(() => healthy.came.length === 1)
      expect(healthy.came[0]?.record).toMatchObject({ id: 'a', key: 'a' })
      expect(healthy.came[0]?.record.expiresAt).toBeUndefined()
    })

    it('keeps what was refused at the door once, and publishes it anew', async () => {
      const { connect } = stand()
      const transport = await connect()
      await transport.ensure(topologyOf([groupOf('billing')]), 'create')
      const letter = {
        messageId: 'a',
        event: 'placed',
        consumer: null,
        group: null,
        reason: 'SCHEMA_MISMATCH',
        attempts: 0,
        firstFailedAt: Date.now(),
        failedAt: Date.now(),
        address: 'orders',
        key: 'k',
        body: new Uint8Array([1, 0, 255]),
        headers: { 'x-a': 'b' },
        contentType: 'text/plain',
      }
      const id = await transport.dead.put(letter)
      expect(await transport.dead.put(letter)).toBe(id)
      expect(await transport.dead.get(id)).toEqual({
        ...letter,
        id,
        body: Buffer.from(letter.body),
      })
      expect(await rowOf(transport, null)).toMatchObject({ dead: 1, deliveries: 1, published: 0 })
      expect(await transport.dead.replay(id)).toBe(true)
      const { came } = await consume(transport, 'shop.billing')
      await until(() => came.length === 1)
      expect(came[0]?.record).toMatchObject({ id: 'a', key: 'k', headers: { 'x-a': 'b' } })
      expect(await rowOf(transport, null)).toMatchObject({ dead: 0, deliveries: 0, published: 1 })
    })

    it('ends a dead letter at its time, and with it the waiting of its key', async () => {
      const { connect } = stand()
      const transport = await connect()
      const deadLetter = {
        address: 'd',
        retentionMs: 300,
        onDead: 'block',
        onExpired: 'drop',
      } as const
      await transport.ensure(topologyOf([groupOf('billing', { deadLetter })]), 'create')
      const came: string[] = []
      const subscription = await transport.subscribe({ group: 'shop.billing' }, (deliveries) => {
        for (const delivery of deliveries) {
          came.push(delivery.record.id)
          const failure = { reason: 'HANDLER_FAILED' }
          void transport.settle([
            delivery.record.id === 'a'
              ? { outcome: 'dead', delivery, failure }
              : { outcome: 'ack', delivery },
          ])
        }
      })
      subscription.grant(10)
      await transport.publish(['a', 'b'].map((id) => recordOf(id, { key: 'k' })))
      await until(() => came.length === 2)
      expect(came).toEqual(['a', 'b'])
      expect(await transport.dead.count({})).toBe(0)
      await until(async () => (await rowOf(transport, 'billing'))?.handled === 1)
      expect(await rowOf(transport, 'billing')).toMatchObject({ dead: 1, waiting: 0 })
    })
  })
})
