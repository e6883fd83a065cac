import type { TimerHandle } from '../../../core/clock.ts'
import type { DeliverySink, IncomingRecord } from '../../transport.ts'

/** What a delivery is known by until it is settled. */
export interface Lease {
  readonly groupId: number
  readonly seq: number
  /** With the owner the fence: a row that was handed on has another. */
  readonly deliveries: number
  readonly ownerId: number
  readonly record: IncomingRecord
}

/** One subscriber of this process. */
export interface LocalSubscription {
  readonly local: LocalGroup
  readonly sink: DeliverySink
  credit: number
  isPaused: boolean
  isStopped: boolean
}

/** A group that has subscribers in this process. By name: an ephemeral group may be made anew. */
export interface LocalGroup {
  readonly name: string
  readonly subscriptions: LocalSubscription[]
  /** A claim is under way; `again`: something happened meanwhile. */
  isClaiming: boolean
  again: boolean
  /** A claim failed without an answer: rows may be leased to us that we know nothing of. */
  isUncertain: boolean
  /** Lease slots given out, for the starvation guard of claims. */
  slots: number
  turnOf: number
  dueTimer: TimerHandle | undefined
}

/** Deliveries that a subscriber may still get. */
export function creditOf(subscription: LocalSubscription): number {
  return subscription.isPaused || subscription.isStopped ? 0 : subscription.credit
}

export function creditOfGroup(local: LocalGroup): number {
  return local.subscriptions.reduce((sum, each) => sum + creditOf(each), 0)
}

export function newLocalGroup(name: string): LocalGroup {
  return {
    name,
    subscriptions: [],
    isClaiming: false,
    again: false,
    isUncertain: false,
    slots: 0,
    turnOf: 0,
    dueTimer: undefined,
  }
}

/** The subscriber who is next, in turn; undefined: none has credit. Takes one of its credit. */
export function takeTurn(local: LocalGroup): LocalSubscription | undefined {
  for (let step = 0; step < local.subscriptions.length; step += 1) {
    const at = (local.turnOf + step) % local.subscriptions.length
    const subscription = local.subscriptions[at]
    if (subscription === undefined || creditOf(subscription) === 0) continue
    local.turnOf = at + 1
    subscription.credit -= 1
    return subscription
  }
  return undefined
}
