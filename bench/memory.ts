import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Bus, openBus } from 'treatyjs'
import { createFlow, type Flow, makeOrders } from './bus-load.ts'
import { type BenchOptions, median, quantile } from './measure.ts'
import { type Order, orderContract } from './orders.ts'
import { scratchFolder } from './peers.ts'
import { atMost, type Report, type Row } from './report.ts'

interface Sample {
  readonly messages: number
  readonly rssMiB: number
  readonly heapMiB: number
}

const mebibyte = 1024 * 1024
const samples = 20

// Without a collection before each look the series would show when the collector last ran, not what is kept.
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** One sample of the process, after a collection. */
function takeSample(messages: number): Sample {
  collect()
  const { rss, heapUsed } = process.memoryUsage()
  return { messages, rssMiB: rss / mebibyte, heapMiB: heapUsed / mebibyte }
}

/** Memory over many messages, and the listing of many dead letters. */
export async function bench(options: BenchOptions): Promise<Report> {
  const scratch = scratchFolder()
  const bus = await openBus({
    contracts: [orderContract()],
    transport: `sqlite:${join(scratch.path, 'bus.db')}`,
    service: 'shop',
  })
  try {
    const messages = options.isSmoke ? 10_000 : 1_000_000
    const dead = options.isSmoke ? 1000 : 100_000
    const flowing = await streamMessages(bus, messages)
    const listing = await listDead(bus, dead, options)
    return {
      bench: 'memory',
      bars: [
        atMost(
          `heap, last quarter ÷ second quarter of ${messages} messages`,
          1.1,
          flowing.heapRatio,
        ),
        atMost(`RSS, last quarter ÷ second quarter of ${messages} messages`, 1.1, flowing.rssRatio),
        atMost(`slowest kind of page of ${dead} dead letters, median, ms`, 200, listing.slowestMs),
      ],
      rows: [flowing.row, ...listing.rows],
      notes: [
        `${messages} messages through the embedded bus, a sample each ${messages / samples}`,
        `${dead} dead letters made by ingest of invalid bytes; pages of 100`,
      ],
      details: flowing.series,
    }
  } finally {
    await bus.close()
    scratch.remove()
  }
}

async function streamMessages(bus: Bus, messages: number) {
  const perSample = messages / samples
  const load = { messages: perSample, batch: 500, window: 4000 }
  const orders = makeOrders(perSample)
  let flow: Flow | undefined
  const subscription = await bus.consume(
    'billing',
    { 'order.placed': (message: { data: unknown }) => flow?.handling(message.data as Order) },
    { concurrency: 1000, onSettled: () => flow?.acknowledged(1) },
  )
  const series: Sample[] = []
  const cpuBefore = process.cpuUsage()
  const begunAt = performance.now()
  const latencies: number[] = []
  for (let n = 1; n <= samples; n += 1) {
    const current = createFlow(load, orders)
    flow = current
    latencies.push(
      ...(await current.run((batch) =>
        bus.publishMany(batch.map((data) => ({ event: 'order.placed', data }))),
      )),
    )
    series.push(takeSample(n * perSample))
  }
  const seconds = (performance.now() - begunAt) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  await subscription.stop()
  const quarter = (number: number) =>
    series.slice((samples / 4) * number, (samples / 4) * (number + 1))
  const ratio = (of: (sample: Sample) => number) =>
    median(quarter(3).map(of)) / median(quarter(1).map(of))
  return {
    heapRatio: ratio((sample) => sample.heapMiB),
    rssRatio: ratio((sample) => sample.rssMiB),
    series: [
      'messages, RSS MiB, heap MiB:',
      ...series.map(
        ({ messages: count, rssMiB, heapMiB }) =>
          `  ${count}, ${rssMiB.toFixed(0)}, ${heapMiB.toFixed(1)}`,
      ),
      '',
    ],
    row: {
      name: 'messages through the bus',
      rate: messages / seconds,
      ratio: null,
      cpuMicros: (cpu.user + cpu.system) / messages,
      p99Ms: quantile(latencies, 0.99),
    } satisfies Row,
  }
}

type Query = NonNullable<Parameters<Bus['dead']['list']>[0]>

async function listDead(bus: Bus, count: number, options: BenchOptions) {
  const bytes = Buffer.from('{ "orderId": "not a uuid", "lines": [] }')
  const chunk = 1000
  for (let made = 0; made < count; made += chunk) {
    await Promise.all(
      Array.from({ length: chunk }, () => bus.ingest('order.placed', bytes, { source: 'bench' })),
    )
  }
  const kept = await bus.dead.count()
  if (kept !== count) throw new Error(`${kept} dead letters instead of ${count}`)
  const pages: Record<string, Query> = {
    'first page': { limit: 100 },
    'first page of an event': { limit: 100, event: 'order.placed' },
    'page of an event that has none': { limit: 100, event: 'order.cancelled' },
    'page of a consumer that has none': { limit: 100, consumer: 'billing' },
    'last page': { limit: 100, cursor: await lastCursor(bus) },
  }
  const rows: Row[] = []
  for (const [name, query] of Object.entries(pages)) {
    rows.push(await timeOf(name, () => bus.dead.list(query), options.rounds * 4))
  }
  rows.push(await timeOf('count', () => bus.dead.count(), options.rounds))
  const slowestMs = Math.max(...rows.map((row) => 1000 / row.rate))
  rows.push(await timeOf(`all ${count}, page by page`, () => lastCursor(bus), options.rounds))
  return { rows, slowestMs }
}

/** Walks all pages; the cursor that gives the last. */
async function lastCursor(bus: Bus): Promise<string> {
  let cursor = ''
  for (;;) {
    const page = await bus.dead.list({ limit: 1000, ...(cursor === '' ? {} : { cursor }) })
    if (page.next === undefined) return cursor
    cursor = page.next
  }
}

async function timeOf(name: string, work: () => Promise<unknown>, times: number): Promise<Row> {
  const cpuBefore = process.cpuUsage()
  const elapsed: number[] = []
  for (let n = 0; n < times; n += 1) {
    const begunAt = performance.now()
    await work()
    elapsed.push(performance.now() - begunAt)
  }
  const cpu = process.cpuUsage(cpuBefore)
  return {
    name: `dead letters: ${name}`,
    rate: 1000 / median(elapsed),
    ratio: null,
    cpuMicros: (cpu.user + cpu.system) / times,
    p99Ms: quantile(elapsed, 0.99),
  }
}
