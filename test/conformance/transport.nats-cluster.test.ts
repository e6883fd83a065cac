import { connect } from '@nats-io/transport-node'
import { afterEach, describe, expect, it } from 'vitest'
import type { PublishResult, Topology, Transport } from '../../src/messaging/transport.ts'
import { createNatsTransport } from '../../src/messaging/transports/nats/index.ts'
import { type NatsServer, startNatsCluster } from './nats-server.ts'
import { withService } from './service-url.ts'

const keys = 20
const address = 'orders'
const topology: Topology = {
  channels: [{ address, ordering: 'per-key' }],
  groups: [
    {
      name: 'orders.worker',
      consumer: 'worker',
      subscriptions: [{ address, types: '*' }],
      start: 'earliest',
      deliveriesMax: 5,
      deadLetter: { address: 'dead', retentionMs: 60_000, onDead: 'next', onExpired: 'drop' },
    },
  ],
}

const recordOf = (number: number) => ({
  id: `m${number}`,
  address,
  type: 'placed',
  key: `k${number % keys}`,
  body: Buffer.from(`{"number":${number}}`),
  headers: {},
  contentType: 'application/json',
  // The caller repeats what was not confirmed under its id.
  dedupWindowMs: 120_000,
})

const isTaken = (result: PublishResult | undefined) => result !== undefined && 'id' in result

/** One message of each key at a time, each again until it is confirmed: so that the order of a key is known. */
async function publishUntil(transport: Transport, isOver: () => boolean): Promise<number> {
  let next = 0
  while (!isOver()) {
    const records = Array.from({ length: keys }, (_, at) => recordOf(next + at))
    let left = records
    while (left.length > 0) {
      const sent = left
      const results = await transport.publish(sent).catch((): PublishResult[] => [])
      left = sent.filter((_, at) => !isTaken(results[at]))
      if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, 100))
    }
    next += keys
  }
  return next
}

/** The server that leads the stream of the channel. */
async function leaderOf(servers: readonly NatsServer[]): Promise<NatsServer> {
  const [first] = servers as readonly [NatsServer]
  const connection = await connect({ servers: `127.0.0.1:${first.port}` })
  try {
    const answer = await connection.request(`$JS.API.STREAM.INFO.${address}`, '', { timeout: 5000 })
    const { cluster } = answer.json<{ cluster: { leader: string } }>()
    return servers[Number(cluster.leader.slice(1))] as NatsServer
  } finally {
    await connection.close()
  }
}

await withService('nats', () => {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  describe('three NATS servers with three copies of each stream', () => {
    it('lose nothing and keep the order when the leader is killed under load', async () => {
      const servers = await startNatsCluster()
      ends.push(() => Promise.all(servers.map((server) => server.stop())))
      const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join(',')
      const transport = createNatsTransport({ url: `nats://${hosts}?replicas=3`, leaseMs: 4000 })
      await transport.connect()
      ends.push(() => transport.close({ drainMs: 0 }))
      transport.onError(() => undefined)
      await transport.ensure(topology, 'create')
      const seen: number[] = []
      const subscription = await transport.subscribe({ group: 'orders.worker' }, (deliveries) => {
        for (const delivery of deliveries) {
          seen.push(Number(delivery.record.id.slice(1)))
          void transport
            .settle([{ outcome: 'ack', delivery }])
            .catch(() => undefined)
            .then(() => subscription.grant(1))
        }
      })
      subscription.grant(50)
      let isOver = false
      const publishing = publishUntil(transport, () => isOver)
      await expect.poll(() => seen.length, { timeout: 20_000 }).toBeGreaterThan(200)
      const leader = await leaderOf(servers)
      leader.signal('SIGKILL')
      const before = seen.length
      await expect.poll(() => seen.length, { timeout: 60_000 }).toBeGreaterThan(before + 400)
      isOver = true
      const published = await publishing
      await expect.poll(() => new Set(seen).size, { timeout: 60_000 }).toBe(published)
      expect(overtaken(seen)).toEqual([])
    }, 200_000)
  })
})

/** Messages that came for the first time after a later one of their key. */
function overtaken(seen: readonly number[]): number[] {
  const last = new Map<number, number>()
  const known = new Set<number>()
  return seen.filter((number) => {
    const key = number % keys
    if (known.has(number)) return false
    known.add(number)
    const isLate = number < (last.get(key) ?? -1)
    last.set(key, number)
    return isLate
  })
}
