import type { EntryState, KeptEntry, LaneEntry, LaneWrite } from '../../lanes/driver.ts'
import {
  countedType,
  type DoneMessage,
  type KeptMessage,
  type LaneState,
  type MessageKind,
  noCounts,
  type SettledCounts,
} from './lane-state.ts'

/** What we give the core with each message, and get back. */
export interface EntryTag {
  readonly seq: number
  readonly type: string
  readonly kind: MessageKind
}

/** What the owner of a lane remembers of it: the last state that was taken, and what was read since. */
export interface LaneBook {
  readonly state: LaneState
  /** The last message that was read. */
  readonly readThrough: number
  /** A message was read. True: it ended under a former owner. */
  note(message: EntryTag): boolean
  /** What a former owner left of a message that was just read. */
  left(seq: number): EntryState | undefined
  /** The state as it will be after a write; changes nothing yet. */
  compose(write: LaneWrite): LaneState
  /** The state that is written now. */
  take(state: LaneState): void
}

export function openBook(claimed: LaneState): LaneBook {
  let state = claimed
  let readThrough = claimed.low
  /** Read, and not below `low` yet. */
  let line: EntryTag[] = []
  const doneBefore = new Map(claimed.done.map((each) => [each.seq, each]))
  const keptBefore = new Map(claimed.kept.map((each) => [each.seq, each]))

  return {
    get state() {
      return state
    },
    get readThrough() {
      return readThrough
    },
    note(message) {
      line.push(message)
      readThrough = message.seq
      return doneBefore.has(message.seq)
    },
    left: (seq) => keptBefore.get(seq)?.state,
    compose(write) {
      const view = write.view()
      const first = view[0]
      const low = first === undefined ? readThrough : tagOf(first.entry).seq - 1
      const done: DoneMessage[] = [...doneBefore.values()].filter(({ seq }) => seq > low)
      const kept: KeptMessage[] = [...keptBefore.values()].filter(({ seq }) => seq > readThrough)
      for (const { entry, isEnded, state: now } of view) {
        const { seq, type, kind } = tagOf(entry)
        if (isEnded) done.push({ seq, type, kind })
        else if (!isNew(now)) kept.push({ seq, type, kind, state: now })
      }
      return {
        ...state,
        low,
        startsThrough: write.startsThrough ?? state.startsThrough,
        counts: countsAfter(state.counts, write),
        ...passedAfter(state, line, low),
        done,
        kept,
      }
    },
    take(written) {
      state = written
      line = line.filter(({ seq }) => seq > written.low)
      for (const seq of doneBefore.keys()) if (seq <= written.low) doneBefore.delete(seq)
      for (const seq of keptBefore.keys()) if (seq <= readThrough) keptBefore.delete(seq)
    },
  }
}

export function tagOf(entry: LaneEntry): EntryTag {
  return entry.tag as EntryTag
}

function isNew({ failures, handouts, dueAt, blocked, marked }: EntryState): boolean {
  return failures === 0 && handouts === 0 && !dueAt && blocked !== true && marked !== true
}

function passedAfter(
  before: LaneState,
  line: readonly EntryTag[],
  low: number,
): Pick<LaneState, 'passed' | 'replays'> {
  // Maps, because types are other people's words: `constructor` may be one.
  const passed = new Map(Object.entries(before.passed))
  const replays = new Map(Object.entries(before.replays))
  for (const { seq, type, kind } of line) {
    if (seq > low) break
    const sums = kind === 'normal' ? passed : kind === 'replay' ? replays : undefined
    if (sums === undefined) continue
    const name = countedType(sums, type)
    sums.set(name, (sums.get(name) ?? 0) + 1)
  }
  return { passed: Object.fromEntries(passed), replays: Object.fromEntries(replays) }
}

type Counter = keyof SettledCounts

function countsAfter(before: LaneState['counts'], write: LaneWrite): LaneState['counts'] {
  const counts = new Map(Object.entries(before))
  const add = (entry: LaneEntry, counter: Counter, amount: number) => {
    const type = countedType(counts, tagOf(entry).type)
    const row: SettledCounts = counts.get(type) ?? noCounts
    counts.set(type, { ...row, [counter]: row[counter] + amount })
  }
  for (const { entry, as } of write.ended) {
    if (as !== 'foreign' && as !== 'discarded') add(entry, as, 1)
  }
  for (const { entry, why } of write.kept) {
    const change = changeOf[why]
    if (change !== undefined) add(entry, ...change)
  }
  return Object.fromEntries(counts)
}

const changeOf: Partial<Record<KeptEntry['why'], readonly [Counter, number]>> = {
  retried: ['retried', 1],
  blocked: ['dead', 1],
  unblocked: ['dead', -1],
}
