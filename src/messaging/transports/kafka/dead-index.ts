import type { Clock } from '../../../core/clock.ts'
import type { DeadFilter, DeadLetterSummary } from '../../transport.ts'
import {
  type Asked,
  type DeadFacts,
  type DeadRecord,
  decodeDead,
  summaryOf,
} from './dead-record.ts'
import { markOf, marks } from './messages.ts'
import { topicOf } from './names.ts'
import type { Producer } from './producer.ts'
import { readLogs, readToEnd } from './reader.ts'
import type { Registry } from './registry.ts'
import type { Line, Wire } from './wire.ts'

/** Where a dead letter is, and what is needed to list it. */
export interface Filed {
  readonly id: string
  readonly topic: string
  readonly offset: number
  readonly summary: DeadLetterSummary
  readonly facts: Pick<DeadFacts, 'counted' | 'isBlocked'>
  readonly asked: Asked | undefined
}

/** Every dead letter on the broker, without the bodies, followed in memory. */
export interface DeadIndex {
  /** Reads what came since; letters whose replay is in its lane are taken away. */
  refresh(): Promise<void>
  find(id: string): Filed | undefined
  /** Letters that can be replayed or discarded, oldest first. */
  list(filter: DeadFilter): readonly Filed[]
  /** Letters of a group whose owner was asked to do something. */
  asks(group: string): readonly Filed[]
  /** The whole record. */
  read(filed: Filed): Promise<DeadRecord | undefined>
  /** Topic of a group's dead letters; of those without a group where it is null. */
  topicFor(group: string | null): string
  /** While we replay it ourselves its record is not looked into. */
  readonly ours: Set<string>
}

export interface DeadIndexOptions {
  readonly wire: Wire
  readonly line: Line
  readonly producer: Producer
  readonly registry: Registry
  readonly clock: Clock
}

export function createDeadIndex(options: DeadIndexOptions): DeadIndex {
  return new Index(options)
}

class Index implements DeadIndex {
  readonly ours = new Set<string>()
  readonly #options: DeadIndexOptions
  readonly #filed = new Map<string, Filed>()
  readonly #next = new Map<string, number>()
  readonly #start = new Map<string, number>()
  /** Offset up to which a lane was searched for the replay of a letter. */
  readonly #searched = new Map<string, number>()
  #sorted: readonly Filed[] | undefined
  #reading: Promise<void> | undefined
  #following: Promise<void> | undefined

  constructor(options: DeadIndexOptions) {
    this.#options = options
  }

  topicFor(group: string | null): string {
    const { registry, wire } = this.#options
    const { prefix } = wire.target
    const known = group === null ? undefined : registry.group(group)
    // What replies is gone with its process: no topic is made for it.
    if (known === undefined || known.ephemeral === true) return `${prefix}treaty.dead`
    return topicOf(known.deadLetter.address, prefix)
  }

  /** A reading that begins after now: the one under way may have missed what the caller knows of. */
  refresh(): Promise<void> {
    if (this.#reading === undefined) {
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined
      })
      return this.#reading
    }
    this.#following ??= this.#reading
      .catch(() => undefined)
      .then(() => {
        this.#following = undefined
        return this.refresh()
      })
    return this.#following
  }

  async #read(): Promise<void> {
    const { wire, line, registry } = this.#options
    await registry.refresh()
    const wanted = [this.topicFor(null), ...registry.deadTopics.keys()]
    const there = await wire.topics(wanted)
    const reaches = wanted
      .filter((topic) => there.has(topic))
      .map((topic) => ({
        topic,
        partition: 0,
        offset: this.#next.get(topic) ?? 0,
        bytesMax: 1_048_576,
      }))
    for await (const chunk of readToEnd(wire, line, reaches)) {
      for (const record of chunk.records) this.#take(chunk.topic, record)
      this.#next.set(chunk.topic, chunk.next)
      this.#start.set(chunk.topic, chunk.start)
    }
    await this.#resolve()
  }

  #take(topic: string, record: Parameters<typeof decodeDead>[0]): void {
    const id = record.key?.toString() ?? ''
    this.#sorted = undefined
    const dead = record.value === null ? undefined : decodeDead(record)
    if (dead === undefined) {
      this.#filed.delete(id)
      return
    }
    const { counted, isBlocked } = dead.facts
    this.#filed.set(id, {
      id,
      topic,
      offset: record.offset,
      summary: summaryOf(dead),
      facts: { counted, ...(isBlocked === undefined ? {} : { isBlocked }) },
      asked: dead.asked,
    })
  }

  /** Somebody began to replay these and may have died: what is in its lane already is no dead letter any more. */
  async #resolve(): Promise<void> {
    const open = [...this.#filed.values()].filter(
      ({ id, asked }) => asked?.how === 'replaying' && !this.ours.has(id),
    )
    if (open.length === 0) return
    const { wire, line, registry, producer } = this.#options
    const wanted = new Map(open.map((filed) => [filed.id, filed]))
    const reaches = new Map<string, { topic: string; partition: number; offset: number }>()
    for (const { id, summary, asked } of open) {
      const topic = registry.channel(summary.address)?.topic
      if (topic === undefined) continue
      const partition = asked?.partition ?? 0
      const offset = this.#searched.get(id) ?? asked?.from ?? 0
      const before = reaches.get(`${topic}#${partition}`)?.offset ?? offset
      reaches.set(`${topic}#${partition}`, { topic, partition, offset: Math.min(before, offset) })
    }
    const found: Filed[] = []
    for await (const chunk of readToEnd(wire, line, [...reaches.values()])) {
      for (const record of chunk.records) {
        const filed = wanted.get(markOf(record, marks.replayOf) ?? '')
        if (filed !== undefined) found.push(filed)
      }
      for (const { id, asked } of open) {
        if (asked?.partition === chunk.partition) this.#searched.set(id, chunk.next)
      }
    }
    for (const { id, topic } of found) {
      await producer.appendAll([
        { topic, partition: 0, key: Buffer.from(id), value: null, headers: new Map() },
      ])
      this.#filed.delete(id)
      this.#searched.delete(id)
      this.#sorted = undefined
    }
  }

  find(id: string): Filed | undefined {
    const filed = this.#filed.get(id)
    return filed !== undefined && this.#isListed(filed) ? filed : undefined
  }

  /** Not asked for, and not past its time: the broker deletes by whole segments, so a little late. */
  #isListed({ topic, offset, asked, summary }: Filed): boolean {
    if (asked?.how === 'replay' || asked?.how === 'discard') return false
    if (offset < (this.#start.get(topic) ?? 0)) return false
    const { registry, clock } = this.#options
    const retentionMs = registry.deadTopics.get(topic) ?? refusedRetentionMs
    return summary.failedAt + retentionMs > clock.now()
  }

  list(filter: DeadFilter): readonly Filed[] {
    this.#sorted ??= [...this.#filed.values()].sort(
      (one, two) => one.summary.failedAt - two.summary.failedAt || (one.id < two.id ? -1 : 1),
    )
    return this.#sorted.filter((filed) => matches(filed.summary, filter) && this.#isListed(filed))
  }

  asks(group: string): readonly Filed[] {
    return [...this.#filed.values()].filter(
      ({ summary, asked }) =>
        summary.group === group && (asked?.how === 'replay' || asked?.how === 'discard'),
    )
  }

  async read({ topic, offset }: Filed): Promise<DeadRecord | undefined> {
    const { wire, line } = this.#options
    const reach = { topic, partition: 0, offset, bytesMax: 1 }
    const chunks = await wire.persist(() => readLogs(wire, line, { reaches: [reach], waitMs: 200 }))
    const record = chunks[0]?.records.find((each) => each.offset === offset)
    return record === undefined ? undefined : decodeDead(record)
  }
}

/** How long bytes that were refused before any consumer are kept. */
export const refusedRetentionMs = 30 * 86_400_000

function matches(summary: DeadLetterSummary, filter: DeadFilter): boolean {
  const { consumer, event, reason, failedAfter, failedBefore } = filter
  return (
    (consumer === undefined || summary.consumer === consumer) &&
    (event === undefined || summary.event === event) &&
    (reason === undefined || summary.reason === reason) &&
    (failedAfter === undefined || summary.failedAt >= failedAfter) &&
    (failedBefore === undefined || summary.failedAt <= failedBefore)
  )
}
