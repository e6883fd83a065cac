import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { TreatyError } from '../../src/core/errors.ts'
import type { Topology } from '../../src/messaging/transport.ts'
import { createRedisTransport } from '../../src/messaging/transports/redis/index.ts'
import { onRedis } from './redis-broker.ts'
import { type OwnService, startOwnService, withService } from './service-url.ts'

// Servers that are set up in another way than the shared one: users with few rights, replicas, nodes of a cluster.

const topology: Topology = {
  channels: [{ address: 'orders', ordering: 'per-key' }],
  groups: [
    {
      name: 'shop.billing',
      consumer: 'billing',
      subscriptions: [{ address: 'orders', types: '*' }],
      start: 'earliest',
      deliveriesMax: 5,
      deadLetter: { address: 'dead', retentionMs: 60_000, onDead: 'next', onExpired: 'drop' },
    },
  ],
}

const recordOf = (id: string) => ({
  id,
  address: 'orders',
  type: 'placed',
  key: id,
  body: new TextEncoder().encode('{}'),
  headers: {},
  contentType: 'application/json',
})

const until = async (condition: () => boolean | Promise<boolean>, boundMs = 10_000) => {
  const deadline = performance.now() + boundMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('waited in vain')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function freePort(): Promise<number> {
  const listener = createServer()
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as AddressInfo
  await new Promise((resolve) => listener.close(resolve))
  return port
}

await withService('redis', () => {
  describe('on a Redis server that is set up in another way', () => {
    const ends: (() => Promise<unknown>)[] = []
    afterEach(async () => {
      for (const end of ends.splice(0).reverse()) await end()
    })

    const ownServer = async (): Promise<OwnService> => {
      const own = await startOwnService('redis')
      ends.push(() => own.dispose())
      return own
    }
    const transportAt = (url: string) => {
      const transport = createRedisTransport({ url, leaseMs: 1500 })
      const problems: TreatyError[] = []
      transport.onError((error) => void problems.push(error))
      ends.push(() => transport.close({ drainMs: 0 }))
      return { transport, problems }
    }
    const opened = async (url: string) => {
      const found = transportAt(url)
      await found.transport.connect()
      await found.transport.ensure(topology, 'create')
      const came = new Set<string>()
      const consume = async () => {
        const { transport } = found
        const subscription = await transport.subscribe({ group: 'shop.billing' }, (deliveries) => {
          for (const { record } of deliveries) came.add(record.id)
          subscription.grant(deliveries.length)
          void transport.settle(deliveries.map((delivery) => ({ outcome: 'ack', delivery })))
        })
        subscription.grant(100)
      }
      return { ...found, came, consume }
    }
    /** Ids of a batch that were acknowledged, and codes of the rest. */
    const publish = async (
      transport: ReturnType<typeof transportAt>['transport'],
      ids: string[],
    ) => {
      const results = await transport.publish(ids.map(recordOf))
      return {
        taken: ids.filter((_, at) => 'id' in (results[at] ?? {})),
        codes: results.flatMap((result) => ('error' in result ? [result.error.code] : [])),
      }
    }

    it('a command that is forbidden is named, and a user with nothing but our keys can work', async () => {
      const { url } = await ownServer()
      const rules = ['on', '>right', '~treaty:*', '+@all', '-@admin'] as const
      await onRedis(url, (client) => client.call('ACL', 'SETUSER', 'ada', ...rules, '-xadd'))
      const asAda = url.replace('redis://', 'redis://ada:right@')
      const forbidden = transportAt(asAda)
      await forbidden.transport.connect()
      await expect(forbidden.transport.ensure(topology, 'create')).rejects.toMatchObject({
        code: 'BROKER_ACCESS_DENIED',
        message: expect.stringContaining('it forbids XADD'),
        details: { commands: ['XADD'] },
      })
      await onRedis(url, (client) => client.call('ACL', 'SETUSER', 'ada', '+xadd'))
      const { transport, came, consume, problems } = await opened(asAda)
      await consume()
      expect((await publish(transport, ['m1'])).codes).toEqual([])
      await until(() => came.has('m1'))
      // The stream of other programs has the name of the channel: that door is closed, which is told once.
      await until(() => problems.length > 0)
      await new Promise((resolve) => setTimeout(resolve, 1500))
      expect(problems.map(({ code }) => code)).toEqual(['BROKER_ACCESS_DENIED'])
    })

    it('a replica that is promoted by hand has all that was acknowledged, where the URL asks for copies', async () => {
      const [primary, replica] = await Promise.all([ownServer(), ownServer()])
      const { hostname, port } = new URL(primary.url)
      await onRedis(replica.url, (client) => client.replicaof(hostname, Number(port)))
      await onRedis(primary.url, (client) =>
        until(async () => /slave0:.*state=online/.test(await client.info('replication'))),
      )
      const { transport } = await opened(`${primary.url}?replicas=1`)
      const taken: string[] = []
      const codes = new Set<string>()
      let isDead = false
      const publishing = (async () => {
        for (let batch = 0; !isDead && batch < 2000; batch += 1) {
          const ids = Array.from({ length: 20 }, (_, at) => `m${batch}-${at}`)
          const result = await publish(transport, ids)
          taken.push(...result.taken)
          for (const code of result.codes) {
            codes.add(code)
            isDead = true
          }
        }
      })()
      await until(() => taken.length > 1000)
      primary.kill()
      await publishing
      await onRedis(replica.url, (client) => client.replicaof('NO', 'ONE'))
      const after = await opened(replica.url)
      await after.consume()
      await until(() => taken.every((id) => after.came.has(id)), 20_000)
      for (const code of codes) expect(code).toMatch(/^(PUBLISH_UNCONFIRMED|BROKER_UNREACHABLE)$/)
      expect((await publish(after.transport, ['later'])).codes).toEqual([])
    })

    it('a publish that no replica has is not confirmed, where the URL asks for copies', async () => {
      const { url } = await ownServer()
      const { transport } = await opened(`${url}?replicas=1`)
      expect((await publish(transport, ['m1'])).codes).toEqual(['PUBLISH_UNCONFIRMED'])
    })

    it('a node of a cluster will do if it has every slot, and is refused by name if not', async () => {
      const own = await ownServer()
      const script = join(own.folder, 'services/redis.sh')
      const settings = `appendonly yes\ncluster-enabled yes\ncluster-port ${await freePort()}`
      writeFileSync(script, readFileSync(script, 'utf8').replace('appendonly yes', settings))
      own.kill()
      await own.start()
      const give = (from: number, to: number) =>
        onRedis(own.url, (client) => client.call('CLUSTER', 'ADDSLOTSRANGE', from, to))
      await give(0, 8191)
      await expect(transportAt(own.url).transport.connect()).rejects.toMatchObject({
        code: 'BROKER_URL_INVALID',
        details: { slots: 8192 },
      })
      await give(8192, 16_383)
      await onRedis(own.url, (client) =>
        until(async () => String(await client.cluster('INFO')).includes('cluster_state:ok')),
      )
      const { transport, came, consume, problems } = await opened(own.url)
      await consume()
      expect((await publish(transport, ['m1', 'm2'])).codes).toEqual([])
      await until(() => came.size === 2)
      expect(problems).toEqual([])
    })
  })
})
