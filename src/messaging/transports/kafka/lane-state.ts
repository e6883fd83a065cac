import type { Ending, EntryState } from '../../lanes/driver.ts'

/** How many messages of one type ended in which way, in one lane. */
export interface Tally {
  readonly handled: number
  readonly skipped: number
  readonly retried: number
  readonly dead: number
  readonly expired: number
}
export const noTally: Tally = { handled: 0, skipped: 0, retried: 0, dead: 0, expired: 0 }
/** By type; other people's types may be called anything, so it is a map. */
export type Tallies = ReadonlyMap<string, Tally>

/** What is kept of a lane: its offset is the first message that has not ended. */
export interface LaneState {
  readonly low: number
  /** Runs of offsets from `low` on, in turn not ended and ended; what lies behind them has not ended. */
  readonly runs: readonly number[]
  readonly entries: ReadonlyMap<number, EntryState>
  /** Messages up to here may be with a handler. Undefined: its owner gave it back, none is. */
  readonly startsThrough: number | undefined
  readonly tallies: Tallies
}

interface Packed {
  readonly v: 1
  readonly h?: number
  readonly r?: readonly number[]
  /** Offset behind `low`, failures, handouts, first failure, due, flags. */
  readonly k?: readonly (readonly number[])[]
  readonly n?: Readonly<Record<string, readonly number[]>>
}

const flagMarked = 1
const flagBlocked = 2

export function emptyState(low: number): LaneState {
  return { low, runs: [], entries: new Map(), startsThrough: undefined, tallies: new Map() }
}

/** The state as text for the metadata of the committed offset. */
export function encodeState(state: LaneState): string {
  const { low, runs, entries, startsThrough, tallies } = state
  const kept = [...entries].map(([offset, entry]) => [
    offset - low,
    entry.failures,
    entry.handouts,
    entry.firstFailedAt ?? 0,
    entry.dueAt ?? 0,
    (entry.marked === true ? flagMarked : 0) | (entry.blocked === true ? flagBlocked : 0),
  ])
  const counts = [...tallies].map(([type, tally]) => [
    type,
    [tally.handled, tally.skipped, tally.retried, tally.dead, tally.expired],
  ])
  const packed: Packed = {
    v: 1,
    ...(startsThrough === undefined ? {} : { h: startsThrough - low }),
    ...(runs.length === 0 ? {} : { r: runs }),
    ...(kept.length === 0 ? {} : { k: kept }),
    ...(counts.length === 0 ? {} : { n: Object.fromEntries(counts) }),
  }
  return JSON.stringify(packed)
}

/** The state of a committed offset; metadata that is not ours counts as none: another program has moved the group. */
export function decodeState(low: number, metadata: string | null): LaneState {
  const packed = parse(metadata)
  if (packed?.v !== 1) return emptyState(low)
  const { h, r = [], k = [], n = {} } = packed
  return {
    low,
    runs: r,
    entries: new Map(k.map((fields) => [low + (fields[0] as number), entryOf(fields)])),
    startsThrough: h === undefined ? undefined : low + h,
    tallies: new Map(
      Object.entries(n).map(([type, counts]) => {
        const [handled = 0, skipped = 0, retried = 0, dead = 0, expired = 0] = counts
        return [type, { handled, skipped, retried, dead, expired }]
      }),
    ),
  }
}

function parse(metadata: string | null): Packed | undefined {
  try {
    return JSON.parse(metadata ?? '') as Packed
  } catch {
    return undefined
  }
}

function entryOf(fields: readonly number[]): EntryState {
  const [, failures = 0, handouts = 0, firstFailedAt = 0, dueAt = 0, flags = 0] = fields
  return {
    failures,
    handouts,
    ...(firstFailedAt === 0 ? {} : { firstFailedAt }),
    ...(dueAt === 0 ? {} : { dueAt }),
    ...((flags & flagMarked) === 0 ? {} : { marked: true }),
    ...((flags & flagBlocked) === 0 ? {} : { blocked: true }),
  }
}

/** Which offsets of a state have ended. */
export function endedIn({ low, runs }: LaneState): (offset: number) => boolean {
  const edges: number[] = []
  let at = low
  for (const run of runs) {
    at += run
    edges.push(at)
  }
  return (offset) => {
    if (offset < low) return true
    // Between edge 2n and 2n + 1 messages have ended.
    const passed = edges.filter((edge) => edge <= offset).length
    return passed % 2 === 1
  }
}

/** Adds to a count. */
export function tallied(tallies: Tallies, type: string, change: Partial<Tally>): Tallies {
  const sum: Record<string, number> = { ...(tallies.get(type) ?? noTally) }
  for (const [name, amount] of Object.entries(change)) sum[name] = (sum[name] ?? 0) + amount
  return new Map(tallies).set(type, sum as unknown as Tally)
}

/** The counter of an ending; undefined: it counts nothing. */
export function counterOf(ending: Ending): keyof Tally | undefined {
  return ending === 'foreign' || ending === 'discarded' ? undefined : ending
}
