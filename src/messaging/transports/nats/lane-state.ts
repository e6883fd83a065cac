import type { EntryState } from '../../lanes/driver.ts'

/** What a message of a lane is to one group. `foreign`: a replay for another group. */
export type MessageKind = 'normal' | 'replay' | 'foreign'

/** A message that has ended although an earlier one has not. */
export interface DoneMessage {
  readonly seq: number
  readonly type: string
  readonly kind: MessageKind
}
/** A message whose state says more than that it is new. */
export interface KeptMessage extends DoneMessage {
  readonly state: EntryState
}

/** Settled so far; the rest of the ledger's columns follows from these and from what the stream holds. */
export interface SettledCounts {
  readonly handled: number
  readonly skipped: number
  readonly retried: number
  readonly dead: number
  readonly expired: number
}
export const noCounts: SettledCounts = { handled: 0, skipped: 0, retried: 0, dead: 0, expired: 0 }

type PerType<Value> = Readonly<Record<string, Value>>

/** All that is durable of one lane as one group reads it: one document, written by its owner alone, by compare-and-set. */
export interface LaneState {
  /** Member that owns it; null: nobody, given back in good order. */
  readonly owner: string | null
  readonly epoch: number
  /** Everything up to here has ended. */
  readonly low: number
  /** Messages up to here may have been with a handler. */
  readonly startsThrough: number
  readonly counts: PerType<SettledCounts>
  /** Messages published to the lane up to `low`, since the channel began. */
  readonly passed: PerType<number>
  /** Replays for this group up to `low`. */
  readonly replays: PerType<number>
  readonly done: readonly DoneMessage[]
  readonly kept: readonly KeptMessage[]
}

/** {@link LaneState} as JSON, written often and thus small. */
export interface LaneDocument {
  readonly o: string | null
  readonly e: number
  readonly low: number
  readonly thr: number
  readonly c: PerType<readonly number[]>
  readonly p: PerType<number>
  readonly r: PerType<number>
  /** By kind and type: the distances between the numbers, in base 36. */
  readonly d: readonly (readonly [kind: MessageKind, type: string, seqs: string])[]
  readonly k: readonly (readonly [
    seq: number,
    kind: MessageKind,
    type: string,
    failures: number,
    handouts: number,
    firstFailedAt: number,
    dueAt: number,
    flags: number,
  ])[]
}

const flag = { marked: 1, blocked: 2 } as const
/** Types beyond this number are counted as one: other programs may write a new one with every message. */
const typesMax = 300
export const otherTypes = '(other)'

/** The name under which a type is counted. */
export function countedType(counts: ReadonlyMap<string, unknown>, type: string): string {
  return counts.has(type) || counts.size < typesMax ? type : otherTypes
}

export function newLane(after: number, before: PerType<number>): LaneState {
  return {
    owner: null,
    epoch: 0,
    low: after,
    startsThrough: 0,
    counts: {},
    passed: before,
    replays: {},
    done: [],
    kept: [],
  }
}

export function toDocument(state: LaneState): LaneDocument {
  return {
    o: state.owner,
    e: state.epoch,
    low: state.low,
    thr: state.startsThrough,
    c: Object.fromEntries(
      Object.entries(state.counts).map(([type, { handled, skipped, retried, dead, expired }]) => [
        type,
        [handled, skipped, retried, dead, expired],
      ]),
    ),
    p: state.passed,
    r: state.replays,
    d: packDone(state),
    k: state.kept.map(({ seq, kind, type, state: each }) => [
      seq,
      kind,
      type,
      each.failures,
      each.handouts,
      each.firstFailedAt ?? 0,
      each.dueAt ?? 0,
      (each.marked === true ? flag.marked : 0) | (each.blocked === true ? flag.blocked : 0),
    ]),
  }
}

function packDone({ done, low }: LaneState): LaneDocument['d'] {
  const lists = new Map<string, { kind: MessageKind; type: string; seqs: string; last: number }>()
  for (const { seq, type, kind } of [...done].sort((one, two) => one.seq - two.seq)) {
    const name = `${kind} ${type}`
    const list = lists.get(name) ?? { kind, type, seqs: '', last: low }
    list.seqs += `${list.seqs === '' ? '' : ','}${(seq - list.last).toString(36)}`
    list.last = seq
    lists.set(name, list)
  }
  return [...lists.values()].map(({ kind, type, seqs }) => [kind, type, seqs] as const)
}

export function fromDocument(document: LaneDocument): LaneState {
  return {
    owner: document.o,
    epoch: document.e,
    low: document.low,
    startsThrough: document.thr,
    counts: Object.fromEntries(
      Object.entries(document.c).map(
        ([type, [handled = 0, skipped = 0, retried = 0, dead = 0, expired = 0]]) => [
          type,
          { handled, skipped, retried, dead, expired },
        ],
      ),
    ),
    passed: document.p,
    replays: document.r,
    done: document.d.flatMap(([kind, type, seqs]) => {
      let seq = document.low
      return seqs.split(',').map((distance) => {
        seq += Number.parseInt(distance, 36)
        return { seq, type, kind }
      })
    }),
    kept: document.k.map(([seq, kind, type, failures, handouts, firstFailedAt, dueAt, flags]) => ({
      seq,
      kind,
      type,
      state: {
        failures,
        handouts,
        ...(firstFailedAt === 0 ? {} : { firstFailedAt }),
        ...(dueAt === 0 ? {} : { dueAt }),
        ...((flags & flag.marked) === 0 ? {} : { marked: true }),
        ...((flags & flag.blocked) === 0 ? {} : { blocked: true }),
      },
    })),
  }
}
