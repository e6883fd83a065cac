import type { CompactedTopic } from './compacted.ts'
import { marks, textOf, typeOf } from './messages.ts'
import { laneName, type Place } from './names.ts'
import { type LogRecord, readToEnd } from './reader.ts'
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
  /** Writes down what was counted since it was last written. */
  save(): Promise<void>
  /** Offset up to which the counts of a partition are written down. */
  savedOffset(place: Place): number
  /** A record of the topic of states. */
  take(key: string, value: Buffer | null): void
}

const prefix = 'meter:'
const nothingYet: Metered = { offset: 0, published: new Map(), replayed: new Map() }

export function createMeter(options: {
  readonly wire: Wire
  readonly line: Line
  readonly states: () => CompactedTopic
}): Meter {
  const { wire, line } = options
  const counted = new Map<string, Count>()
  const saved = new Map<string, Metered>()
  const countOf = (place: Place): Count => {
    const name = laneName(place)
    const count = counted.get(name) ?? createCount(saved.get(name) ?? nothingYet)
    counted.set(name, count)
    // Another process may have counted on.
    const other = saved.get(name)
    if (other !== undefined && other.offset > count.offset) count.reset(other)
    return count
  }
  let reading: Promise<unknown> = Promise.resolve()

  async function readOn(places: readonly Place[]): Promise<ReadonlyMap<string, Metered>> {
    await options.states().refresh()
    const reaches = places.map((place) => ({
      ...place,
      offset: countOf(place).offset,
      bytesMax: 1_048_576,
    }))
    for await (const chunk of readToEnd(wire, line, reaches)) {
      // A consumer beside us may have passed on the same messages meanwhile.
      countOf(chunk).add(chunk.records, chunk.next)
    }
    return new Map(places.map((place) => [laneName(place), countOf(place).seen()]))
  }

  return {
    read(places) {
      const work = reading.catch(() => undefined).then(() => readOn(places))
      reading = work
      return work
    },
    async before(place, offset) {
      const total = countOf(place).seen()
      if (offset >= total.offset) return total
      const since = createCount({ ...nothingYet, offset })
      for await (const chunk of readToEnd(wire, line, [{ ...place, offset }])) {
        const records = chunk.records.filter((record) => record.offset < total.offset)
        since.add(records, Math.min(chunk.next, total.offset))
      }
      return minus(total, since.seen(), offset)
    },
    pass(place, { from, next, records }) {
      const count = countOf(place)
      if (from <= count.offset && next > count.offset) count.add(records, next)
    },
    async save() {
      for (const [name, count] of counted) {
        const now = count.seen()
        if (now.offset <= (saved.get(name)?.offset ?? 0)) continue
        await options.states().put(`${prefix}${name}`, Buffer.from(pack(now)))
        saved.set(name, now)
      }
    },
    savedOffset: (place) => saved.get(laneName(place))?.offset ?? 0,
    take(key, value) {
      if (!key.startsWith(prefix)) return
      const name = key.slice(prefix.length)
      if (value === null) {
        saved.delete(name)
        counted.delete(name)
      } else saved.set(name, unpack(value.toString()))
    },
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
    const group = textOf(record, marks.to)
    if (group === undefined) {
      published.set(type, (published.get(type) ?? 0) + 1)
      return
    }
    const types = replayed.get(group) ?? new Map<string, Replays>()
    const { dead, expired } = types.get(type) ?? { dead: 0, expired: 0 }
    const wasExpired = textOf(record, marks.counted) === 'expired'
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
