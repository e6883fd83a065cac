import type { Load } from './bus-load.ts'
import { type BenchOptions, measureSides, quantile } from './measure.ts'
import { messageBytes } from './orders.ts'
import { atLeast, type Bar, type Report, type Row } from './report.ts'
import type { BrokerBench } from './transports/broker-bench.ts'
import { type EndsSide, openSide } from './transports/ends.ts'

type OpenBroker = (load: Load) => Promise<BrokerBench | { readonly reason: string }>

const brokers: Readonly<Record<string, () => Promise<{ openBroker: OpenBroker }>>> = {
  postgres: () => import('./transports/postgres.ts'),
  kafka: () => import('./transports/kafka.ts'),
  nats: () => import('./transports/nats.ts'),
  rabbitmq: () => import('./transports/rabbitmq.ts'),
  redis: () => import('./transports/redis.ts'),
}

/** For latencies: far from what any of them can do. */
const pace = { perSecond: 500, seconds: 4 }

interface Measured {
  readonly rows: readonly Row[]
  readonly bars: readonly Bar[]
  readonly notes: readonly string[]
}

/** Each broker in turn: Treaty, its client alone and NestJS microservices, from the publish call to the acknowledgement. */
export async function bench(options: BenchOptions): Promise<Report> {
  const load: Load = { messages: options.isSmoke ? 1000 : 20_000, batch: 500, window: 4000 }
  const asked = Object.entries(brokers).filter(([name]) => options.only?.includes(name) ?? true)
  const measured: Measured[] = []
  for (const [name, load_] of asked) {
    const { openBroker } = await load_()
    const broker = await openBroker(load)
    if ('reason' in broker) {
      measured.push({ rows: [], bars: [], notes: [`${name} skipped: ${broker.reason}`] })
      continue
    }
    try {
      measured.push(await measureBroker(name, broker, options))
    } finally {
      await broker.close()
    }
  }
  return {
    bench: 'transports',
    rows: measured.flatMap(({ rows }) => rows),
    bars: measured.flatMap(({ bars }) => bars),
    notes: [
      `messages of ${messageBytes} B, keyed by 1000 customers; batches of ${load.batch}, at most ${load.window} published and not acknowledged; p50 and p99 from the publish call to the handler, one message at a time, ${pace.perSecond} a second`,
      'Treaty: publishMany, 1000 handlers, validated on both ends; all sides: the same envelope of 500 B written as JSON and parsed, producer and consumer in one process; CPU with the server’s',
      ...measured.flatMap(({ notes }) => notes),
    ],
  }
}

async function measureBroker(
  name: string,
  broker: BrokerBench,
  { rounds, isSmoke }: BenchOptions,
): Promise<Measured> {
  const { treaty, bare, nest, others = {} } = broker.sides
  const openings = Object.entries({
    ...(treaty === undefined ? {} : { [`${name}: Treaty`]: treaty }),
    [`${name}: bare client`]: bare,
    ...(nest === undefined ? {} : { [`${name}: NestJS`]: nest }),
    ...Object.fromEntries(Object.entries(others).map(([own, open]) => [`${name}: ${own}`, open])),
  })
  const sides: EndsSide[] = []
  try {
    for (const [title, open] of openings) {
      sides.push(await openSide(title, { ...broker, open }))
    }
    const rows = await measureSides(sides, { rounds, reference: `${name}: bare client` })
    const paced = isSmoke ? { ...pace, seconds: 1 } : pace
    const withLatency: Row[] = []
    for (const [at, row] of rows.entries()) {
      const latencies = (await sides[at]?.paced(paced)) ?? []
      withLatency.push({
        ...row,
        p50Ms: quantile(latencies, 0.5),
        p99Ms: quantile(latencies, 0.99),
      })
    }
    return { rows: withLatency, bars: barsOf(name, withLatency, broker.bar), notes: broker.notes }
  } finally {
    for (const side of sides) await side.close()
  }
}

function barsOf(name: string, rows: readonly Row[], bar: number): Bar[] {
  const find = (own: string) => rows.find((row) => row.name === `${name}: ${own}`)
  const [treaty, nest] = [find('Treaty'), find('NestJS')]
  const times = treaty && nest ? treaty.rate / nest.rate : null
  return [
    atLeast(`${name}: Treaty ÷ bare client`, bar, treaty?.ratio ?? null),
    ...(nest === undefined ? [] : [atLeast(`${name}: Treaty ÷ NestJS`, 2, times)]),
  ]
}
