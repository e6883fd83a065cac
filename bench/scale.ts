import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type BenchOptions, median } from './measure.ts'
import { messageBytes } from './orders.ts'
import { scratchFolder, startPeer } from './peers.ts'
import { freshDatabase } from './postgres-place.ts'
import type { Report, Row } from './report.ts'
import type { ScaleTask } from './scale-child.ts'
import { processCpuMicros, serviceCpu } from './server-cpu.ts'

/** Processes, each a producer and a replica of the consumer; partitions (lanes) of the channel. */
const shapes = [
  { processes: 1, partitions: 12 },
  { processes: 2, partitions: 12 },
  { processes: 4, partitions: 12 },
  { processes: 2, partitions: 1 },
  { processes: 2, partitions: 4 },
] as const
type Shape = (typeof shapes)[number]

/** Messages under way at which all producers wait. */
const windowMax = 8000
/** Milliseconds in which lanes are shared after the first messages. */
const sharingMs = 3000

interface Place {
  readonly url: string
  /** Whether partitions mean something there. */
  readonly hasLanes: boolean
  readonly serverCpu: () => number | Promise<number>
  close(): Promise<void>
}

const brokers: Readonly<Record<string, () => Promise<Place | { readonly reason: string }>>> = {
  sqlite: async () => {
    const scratch = scratchFolder()
    const url = `sqlite:${join(scratch.path, 'scale.db')}`
    return { url, hasLanes: false, serverCpu: () => 0, close: async () => scratch.remove() }
  },
  postgres: async () => {
    const peer = startPeer('postgres')
    if ('reason' in peer) return peer
    const place = await freshDatabase(peer.url)
    return { url: place.url, hasLanes: false, serverCpu: place.cpuMicros, close: place.drop }
  },
  kafka: () => servicePlace('kafka'),
  nats: () => servicePlace('nats'),
  rabbitmq: () => servicePlace('rabbitmq'),
  redis: () => servicePlace('redis'),
}

async function servicePlace(name: string): Promise<Place | { readonly reason: string }> {
  const peer = startPeer(name)
  if ('reason' in peer) return peer
  const close = async () => peer.release()
  return { url: peer.url, hasLanes: true, serverCpu: serviceCpu(name), close }
}

/** Throughput of one channel and one consumer against processes and partitions, on each broker, all on this machine. */
export async function bench(options: BenchOptions): Promise<Report> {
  const messages = options.isSmoke ? 1000 : 20_000
  const rows: ScaleRow[] = []
  const notes: string[] = []
  const asked = Object.entries(brokers).filter(([name]) => options.only?.includes(name) ?? true)
  for (const [name, open] of asked) {
    const place = await open()
    if ('reason' in place) {
      notes.push(`${name} skipped: ${place.reason}`)
      continue
    }
    try {
      const chosen = place.hasLanes ? shapes : shapes.slice(0, 3)
      const own: ScaleRow[] = []
      for (const shape of chosen) {
        own.push(await measureShape(name, place, { shape, messages, rounds: options.rounds }))
      }
      rows.push(
        ...own.map((row, at) => ({
          ...row,
          ratio: at === 0 ? null : row.rate / (own[0]?.rate ?? 1),
        })),
      )
    } finally {
      await place.close()
    }
  }
  return {
    bench: 'scale',
    bars: [],
    rows,
    details: rows.map(
      ({ name, cpuMicros, ownMicros }) =>
        `${name}: CPU µs of a message: Treaty ${ownMicros.toFixed(1)}, server ${((cpuMicros ?? 0) - ownMicros).toFixed(1)}`,
    ),
    notes: [
      `messages of ${messageBytes} B, keyed, validated on both ends; each process is a producer of its share (publishMany of 500) and a replica of the one consumer (1000 handlers); at most ${windowMax} under way; ratio to one process`,
      'the servers run on the same two cores: what more processes win here is small; CPU for a message, of all processes, is what grows with machines',
      ...notes,
    ],
  }
}

interface ScaleRow extends Row {
  /** CPU of Treaty's processes alone, for a message, both ends. */
  readonly ownMicros: number
}

interface Task {
  readonly shape: Shape
  readonly messages: number
  readonly rounds: number
}

async function measureShape(name: string, place: Place, task: Task): Promise<ScaleRow> {
  const { shape, messages, rounds } = task
  const crowd = await startCrowd(place, task)
  const rates: number[] = []
  const cpus: { readonly own: number; readonly server: number }[] = []
  try {
    await crowd.round(Math.ceil(messages / 4))
    if (shape.processes > 1) await delay(sharingMs)
    for (let round = 0; round < rounds; round += 1) {
      const before = { own: crowd.cpuMicros(), server: await place.serverCpu() }
      const begunAt = performance.now()
      await crowd.round(messages)
      rates.push((messages / (performance.now() - begunAt)) * 1000)
      cpus.push({
        own: (crowd.cpuMicros() - before.own) / messages,
        server: ((await place.serverCpu()) - before.server) / messages,
      })
    }
  } finally {
    await crowd.end()
  }
  const lanes = place.hasLanes ? `, ${shape.partitions} partitions` : ''
  return {
    name: `${name}: ${shape.processes} ${shape.processes === 1 ? 'process' : 'processes'}${lanes}`,
    rate: median(rates),
    ratio: null,
    cpuMicros: median(cpus.map(({ own, server }) => own + server)),
    ownMicros: median(cpus.map(({ own }) => own)),
    p99Ms: null,
  }
}

interface Crowd {
  /** Sends so many, all processes together; resolves when so many are acknowledged. */
  round(messages: number): Promise<void>
  cpuMicros(): number
  end(): Promise<void>
}

async function startCrowd(place: Place, { shape, messages }: Task): Promise<Crowd> {
  const address = `bench.${randomUUID()}`
  const state = { underWay: 0, left: 0, isFull: false, finish: () => undefined as void }
  const children: ChildProcess[] = []
  const tellAll = (told: object) => {
    for (const child of children) child.send(told)
  }
  const count = (told: { sent?: number; acknowledged?: number }) => {
    state.underWay += (told.sent ?? 0) - (told.acknowledged ?? 0)
    state.left -= told.acknowledged ?? 0
    const isFull = state.underWay > windowMax
    if (isFull !== state.isFull) tellAll({ isFull })
    state.isFull = isFull
    if (state.left <= 0) state.finish()
  }
  for (let number = 0; number < shape.processes; number += 1) {
    const own: ScaleTask = {
      transport: place.url,
      address,
      partitions: shape.partitions,
      messages: Math.ceil(messages / shape.processes),
      number,
    }
    const child = fork(new URL('./scale-child.ts', import.meta.url), [JSON.stringify(own)])
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve())
      child.once('exit', (code) => reject(new Error(`a process of the bench ended with ${code}`)))
    })
    child.on('message', count)
    children.push(child)
  }
  return {
    async round(total) {
      state.left = total
      state.underWay = 0
      const finished = new Promise<void>((resolve) => {
        state.finish = resolve
      })
      tellAll({ go: Math.ceil(total / shape.processes) })
      const late = delay(90_000, 'late' as const, { ref: false })
      if ((await Promise.race([finished, late])) === 'late') {
        throw new Error(`${state.left} of ${total} messages did not come`)
      }
    },
    cpuMicros: () => children.reduce((sum, { pid = 0 }) => sum + processCpuMicros(pid), 0),
    async end() {
      await Promise.all(
        children.map(async (child) => {
          const gone = new Promise((resolve) => child.once('exit', resolve))
          child.send({ end: true })
          await Promise.race([gone, delay(5000)])
          child.kill('SIGKILL')
        }),
      )
    },
  }
}
