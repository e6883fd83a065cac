import type { TimerHandle } from '../../core/clock.ts'
import type { SettleResult } from '../transport.ts'
import type { EntryState, LaneEntry } from './driver.ts'
import type { Lane } from './lane.ts'

/**
 * Where a message of a lane is. `chained`: behind an earlier one of its key. `delayed`: until its time. `unwritten`: its new state has
 * to be durable before it may start. `ready`: in the queue, or held back by the written mark. `ended`: settled, perhaps not yet written.
 */
export type Phase = 'chained' | 'delayed' | 'unwritten' | 'ready' | 'running' | 'blocked' | 'ended'

/** One message that a lane holds. */
export interface Node {
  readonly lane: Lane
  /** Replaced by one without its body once it has ended. */
  entry: LaneEntry
  phase: Phase
  failures: number
  /** Times it was handed out, without those that were released. */
  handouts: number
  releases: number
  firstFailedAt: number | undefined
  dueAt: number
  isMarked: boolean
  /** It may have killed its process: marked before it starts. */
  isSuspect: boolean
  /** It was marked when its process died: it runs alone. */
  runsAlone: boolean
  /** Grows with each hand-out, so that a settlement of an earlier one is known as late. */
  token: number
  /** Its order: messages of one chain run one after another. */
  chain: string | undefined
  follower: Node | undefined
  timer: TimerHandle | undefined
}

/** The handle inside a delivery. */
export interface LaneLease {
  readonly node: Node
  readonly token: number
}

/** Whoever waits for a settlement to be written. */
export type Waiter = (result: SettleResult) => void

/** A message as it was read. */
export function nodeOf(lane: Lane, entry: LaneEntry, now: number): Node {
  const { state, record } = entry
  const dueAt = Math.max(state?.dueAt ?? 0, record.deliverAt ?? 0)
  // What waited for its time, or for a replay, was with no handler.
  const isSuspect = entry.suspect === true && dueAt <= now && state?.blocked !== true
  const isMarked = isSuspect && state?.marked === true
  return {
    lane,
    entry,
    phase: 'chained',
    failures: state?.failures ?? 0,
    // Where no mark was written, the start that ended with its process is not in the count.
    handouts: (state?.handouts ?? 0) + (isSuspect && !isMarked ? 1 : 0),
    releases: 0,
    firstFailedAt: state?.firstFailedAt,
    dueAt,
    isMarked,
    isSuspect,
    runsAlone: isMarked,
    token: 0,
    chain: undefined,
    follower: undefined,
    timer: undefined,
  }
}

/** The state of a message as it is to be written. */
export function stateOf(node: Node): EntryState {
  const { failures, firstFailedAt, dueAt, isMarked, phase } = node
  // A start that was not marked counts once it has come to something; should it end with its process, the next owner adds it.
  const handouts = node.handouts - (phase === 'running' && !isMarked ? 1 : 0)
  return {
    failures,
    handouts,
    ...(firstFailedAt === undefined ? {} : { firstFailedAt }),
    ...(dueAt === 0 ? {} : { dueAt }),
    ...(isMarked ? { marked: true } : {}),
    ...(phase === 'blocked' ? { blocked: true } : {}),
  }
}
