import { randomUUID } from 'node:crypto'
import { connect, headers } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Topology, Transport } from '../../src/messaging/transport.ts'
import { createNatsTransport } from '../../src/messaging/transports/nats/index.ts'
import { type ConnectOptions, describeTransport, faultProxy } from '../../src/testing/index.ts'
import { natsChild, removeNamespace } from './nats-broker.ts'
import { startNatsServer } from './nats-server.ts'
import { type OwnService, startOwnService, withService } from './service-url.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)
const runner = { describe, it }
const jetStream = 'jetstream { store_dir: "FOLDER/data" }'

function topologyOf(address: string): Topology {
  return {
    channels: [{ address, ordering: 'per-key' }],
    groups: [
      {
        name: `${address}.worker`,
        consumer: 'worker',
        subscriptions: [{ address, types: '*' }],
        start: 'earliest',
        deliveriesMax: 5,
        deadLetter: { address: 'dead', retentionMs: 60_000, onDead: 'next', onExpired: 'drop' },
      },
    ],
  }
}

const recordOf = (address: string, id: string) => ({
  id,
  address,
  type: 'placed',
  key: id,
  body: bytesOf('{"number":1}'),
  headers: {},
  contentType: 'application/json',
})

await withService('nats', async (server) => {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })
  const serverWith = async (lines: string) => {
    const own = await startNatsServer(lines)
    ends.push(() => own.stop())
    return own
  }
  const opened = async (url: string): Promise<Transport> => {
    const transport = createNatsTransport({ url, leaseMs: 1500 })
    await transport.connect()
    ends.push(() => transport.close({ drainMs: 0 }))
    return transport
  }
  const failure = (url: string) =>
    opened(url).then(
      () => undefined,
      (error: unknown) => error,
    )
  /** Acknowledges everything and remembers the ids. */
  const collect = async (transport: Transport, address: string) => {
    const ids: string[] = []
    const types: string[] = []
    const subscription = await transport.subscribe({ group: `${address}.worker` }, (deliveries) => {
      for (const delivery of deliveries) {
        void transport.settle([{ outcome: 'ack', delivery }]).then(([result]) => {
          if (result?.ok !== true) return
          ids.push(delivery.record.id)
          types.push(delivery.record.type)
        })
        subscription.grant(1)
      }
    })
    subscription.grant(10)
    return { ids, types, subscription }
  }

  describe('with a server of its own', () => {
    let own: OwnService
    beforeAll(async () => {
      own = await startOwnService('nats')
    })
    afterAll(() => own.dispose())

    void describeTransport(
      'nats, whose server is killed and restarted,',
      () => {
        const place = `${own.url}?namespace=t${randomUUID().slice(0, 8)}`
        return {
          url: place,
          async connect(options?: ConnectOptions) {
            const transport = createNatsTransport({ ...options, url: place })
            await transport.connect()
            return transport
          },
          async restart() {
            own.kill()
            await own.start()
          },
        }
      },
      { runner, child: natsChild, only: [2, 8, 11, 33], patience: 2 },
    )
  })

  void describeTransport(
    'nats, whose connections are cut,',
    async () => {
      const namespace = `t${randomUUID().slice(0, 8)}`
      const proxy = await faultProxy({ port: Number(new URL(server).port) })
      const url = `nats://127.0.0.1:${proxy.port}?namespace=${namespace}`
      return {
        async connect(options?: ConnectOptions) {
          const transport = createNatsTransport({ ...options, url })
          await transport.connect()
          return transport
        },
        cut: async () => proxy.cut(),
        async dispose() {
          await removeNamespace(server, `${server}?namespace=${namespace}`, namespace)
          await proxy.close()
        },
      }
    },
    { runner, only: [34], patience: 2 },
  )

  describe('nats', () => {
    it('that cannot be reached is named, without the password', async () => {
      const error = await failure('nats://ada:hush@no-such-host.invalid:4222')
      expect(error).toMatchObject({ code: 'BROKER_UNREACHABLE' })
      expect(String(error)).not.toContain('hush')
      expect(await failure('nats://127.0.0.1:1')).toMatchObject({ code: 'BROKER_UNREACHABLE' })
    })

    it('refuses wrong credentials by name, and takes the right ones', async () => {
      const own = await serverWith(
        `${jetStream}\nauthorization { users: [{ user: ada, password: right }] }`,
      )
      const at = (user: string) => `nats://${user}127.0.0.1:${own.port}`
      expect(await failure(at('ada:wrong@'))).toMatchObject({ code: 'BROKER_ACCESS_DENIED' })
      expect(await failure(at(''))).toMatchObject({ code: 'BROKER_ACCESS_DENIED' })
      expect(await failure(at('ada:right@'))).toBeUndefined()
    })

    it('takes a token', async () => {
      const own = await serverWith(`${jetStream}\nauthorization { token: "s3cr/t" }`)
      expect(await failure(`nats://s3cr%2Ft@127.0.0.1:${own.port}`)).toBeUndefined()
      expect(await failure(`nats://127.0.0.1:${own.port}?token=s3cr%2Ft`)).toBeUndefined()
    })

    it('names missing permissions', async () => {
      const own = await serverWith(
        `${jetStream}\nauthorization { users: [{ user: ada, password: right,
          permissions: { publish: { deny: "$JS.API.STREAM.CREATE.>" } } }] }`,
      )
      expect(await failure(`nats://ada:right@127.0.0.1:${own.port}`)).toMatchObject({
        code: 'BROKER_ACCESS_DENIED',
      })
    })

    it('without TLS is no partner for tls://', async () => {
      const { port } = new URL(server)
      expect(await failure(`tls://127.0.0.1:${port}`)).toMatchObject({ code: 'BROKER_TLS_FAILED' })
    })

    it('without JetStream is refused, because it would keep nothing', async () => {
      const own = await serverWith('')
      expect(await failure(`nats://127.0.0.1:${own.port}`)).toMatchObject({ code: 'BROKER_UNSAFE' })
    })

    it('whose store is full says so for each message', async () => {
      const own = await serverWith(
        'jetstream { store_dir: "FOLDER/data", max_file_store: 2MB, max_memory_store: 1MB }',
      )
      const transport = await opened(`nats://127.0.0.1:${own.port}`)
      await transport.ensure(topologyOf('orders'), 'create')
      const large = { body: new Uint8Array(200_000) }
      const results = []
      for (let number = 0; number < 20; number += 1) {
        results.push(
          ...(await transport.publish([{ ...recordOf('orders', `m${number}`), ...large }])),
        )
      }
      const refused = results.filter((result) => 'error' in result)
      expect(refused.length).toBeGreaterThan(5)
      expect(refused[0]).toMatchObject({ error: { code: 'BROKER_FULL' } })
    })

    it('that froze is waited for: nothing is lost, and nothing needs a restart', async () => {
      const own = await serverWith(jetStream)
      const transport = await opened(`nats://127.0.0.1:${own.port}`)
      await transport.ensure(topologyOf('orders'), 'create')
      const { ids } = await collect(transport, 'orders')
      await transport.publish([recordOf('orders', 'before')])
      await expect.poll(() => ids).toContain('before')
      own.signal('SIGSTOP')
      const during = transport.publish([recordOf('orders', 'during')])
      await new Promise((resolve) => setTimeout(resolve, 7000))
      own.signal('SIGCONT')
      const [result] = await during
      const isTaken = result !== undefined && 'id' in result
      if (!isTaken) expect(result).toMatchObject({ error: { code: 'PUBLISH_UNCONFIRMED' } })
      await expect
        .poll(async () => (await transport.publish([recordOf('orders', 'after')]))[0], {
          timeout: 15_000,
        })
        .toMatchObject({ id: 'after' })
      await expect.poll(() => ids, { timeout: 15_000 }).toContain('after')
    }, 60_000)

    it('behind a half-open connection is found again by itself', async () => {
      const proxy = await faultProxy({ port: Number(new URL(server).port) })
      const namespace = `t${randomUUID().slice(0, 8)}`
      ends.push(() => removeNamespace(server, `${server}?namespace=${namespace}`, namespace))
      ends.push(() => proxy.close())
      const transport = await opened(`nats://127.0.0.1:${proxy.port}?namespace=${namespace}`)
      const address = `${namespace}.orders`
      await transport.ensure(topologyOf(address), 'create')
      const { ids } = await collect(transport, address)
      proxy.setDelay(100)
      await transport.publish([recordOf(address, 'slow')])
      await expect.poll(() => ids, { timeout: 10_000 }).toContain('slow')
      proxy.setDelay(0)
      proxy.freeze()
      await new Promise((resolve) => setTimeout(resolve, 7000))
      proxy.cut()
      proxy.thaw()
      await expect
        .poll(async () => (await transport.publish([recordOf(address, 'after')]))[0], {
          timeout: 15_000,
        })
        .toMatchObject({ id: 'after' })
      await expect.poll(() => ids, { timeout: 15_000 }).toContain('after')
    }, 60_000)

    it('takes a reply queue away from a connection that fell silent, and gives it back', async () => {
      const proxy = await faultProxy({ port: Number(new URL(server).port) })
      const namespace = `t${randomUUID().slice(0, 8)}`
      ends.push(() => removeNamespace(server, `${server}?namespace=${namespace}`, namespace))
      ends.push(() => proxy.close())
      const other = await opened(`${server}?namespace=${namespace}`)
      const silent = await opened(`nats://127.0.0.1:${proxy.port}?namespace=${namespace}`)
      const address = `${namespace}.replies`
      const { channels, groups } = topologyOf(address)
      await silent.ensure(
        { channels, groups: groups.map((each) => ({ ...each, ephemeral: true })) },
        'create',
      )
      const { ids } = await collect(silent, address)
      await other.publish([recordOf(address, 'before')])
      await expect.poll(() => ids).toContain('before')
      const isThere = async () =>
        (await other.stats()).groups.some(({ group }) => group.startsWith(address))
      proxy.freeze()
      await expect.poll(isThere, { timeout: 15_000 }).toBe(false)
      proxy.cut()
      proxy.thaw()
      await expect.poll(isThere, { timeout: 15_000 }).toBe(true)
      await expect
        .poll(async () => (await other.publish([recordOf(address, 'after')]))[0], {
          timeout: 15_000,
        })
        .toMatchObject({ id: 'after' })
      await expect.poll(() => ids, { timeout: 15_000 }).toContain('after')
    }, 60_000)

    it('takes no channel whose subjects another stream has, unless the contract names it', async () => {
      const namespace = `t${randomUUID().slice(0, 8)}`
      ends.push(() => removeNamespace(server, `${server}?namespace=${namespace}`, namespace))
      const transport = await opened(`${server}?namespace=${namespace}`)
      const address = `${namespace}.orders`
      const other = await connect({ servers: new URL(server).host })
      const stream = `${namespace}-theirs`
      ends.push(() => other.close())
      ends.push(() => other.request(`$JS.API.STREAM.DELETE.${stream}`))
      await other.request(
        `$JS.API.STREAM.CREATE.${stream}`,
        JSON.stringify({ name: stream, subjects: [address], storage: 'file', retention: 'limits' }),
      )
      await expect(transport.ensure(topologyOf(address), 'create')).rejects.toMatchObject({
        code: 'TOPOLOGY_IN_USE',
      })
      const { channels, groups } = topologyOf(address)
      const named = channels.map((each) => ({ ...each, bindings: { nats: { stream } } }))
      await transport.ensure({ channels: named, groups }, 'create')
      const { ids } = await collect(transport, address)
      await other.request(address, '{"id":"theirs","type":"placed"}')
      await transport.publish([recordOf(address, 'ours')])
      await expect.poll(() => ids.toSorted(), { timeout: 5000 }).toEqual(['ours', 'theirs'])
    })

    it('gives lanes to a subscriber however soon it comes back', async () => {
      const namespace = `t${randomUUID().slice(0, 8)}`
      ends.push(() => removeNamespace(server, `${server}?namespace=${namespace}`, namespace))
      const transport = await opened(`${server}?namespace=${namespace}`)
      const address = `${namespace}.orders`
      await transport.ensure(topologyOf(address), 'create')
      for (let round = 0; round < 12; round += 1) {
        const { ids, subscription } = await collect(transport, address)
        await transport.publish([recordOf(address, `m${round}`)])
        await expect.poll(() => ids, { timeout: 5000 }).toContain(`m${round}`)
        await subscription.stop()
        // Around the next heartbeat, where it was once forgotten to take part again.
        await new Promise((resolve) => setTimeout(resolve, round * 40))
      }
    }, 60_000)

    it('gives what other programs publish on the channel itself, whatever it is', async () => {
      const namespace = `t${randomUUID().slice(0, 8)}`
      ends.push(() => removeNamespace(server, `${server}?namespace=${namespace}`, namespace))
      const transport = await opened(`${server}?namespace=${namespace}`)
      const address = `${namespace}.orders`
      await transport.ensure(topologyOf(address), 'create')
      const { ids, types } = await collect(transport, address)
      const other = await connect({ servers: new URL(server).host })
      ends.push(() => other.close())
      const cloudEvent = headers()
      cloudEvent.set('Ce-Type', 'order.placed')
      cloudEvent.set('ce-id', 'ce%201')
      cloudEvent.set('ce-source', '/shop')
      await other.request(address, '{"a":1}', { headers: cloudEvent, timeout: 2000 })
      await other.request(address, '{"id":"t1","type":"order.closed"}')
      const named = headers()
      named.set('Nats-Msg-Id', 'own-id')
      await other.request(address, new Uint8Array([0xff, 0x00, 0xc3]), {
        headers: named,
        timeout: 2000,
      })
      await other.request(address, '')
      await expect.poll(() => ids.length, { timeout: 5000 }).toBe(4)

      expect(ids.slice(0, 3)).toEqual(['ce 1', 't1', 'own-id'])
      expect(types).toEqual(['order.placed', 'order.closed', '', ''])
      const { counts } = await transport.stats()
      const row = counts.find((each) => each.event === 'order.placed' && each.consumer === null)
      expect(row?.published).toBe(1)
    })

    it('whose stream was taken away is an error by name, until the topology is ensured', async () => {
      const namespace = `t${randomUUID().slice(0, 8)}`
      ends.push(() => removeNamespace(server, `${server}?namespace=${namespace}`, namespace))
      const transport = await opened(`${server}?namespace=${namespace}`)
      const address = `${namespace}.orders`
      await transport.ensure(topologyOf(address), 'create')
      const other = await connect({ servers: new URL(server).host })
      ends.push(() => other.close())
      await other.request(`$JS.API.STREAM.DELETE.${namespace}_orders`)
      const [lost] = await transport.publish([recordOf(address, 'm1')])
      expect(lost).toMatchObject({ error: { code: 'CHANNEL_NOT_FOUND' } })
      const found = await transport.ensure(topologyOf(address), 'verify')
      expect(found.missing).toEqual([`stream ${namespace}_orders of channel ${address}`])
      await transport.ensure(topologyOf(address), 'create')
      const [taken] = await transport.publish([recordOf(address, 'm1')])
      expect(taken).toMatchObject({ id: 'm1' })
    })

    it('whose stream drops old messages is reported as drift', async () => {
      const namespace = `t${randomUUID().slice(0, 8)}`
      ends.push(() => removeNamespace(server, `${server}?namespace=${namespace}`, namespace))
      const transport = await opened(`${server}?namespace=${namespace}`)
      const address = `${namespace}.orders`
      await transport.ensure(topologyOf(address), 'create')
      const other = await connect({ servers: new URL(server).host })
      ends.push(() => other.close())
      const name = `${namespace}_orders`
      const info = (await other.request(`$JS.API.STREAM.INFO.${name}`)).json<{ config: object }>()
      const changed = { ...info.config, max_age: 60e9, duplicate_window: 60e9 }
      await other.request(`$JS.API.STREAM.UPDATE.${name}`, JSON.stringify(changed))
      const { drift } = await transport.ensure(topologyOf(address), 'verify')
      expect(drift).toMatchObject([{ code: 'TOPOLOGY_RETENTION_DIFFERS', severity: 'error' }])
      expect(drift[0]?.message).toContain('max_age 60 s')
    })
  })
})
