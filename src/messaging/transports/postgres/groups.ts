import type { TimerHandle } from '../../../core/clock.ts'
import type { DeliverySink, IncomingRecord } from '../../transport.ts'

/** Messages behind others of their chain that one process keeps for a group, at which it claims no more: somebody else may have time. */
const heldMax = 1000

/** What a delivery is known by until it is settled. */
export interface Lease {
  readonly groupId: number
  readonly seq: number
  /** With the owner the fence: a row that was handed on has another. */
  readonly deliveries: number
  readonly ownerId: number
  readonly record: IncomingRecord
  /** What stays in order with it; null: nothing, or leased row by row. */
  readonly chain: string | null
  /** Number of the row of `bus_lease` that names it; null: leased row by row. */
  readonly bulk: number | null
  readonly attempts: number
  readonly firstFailedAt: number | null
  /** The one behind it in its chain that is leased to us too: handed out when this one has ended well. */
  next: Lease | undefined
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
  /** The latest claim left nothing behind that could go: credit alone is no reason for another. */
  isDry: boolean
  /** It saw messages that waited for others of their chain. */
  hasLeftover: boolean
  /** A claim failed without an answer: rows may be leased to us that we know nothing of. */
  isUncertain: boolean
  /** Lease slots given out, for the starvation guard of claims. */
  slots: number
  turnOf: number
  dueTimer: TimerHandle | undefined
  /** Leased to us and due to be handed out as soon as there is credit. */
  waiting: Lease[]
  /** Leased to us, behind others of their chain. */
  readonly held: Set<Lease>
  /** The last message of each chain that is leased to us in bulk. */
  readonly tails: Map<string, Lease>
  /**
   * Chains that are being given back, and how often: a claim that was under way meanwhile may have seen them as ours still, and what it brings
   * of them goes back as well.
   */
  readonly broken: Map<string, number>
  /** Chains that are whole again once the claim under way has ended. */
  mending: string[]
  /** Chains whose return failed: broken until it is certain what is ours. */
  unsure: string[]
}

/** Deliveries that a subscriber may still get. */
export function creditOf(subscription: LocalSubscription): number {
  return subscription.isPaused || subscription.isStopped ? 0 : subscription.credit
}

/** Deliveries that could be claimed now: the credit that is not spoken for. */
export function creditOfGroup(local: LocalGroup): number {
  if (local.held.size >= heldMax) return 0
  const credit = local.subscriptions.reduce((sum, each) => sum + creditOf(each), 0)
  return Math.max(0, credit - local.waiting.length)
}

export function newLocalGroup(name: string): LocalGroup {
  return {
    name,
    subscriptions: [],
    isClaiming: false,
    again: false,
    isDry: false,
    hasLeftover: false,
    isUncertain: false,
    slots: 0,
    turnOf: 0,
    dueTimer: undefined,
    waiting: [],
    held: new Set(),
    tails: new Map(),
    broken: new Map(),
    mending: [],
    unsure: [],
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

/** Chains that go back to the broker; each call is undone by one of {@link mendChains}. */
export function breakChains(local: LocalGroup, chains: readonly string[]): void {
  for (const chain of chains) {
    local.tails.delete(chain)
    local.broken.set(chain, (local.broken.get(chain) ?? 0) + 1)
  }
}

/** The broker has them back: claims that begin from now on know it. */
export function mendChains(local: LocalGroup, chains: readonly string[]): void {
  if (local.isClaiming) {
    local.mending.push(...chains)
    return
  }
  for (const chain of chains) {
    const left = (local.broken.get(chain) ?? 0) - 1
    if (left > 0) local.broken.set(chain, left)
    else local.broken.delete(chain)
  }
}

/** The chains of some leases, each once. */
export function chainsOf(leases: readonly Lease[]): string[] {
  return [...new Set(leases.flatMap(({ chain }) => chain ?? []))]
}
