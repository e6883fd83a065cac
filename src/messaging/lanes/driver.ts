import type { Clock } from '../../core/clock.ts'
import type { TreatyError } from '../../core/errors.ts'
import type {
  ChannelTopology,
  DeadLetter,
  DeliverySink,
  GroupTopology,
  IncomingRecord,
  Settlement,
  SettleResult,
  SubscriptionSpec,
  TransportSubscription,
} from '../transport.ts'

/**
 * A lane is one ordered part of a channel as one group reads it: a Kafka partition, a NATS subject, a queue, a stream. It
 * has one owner at a time, under a fence of the broker's. The owner reads ahead, keeps a chain per key in memory
 * and settles by small writes; there is no lease per message. What is written here is the same on every broker
 * ({@link LaneGroup}); a driver brings the reading, the writing and the fence.
 */

/** What is remembered of a message beyond its place, from attempt to attempt and from owner to owner. */
export interface EntryState {
  /** Attempts of the handler that failed. */
  readonly failures: number
  /** Times it was handed out, as far as that is written; a crash guard. */
  readonly handouts: number
  /** Epoch milliseconds of the first failed attempt. */
  readonly firstFailedAt?: number
  /** Epoch milliseconds before which it is not handed out. */
  readonly dueAt?: number
  /** `handouts` was written before the last start, so that it counts this start too. */
  readonly marked?: boolean
  /** It died under `onDead: block`: its key waits for a replay or a discard. */
  readonly blocked?: boolean
}

/** One message that a driver has read from a lane. */
export interface LaneEntry {
  /** The driver's name for it, unique in its lane: an offset, a sequence number, a stream id, a message id. */
  readonly id: string
  readonly record: IncomingRecord
  /** What the lane's former owners left; absent: nothing is known of it, it is new. */
  readonly state?: EntryState
  /** It may have been with a handler when the last owner vanished without giving the lane back. */
  readonly suspect?: boolean
  /** It is none of this group's business (a replay for another group): finished unseen and uncounted. */
  readonly foreign?: boolean
  /** Place in the lane for drivers with `reserve`: grows from entry to entry. */
  readonly place?: number
  /** The driver's own; comes back untouched. */
  readonly tag?: unknown
}

/** How a message ended. `discarded`: a blocked one whose dead letter was discarded; it was counted when it died. */
export type Ending = 'handled' | 'skipped' | 'dead' | 'expired' | 'foreign' | 'discarded'

export interface EndedEntry {
  readonly entry: LaneEntry
  readonly as: Ending
  /** With `dead`, and with `expired` where the contract wants to see them: kept before the message counts as ended. */
  readonly letter?: LaneLetter
}
/** A dead letter without the name that the driver gives it; derive that from group, lane and entry, so that a repeat is one letter. */
export type LaneLetter = Omit<DeadLetter, 'id'>

/** A message that stays in its lane, in another state than is written. */
export interface KeptEntry {
  readonly entry: LaneEntry
  readonly state: EntryState
  /** `retried` counts one; `blocked` counts one dead and has a letter; `unblocked` takes one dead back; the others count nothing. */
  readonly why: 'retried' | 'marked' | 'blocked' | 'unblocked' | 'released'
  readonly letter?: LaneLetter
}

/** One message in the order of the lane. */
export interface LaneViewEntry {
  readonly entry: LaneEntry
  readonly isEnded: boolean
  readonly state: EntryState
}

/**
 * What one write makes durable. `ended` and `kept` are the changes since the last write that was taken, each entry once
 * (its newest state), in the order of their outcomes. Drivers that write snapshots take `view`: everything from the first unended
 * message on, as it will be after this write; what lies before it is ended.
 */
export interface LaneWrite {
  readonly lane: string
  readonly ended: readonly EndedEntry[]
  readonly kept: readonly KeptEntry[]
  /** The lane's content from the first message that has not ended, oldest first. Computed when called; not later. */
  view(): readonly LaneViewEntry[]
  /** Messages up to this place may start once this is written; undefined without `reserve`. */
  readonly startsThrough: number | undefined
}

/** `fenced`: the lane has another owner, nothing was written. */
export type WriteResult = 'written' | 'fenced'

/** What a broker brings for the lanes of one group in this process. */
export interface LaneDriver {
  /**
   * Makes the changes durable, dead letters first, under the lane's fence. One result for each write. A rejection is taken for "perhaps
   * written": the same changes, and later ones, come again; so writing twice must do no harm.
   * At most one call at a time holds a given lane; with `writes: 'together'` at most one call at a time is under way.
   */
  write(writes: readonly LaneWrite[]): Promise<readonly WriteResult[]>
  /**
   * May a handler start now? False while this process cannot prove that it still owns its lanes
   * (heartbeat older than its share of the lease); call {@link LaneGroup.wake} when that changes.
   */
  mayStart(): boolean
  /** A lane that was full (`roomOf` was 0) can be read on. As long as `roomOf` is not 0 there is no call: read on by yourself. */
  onRoom?(lane: string): void
}

export interface LaneGroupOptions {
  readonly group: GroupTopology
  /** The order that a channel keeps. */
  readonly orderingOf: (address: string) => ChannelTopology['ordering']
  readonly driver: LaneDriver
  readonly clock: Clock
  readonly writes: 'per-lane' | 'together'
  /**
   * How many messages may start beyond what is written. Needed where the broker does not remember what it handed out
   * (a log): then `entry.place` is needed too, and a new owner takes every message up to the written mark for suspect.
   */
  readonly reserve?: number
  /** Startable messages that a lane reads ahead. Default 256. */
  readonly window?: number
  /** All messages that a lane holds, the delayed and the waiting ones too. Default 4096. */
  readonly windowMax?: number
  /**
   * The driver never asks for `view`: what has ended is forgotten as soon as that is written, also behind a message that waits for
   * long. Default false.
   */
  readonly withoutViews?: boolean
  /** Bytes that a lane holds. Default 16 MiB. */
  readonly windowBytes?: number
  /** Pause between two writes of a lane, in milliseconds, so that more settlements share one. Default 0. */
  readonly writeGapMs?: number
  readonly onError: (error: TreatyError) => void
}

/** What a lane does now. */
export interface LaneGauges {
  /** May start, or is about to. */
  readonly ready: number
  readonly inFlight: number
  /** Waits for its time. */
  readonly delayed: number
  /** Waits behind an earlier message of its key. */
  readonly blocked: number
  /** Epoch milliseconds at which the oldest message that has not ended was published; blocked ones are left out. */
  readonly oldestAt: number | undefined
}

/**
 * All lanes of one group that this process owns, and the subscriptions that they feed. It decides what starts next: keys in order, one
 * at a time; retries at their time, holding back only their key; higher priorities first among what was read; expired ones
 * never; suspects after a crash marked before they start, and alone once they were marked before. The driver tells it
 * what it owns and what it has read.
 */
export interface LaneGroup {
  /** The lane is ours, from now on. `startsThrough`: the mark that is written, with `reserve`. */
  assign(lane: string, options?: { readonly startsThrough?: number }): void
  /** Messages as read from the lane, in its order. Those of a lane that is not ours are ignored. */
  offer(lane: string, entries: readonly LaneEntry[]): void
  /** How many more messages the lane takes; 0: wait for `onRoom`. Also 0 for a lane that drains, or is not ours. */
  roomOf(lane: string): number
  /**
   * Starts nothing more of the lane. Resolves when none of its messages is with a handler and all is written: then the driver gives it back
   * to the broker, and calls `forget`. Resolves also when the lane is lost meanwhile.
   */
  drain(lane: string): Promise<void>
  /** The lane is not ours any more: given back, or lost. What still runs of it settles as `lost`; idempotent. */
  forget(lane: string): void
  /** Ends the waiting of a key behind a message that died under `onDead: block`. False: nothing of that id is blocked there. */
  unblock(lane: string, entryId: string, how: 'replay' | 'discard'): boolean
  /** `mayStart` may have changed. */
  wake(): void
  /** `isReady` of what it gives is true while a lane is ours; a driver that knows better says so itself. */
  subscribe(sink: DeliverySink, onLost?: SubscriptionSpec['onLost']): TransportSubscription
  /** The settlements of deliveries of this group. Resolves when they are written; `release` without a delay at once. */
  settle(settlements: readonly Settlement[]): Promise<SettleResult[]>
  gauges(): LaneGauges
  /** The same for one lane. */
  gaugesOf(lane: string): LaneGauges | undefined
  /** Resolves when everything that was settled so far is written, or its lane lost. */
  flush(): Promise<void>
  /** Lanes that are ours, the draining ones too. */
  readonly lanes: readonly string[]
  readonly hasSubscribers: boolean
  /** Deliveries that are with handlers, of lanes that are ours. */
  readonly inFlight: number
  /** No timers any more; every lane is forgotten. */
  close(): void
}
