import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { type Contract, defineContract, openBus } from 'treatyjs'
import { makeOrders } from './bus-load.ts'
import { type BenchOptions, median } from './measure.ts'
import { messageBytes, type Order, orderSchema } from './orders.ts'
import { startPeer } from './peers.ts'
import { freshDatabase, type PostgresPlace } from './postgres-place.ts'
import type { Report, Row } from './report.ts'
import { scaleBrokers } from './scale-places.ts'

/** What is done to the messages beside being handled. */
interface Extra {
  readonly name: string
  readonly consumers: number
  /** Share of messages whose first attempt fails, or all of whose attempts do. */
  readonly failing: number
  readonly fate: 'handled' | 'retried' | 'dead'
}

const extras: readonly Extra[] = [
  { name: 'one consumer', consumers: 1, failing: 0, fate: 'handled' },
  { name: 'three consumers', consumers: 3, failing: 0, fate: 'handled' },
  { name: 'one consumer, a tenth is retried once', consumers: 1, failing: 10, fate: 'retried' },
  { name: 'one consumer, a tenth dies', consumers: 1, failing: 10, fate: 'dead' },
]
const usual = ['kafka', 'nats', 'rabbitmq', 'redis', 'postgres']
const batch = 500
const underWayMax = 4000
const finishMsMax = 30_000

interface ExtraRow extends Row {
  readonly ownMicros: number
  readonly serverMicros: number
}

/** What further consumers, retries, dead letters and the outbox add to the cost of a message; one process, both ends. */
export async function bench({ rounds, isSmoke, only }: BenchOptions): Promise<Report> {
  const messages = isSmoke ? 1000 : 10_000
  const rows: ExtraRow[] = []
  const notes: string[] = []
  for (const name of (only ?? usual).filter((each) => each !== 'outbox')) {
    const broker = scaleBrokers[name]?.() ?? { reason: 'no such broker' }
    if ('reason' in broker) {
      notes.push(`${name} skipped: ${broker.reason}`)
      continue
    }
    const measured: ExtraRow[] = []
    for (const extra of extras) {
      const place = await broker.open()
      const title = `${name}: ${extra.name}`
      try {
        const measuring = { title, extra, messages, rounds, cpuMicros: place.cpuMicros }
        measured.push(await measureExtra(place.url, measuring))
      } catch (error) {
        notes.push(`${title}: FAILED, ${error instanceof Error ? error.message : String(error)}`)
      } finally {
        await place.drop().catch(() => undefined)
      }
      console.error(title)
    }
    rows.push(
      ...measured.map((row, at) => ({
        ...row,
        ratio: at === 0 ? null : row.rate / (measured[0]?.rate ?? 1),
      })),
    )
    broker.close()
  }
  if (only === undefined || only.includes('outbox'))
    rows.push(await measureOutbox(messages, rounds))
  return {
    bench: 'scale-extras',
    bars: [],
    rows,
    details: [
      '| of one message | Treaty CPU µs | server CPU µs |',
      '| --- | ---: | ---: |',
      ...rows.map(
        ({ name, ownMicros, serverMicros }) =>
          `| ${name} | ${ownMicros.toFixed(0)} | ${serverMicros.toFixed(0)} |`,
      ),
    ],
    notes: [
      `messages of ${messageBytes} B, keyed, validated on both ends, ${messages} a round, publishMany of ${batch}, at most ${underWayMax} under way, one process; of three consumers each handles every message; a retry waits 10 ms; ratio to one consumer`,
      'outbox: rows written in transactions of 500 and relayed to Kafka, which nobody consumes; the server is PostgreSQL, and Kafka’s part is that of publishing',
      ...notes,
    ],
  }
}

function contractOf(extra: Extra): Contract {
  const names = Array.from({ length: extra.consumers }, (_, at) => `consumer-${at}`)
  const retry = { attempts: extra.fate === 'dead' ? 1 : 3, base: '10ms', jitter: 'none' } as const
  return defineContract({
    treaty: 1,
    id: 'bench.extras',
    version: '1.0.0',
    status: 'active',
    purpose: 'Shows what a message costs beside being handled.',
    owner: { team: 'bench' },
    pattern: 'pub-sub',
    envelope: 'treaty',
    channels: { orders: { address: 'bench.extras', key: 'customer.id', ordering: 'per-key' } },
    events: { 'order.placed': { channel: 'orders', purpose: 'An order.', schema: orderSchema } },
    producers: { shop: {} },
    consumers: Object.fromEntries(
      names.map((name) => [
        name,
        {
          accepts: '^1.0.0',
          events: { 'order.placed': { needs: ['orderId'] } },
          retry,
          deadLetter: { address: `bench.extras.${name}.dead`, retention: '1d' },
        },
      ]),
    ),
  })
}

interface Measuring {
  readonly title: string
  readonly extra: Extra
  readonly messages: number
  readonly rounds: number
  readonly cpuMicros: () => number | Promise<number>
}

async function measureExtra(url: string, measuring: Measuring): Promise<ExtraRow> {
  const { title, extra, messages, rounds, cpuMicros } = measuring
  const bus = await openBus({ contracts: [contractOf(extra)], transport: url, service: 'shop' })
  const progress = { ended: 0 }
  const isFailing = (order: Order) =>
    extra.failing > 0 && Number.parseInt(order.orderId.slice(-4), 16) % extra.failing === 0
  const orders = makeOrders(messages)
  try {
    for (let at = 0; at < extra.consumers; at += 1) {
      await bus.consume(
        `consumer-${at}`,
        {
          'order.placed': (message: { data: unknown }, context: { attempt: number }) => {
            if (context.attempt > 1 || !isFailing(message.data as Order)) return
            throw new Error('as the bench wants it')
          },
        },
        {
          concurrency: 1000,
          prefetch: 1000,
          onSettled({ outcome }) {
            if (outcome === 'ack' || outcome === 'dead') progress.ended += 1
          },
        },
      )
    }
    const round = () => publishAll(bus, { orders, progress, consumers: extra.consumers })
    return await measureRounds(title, { rounds, messages, cpuMicros, round })
  } finally {
    await bus.close()
  }
}

type AnyBus = Awaited<ReturnType<typeof openBus>>

async function publishAll(
  bus: AnyBus,
  given: {
    readonly orders: readonly Order[]
    readonly progress: { ended: number }
    readonly consumers: number
  },
): Promise<void> {
  const { orders, progress, consumers } = given
  progress.ended = 0
  for (let at = 0; at < orders.length; at += batch) {
    await until(() => at * consumers - progress.ended <= underWayMax)
    const part = orders.slice(at, at + batch)
    const results = await bus.publishMany(part.map((data) => ({ event: 'order.placed', data })))
    for (const result of results) if ('error' in result) throw result.error
  }
  await until(() => progress.ended >= orders.length * consumers)
}

async function until(condition: () => boolean): Promise<void> {
  const begunAt = performance.now()
  while (!condition()) {
    if (performance.now() - begunAt > finishMsMax) throw new Error('messages did not come')
    await delay(2)
  }
}

async function measureRounds(
  name: string,
  given: {
    readonly rounds: number
    readonly messages: number
    readonly cpuMicros: () => number | Promise<number>
    readonly round: () => Promise<void>
  },
): Promise<ExtraRow> {
  const { rounds, messages, cpuMicros, round } = given
  const measured: { readonly rate: number; readonly own: number; readonly server: number }[] = []
  // One more goes first and is forgotten.
  for (let number = -1; number < rounds; number += 1) {
    const before = { own: process.cpuUsage(), server: await cpuMicros(), at: performance.now() }
    await round()
    const rate = (messages / (performance.now() - before.at)) * 1000
    const own = process.cpuUsage(before.own)
    const server = (await cpuMicros()) - before.server
    if (number < 0) continue
    measured.push({ rate, own: (own.user + own.system) / messages, server: server / messages })
  }
  const ownMicros = median(measured.map(({ own }) => own))
  const serverMicros = median(measured.map(({ server }) => server))
  return {
    name,
    rate: median(measured.map(({ rate }) => rate)),
    ratio: null,
    cpuMicros: ownMicros + serverMicros,
    p99Ms: null,
    ownMicros,
    serverMicros,
  }
}

/** From the first row until none is left: rows in transactions of 500, one relay. */
async function measureOutbox(messages: number, rounds: number): Promise<ExtraRow> {
  const [kafka, postgres] = [scaleBrokers.kafka?.(), startPeer('postgres')]
  if (kafka === undefined || 'reason' in kafka || 'reason' in postgres) {
    throw new Error('the outbox needs Kafka and PostgreSQL')
  }
  const [place, database] = [await kafka.open(), await freshDatabase(postgres.url)]
  try {
    return await relayed(place.url, { database, messages, rounds })
  } finally {
    await database.drop()
    await place.drop()
    kafka.close()
    postgres.release()
  }
}

async function relayed(
  transport: string,
  given: { readonly database: PostgresPlace; readonly messages: number; readonly rounds: number },
): Promise<ExtraRow> {
  const { database, messages, rounds } = given
  const plain = extras[0] as Extra
  const bus = await openBus({
    contracts: [contractOf(plain)],
    transport,
    service: 'shop',
    outbox: { url: database.url },
  })
  const client = new Client({ connectionString: database.url })
  await client.connect()
  const orders = makeOrders(messages)
  const waiting = async () => (await client.query('SELECT 1 FROM treaty.outbox LIMIT 1')).rowCount
  try {
    return await measureRounds('postgres to kafka: outbox, one relay', {
      rounds,
      messages,
      cpuMicros: database.cpuMicros,
      async round() {
        for (let at = 0; at < messages; at += batch) {
          await client.query('BEGIN')
          const part = orders.slice(at, at + batch)
          await bus
            .outbox(client)
            .publishMany(part.map((data) => ({ event: 'order.placed', data })))
          await client.query('COMMIT')
        }
        while ((await waiting()) !== 0) await delay(10)
      },
    })
  } finally {
    await client.end()
    await bus.close()
  }
}
