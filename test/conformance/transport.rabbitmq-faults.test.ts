import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, connect as connectPlain, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isTreatyError, type TreatyError } from '../../src/core/errors.ts'
import type { Delivery, Topology, Transport } from '../../src/messaging/transport.ts'
import { createRabbitmqTransport } from '../../src/messaging/transports/rabbitmq/index.ts'
import { namesUnder } from '../../src/messaging/transports/rabbitmq/names.ts'
import { type ConnectOptions, describeTransport, faultProxy } from '../../src/testing/index.ts'
import { isFullSoak } from '../faults/effort.ts'
import { freshPrefix, onRabbitmq, rabbitmqChild } from './rabbitmq-broker.ts'
import { type OwnService, startOwnService, withService } from './service-url.ts'

const topology: Topology = {
  channels: [{ address: 'orders', ordering: 'per-key' }],
  groups: [
    {
      name: 'shop.billing',
      consumer: 'billing',
      subscriptions: [{ address: 'orders', types: '*' }],
      start: 'latest',
      deliveriesMax: 5,
      deadLetter: { address: 'dead', retentionMs: 60_000, onDead: 'next', onExpired: 'drop' },
    },
  ],
}

const recordOf = (id: string, bytes = 2) => ({
  id,
  address: 'orders',
  type: 'placed',
  key: id,
  body: new Uint8Array(bytes),
  headers: {},
  contentType: 'application/json',
})

const until = async (condition: () => boolean | Promise<boolean>, boundMs = 15_000) => {
  const deadline = performance.now() + boundMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('waited in vain')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Why the transport does not connect. */
async function refusalOf(url: string): Promise<TreatyError> {
  const transport = createRabbitmqTransport({ url })
  const error = await transport.connect().then(
    () => undefined,
    (cause: TreatyError) => cause,
  )
  await transport.close({ drainMs: 0 })
  if (error === undefined) throw new Error('it connected')
  return error
}

/** A transport with its topology, and what came to its consumer. */
async function opened(url: string, options: { messageBytesMax?: number } = {}) {
  const transport = createRabbitmqTransport({ url, publishPatienceMs: 3000, ...options })
  const problems: TreatyError[] = []
  transport.onError((error) => void problems.push(error))
  await transport.connect()
  await transport.ensure(topology, 'create')
  const came: Delivery[] = []
  const consume = async () => {
    const subscription = await transport.subscribe({ group: 'shop.billing' }, (deliveries) => {
      came.push(...deliveries)
      subscription.grant(deliveries.length)
      void transport.settle(deliveries.map((delivery) => ({ outcome: 'ack', delivery })))
    })
    subscription.grant(10)
    return subscription
  }
  return { transport, problems, came, consume }
}

async function codeOf(transport: Transport, id: string, bytes?: number): Promise<string> {
  const [result] = await transport.publish([recordOf(id, bytes)])
  return result === undefined ? 'nothing' : 'error' in result ? result.error.code : 'taken'
}

const idsOf = (came: readonly Delivery[]) => came.map(({ record }) => record.id)

/** A port with TLS before a port without, and the certificate that it shows. */
async function tlsProxy(target: { readonly host: string; readonly port: number }) {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-amqp-tls-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key],
      ...['-out', cert, '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ],
    { stdio: 'ignore' },
  )
  const server = createTlsServer(
    { key: readFileSync(key), cert: readFileSync(cert) },
    (encrypted) => {
      const plain = connectPlain(target.port, target.host)
      for (const socket of [encrypted, plain]) socket.on('error', () => undefined)
      encrypted.pipe(plain)
      plain.pipe(encrypted)
    },
  )
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    cert,
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      rmSync(folder, { recursive: true })
    },
  }
}

await withService('rabbitmq', async (server) => {
  describe('with a broker of its own', () => {
    let own: OwnService
    const control = (...args: string[]) =>
      promisify(execFile)('bash', [
        '-c',
        '. "$1/.services/rabbitmq/env" && shift && rabbitmqctl "$@"',
        'bash',
        own.folder,
        ...args,
      ])
    beforeAll(async () => {
      own = await startOwnService('rabbitmq')
    })
    afterAll(() => own.dispose())

    for (const queues of isFullSoak ? (['quorum', 'classic'] as const) : (['quorum'] as const)) {
      void describeTransport(
        `rabbitmq on ${queues} queues, whose broker is killed and restarted,`,
        () => {
          const place = freshPrefix(own.url, queues)
          return {
            url: place.url,
            async connect(options?: ConnectOptions) {
              const transport = createRabbitmqTransport({ ...options, url: place.url })
              await transport.connect()
              return transport
            },
            async restart() {
              // Killed at once, a broker forgets the quorum queue that was declared last: docs/adr/0010.
              await new Promise((resolve) => setTimeout(resolve, 5000))
              own.kill()
              await own.start()
            },
            dispose: place.drop,
          }
        },
        { runner: { describe, it }, child: rabbitmqChild, only: [2, 8, 33], patience: 2 },
      )
    }

    describe('a RabbitMQ broker', () => {
      it('refuses a wrong password, a virtual host that is not there, and what is not permitted', async () => {
        await control('add_user', 'ada', 'right')
        await control('set_permissions', 'ada', '^ada.*', '.*', '.*')
        const as = (user: string, path = '') => {
          const url = new URL(own.url)
          const [name = '', password = ''] = user.split(':')
          Object.assign(url, { username: name, password, pathname: path })
          return url.href
        }
        const wrong = await refusalOf(as('ada:wrong'))
        expect(wrong).toMatchObject({ code: 'BROKER_ACCESS_DENIED' })
        expect(JSON.stringify([wrong.message, wrong.hint, wrong.details])).not.toContain('wrong')
        expect(await refusalOf(as('guest:guest', '/nowhere'))).toMatchObject({
          code: 'BROKER_ACCESS_DENIED',
        })
        expect(await refusalOf(as('ada:right'))).toMatchObject({ code: 'BROKER_ACCESS_DENIED' })
      })

      it('with an alarm takes no messages, says so, and goes on by itself', async () => {
        const place = freshPrefix(own.url)
        const { transport, came, consume, problems } = await opened(place.url)
        expect(await codeOf(transport, 'm1')).toBe('taken')
        await control('set_vm_memory_high_watermark', 'absolute', '1000000')
        await until(async () => (await codeOf(transport, 'm2')) === 'BROKER_FULL')
        expect(problems.map(({ code }) => code)).toContain('BROKER_FULL')
        await control('set_vm_memory_high_watermark', 'absolute', '1GB')
        await until(async () => (await codeOf(transport, 'm3')) === 'taken')
        await consume()
        await until(() => idsOf(came).includes('m3'))
        expect(idsOf(came)).toContain('m1')
        await transport.close({ drainMs: 0 })
      })

      it('that takes only small messages refuses one, and the others are published', async () => {
        await control('eval', 'application:set_env(rabbit, max_message_size, 100000).')
        const place = freshPrefix(own.url)
        const { transport, came, consume } = await opened(place.url)
        await consume()
        const records = [recordOf('m1'), recordOf('m2', 200_000), recordOf('m3')]
        const results = await transport.publish(records)
        expect(results).toMatchObject([
          { id: 'm1' },
          { error: { code: 'MESSAGE_TOO_LARGE' } },
          { id: 'm3' },
        ])
        await until(() => idsOf(came).includes('m3'))
        await control('eval', 'application:set_env(rabbit, max_message_size, 134217728).')
        await transport.close({ drainMs: 0 })
      })
    })
  })

  void describeTransport(
    'rabbitmq, whose connections are cut,',
    async () => {
      const place = freshPrefix(server)
      const target = new URL(place.url)
      const proxy = await faultProxy({ host: target.hostname, port: Number(target.port) })
      target.port = String(proxy.port)
      return {
        async connect(options?: ConnectOptions) {
          const transport = createRabbitmqTransport({ ...options, url: target.href })
          await transport.connect()
          return transport
        },
        cut: async () => proxy.cut(),
        async dispose() {
          await proxy.close()
          await place.drop()
        },
      }
    },
    { runner: { describe, it }, only: [34], patience: 2 },
  )

  describe('a connection to RabbitMQ', () => {
    const proxied = async () => {
      const place = freshPrefix(server)
      const target = new URL(place.url)
      const proxy = await faultProxy({ host: target.hostname, port: Number(target.port) })
      target.port = String(proxy.port)
      const end = async (transport: Transport) => {
        await transport.close({ drainMs: 0 })
        await proxy.close()
        await place.drop()
      }
      return { proxy, url: target.href, end }
    }

    it('that is half-open is given up and made anew, with nothing lost', async () => {
      const { proxy, url, end } = await proxied()
      const { transport, came, consume, problems } = await opened(url)
      await consume()
      expect(await codeOf(transport, 'm1')).toBe('taken')
      await until(() => came.length === 1)
      proxy.freeze()
      expect(await codeOf(transport, 'm2')).toBe('PUBLISH_UNCONFIRMED')
      await until(() => problems.length > 0)
      proxy.thaw()
      await until(async () => (await codeOf(transport, 'm3')) === 'taken')
      await until(() => idsOf(came).includes('m3'))
      await end(transport)
    })

    it('that ends in the middle of a conversation is told of by a code of ours', async () => {
      const { proxy, url, end } = await proxied()
      const transport = createRabbitmqTransport({ url })
      await transport.connect()
      await transport.ensure(topology, 'create')
      const works = [
        () => transport.ensure(topology, 'verify'),
        () => transport.stats(),
        () => transport.dead.list({}, { limit: 10 }),
        () => transport.inventory?.(),
      ]
      const refusals: unknown[] = []
      proxy.setDelay(2)
      for (let round = 0; round < 12; round += 1) {
        // The connection is there again.
        await until(() =>
          transport.stats().then(
            () => true,
            () => false,
          ),
        )
        const ends = works.map((work) => work()?.catch((error: unknown) => refusals.push(error)))
        await new Promise((resolve) => setTimeout(resolve, round * 2))
        proxy.cut()
        await Promise.all(ends)
      }
      expect(refusals.length).toBeGreaterThan(0)
      expect(refusals.filter((error) => !isTreatyError(error))).toEqual([])
      await end(transport)
    })

    it('is told what is there while somebody takes a channel away', async () => {
      const place = freshPrefix(server)
      const { transport } = await opened(place.url)
      await onRabbitmq(server, (channel) =>
        channel.deleteQueue(namesUnder(place.prefix).tally('orders')),
      )
      expect((await transport.stats()).groups).toMatchObject([{ group: 'shop.billing' }])
      expect((await transport.inventory?.())?.channels).toEqual([{ address: 'orders' }])
      await transport.close({ drainMs: 0 })
      await place.drop()
    })

    it('that is slow loses nothing and repeats nothing', async () => {
      const { proxy, url, end } = await proxied()
      const { transport, came, consume } = await opened(url)
      await consume()
      proxy.setDelay(150)
      const records = Array.from({ length: 50 }, (_, at) => recordOf(`m${at}`))
      const results = await transport.publish(records)
      expect(results.every((result) => 'id' in result)).toBe(true)
      await until(() => came.length >= 50)
      expect(new Set(idsOf(came)).size).toBe(50)
      expect(came).toHaveLength(50)
      proxy.setDelay(0)
      await end(transport)
    })

    it('that cannot be made is named, without the password', async () => {
      const error = await refusalOf('amqp://ada:hush@no-such-host.invalid:5672')
      expect(error).toMatchObject({ code: 'BROKER_UNREACHABLE' })
      expect(String(error)).not.toContain('hush')
      expect(await refusalOf('amqp://127.0.0.1:1')).toMatchObject({ code: 'BROKER_UNREACHABLE' })
    })

    it('to what is no broker is refused', async () => {
      const web = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
      await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
      const { port } = web.address() as AddressInfo
      expect((await refusalOf(`amqp://127.0.0.1:${port}`)).code).toMatch(/^BROKER_/)
      web.close()
    })

    it('needs the TLS that the port speaks, and a certificate that is trusted', async () => {
      const target = new URL(server)
      const proxy = await tlsProxy({ host: target.hostname, port: Number(target.port) })
      const at = (scheme: string, port: number | string, query = '') =>
        `${scheme}://guest:guest@localhost:${port}${query}`
      for (const url of [
        at('amqp', proxy.port),
        at('amqps', proxy.port),
        at('amqps', target.port),
      ]) {
        expect(await refusalOf(url), url).toMatchObject({ code: 'BROKER_TLS_FAILED' })
      }
      const ca = encodeURIComponent(proxy.cert)
      const place = freshPrefix(at('amqps', proxy.port, `?ca=${ca}`))
      const { transport } = await opened(place.url)
      expect(await codeOf(transport, 'm1')).toBe('taken')
      await transport.close({ drainMs: 0 })
      await freshPrefix(server).drop()
      proxy.close()
    })
  })

  describe('other programs on RabbitMQ', () => {
    it('publish what they like, and everything arrives once', async () => {
      const place = freshPrefix(server)
      const { transport, came, consume } = await opened(place.url)
      await consume()
      const exchange = namesUnder(place.prefix).exchange('orders')
      const plain = Buffer.from('{"id":"x1","type":"placed"}')
      const headers = {
        number: 42,
        nothing: null,
        table: { deep: [1, 'two'] },
        bytes: Buffer.from('raw'),
        when: { '!': 'timestamp', value: 1_700_000_000 },
        'cloudEvents:type': 'placed',
        cloudEvents_source: '/shop',
        'cloudEvents:id': 'x2',
      }
      await onRabbitmq(server, async (channel) => {
        channel.publish(exchange, '', plain)
        channel.publish(exchange, 'any.routing.key', plain, { messageId: 'same' })
        channel.publish(exchange, '3', plain, { messageId: 'same' })
        channel.publish(exchange, '3', plain, { messageId: 'same' })
        channel.publish(exchange, '99', Buffer.from([0xff, 0x00]), { headers })
        channel.publish(exchange, '', Buffer.alloc(0), {
          type: 'placed',
          messageId: 'x3',
          timestamp: 1,
          contentType: '',
        })
        await channel.checkExchange(exchange)
      })
      await until(() => came.length >= 6)
      await new Promise((resolve) => setTimeout(resolve, 300))
      expect(came).toHaveLength(6)
      const types = came.map(({ record }) => record.type)
      expect(types).toEqual(Array(6).fill('placed'))
      const event = came.find(({ record }) => record.id === 'x2')
      expect(event?.record.headers).toMatchObject({
        number: '42',
        nothing: '',
        table: '{"deep":[1,"two"]}',
        bytes: 'raw',
        when: '2023-11-14T22:13:20.000Z',
        'ce-source': '/shop',
      })
      const counted = async () => (await transport.stats()).counts
      await until(async () => (await counted()).some(({ handled }) => handled === 6))
      expect(await counted()).toMatchObject([
        { event: 'placed', consumer: null, published: 6 },
        { event: 'placed', consumer: 'billing', deliveries: 6, handled: 6, waiting: 0 },
      ])
      await transport.close({ drainMs: 0 })
      await place.drop()
    })

    it('read what we publish by binding a queue to the exchange of the channel', async () => {
      const place = freshPrefix(server)
      const { transport } = await opened(place.url)
      const exchange = namesUnder(place.prefix).exchange('orders')
      await onRabbitmq(server, async (channel) => {
        const { queue } = await channel.assertQueue('', { exclusive: true })
        await channel.bindQueue(queue, exchange, '')
        await transport.publish([
          { ...recordOf('m1'), headers: { 'ce-type': 'placed', CC: 'elsewhere' } },
        ])
        const message = (await channel.get(queue, { noAck: true })) || undefined
        expect(message?.properties).toMatchObject({
          messageId: 'm1',
          type: 'placed',
          contentType: 'application/json',
          deliveryMode: 2,
          headers: { 'cloudEvents:type': 'placed', 'treaty-own-CC': 'elsewhere' },
        })
      })
      await transport.close({ drainMs: 0 })
      await place.drop()
    })
  })
})
