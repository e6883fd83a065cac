import { execFileSync } from 'node:child_process'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type {
  Delivery,
  OutgoingRecord,
  Topology,
  Transport,
} from '../../src/messaging/transport.ts'
import { createKafkaTransport } from '../../src/messaging/transports/kafka/index.ts'
import { createProducer } from '../../src/messaging/transports/kafka/producer.ts'
import {
  createTopics,
  deleteGroups,
  readConfigs,
  setConfigs,
} from '../../src/messaging/transports/kafka/topics.ts'
import {
  type ConnectOptions,
  describeTransport,
  type FaultProxy,
  faultProxy,
} from '../../src/testing/index.ts'
import { dropKafka, freshKafkaUrl, onKafka } from './kafka-broker.ts'
import { type OwnService, startOwnService, withService } from './service-url.ts'

const leaseMs = 6000

async function connected(url: string, options: ConnectOptions = {}): Promise<Transport> {
  const transport = createKafkaTransport({ leaseMs, ...options, url })
  await transport.connect()
  return transport
}

const orders: Topology = {
  channels: [{ address: 'orders', ordering: 'per-key' }],
  groups: [
    {
      name: 'shop.billing',
      consumer: 'billing',
      subscriptions: [{ address: 'orders', types: '*' }],
      start: 'earliest',
      deliveriesMax: 5,
      deadLetter: {
        address: 'orders.dead',
        retentionMs: 86_400_000,
        onDead: 'next',
        onExpired: 'drop',
      },
    },
  ],
}
const order = (id: string, over: Partial<OutgoingRecord> = {}): OutgoingRecord => ({
  id,
  address: 'orders',
  type: 'placed',
  key: id,
  body: Buffer.from('{}'),
  headers: {},
  contentType: 'application/json',
  ...over,
})

/** Acknowledges what comes and remembers it. */
async function collect(transport: Transport): Promise<Delivery[]> {
  const got: Delivery[] = []
  const subscription = await transport.subscribe({ group: 'shop.billing' }, (deliveries) => {
    got.push(...deliveries)
    void transport
      .settle(deliveries.map((delivery) => ({ outcome: 'ack', delivery })))
      .then(() => subscription.grant(deliveries.length))
  })
  subscription.grant(50)
  return got
}

const until = (condition: () => boolean, boundMs = 20_000) =>
  expect.poll(condition, { timeout: boundMs, interval: 20 }).toBe(true)

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: { code: string }) => error.code,
  )
}

/** Changes settings of a topic past Treaty, and waits until the broker goes by them. */
async function change(url: string, topic: string, configs: Record<string, string>): Promise<void> {
  await onKafka(url, async (wire) => {
    await setConfigs(wire, topic, configs)
    const read = async () => (await readConfigs(wire, [topic], Object.keys(configs))).get(topic)
    const entries = Object.entries(configs)
    await expect
      .poll(async () => {
        const now = await read()
        return entries.every(([key, value]) => now?.get(key) === value)
      })
      .toBe(true)
  })
}

/** Starts a server again whose properties end with these. */
async function restartWith(own: OwnService, properties: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-kafka-'))
  const file = join(folder, 'properties')
  writeFileSync(file, properties)
  process.env.TREATY_KAFKA_PROPERTIES = file
  try {
    own.kill()
    await own.start()
  } finally {
    delete process.env.TREATY_KAFKA_PROPERTIES
    rmSync(folder, { recursive: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

await withService('kafka', (server) => {
  describe('with a server of its own', () => {
    let own: OwnService
    beforeAll(async () => {
      own = await startOwnService('kafka')
    })
    afterAll(() => own.dispose())

    void describeTransport(
      'kafka, whose server is killed and restarted,',
      () => {
        const { url } = freshKafkaUrl(own.url)
        return {
          connect: (options?: ConnectOptions) => connected(url, options),
          async restart() {
            own.kill()
            await own.start()
          },
          dispose: () => dropKafka(url),
        }
      },
      { runner: { describe, it }, only: [8, 33], leaseMs, patience: 2 },
    )
  })

  describe('behind a network of its own', () => {
    let own: OwnService
    let proxy: FaultProxy
    beforeAll(async () => {
      own = await startOwnService('kafka')
      proxy = await faultProxy({ host: '127.0.0.1', port: Number(new URL(own.url).port) })
      await restartWith(own, `advertised.listeners=PLAINTEXT://127.0.0.1:${proxy.port}\n`)
    })
    afterAll(async () => {
      await proxy.close()
      await own.dispose()
    })
    const place = () => freshKafkaUrl(`kafka://127.0.0.1:${proxy.port}`)

    void describeTransport(
      'kafka, whose connections are cut,',
      () => {
        const { url } = place()
        return {
          connect: (options?: ConnectOptions) => connected(url, options),
          cut: async () => proxy.cut(),
          dispose: () => dropKafka(url),
        }
      },
      { runner: { describe, it }, only: [34], leaseMs, patience: 2 },
    )

    it('that goes silent, takes up again by itself where it was, and loses nothing', async () => {
      const { url } = place()
      const transport = await connected(url)
      await transport.ensure(orders, 'create')
      const got = await collect(transport)
      await transport.publish([order('before')])
      await until(() => got.length === 1)

      proxy.freeze()
      const during = transport.publish([order('during')])
      await new Promise((resolve) => setTimeout(resolve, 8000))
      proxy.thaw()
      const [taken] = await during
      const sent = await transport.publish([order('after')])

      expect(sent[0]).toMatchObject({ id: 'after' })
      await until(() => got.some(({ record }) => record.id === 'after'))
      if (taken !== undefined && 'id' in taken) {
        await until(() => got.some(({ record }) => record.id === 'during'))
      } else expect(taken?.error.code).toMatch(/PUBLISH_UNCONFIRMED|BROKER_UNREACHABLE/)
      await transport.close({ drainMs: 1000 })
      await dropKafka(url)
    }, 60_000)

    it('that is slow, delivers all the same', async () => {
      const { url } = place()
      const transport = await connected(url)
      await transport.ensure(orders, 'create')
      proxy.setDelay(150)
      const got = await collect(transport)
      await transport.publish(Array.from({ length: 30 }, (_, at) => order(`slow-${at}`)))
      await until(() => got.length === 30)
      proxy.setDelay(0)

      expect(new Set(got.map(({ record }) => record.id)).size).toBe(30)
      await transport.close({ drainMs: 1000 })
      await dropKafka(url)
    }, 60_000)
  })

  describe('a listener with TLS and one with credentials', () => {
    let own: OwnService
    let folder: string
    const ports = { tls: 0, sasl: 0, plain: 0 }
    beforeAll(async () => {
      own = await startOwnService('kafka')
      folder = mkdtempSync(join(tmpdir(), 'treaty-tls-'))
      ports.tls = await freePort()
      ports.sasl = await freePort()
      ports.plain = Number(new URL(own.url).port)
      makeCertificate(folder)
      await restartWith(own, secureProperties(folder, ports))
      await addScramUser(own.url)
    })
    afterAll(async () => {
      await own.dispose()
      rmSync(folder, { recursive: true, force: true })
    })

    it.each([
      ['PLAIN', 'ann:plain%20secret', ''],
      ['SCRAM-SHA-512', 'bob:scram-secret', '?mechanism=SCRAM-SHA-512'],
    ])('lets in with %s, and refuses wrong credentials by name', async (_, user, options) => {
      const transport = await connected(`kafka://${user}@127.0.0.1:${ports.sasl}${options}`)
      expect(transport.name).toBe('kafka')
      await transport.close({ drainMs: 0 })

      const wrong = `kafka://${user}x@127.0.0.1:${ports.sasl}${options}`
      const error = await connected(wrong).catch((thrown: Error) => thrown)
      expect(error).toMatchObject({ code: 'BROKER_ACCESS_DENIED', retryable: false })
      expect(String(error)).not.toContain('secret')
    })

    it('is reached with the authority of its certificate, and not without', async () => {
      const url = `kafka+ssl://localhost:${ports.tls}`
      const transport = await connected(`${url}?ca=${join(folder, 'cert.pem')}`)
      await transport.close({ drainMs: 0 })

      expect(await codeOf(connected(url))).toBe('BROKER_TLS_FAILED')
    })

    it('is reached at an address, which is no name to TLS, without a warning of Node', async () => {
      const warnings: string[] = []
      const listen = ({ message }: Error) => void warnings.push(message)
      process.on('warning', listen)
      const url = `kafka+ssl://127.0.0.1:${ports.tls}?ca=${join(folder, 'cert.pem')}`
      const transport = await connected(url)
      await transport.close({ drainMs: 0 })
      // Node tells of warnings in a later turn.
      await new Promise((resolve) => setImmediate(resolve))
      process.off('warning', listen)

      expect(warnings.filter((each) => /servername|ServerName/i.test(each))).toEqual([])
    })

    it('answers a mismatch of TLS by its name, whichever side speaks it', async () => {
      expect(await codeOf(connected(`kafka+ssl://127.0.0.1:${ports.plain}`))).toBe(
        'BROKER_TLS_FAILED',
      )
      expect(await codeOf(connected(`kafka://127.0.0.1:${ports.tls}`))).toBe('BROKER_TLS_FAILED')
    })
  })

  describe('kafka', () => {
    it('that is not there is said to be unreachable', async () => {
      expect(await codeOf(connected('kafka://no-such-host.invalid:9092'))).toBe(
        'BROKER_UNREACHABLE',
      )
      expect(await codeOf(connected('kafka://127.0.0.1:1'))).toBe('BROKER_UNREACHABLE')
    })

    void describeTransport(
      'kafka without idempotence',
      () => {
        const { url } = freshKafkaUrl(server, '&idempotence=false')
        return {
          connect: (options?: ConnectOptions) => connected(url, options),
          dispose: () => dropKafka(url),
        }
      },
      {
        runner: { describe, it },
        only: [1, 3, 21],
        leaseMs,
        patience: 2,
        effort: { orderMessages: 5 },
      },
    )

    it('publishes to a topic that is not there by saying so, at once and beside others', async () => {
      const { url } = freshKafkaUrl(server)
      const transport = await connected(url)
      await transport.ensure(orders, 'create')

      const [missing, fine] = await transport.publish([
        order('one', { address: 'nowhere' }),
        order('two'),
      ])

      expect(missing).toMatchObject({ error: { code: 'CHANNEL_NOT_FOUND' } })
      expect(fine).toMatchObject({ id: 'two' })
      await transport.close({ drainMs: 0 })
      await dropKafka(url)
    })

    it('refuses what is over the limit of its topic, message by message', async () => {
      const { url, prefix } = freshKafkaUrl(server)
      const transport = await connected(url)
      await transport.ensure(orders, 'create')
      await change(url, `${prefix}orders`, { 'max.message.bytes': '2000' })

      const large = { body: Buffer.alloc(5000), key: 'same' }
      const results = await transport.publish([
        order('a', { key: 'same' }),
        order('b', large),
        order('c', { key: 'same' }),
      ])

      expect(results).toMatchObject([
        { id: 'a' },
        { error: { code: 'MESSAGE_TOO_LARGE' } },
        { id: 'c' },
      ])
      await transport.close({ drainMs: 0 })
      await dropKafka(url)
    })

    it('hands on whatever other programs write: no headers, no value, a key that is no text', async () => {
      const { url, prefix } = freshKafkaUrl(server)
      const transport = await connected(url)
      await transport.ensure(orders, 'create')
      const got = await collect(transport)
      await onKafka(url, async (wire) => {
        const producer = createProducer(wire)
        const at = { topic: `${prefix}orders`, partition: 3, headers: new Map<string, string>() }
        await producer.appendAll([
          { ...at, value: null, key: Buffer.from([0xff, 0xfe]) },
          { ...at, value: Buffer.from('plain text') },
          { ...at, value: Buffer.from('{"type":"placed","id":"theirs"}') },
          { ...at, value: Buffer.from('x'), headers: new Map([['ce_type', 'of.ce']]) },
          { ...at, value: Buffer.from('x'), headers: new Map([['treaty-deliver-at', 'soon']]) },
          { ...at, value: Buffer.from('x'), headers: new Map([['ce_type', '__proto__']]) },
        ])
        await producer.close()
      })

      await until(() => got.length === 6)
      expect(got.map(({ record }) => record.type)).toEqual([
        '',
        '',
        'placed',
        'of.ce',
        '',
        '__proto__',
      ])
      const { counts } = await transport.stats()
      const rows = counts.filter(({ consumer }) => consumer === 'billing')
      expect(rows.reduce((sum, row) => sum + row.handled, 0)).toBe(6)
      await transport.close({ drainMs: 0 })
      await dropKafka(url)
    })

    it('that keeps less than the contract says, or replaces messages by key, is drift', async () => {
      const { url, prefix } = freshKafkaUrl(server)
      const transport = await connected(url)
      await transport.ensure(orders, 'create')
      const wanted: Topology = {
        ...orders,
        channels: [
          { address: 'orders', ordering: 'per-key', bindings: { kafka: { partitions: 24 } } },
        ],
      }
      const configs = { 'retention.ms': '1000', 'cleanup.policy': 'compact' }
      await change(url, `${prefix}orders`, configs)

      const { drift } = await transport.ensure(wanted, 'verify')

      expect(drift.map(({ severity }) => severity)).toEqual(['error', 'error', 'error'])
      const messages = drift.map(({ message }) => message).join(' ')
      expect(messages).toMatch(/12 partitions.*compacted.*keeps messages for 1000 ms/)
      await transport.close({ drainMs: 0 })
      await dropKafka(url)
    })

    it('takes up a topic that another program made, with its own number of partitions', async () => {
      const { url, prefix } = freshKafkaUrl(server)
      const configs = { 'retention.ms': '-1' }
      await onKafka(url, (wire) =>
        createTopics(wire, [{ name: `${prefix}orders`, partitions: 3, configs }]),
      )
      const transport = await connected(url)

      const { drift } = await transport.ensure(orders, 'create')
      const got = await collect(transport)
      await transport.publish(Array.from({ length: 20 }, (_, at) => order(`order-${at}`)))
      await until(() => got.length === 20)

      expect(drift).toEqual([])
      await transport.close({ drainMs: 0 })
      await dropKafka(url)
    })

    it('that has forgotten the offsets of an empty group hands nothing out again', async () => {
      const { url, prefix } = freshKafkaUrl(server)
      const first = await connected(url)
      await first.ensure(orders, 'create')
      const got = await collect(first)
      await first.publish(Array.from({ length: 20 }, (_, at) => order(`order-${at}`)))
      await until(() => got.length === 20)
      await first.close({ drainMs: 1000 })
      // What offsets.retention.minutes does after a week.
      await onKafka(url, (wire) => deleteGroups(wire, [`${prefix}shop.billing`]))

      const second = await connected(url)
      await second.ensure(orders, 'create')
      const again = await collect(second)
      await second.publish([order('new')])
      await until(() => again.length > 0)

      expect(again.map(({ record }) => record.id)).toEqual(['new'])
      const { counts } = await second.stats()
      expect(counts.find(({ consumer }) => consumer === 'billing')).toMatchObject({ handled: 21 })
      await second.close({ drainMs: 0 })
      await dropKafka(url)
    })

    it('keeps the state of a lane that is too long for the metadata of an offset', async () => {
      const { url } = freshKafkaUrl(server)
      const first = await connected(url)
      await first.ensure(orders, 'create')
      const got = await collect(first)
      const types = Array.from({ length: 300 }, (_, at) => `a.rather.long.name.of.an.event.${at}`)
      await first.publish(types.map((type, at) => order(`order-${at}`, { type, key: 'same' })))
      await until(() => got.length === 300)
      await first.close({ drainMs: 1000 })

      const second = await connected(url)
      const again = await collect(second)
      await second.publish([order('new', { key: 'same' })])
      await until(() => again.length > 0)

      expect(again.map(({ record }) => record.id)).toEqual(['new'])
      const { counts } = await second.stats()
      const rows = counts.filter(({ consumer }) => consumer === 'billing')
      expect(rows.reduce((sum, row) => sum + row.handled, 0)).toBe(301)
      await second.close({ drainMs: 0 })
      await dropKafka(url)
    })
  })
})

function makeCertificate(folder: string): void {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
  const what = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost']
  execFileSync('openssl', ['req', ...what, '-addext', names, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  })
  const both = readFileSync(key, 'utf8') + readFileSync(cert, 'utf8')
  writeFileSync(join(folder, 'both.pem'), both)
}

function secureProperties(folder: string, ports: { tls: number; sasl: number }): string {
  const login = 'org.apache.kafka.common.security'
  return [
    `listeners=PLAINTEXT://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CONTROLLER@,TLS://127.0.0.1:${ports.tls},SASL://127.0.0.1:${ports.sasl}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:@PORT@,TLS://localhost:${ports.tls},SASL://127.0.0.1:${ports.sasl}`,
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,SASL:SASL_PLAINTEXT',
    'listener.name.tls.ssl.keystore.type=PEM',
    `listener.name.tls.ssl.keystore.location=${join(folder, 'both.pem')}`,
    'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512',
    `listener.name.sasl.plain.sasl.jaas.config=${login}.plain.PlainLoginModule required user_ann="plain secret";`,
    `listener.name.sasl.scram-sha-512.sasl.jaas.config=${login}.scram.ScramLoginModule required;`,
    '',
  ].join('\n')
}

async function addScramUser(url: string): Promise<void> {
  const [salt, iterations] = [randomBytes(16), 4096]
  await onKafka(url, async (wire) => {
    const saltedPassword = pbkdf2Sync('scram-secret', salt, iterations, 64, 'sha512')
    const user = { name: 'bob', mechanism: 2, iterations, salt, saltedPassword }
    const controller = await wire.controller()
    const { api } = wire.driver.alterUserScramCredentialsV0
    await wire.control.call(controller, api, [], [user] as never)
  })
}
