import type { CompactedTopic } from './compacted.ts'
import type { LogRecord } from './log-record.ts'
import { markOf, marks, typeOf } from './messages.ts'
import { laneName, type Place } from './names.ts'
import { readToEnd } from './reader.ts'
import type { Line, Wire } from './wire.ts'

/** How many messages a partition has ever had up to an offset. The same whoever counts: the log alone decides. */
export interface Metered {
  readonly offset: number
  /** Published messages by type. */
  readonly published: ReadonlyMap<string, number>
  /** Replays by group and type, each as the dead letter had been counted. */
  readonly replayed: ReadonlyMap<string, ReadonlyMap<string, Replays>>
}
export interface Replays {
  readonly dead: number
  readonly expired: number
}

/**
 * Counts what is in the logs, each message once: the counts so far are kept in the topic of states, and only what came since is read. No producer has to
 * help, so messages of other people's programs count too.
 */
export interface Meter {
  /** The counts of each partition up to its end, by lane name. */
  read(places: readonly Place[]): Promise<ReadonlyMap<string, Metered>>
  /** The counts up to an earlier offset of a partition that was read. */
  before(place: Place, offset: number): Promise<Metered>
  /** A consumer reads the log anyhow: what it has read from the offset on where the count ends need not be read again. */
  pass(place: Place, read: { from: number; next: number; records: readonly LogRecord[] }): void
  /** Writes down what was counted since it was last written; not again within `gapMs`. */
  save(gapMs?: number): Promise<void>
  /** Offset up to which the counts of a partition are written down. */
  savedOffset(place: Place): number
  /** A record of the topic of states. */
  take(key: string, value: Buffer | null): void
}

const prefix = 'meter:'
const readBytes = 1_048_576
const nothingYet: Metered = { offset: 0, published: new Map(), replayed: new Map() }

export interface MeterOptions {
  readonly wire: Wire
  readonly line: Line
  readonly states: () => CompactedTopic
}

export function createMeter(options: MeterOptions): Meter {
  return new LogMeter(options)
}

class LogMeter implements Meter {
  readonly #options: MeterOptions
  readonly #counted = new Map<string, Count>()
  readonly #saved = new Map<string, Metered>()
  #reading: Promise<unknown> = Promise.resolve()
  #savedAt = Number.NEGATIVE_INFINITY

  constructor(options: MeterOptions) {
    this.#options = options
  }

  #countOf(place: Place): Count {
    const name = laneName(place)
    const count = this.#counted.get(name) ?? createCount(this.#saved.get(name) ?? nothingYet)
    this.#counted.set(name, count)
    // Another process may have counted on.
    const other = this.#saved.get(name)
    if (other !== undefined && other.offset > count.offset) count.reset(other)
    return count
  }

  read(places: readonly Place[]): Promise<ReadonlyMap<string, Metered>> {
    const work = this.#reading.catch(() => undefined).then(() => this.#readOn(places))
    this.#reading = work
    return work
  }

  async #readOn(places: readonly Place[]): Promise<ReadonlyMap<string, Metered>> {
    const { wire, line, states } = this.#options
    await states().refresh()
    const reaches = places.map((place) => ({
      ...place,
      offset: this.#countOf(place).offset,
      bytesMax: readBytes,
    }))
    for await (const chunk of readToEnd(wire, line, reaches)) {
      // A consumer beside us may have passed on the same messages meanwhile.
      this.#countOf(chunk).add(chunk.records, chunk.next)
    }
    return new Map(places.map((place) => [laneName(place), this.#countOf(place).seen()]))
  }

  async before(place: Place, offset: number): Promise<Metered> {
    const { wire, line } = this.#options
    const total = this.#countOf(place).seen()
    if (offset >= total.offset) return total
    const since = createCount({ ...nothingYet, offset })
    for await (const chunk of readToEnd(wire, line, [{ ...place, offset }])) {
      const records = chunk.records.filter((record) => record.offset < total.offset)
      since.add(records, Math.min(chunk.next, total.offset))
    }
    return minus(total, since.seen(), offset)
  }

  pass(place: Place, read: { from: number; next: number; records: readonly LogRecord[] }): void {
    const count = this.#countOf(place)
    const goesOn = read.from <= count.offset && read.next > count.offset
    if (goesOn) count.add(read.records, read.next)
  }

  async save(gapMs = 0): Promise<void> {
    const now = this.#options.wire.clock.monotonic()
    if (now - this.#savedAt < gapMs) return
    this.#savedAt = now
    const log = this.#options.states()
    await Promise.all(
      [...this.#counted].map(async ([name, count]) => {
        const seen = count.seen()
        if (seen.offset <= (this.#saved.get(name)?.offset ?? 0)) return
        await log.put(`${prefix}${name}`, Buffer.from(pack(seen)))
        this.#saved.set(name, seen)
      }),
    )
  }

  savedOffset(place: Place): number {
    return this.#saved.get(laneName(place))?.offset ?? 0
  }

  take(key: string, value: Buffer | null): void {
    if (!key.startsWith(prefix)) return
    const name = key.slice(prefix.length)
    if (value !== null) this.#saved.set(name, unpack(value.toString()))
    else {
      this.#saved.delete(name)
      this.#counted.delete(name)
    }
  }
}

/** A count that goes on. */
interface Count {
  readonly offset: number
  add(records: readonly LogRecord[], next: number): void
  reset(to: Metered): void
  seen(): Metered
}

function createCount(from: Metered): Count {
  let offset = 0
  let published = new Map<string, number>()
  let replayed = new Map<string, Map<string, Replays>>()
  const count: Count = {
    get offset() {
      return offset
    },
    add(records, next) {
      for (const record of records) if (record.offset >= offset) countOne(record)
      offset = Math.max(offset, next)
    },
    reset(to) {
      offset = to.offset
      published = new Map(to.published)
      replayed = new Map([...to.replayed].map(([group, types]) => [group, new Map(types)]))
    },
    seen: () => ({
      offset,
      published: new Map(published),
      replayed: new Map([...replayed].map(([group, types]) => [group, new Map(types)])),
    }),
  }
  function countOne(record: LogRecord): void {
    const type = typeOf(record)
    const group = markOf(record, marks.to)
    if (group === undefined) {
      published.set(type, (published.get(type) ?? 0) + 1)
      return
    }
    const types = replayed.get(group) ?? new Map<string, Replays>()
    const { dead, expired } = types.get(type) ?? { dead: 0, expired: 0 }
    const wasExpired = markOf(record, marks.counted) === 'expired'
    types.set(type, { dead: dead + (wasExpired ? 0 : 1), expired: expired + (wasExpired ? 1 : 0) })
    replayed.set(group, types)
  }
  count.reset(from)
  return count
}

function minus(total: Metered, since: Metered, offset: number): Metered {
  const published = [...total.published].map(
    ([type, count]) => [type, count - (since.published.get(type) ?? 0)] as const,
  )
  const replayed = [...total.replayed].map(([group, types]) => {
    const earlier = [...types].map(([type, { dead, expired }]) => {
      const later = since.replayed.get(group)?.get(type) ?? { dead: 0, expired: 0 }
      return [type, { dead: dead - later.dead, expired: expired - later.expired }] as const
    })
    return [group, new Map(earlier)] as const
  })
  return { offset, published: new Map(published), replayed: new Map(replayed) }
}

function pack({ offset, published, replayed }: Metered): string {
  const replays = [...replayed].map(([group, types]) => [group, [...types]])
  return JSON.stringify({ offset, published: [...published], replayed: replays })
}

function unpack(text: string): Metered {
  const packed = JSON.parse(text) as {
    offset: number
    published: [string, number][]
    replayed: [string, [string, Replays][]][]
  }
  return {
    offset: packed.offset,
    published: new Map(packed.published),
    replayed: new Map(packed.replayed.map(([group, types]) => [group, new Map(types)])),
  }
}
