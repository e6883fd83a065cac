import type { DeliverySink } from '../../transport.ts'

/** One subscriber of this process. */
export interface LocalSubscription {
  readonly local: LocalGroup
  readonly sink: DeliverySink
  credit: number
  isPaused: boolean
  isStopped: boolean
}

/**
 * A group that has, or had, subscribers in this process. By name: an ephemeral group may be made
 * anew.
 */
export interface LocalGroup {
  readonly name: string
  readonly subscriptions: LocalSubscription[]
  /** False: the last look found no ready row, and none was made since as far as we know. */
  mayHaveReady: boolean
  /** Lease slots given out, for the starvation guard. */
  slots: number
  /** Which subscriber is next. */
  turnOf: number
}

export interface LocalGroups {
  readonly all: ReadonlyMap<string, LocalGroup>
  add(name: string, sink: DeliverySink): LocalSubscription
  remove(subscription: LocalSubscription): void
  /** Something may have become ready in every group: another process has written. */
  suspectAll(): void
}

/** Deliveries that the subscriber may still get. */
export function creditOf(subscription: LocalSubscription): number {
  return subscription.isPaused || subscription.isStopped ? 0 : subscription.credit
}

export function hasCredit(local: LocalGroup): boolean {
  return local.subscriptions.some((subscription) => creditOf(subscription) > 0)
}

export function createLocalGroups(): LocalGroups {
  const all = new Map<string, LocalGroup>()
  return {
    all,
    add(name, sink) {
      let local = all.get(name)
      if (local === undefined) {
        local = { name, subscriptions: [], mayHaveReady: true, slots: 0, turnOf: 0 }
        all.set(name, local)
      }
      local.mayHaveReady = true
      const subscription = { local, sink, credit: 0, isPaused: false, isStopped: false }
      local.subscriptions.push(subscription)
      return subscription
    },
    remove(subscription) {
      const { local } = subscription
      const at = local.subscriptions.indexOf(subscription)
      if (at >= 0) local.subscriptions.splice(at, 1)
      if (local.subscriptions.length === 0) all.delete(local.name)
    },
    suspectAll() {
      for (const local of all.values()) local.mayHaveReady = true
    },
  }
}
