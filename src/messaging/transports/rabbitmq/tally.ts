import { randomUUID } from 'node:crypto'
import type { ConfirmChannel, ConsumeMessage } from 'amqplib'
import type { Clock, TimerHandle } from '../../../core/clock.ts'
import type { Link } from './link.ts'
import { createShelf, type OpenShelf, type Shelf } from './shelf.ts'

/** Numbers by counter and event. */
export type Sums = Record<string, Record<string, number>>

/** What one message of a tally says: a change, or everything before it together with the changes that it holds. */
interface TallyRecord {
  readonly id: string
  readonly sums: Sums
  /** Ids of the changes inside; absent: it is a change itself. */
  readonly merged?: readonly string[]
  /** Grows from one whole to the next. */
  readonly n?: number
}

/**
 * Counters that many processes add to: each change is a small message on a shelf, and whoever reads merges them into one. A whole names what
 * it holds, so that a change whose acknowledgement got lost is not added twice.
 */
export interface Tally {
  /** Goes out with what others add within a few milliseconds. */
  add(counter: string, event: string, amount: number): void
  /** What all processes have added. */
  read(): Promise<Sums>
  flush(): Promise<void>
  close(): Promise<void>
}

export interface TallyOptions {
  /** The connection that changes go out on, and the one that is read on. */
  readonly writing: Link
  readonly reading: Link
  readonly clock: Clock
  readonly queue: string
}

/** Milliseconds for which changes are gathered: what a process that is killed may have published and not counted. */
const gatherMs = 20
const mergeFrom = 64
/** Changes of this process after which it merges by itself. */
const mergeAfter = 512

export function createTally(options: TallyOptions): Tally {
  return new QueueTally(options)
}

class QueueTally implements Tally {
  readonly #options: TallyOptions
  readonly #shelf: Shelf
  #pending: Sums = {}
  #unsent: TallyRecord | undefined
  #isDirty = false
  #channel: Promise<ConfirmChannel> | undefined
  #timer: TimerHandle | undefined
  #writing: Promise<void> = Promise.resolve()
  #written = 0

  constructor(options: TallyOptions) {
    this.#options = options
    const { reading, clock, queue } = options
    this.#shelf = createShelf({ link: reading, clock, queue, lingerMs: 20 })
  }

  add(counter: string, event: string, amount: number): void {
    addTo(this.#pending, counter, event, amount)
    this.#isDirty = true
    this.#timer ??= this.#options.clock.setTimeout(() => {
      void this.flush().catch(() => undefined)
    }, gatherMs)
  }

  flush(): Promise<void> {
    if (this.#timer !== undefined) this.#options.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#write())
    return this.#writing
  }

  async #write(): Promise<void> {
    if (!this.#isDirty) return
    // What failed goes again under its id, so that it counts once whatever became of it.
    this.#unsent ??= { id: randomUUID(), sums: this.#pending }
    const record = this.#unsent
    if (record.sums === this.#pending) this.#pending = {}
    this.#isDirty = Object.keys(this.#pending).length > 0
    try {
      await this.#send(record)
    } catch (error) {
      this.#isDirty = true
      throw error
    }
    this.#unsent = undefined
    this.#written += 1
    if (this.#isDirty) await this.#write()
    // Not awaited: reading flushes, and would wait for itself.
    if (this.#written % mergeAfter === 0) void this.read().catch(() => undefined)
  }

  async #send(record: TallyRecord): Promise<void> {
    const { writing, queue } = this.#options
    await writing.ready()
    const channel = await this.#channelOf(writing)
    await new Promise<void>((resolve, reject) => {
      channel.sendToQueue(
        queue,
        Buffer.from(JSON.stringify(record)),
        { persistent: true },
        (error) => {
          if (error) reject(error)
          else resolve()
        },
      )
    })
  }

  #channelOf(link: Link) {
    this.#channel ??= link.channel(() => {
      this.#channel = undefined
    })
    this.#channel.catch(() => {
      this.#channel = undefined
    })
    return this.#channel
  }

  async read(): Promise<Sums> {
    await this.flush().catch(() => undefined)
    return this.#shelf.use(async (open) => {
      const { sums, whole, changes } = summed(open)
      if (changes.length >= mergeFrom) await merge(open, { sums, whole, changes })
      return sums
    })
  }

  async close(): Promise<void> {
    await this.flush().catch(() => undefined)
    await this.#shelf.close()
    const channel = await this.#channel?.catch(() => undefined)
    await channel?.close().catch(() => undefined)
  }
}

interface Summed {
  readonly sums: Sums
  /** The newest whole, and older ones that it replaced. */
  readonly whole: readonly (readonly [ConsumeMessage, TallyRecord])[]
  readonly changes: readonly (readonly [ConsumeMessage, TallyRecord])[]
}

function summed(open: OpenShelf): Summed {
  const records = open.messages.flatMap((message) => {
    const record = parsed(message)
    return record === undefined ? [] : [[message, record] as const]
  })
  const whole = records
    .filter(([, { merged }]) => merged !== undefined)
    .sort(([, one], [, two]) => (two.n ?? 0) - (one.n ?? 0))
  const held = new Set(whole[0]?.[1].merged)
  const sums: Sums = {}
  const add = (more: Sums) => {
    for (const [counter, events] of Object.entries(more)) {
      for (const [event, amount] of Object.entries(events)) addTo(sums, counter, event, amount)
    }
  }
  add(whole[0]?.[1].sums ?? {})
  const changes = records.filter(([, { merged }]) => merged === undefined)
  const seen = new Set<string>()
  for (const [, { id, sums: change }] of changes) {
    if (!held.has(id) && !seen.has(id)) add(change)
    seen.add(id)
  }
  return { sums, whole, changes }
}

async function merge(open: OpenShelf, { sums, whole, changes }: Summed): Promise<void> {
  const n = (whole[0]?.[1].n ?? 0) + 1
  const merged = changes.map(([, { id }]) => id)
  const record: TallyRecord = { id: randomUUID(), n, sums, merged }
  await open.add(Buffer.from(JSON.stringify(record)))
  for (const [message] of [...whole, ...changes]) open.take(message)
}

function parsed({ content }: ConsumeMessage): TallyRecord | undefined {
  try {
    const record = JSON.parse(content.toString()) as TallyRecord
    return typeof record.id === 'string' && typeof record.sums === 'object' ? record : undefined
  } catch {
    return undefined
  }
}

export function addTo(sums: Sums, counter: string, event: string, amount: number): void {
  let events = sums[counter]
  if (events === undefined) {
    events = Object.create(null) as Record<string, number>
    sums[counter] = events
  }
  events[event] = (events[event] ?? 0) + amount
}
