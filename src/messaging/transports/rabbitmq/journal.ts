import type { ConsumeMessage } from 'amqplib'
import type { Ending, EntryState, KeptEntry } from '../../lanes/driver.ts'

/** What a lane's journal says; every record is replaced by a later one. */
export type JournalRecord = EntryRecord | LaneRecord | OrderRecord

/** The state of one message that stays in its lane. */
export interface EntryRecord {
  readonly kind: 'entry'
  readonly n: number
  readonly id: string
  readonly state: EntryState
}
/** The lane as a whole. The highest `n` counts; earlier ones stay until the messages that they name are surely gone. */
export interface LaneRecord {
  readonly kind: 'lane'
  readonly n: number
  /** Handled, skipped, retried, dead and expired messages by type, since the lane exists. */
  readonly counts: LaneCounts
  /** Messages that are counted, and whose acknowledgement may not have reached the broker: they are not handed out again. */
  readonly ended: readonly string[]
  /** The last owner gave the lane back: none of its messages was with a handler. */
  readonly isClean: boolean
  /** Dead letters that came back, and under which name in the lane: another message of the same letter is a copy. */
  readonly replays: readonly (readonly [letter: string, entry: string])[]
}
/** What somebody else wants of a message that holds its key. */
export interface OrderRecord {
  readonly kind: 'order'
  readonly entry: string
  readonly how: 'replay' | 'discard'
}

export type Counter = 'handled' | 'skipped' | 'retried' | 'dead' | 'expired'
export type LaneCounts = Record<string, Partial<Record<Counter, number>>>

/** Types that a lane counts apart; what other programs make up beyond that is counted together, without a name. */
const typesMax = 1000

export function parseJournal({ content }: ConsumeMessage): JournalRecord | undefined {
  try {
    const record = JSON.parse(content.toString()) as JournalRecord
    return ['entry', 'lane', 'order'].includes(record.kind) ? record : undefined
  } catch {
    return undefined
  }
}

/** Counts of a lane that nobody has owned yet. */
export function noCounts(): LaneCounts {
  return Object.create(null) as LaneCounts
}

export function count(counts: LaneCounts, type: string, counter: Counter, by: number): void {
  const isKnown = counts[type] !== undefined || Object.keys(counts).length < typesMax
  const name = isKnown ? type : ''
  const row = counts[name] ?? {}
  counts[name] = row
  row[counter] = (row[counter] ?? 0) + by
}

/** Which counter a message that has ended belongs to; undefined: none. */
export function counterOf(as: Ending): Counter | undefined {
  return as === 'foreign' || as === 'discarded' ? undefined : as
}

/** How a message that stays changes the counts. */
export function changeOf(why: KeptEntry['why']): readonly [Counter, number] | undefined {
  if (why === 'retried') return ['retried', 1]
  if (why === 'blocked') return ['dead', 1]
  return why === 'unblocked' ? ['dead', -1] : undefined
}

/** What a new owner finds. */
export interface Found {
  readonly n: number
  readonly counts: LaneCounts
  readonly isClean: boolean
  /** The lane had an owner before. */
  readonly isUsed: boolean
  readonly replays: Map<string, string>
  readonly ended: ReadonlySet<string>
  readonly states: ReadonlyMap<
    string,
    { readonly n: number; readonly state: EntryState; readonly tag: number }
  >
  readonly orders: readonly { readonly order: OrderRecord; readonly tag: number }[]
  /** Tags of lane records, which are kept until the messages that they name are gone. */
  readonly laneTags: readonly number[]
  /** Tags of records that are replaced already. */
  readonly replaced: readonly number[]
}

/** Reads what the last owners wrote: the highest number of each counts. */
export function foundIn(
  records: readonly { readonly record: JournalRecord; readonly tag: number }[],
): Found {
  const states = new Map<string, { n: number; state: EntryState; tag: number }>()
  const orders: { order: OrderRecord; tag: number }[] = []
  const laneTags: number[] = []
  const replaced: number[] = []
  const ended = new Set<string>()
  let newest: LaneRecord | undefined
  let n = 0
  for (const { record, tag } of records) {
    if (record.kind === 'order') {
      orders.push({ order: record, tag })
      continue
    }
    n = Math.max(n, record.n)
    if (record.kind === 'lane') {
      laneTags.push(tag)
      for (const id of record.ended) ended.add(id)
      if (record.n >= (newest?.n ?? 0)) newest = record
      continue
    }
    const known = states.get(record.id)
    const isNewer = record.n > (known?.n ?? -1)
    if (isNewer) states.set(record.id, { n: record.n, state: record.state, tag })
    const old = isNewer ? known?.tag : tag
    if (old !== undefined) replaced.push(old)
  }
  return {
    n,
    counts: Object.assign(noCounts(), newest?.counts),
    isClean: newest?.isClean ?? true,
    isUsed: newest !== undefined,
    replays: new Map(newest?.replays),
    ended,
    states,
    orders,
    laneTags,
    replaced,
  }
}
