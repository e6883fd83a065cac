import type { EntryState, LaneEntry, LaneWrite } from '../../lanes/driver.ts'
import {
  counterOf,
  endedIn,
  type LaneState,
  noTally,
  type Tallies,
  type Tally,
} from './lane-state.ts'

/**
 * What one owner knows of a lane: which messages it has read, which of them have ended and what is kept of the others. Reading is one way;
 * a write is tried with {@link LaneBook.after} and becomes true with {@link Draft.accept}, so that one that failed can come again.
 */
export interface LaneBook {
  /** Messages as they are handed to the core, in order. `next`: where reading goes on. */
  read(offsets: readonly number[], next: number): void
  readonly next: number
  /** True for what had ended when the lane was taken over. */
  hasEnded(offset: number): boolean
  stateOf(offset: number): EntryState | undefined
  readonly blocked: readonly number[]
  /** The state as it will be once the write is done. */
  after(write: LaneWrite): Draft
  /** The state as it is, as of a lane that is given back. */
  released(): LaneState
}
export interface Draft {
  readonly state: LaneState
  accept(): void
}

export function createLaneBook(begun: LaneState): LaneBook {
  return new Book(begun)
}

interface Changes {
  readonly ended: ReadonlySet<number>
  readonly kept: ReadonlyMap<number, EntryState>
  readonly tallies: Tallies
  readonly startsThrough: number | undefined
}
/** From the first offset to the one behind the last. */
type Range = readonly [number, number]

class Book implements LaneBook {
  readonly hasEnded: (offset: number) => boolean
  /** What had not ended when the lane was taken over, as far as that is known, and where that knowledge ends. */
  readonly #begunOpen: readonly Range[]
  readonly #begunEdge: number
  readonly #entries: Map<number, EntryState>
  readonly #done = new Set<number>()
  #order: number[] = []
  #first = 0
  #tallies: Tallies
  #startsThrough: number | undefined
  next: number

  constructor(begun: LaneState) {
    this.hasEnded = endedIn(begun)
    this.#begunOpen = openRanges(begun)
    this.#begunEdge = begun.low + begun.runs.reduce((sum, run) => sum + run, 0)
    this.#entries = new Map(begun.entries)
    this.#tallies = begun.tallies
    this.#startsThrough = begun.startsThrough
    this.next = begun.low
  }

  read(offsets: readonly number[], next: number): void {
    for (const offset of offsets) this.#order.push(offset)
    this.next = Math.max(this.next, next)
  }

  stateOf(offset: number): EntryState | undefined {
    return this.#entries.get(offset)
  }

  get blocked(): readonly number[] {
    return [...this.#entries].flatMap(([offset, state]) => (state.blocked === true ? [offset] : []))
  }

  after(write: LaneWrite): Draft {
    const ended = new Set<number>()
    for (const { entry } of write.ended) ended.add(offsetOf(entry))
    const kept = new Map<number, EntryState>()
    for (const { entry, state } of write.kept) {
      const offset = offsetOf(entry)
      if (!ended.has(offset)) kept.set(offset, state)
    }
    const tallies = countedIn(this.#tallies, write)
    const startsThrough = write.startsThrough ?? this.#startsThrough
    return {
      state: this.#state({ ended, kept, tallies, startsThrough }),
      accept: () => {
        for (const offset of ended) {
          this.#done.add(offset)
          this.#entries.delete(offset)
        }
        for (const [offset, each] of kept) this.#entries.set(offset, each)
        this.#tallies = tallies
        this.#startsThrough = startsThrough
        this.#advance()
      },
    }
  }

  released(): LaneState {
    const changes = { ended: new Set<number>(), kept: new Map(), tallies: this.#tallies }
    return this.#state({ ...changes, startsThrough: undefined })
  }

  #state({ ended, kept, tallies, startsThrough }: Changes): LaneState {
    const isDone = (offset: number) => this.#done.has(offset) || ended.has(offset)
    const open: [number, number][] = []
    let last = 0
    for (let at = this.#first; at < this.#order.length; at += 1) {
      const offset = this.#order[at] as number
      if (isDone(offset)) last = offset + 1
      else widen(open, offset)
    }
    // What is not read yet is as our predecessor left it.
    for (const [begin, end] of this.#begunOpen) {
      if (end > this.next) open.push([Math.max(begin, this.next), end])
    }
    // What had ended before is in none of our lists, and has still ended.
    last = Math.max(last, this.#begunEdge)
    const low = open[0]?.[0] ?? Math.max(this.next, last)
    const entries = new Map<number, EntryState>()
    for (const source of [this.#entries, kept]) {
      for (const [offset, state] of source) {
        if (offset >= low && !isDone(offset)) entries.set(offset, state)
      }
    }
    return { low, runs: runsOf(open, low, last), entries, startsThrough, tallies }
  }

  #advance(): void {
    while (this.#first < this.#order.length) {
      const offset = this.#order[this.#first] as number
      if (!this.#done.delete(offset)) break
      this.#first += 1
    }
    if (this.#first > 1024 && this.#first * 2 > this.#order.length) {
      this.#order = this.#order.slice(this.#first)
      this.#first = 0
    }
  }
}

/** The state without what lies before an offset. */
export function clipped(state: LaneState, from: number): LaneState {
  const edge = state.low + state.runs.reduce((sum, run) => sum + run, 0)
  const isAnew = from < state.low || from >= edge
  const open = isAnew
    ? []
    : openRanges(state).flatMap(([begin, end]): Range[] =>
        end > from ? [[Math.max(begin, from), end]] : [],
      )
  const low = open[0]?.[0] ?? (isAnew ? from : edge)
  return {
    ...state,
    low,
    runs: isAnew ? [] : runsOf(open, low, edge),
    entries: new Map([...state.entries].filter(([offset]) => offset >= low && !isAnew)),
  }
}

function countedIn(before: Tallies, write: LaneWrite): Tallies {
  if (write.ended.length === 0 && write.kept.length === 0) return before
  const tallies = new Map<string, { -readonly [Name in keyof Tally]: number }>()
  for (const [type, tally] of before) tallies.set(type, { ...tally })
  const add = (type: string, counter: keyof Tally, amount: number) => {
    let tally = tallies.get(type)
    if (tally === undefined) {
      tally = { ...noTally }
      tallies.set(type, tally)
    }
    tally[counter] += amount
  }
  for (const { entry, as } of write.ended) {
    const counter = counterOf(as)
    if (counter !== undefined) add(entry.record.type, counter, 1)
  }
  for (const { entry, why } of write.kept) {
    const { type } = entry.record
    if (why === 'retried') add(type, 'retried', 1)
    else if (why === 'blocked') add(type, 'dead', 1)
    else if (why === 'unblocked') add(type, 'dead', -1)
  }
  return tallies
}

function offsetOf({ place, id }: LaneEntry): number {
  return place ?? Number(id)
}

function widen(ranges: [number, number][], offset: number): void {
  const before = ranges.at(-1)
  if (before !== undefined && before[1] === offset) before[1] = offset + 1
  else ranges.push([offset, offset + 1])
}

function openRanges({ low, runs }: LaneState): Range[] {
  const ranges: Range[] = []
  let at = low
  for (const [index, run] of runs.entries()) {
    if (index % 2 === 0 && run > 0) ranges.push([at, at + run])
    at += run
  }
  return ranges
}

/** Lengths, in turn, of what has not ended and what has, up to the last that has. Offsets without a message count as ended. */
function runsOf(open: readonly Range[], low: number, last: number): number[] {
  const runs: number[] = []
  let at = low
  for (const [begin, end] of open) {
    if (begin >= last) break
    const stop = Math.min(end, last)
    if (begin > at) runs.push(begin - at, stop - begin)
    else if (runs.length === 0) runs.push(stop - begin)
    else runs[runs.length - 1] = (runs.at(-1) as number) + stop - begin
    at = stop
  }
  if (last > at) runs.push(last - at)
  return runs
}
