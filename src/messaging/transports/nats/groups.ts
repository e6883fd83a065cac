import type { LaneGroup, LaneWrite } from '../../lanes/driver.ts'
import type { Freshness } from '../../lanes/freshness.ts'
import type { ChannelDocument, GroupDocument } from './definitions.ts'
import type { LaneDocument, LaneState } from './lane-state.ts'

/** A write of a lane on its way. */
export interface PreparedWrite {
  readonly subject: string
  readonly document: LaneDocument
  /** The version that it replaces. */
  readonly expected: number
  readonly state: LaneState
  /** Keeps the dead letters that come with it. */
  keepLetters(): Promise<void>
}

/** A lane that this process owns. */
export interface OwnedLane {
  readonly name: string
  /** As it is written. */
  readonly state: LaneState
  /** What a write makes of the state; to be called at once, and then written. */
  prepare(write: LaneWrite): PreparedWrite
  /** It is written, under this number. */
  taken(prepared: PreparedWrite, seq: number): void
  /** Writes alone, also where the answer to an earlier write was lost. */
  put(state: LaneState): Promise<'written' | 'fenced'>
  /** Nothing else is written before this has ended. */
  busyWith(writing: Promise<unknown>): void
  /** Reads on. */
  wake(): void
  /** No more is read. */
  close(): void
  /** Gives the lane back, in good order: whoever comes next suspects nothing. */
  release(): Promise<void>
}

/** Takes part in a group: says that this process lives, and takes and gives lanes so that all replicas have as many. */
export interface Sharing {
  start(): void
  /** Gives every lane back once its handlers have ended, then leaves. Resolves then. */
  stop(): Promise<void>
  /** Gives back what is idle, lets go of the rest, and leaves. */
  leave(): Promise<void>
  /** The group was made anew: begins again with what is there now. */
  renew(document: GroupDocument): void
  /** In the list of replicas, with the lanes settled. */
  readonly isJoined: boolean
}

/** A group as this process takes part in it. */
export interface LocalGroup {
  readonly document: GroupDocument
  readonly channels: readonly ChannelDocument[]
  readonly lanes: LaneGroup
  readonly owned: Map<string, OwnedLane>
  readonly freshness: Freshness
  readonly sharing: Sharing
  /** Subscriptions that are open. */
  subscriptions: number
}
