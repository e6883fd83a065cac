import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { OutgoingRecord, Topology, Transport } from '../../src/messaging/transport.ts'
import { createKafkaTransport } from '../../src/messaging/transports/kafka/index.ts'
import { readConfigs, setConfigs } from '../../src/messaging/transports/kafka/topics.ts'
import { dropKafka, freshKafkaUrl, onKafka } from './kafka-broker.ts'
import { type OwnService, startOwnService, withService } from './service-url.ts'

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
const order = (id: string, bytes = 2): OutgoingRecord => ({
  id,
  address: 'orders',
  type: 'placed',
  key: id,
  body: Buffer.alloc(bytes, ' '),
  headers: {},
  contentType: 'application/json',
})

async function connected(url: string): Promise<Transport> {
  const transport = createKafkaTransport({ leaseMs: 6000, url })
  await transport.connect()
  return transport
}

async function publishOne(transport: Transport, record: OutgoingRecord): Promise<string> {
  const [result] = await transport.publish([record])
  return result === undefined || 'error' in result ? (result?.error.code ?? 'nothing') : 'taken'
}

/** Acknowledges what comes; gives the ids. */
async function collect(transport: Transport): Promise<string[]> {
  const got: string[] = []
  const subscription = await transport.subscribe({ group: 'shop.billing' }, (deliveries) => {
    got.push(...deliveries.map(({ record }) => record.id))
    void transport
      .settle(deliveries.map((delivery) => ({ outcome: 'ack', delivery })))
      .then(() => subscription.grant(deliveries.length))
  })
  subscription.grant(50)
  return got
}

async function setMinInSync(url: string, topic: string, copies: string): Promise<void> {
  const name = 'min.insync.replicas'
  await onKafka(url, async (wire) => {
    await setConfigs(wire, topic, { [name]: copies })
    await expect
      .poll(async () => (await readConfigs(wire, [topic], [name])).get(topic)?.get(name))
      .toBe(copies)
  })
}

await withService('kafka', (server) => {
  describe('a topic of kafka that wants more copies in sync than it has', () => {
    it('is drift', async () => {
      const { url, prefix } = freshKafkaUrl(server)
      const transport = await connected(url)
      await transport.ensure(orders, 'create')
      await setMinInSync(url, `${prefix}orders`, '2')

      const { drift } = await transport.ensure(orders, 'verify')

      expect(drift).toMatchObject([
        {
          severity: 'error',
          message: expect.stringMatching(/1 replicas.*min.insync.replicas is 2/),
        },
      ])
      await transport.close({ drainMs: 1000 })
      await dropKafka(url)
    }, 60_000)
  })

  describe('kafka that cannot write', () => {
    let disk = ''
    let own: OwnService | undefined
    const mount = (...options: string[]) => execFileSync('mount', [...options, disk])
    beforeAll(async () => {
      const folder = mkdtempSync(join(tmpdir(), 'treaty-disk-'))
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', folder])
      if (mounted.status !== 0) return rmSync(folder, { recursive: true })
      disk = folder
      own = await startWithLog(disk)
    })
    afterAll(async () => {
      await own?.dispose()
      if (disk === '') return
      execFileSync('umount', ['-l', disk])
      rmSync(disk, { recursive: true, force: true })
    })

    it('because its disk is full, or may not be written to, loses nothing and goes on once it can', async (context) => {
      if (own === undefined) return context.skip('this user may not mount a small volume')
      const { url } = freshKafkaUrl(own.url)
      const transport = await connected(url)
      await transport.ensure(orders, 'create')
      const got = await collect(transport)
      const taken: string[] = []
      let refusal = ''
      for (let at = 0; at < 400 && refusal === ''; at += 1) {
        const code = await publishOne(transport, order(`order-${at}`, 400_000))
        if (code === 'taken') taken.push(`order-${at}`)
        else refusal = code
      }
      expect(refusal).toMatch(/^(BROKER_FULL|BROKER_UNREACHABLE|PUBLISH_UNCONFIRMED)$/)
      expect(taken.length).toBeGreaterThan(5)

      // Its only disk has failed, so the broker has ended itself. A disk that cannot be written to lets it not even start.
      endIfAlive(own)
      mount('-o', 'remount,ro')
      await expect(startWith(own, disk)).rejects.toThrow()
      mount('-o', 'remount,rw,size=400m')
      await startWith(own, disk)
      await expect
        .poll(() => publishOne(transport, order('last')), { timeout: 30_000 })
        .toBe('taken')
      await expect
        .poll(() => [...taken, 'last'].filter((id) => !got.includes(id)), { timeout: 30_000 })
        .toEqual([])
      await transport.close({ drainMs: 1000 })
    }, 180_000)
  })

  describe('a broker that answers like one before Kafka 3.1', () => {
    let fake: Server
    let reply: (version: number) => Buffer
    let url = ''
    beforeAll(async () => {
      fake = createServer((socket) => {
        socket.on('data', (request) => {
          const [version, id] = [request.readInt16BE(6), request.readInt32BE(8)]
          const head = Buffer.alloc(8)
          const body = reply(version)
          head.writeInt32BE(4 + body.byteLength, 0)
          head.writeInt32BE(id, 4)
          socket.write(Buffer.concat([head, body]))
        })
        socket.on('error', () => undefined)
      })
      await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve))
      url = `kafka://127.0.0.1:${(fake.address() as { port: number }).port}`
    })
    afterAll(() => fake.close())

    it('and does not know the question is told from one that is not there', async () => {
      // What brokers before 2.4 say to a version that they do not know: version 0, error 35, and the versions of this one request.
      reply = () => Buffer.from('00230000000100120000' + '0002', 'hex')
      await expect(connected(url)).rejects.toMatchObject({ code: 'BROKER_TOO_OLD' })
    })

    it('and offers older requests only is told which one it lacks', async () => {
      // Version 3: no error, two requests (produce 0 to 8, versions 0 to 3), no throttling.
      reply = () =>
        Buffer.from(
          '0000' +
            '03' +
            '0000' +
            '0000' +
            '0008' +
            '00' +
            '0012' +
            '0000' +
            '0003' +
            '00' +
            '00000000' +
            '00',
          'hex',
        )
      await expect(connected(url)).rejects.toMatchObject({
        code: 'BROKER_TOO_OLD',
        details: { request: 0, version: 9 },
      })
    })
  })
})

/** A server whose logs lie on a disk of its own. */
async function startWithLog(disk: string): Promise<OwnService> {
  return withProperties(`log.dirs=${join(disk, 'data')}\n`, () => startOwnService('kafka'))
}

async function startWith(own: OwnService, disk: string): Promise<void> {
  await withProperties(`log.dirs=${join(disk, 'data')}\n`, () => own.start())
}

async function withProperties<T>(properties: string, work: () => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-kafka-'))
  const file = join(folder, 'properties')
  writeFileSync(file, properties)
  process.env.TREATY_KAFKA_PROPERTIES = file
  try {
    return await work()
  } finally {
    delete process.env.TREATY_KAFKA_PROPERTIES
    rmSync(folder, { recursive: true })
  }
}

function endIfAlive(own: OwnService): void {
  try {
    own.kill()
  } catch {
    // It has ended by itself.
  }
}
