import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type BenchOptions, median } from './measure.ts'
import { messageBytes } from './orders.ts'
import type { Report, Row } from './report.ts'
import type { ScaleTask } from './scale-child.ts'
import { type Crowd, startCrowd, type Used, windowMax } from './scale-crowd.ts'
import { type Place, type ScaleBroker, scaleBrokers } from './scale-places.ts'

/** Who does what, and into how many partitions (lanes) the channel is split. */
interface Shape {
  readonly roles: readonly ScaleTask['role'][]
  readonly partitions: number
}

const lanes = 12
const byProcesses: readonly Shape[] = [
  { roles: ['both'], partitions: lanes },
  { roles: ['both', 'both'], partitions: lanes },
  { roles: ['both', 'both', 'both', 'both'], partitions: lanes },
  { roles: ['producer', 'consumer'], partitions: lanes },
]
const byPartitions: readonly Shape[] = [
  { roles: ['both', 'both'], partitions: 1 },
  { roles: ['both', 'both'], partitions: 4 },
]

/** Those of the issue; `--only sqlite` shows the embedded broker too, which stays on one machine whatever it does. */
const usual = ['kafka', 'nats', 'rabbitmq', 'redis', 'postgres']
/** Milliseconds in which lanes are shared after the first messages. */
const sharingMs = 3000
/** Milliseconds for all: rounds are left out, one at least is run, where the machine is too slow for them. */
const budgetMs = 240_000

/** Throughput of one channel and one consumer against processes and partitions, on each broker, all on this machine. */
export async function bench(options: BenchOptions): Promise<Report> {
  const asked = options.only ?? usual
  const messages = options.isSmoke ? 1000 : 10_000
  const shapeMs = budgetMs / (asked.length * (byProcesses.length + byPartitions.length))
  const rows: ScaleRow[] = []
  const notes: string[] = []
  for (const name of asked) {
    const broker = scaleBrokers[name]?.() ?? { reason: 'no such broker' }
    if ('reason' in broker) {
      notes.push(`${name} skipped: ${broker.reason}`)
      continue
    }
    try {
      const task = { messages, rounds: options.rounds, shapeMs }
      const measured = await measureBroker(name, broker, task)
      rows.push(...measured.rows)
      notes.push(...measured.notes)
    } finally {
      broker.close()
    }
  }
  return {
    bench: 'scale',
    bars: [],
    rows,
    details: detailsOf(rows),
    notes: [
      `messages of ${messageBytes} B, keyed, validated on both ends, ${messages} a round; each process is a producer of its share (publishMany of 500) and a replica of the one consumer (1000 handlers), or only one of them; at most ${windowMax} under way; ratio to one process; one shape after the other, not in turns`,
      'all processes and the servers share the cores of this machine: rates say little of what more machines would do; CPU µs and bytes a message are what a plan needs (docs/explanation/scaling.md)',
      ...notes,
    ],
  }
}

interface ScaleRow extends Row {
  readonly cost: Cost
}

/** For one message. */
interface Cost {
  readonly producerMicros: number
  readonly consumerMicros: number
  /** Of processes that are both. */
  readonly bothMicros: number
  readonly serverMicros: number
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly diskBytes: number
}

interface Task {
  readonly messages: number
  readonly rounds: number
  readonly shapeMs: number
}

async function measureBroker(
  name: string,
  broker: ScaleBroker,
  task: Task,
): Promise<{ rows: ScaleRow[]; notes: string[] }> {
  const rows: ScaleRow[] = []
  const notes: string[] = []
  for (const shape of broker.hasLanes ? [...byProcesses, ...byPartitions] : byProcesses) {
    const title = titleOf(name, shape, broker)
    const place = await broker.open()
    try {
      const row = await measureShape(title, { ...task, place, shape })
      rows.push({ ...row, ratio: rows[0] === undefined ? null : row.rate / rows[0].rate })
      console.error(`${title}: ${Math.round(row.rate)} a second`)
    } catch (error) {
      // One shape that fails says so; the others are still worth their time.
      notes.push(`${title}: FAILED, ${error instanceof Error ? error.message : String(error)}`)
      console.error(notes.at(-1))
    } finally {
      await place.drop().catch((error: unknown) => console.error(`${title}: not tidied: ${error}`))
    }
  }
  return { rows, notes }
}

function titleOf(name: string, { roles, partitions }: Shape, broker: ScaleBroker): string {
  const who = roles.includes('producer')
    ? 'producer and consumer apart'
    : `${roles.length} ${roles.length === 1 ? 'process' : 'processes'}`
  const split = partitions === 1 ? '1 partition' : `${partitions} partitions`
  return `${name}: ${who}${broker.hasLanes ? `, ${split}` : ''}`
}

async function measureShape(
  name: string,
  task: Task & { readonly place: Place; readonly shape: Shape },
): Promise<ScaleRow> {
  const { place, shape, messages, rounds, shapeMs } = task
  const begunAt = performance.now()
  const address = `bench.${randomUUID()}`
  const tasks = shape.roles.map((role, number): ScaleTask => {
    return { transport: place.url, address, partitions: shape.partitions, role, number }
  })
  const crowd = await startCrowd(tasks)
  const measured: { readonly rate: number; readonly cost: Cost }[] = []
  try {
    await crowd.round(Math.ceil(messages / 4))
    if (shape.roles.length > 1) await delay(sharingMs)
    for (let round = 0; round < rounds; round += 1) {
      if (round > 0 && performance.now() - begunAt > shapeMs) break
      measured.push(await measureRound(crowd, place, messages))
    }
  } finally {
    await crowd.end()
  }
  const costs = measured.map(({ cost }) => cost)
  const cost = medianCost(costs)
  return {
    name,
    rate: median(measured.map(({ rate }) => rate)),
    ratio: null,
    cpuMicros: cost.producerMicros + cost.consumerMicros + cost.bothMicros + cost.serverMicros,
    p99Ms: null,
    cost,
  }
}

async function measureRound(
  crowd: Crowd,
  place: Place,
  messages: number,
): Promise<{ rate: number; cost: Cost }> {
  const look = async () => ({
    own: crowd.used(),
    cpu: await place.cpuMicros(),
    disk: place.diskBytes(),
  })
  const before = await look()
  const begunAt = performance.now()
  await crowd.round(messages)
  const rate = (messages / (performance.now() - begunAt)) * 1000
  const after = await look()
  const grown = (read: (used: Used) => number, role?: Used['role']) => {
    const sum = (all: readonly Used[]) =>
      all
        .filter((each) => role === undefined || each.role === role)
        .reduce((total, each) => total + read(each), 0)
    return (sum(after.own) - sum(before.own)) / messages
  }
  const cpu = (used: Used) => used.cpuMicros
  return {
    rate,
    cost: {
      producerMicros: grown(cpu, 'producer'),
      consumerMicros: grown(cpu, 'consumer'),
      bothMicros: grown(cpu, 'both'),
      serverMicros: (after.cpu - before.cpu) / messages,
      sentBytes: grown((used) => used.sentBytes),
      receivedBytes: grown((used) => used.receivedBytes),
      diskBytes: (after.disk - before.disk) / messages,
    },
  }
}

function medianCost(costs: readonly Cost[]): Cost {
  const of = (field: keyof Cost) => median(costs.map((cost) => cost[field]))
  return {
    producerMicros: of('producerMicros'),
    consumerMicros: of('consumerMicros'),
    bothMicros: of('bothMicros'),
    serverMicros: of('serverMicros'),
    sentBytes: of('sentBytes'),
    receivedBytes: of('receivedBytes'),
    diskBytes: of('diskBytes'),
  }
}

/** The table that scaling.md is made from. */
function detailsOf(rows: readonly ScaleRow[]): string[] {
  const number = (value: number) => Math.round(value).toLocaleString('en')
  const own = ({ producerMicros, consumerMicros, bothMicros }: Cost) =>
    bothMicros > 0 ? number(bothMicros) : `${number(producerMicros)} + ${number(consumerMicros)}`
  return [
    '| of one message | Treaty CPU µs | server CPU µs | bytes sent | bytes received | bytes to the server’s disk |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...rows.map(({ name, cost }) => {
      const bytes = [cost.sentBytes, cost.receivedBytes, cost.diskBytes].map(number).join(' | ')
      return `| ${name} | ${own(cost)} | ${number(cost.serverMicros)} | ${bytes} |`
    }),
  ]
}
