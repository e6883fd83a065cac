import { describe, expect, it } from 'vitest'
import type { OutgoingRecord, Topology, Transport } from '../../src/messaging/transport.ts'
import { createKafkaTransport } from '../../src/messaging/transports/kafka/index.ts'
import { offsetsOf } from '../../src/messaging/transports/kafka/reader.ts'
import { deleteRecords } from '../../src/messaging/transports/kafka/topics.ts'
import { dropKafka, freshKafkaUrl, onKafka } from './kafka-broker.ts'
import { withService } from './service-url.ts'

const group = (name: string, start: 'earliest' | 'latest' = 'earliest') => ({
  name: `shop.${name}`,
  consumer: name,
  subscriptions: [{ address: 'orders', types: '*' as const }],
  start,
  deliveriesMax: 5,
  deadLetter: {
    address: `orders.${name}.dead`,
    retentionMs: 60_000,
    onDead: 'next' as const,
    onExpired: 'drop' as const,
  },
})
const topology: Topology = {
  channels: [{ address: 'orders', ordering: 'per-key', retentionMs: 86_400_000 }],
  groups: [group('billing')],
}
const order = (at: number): OutgoingRecord => ({
  id: `order-${at}`,
  address: 'orders',
  type: 'placed',
  key: `key-${at % 5}`,
  body: Buffer.from('{}'),
  headers: {},
  contentType: 'application/json',
  correlationId: `flow-${at % 2}`,
})

async function inKafka(
  server: string,
  body: (transport: Transport, connect: () => Promise<Transport>, url: string) => Promise<void>,
): Promise<void> {
  const { url } = freshKafkaUrl(server)
  const opened: Transport[] = []
  const connect = async () => {
    const transport = createKafkaTransport({ url })
    await transport.connect()
    opened.push(transport)
    return transport
  }
  try {
    await body(await connect(), connect, url)
  } finally {
    await Promise.all(opened.map((transport) => transport.close({ drainMs: 0 })))
    await dropKafka(url)
  }
}

/** What retention does to a partition, here at once. */
async function takeFirst(url: string): Promise<void> {
  await onKafka(url, async (wire) => {
    const topic = `${wire.target.prefix}orders`
    const places = Array.from({ length: 12 }, (_, partition) => ({ topic, partition }))
    const ends = await offsetsOf(wire, places)
    const before = places.flatMap((place) => {
      const end = ends.get(`${topic}#${place.partition}`) ?? 0
      return end > 0 ? [{ ...place, offset: end - 1 }] : []
    })
    await deleteRecords(wire, before)
  })
}

await withService('kafka', (server) => {
  describe('what is on Kafka', () => {
    it('is known to a process that has ensured nothing: inventory, counts, messages, dead letters', () =>
      inKafka(server, async (transport, connect) => {
        await transport.ensure(topology, 'create')
        await transport.publish(Array.from({ length: 30 }, (_, at) => order(at)))
        const stranger = await connect()

        expect(await stranger.inventory?.()).toEqual({
          channels: [{ address: 'orders', messages: 30 }],
          groups: [
            { name: 'shop.billing', consumer: 'billing', addresses: ['orders'], waiting: 30 },
          ],
        })
        const { counts } = await stranger.stats()
        expect(counts).toMatchObject([
          { consumer: null, published: 30 },
          { consumer: 'billing', deliveries: 30, waiting: 30 },
        ])
        expect(await stranger.dead.count({})).toBe(0)
      }))

    it('is taken away by name, and what another group still reads is not', () =>
      inKafka(server, async (transport) => {
        await transport.ensure(
          { ...topology, groups: [group('billing'), group('audit')] },
          'create',
        )
        const remove = async (surplus: { groups?: string[]; channels?: string[] }) =>
          transport.remove?.({ subscriptions: [], groups: [], channels: [], ...surplus })

        await remove({ groups: ['shop.audit'] })
        await expect(remove({ channels: ['orders'] })).rejects.toMatchObject({
          code: 'TOPOLOGY_IN_USE',
        })
        await remove({ groups: ['shop.billing', 'shop.nobody'], channels: ['orders'] })

        expect(await transport.inventory?.()).toEqual({ channels: [], groups: [] })
        const [result] = await transport.publish([order(1)])
        expect(result).toMatchObject({ error: { code: 'CHANNEL_NOT_FOUND' } })
      }))

    it('is browsed oldest first over all partitions, page by page, with what became of each', () =>
      inKafka(server, async (transport) => {
        await transport.ensure(topology, 'create')
        for (let at = 0; at < 12; at += 1) {
          await transport.publish([order(at)])
          await new Promise((resolve) => setTimeout(resolve, 3))
        }
        const seen: string[] = []
        let cursor: string | undefined
        do {
          const page = await transport.browse?.({ limit: 5, ...(cursor ? { cursor } : {}) })
          for (const { record, consumers } of page?.items ?? []) {
            seen.push(record.id)
            expect(consumers).toEqual([{ consumer: 'billing', state: 'waiting', attempts: 0 }])
          }
          cursor = page?.next
        } while (cursor !== undefined)

        expect(seen).toEqual(Array.from({ length: 12 }, (_, at) => `order-${at}`))
        const flow = await transport.browse?.({ limit: 50, correlationId: 'flow-1' })
        expect(flow?.items).toHaveLength(6)
        const late = await transport.browse?.({ limit: 50, from: Date.now() + 60_000 })
        expect(late?.items).toEqual([])
        await expect(transport.browse?.({ limit: 5, cursor: 'x' })).rejects.toMatchObject({
          code: 'CURSOR_INVALID',
        })
      }))

    it('lets a group that starts with the latest get what comes from then on, and count only that', () =>
      inKafka(server, async (transport) => {
        await transport.ensure(topology, 'create')
        await transport.publish(Array.from({ length: 10 }, (_, at) => order(at)))
        await transport.ensure({ ...topology, groups: [group('late', 'latest')] }, 'create')
        await transport.publish([order(10), order(11)])
        const got: string[] = []
        const subscription = await transport.subscribe({ group: 'shop.late' }, (deliveries) => {
          got.push(...deliveries.map(({ record }) => record.id))
          void transport.settle(deliveries.map((delivery) => ({ outcome: 'ack', delivery })))
        })
        subscription.grant(10)

        await expect.poll(() => got.length, { timeout: 10_000 }).toBe(2)
        expect([...got].sort()).toEqual(['order-10', 'order-11'])
        const row = async () =>
          (await transport.stats()).counts.find(({ consumer }) => consumer === 'late')
        await expect.poll(async () => (await row())?.handled).toBe(2)
        expect(await row()).toMatchObject({ deliveries: 2, waiting: 0 })
      }))

    it('counts what retention took before it was handled as expired, and goes on behind it', () =>
      inKafka(server, async (transport, connect, url) => {
        await transport.ensure(topology, 'create')
        await transport.publish(Array.from({ length: 20 }, (_, at) => order(at)))
        await transport.stats()
        await takeFirst(url)
        const consumer = await connect()
        const told: string[] = []
        consumer.onError((error) => told.push(error.message))
        const got: string[] = []
        const subscription = await consumer.subscribe({ group: 'shop.billing' }, (deliveries) => {
          got.push(...deliveries.map(({ record }) => record.id))
          void consumer.settle(deliveries.map((delivery) => ({ outcome: 'ack', delivery })))
        })
        subscription.grant(100)
        await consumer.publish([order(20)])

        await expect.poll(() => got.includes('order-20'), { timeout: 10_000 }).toBe(true)
        const row = async () =>
          (await consumer.stats()).counts.find((each) => each.consumer === 'billing')
        await expect.poll(async () => (await row())?.waiting, { timeout: 10_000 }).toBe(0)
        const { deliveries = 0, handled = 0, expired = 0 } = (await row()) ?? {}
        expect(deliveries).toBe(21)
        expect(handled).toBe(got.length)
        expect(expired).toBe(21 - got.length)
        expect(expired).toBeGreaterThan(0)
        expect(told.join()).toContain('does not keep')
      }))

    it('lets go of what every group is done with, where the contract keeps nothing', () =>
      inKafka(server, async (transport) => {
        const channel = { address: 'orders', ordering: 'per-channel' as const }
        await transport.ensure({ ...topology, channels: [channel] }, 'create')
        const subscription = await transport.subscribe({ group: 'shop.billing' }, (deliveries) => {
          void transport.settle(deliveries.map((delivery) => ({ outcome: 'ack', delivery })))
          subscription.grant(deliveries.length)
        })
        subscription.grant(100)
        for (let from = 0; from < 3000; from += 500) {
          await transport.publish(Array.from({ length: 500 }, (_, at) => order(from + at)))
        }

        const messages = async () => (await transport.inventory?.())?.channels[0]?.messages ?? 0
        await expect.poll(messages, { timeout: 20_000, interval: 200 }).toBeLessThan(1500)
        const { counts } = await transport.stats()
        expect(counts.find(({ consumer }) => consumer === null)?.published).toBe(3000)
        expect(counts.find(({ consumer }) => consumer === 'billing')?.deliveries).toBe(3000)
      }))

    it('agrees on where a group begins when two processes make it at the same time', () =>
      inKafka(server, async (transport, connect) => {
        await transport.ensure(topology, 'create')
        const others = await Promise.all([connect(), connect(), connect()])
        const wanted = { ...topology, groups: [group('late', 'latest')] }
        await Promise.all(
          others.map(async (other, at) => {
            await other.ensure(wanted, 'create')
            // Everything after the first of them has returned is for the group.
            await other.publish([order(at)])
          }),
        )

        const { counts } = await transport.stats()
        expect(counts.find(({ consumer }) => consumer === 'late')).toMatchObject({ waiting: 3 })
      }))
  })
})
