import type { Clock } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import type { SqliteFile } from '../../../store/index.ts'
import type { Delivery, GroupTopology, IncomingRecord, OutgoingRecord } from '../../transport.ts'
import type { LocalGroup, LocalGroups, LocalSubscription } from './local-groups.ts'
import type { RecordCache } from './records.ts'
import type { Statements } from './statements.ts'
import type { Tally } from './tally.ts'
import type { Group, TopologyView } from './topology-view.ts'

/** A delivery row that is out with this process. */
export interface Lease {
  readonly group: Group
  readonly topicId: number
  readonly seq: number
  readonly ownerId: number
  readonly record: IncomingRecord
  readonly chain: string | null
  readonly isHolder: true
  /** Failed attempts before this one. */
  readonly attempts: number
  readonly deliveries: number
  readonly releases: number
  readonly firstFailedAt: number | null
  readonly expiresAt: number | null
  /** False once settled, released or moved: a late settlement finds it so. */
  isLive: boolean
}

/** What all parts of the embedded broker work on. One for each transport. */
export interface Engine {
  readonly file: SqliteFile
  readonly sql: Statements
  readonly clock: Clock
  readonly newId: () => string
  readonly tally: Tally
  readonly records: RecordCache
  readonly local: LocalGroups
  /** All that is out with this process. */
  readonly leases: Set<Lease>
  readonly leaseMs: number
  readonly messageBytesMax: number
  readonly reportError: (error: TreatyError) => void
  /** So many deliveries that were out have been handed to others. */
  readonly onLeasesLost: (count: number) => void
  /** Groups that vanish with us, by name: made anew should our owner be lost. */
  readonly ephemeral: Map<string, GroupTopology>
  topology: TopologyView
  /** What the effect that runs just now has published: stored once it has returned. */
  effectRecords: OutgoingRecord[] | undefined
  /** The row of `bus_owner` that is ours; 0 before connect. */
  ownerId: number
  /** Epoch milliseconds at which the owner's lease was last written. */
  renewedAt: number
  /** Epoch milliseconds of the last transaction with messages in it. */
  activeAt: number
  /** Generation of the file after the last transaction that we saw. */
  seenGeneration: number
  /** When the next delayed row of a local group falls due; undefined: look it up. */
  nextDueAt: number | undefined
}

/**
 * One transaction under way. What it changes in memory is kept here and applied by
 * {@link Turn.afterCommit}, so that a rollback leaves no trace.
 */
export interface Turn {
  /** Epoch milliseconds, the same for all of the transaction. */
  readonly now: number
  ownerId: number
  nextSeq: number
  generation: number
  /** A seq was taken: the counter must be written. */
  isMetaTouched: boolean
  /** Records published in this turn, by seq. */
  readonly published: Map<number, IncomingRecord>
  /** Leases that this turn has settled. */
  readonly settled: Set<Lease>
  /** Deliveries to hand out after the commit. */
  readonly handed: Map<LocalSubscription, Delivery[]>
  /** Groups in which a row became ready. */
  readonly readied: Set<number>
  /** Local groups that are known to have no ready row left. */
  readonly drained: Set<LocalGroup>
  /** A row was delayed or a delayed row went: the next due time must be looked up. */
  isDueTouched: boolean
  isTopologyTouched: boolean
  /** There is work left for a next turn: a bound was reached. */
  hasMore: boolean
  readonly afterCommit: (() => void)[]
}

/** Whole milliseconds: the tables take integers only. */
export function nowMs(clock: Clock): number {
  return Math.trunc(clock.now())
}

/**
 * Milliseconds as the tables take them: whole, rounded up so that nothing comes a moment too early.
 * Endless is the greatest number there is.
 */
export function wholeMs(ms: number): number {
  return Math.min(Math.ceil(ms), Number.MAX_SAFE_INTEGER)
}
