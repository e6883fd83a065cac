import type { Clock } from '../../core/clock.ts'
import type { Store } from '../../store/index.ts'
import type { InboxDatabase } from '../inbox/inbox.ts'
import type { Delivery, Transport } from '../transport.ts'
import type { Reader } from './reader.ts'

/** What is known of a delivery's effect before its handler runs. */
export type Verdict = 'new' | 'done' | { readonly afterMs: number }

/**
 * Keeps one effect per idempotency key. Completion is what counts, not sight: a retry or a replay
 * carries the same id and is no duplicate.
 */
export interface IdempotencyGuard {
  /** One verdict for each delivery, in order; an object says when to ask again. */
  look(deliveries: readonly Delivery[], reader: Reader): Promise<readonly Verdict[]>
  /** The row that completes a key, written with the acknowledgement. */
  inboxRow(key: string): { key: string; untilMs: number }
  /**
   * Remembers a key as completed, in the store: where neither the broker nor a database of the caller's can. False: another process has taken
   * the key over. Absent where one of them can.
   */
  remember?(key: string): Promise<boolean>
  /** The handler has ended, however; another delivery of the key may try. */
  finished(key: string | undefined): void
}

/**
 * The message id is guarded by the delivery itself: one id is with one handler of a group at a
 * time. Another key may come with two messages at once, so it is claimed in the store first. Where nobody remembers what was completed, every
 * key is claimed in the store, and remembered there.
 */
export function createIdempotencyGuard(
  options: KeyClaimsOptions & {
    readonly transport: Transport
    readonly key: string
    /** The caller's own inbox, where there is one: it goes before the broker's. */
    readonly database?: InboxDatabase | undefined
  },
): IdempotencyGuard {
  const { transport, group, clock, database } = options
  const seenBy = database
    ? (keys: readonly string[]) => database.seen(group, keys)
    : transport.inboxSeen && ((keys: readonly string[]) => transport.inboxSeen?.(group, keys))
  const { claim, remember, letGo } = createKeyClaims(options)

  return {
    async look(deliveries, reader) {
      const keys = deliveries.map((delivery) => keyOf(delivery, reader))
      const asked = keys.filter((key) => key !== undefined)
      const seen = new Map<string, boolean>()
      if (asked.length > 0 && seenBy) {
        const answers = (await seenBy(asked)) ?? []
        asked.forEach((key, at) => {
          seen.set(key, answers[at] ?? false)
        })
      }
      const isClaimed = options.key !== 'id' || seenBy === undefined
      return Promise.all(
        keys.map(async (key): Promise<Verdict> => {
          if (key === undefined) return 'new'
          if (seen.get(key)) return 'done'
          return isClaimed ? claim(key) : 'new'
        }),
      )
    },
    ...(seenBy === undefined ? { remember } : {}),
    inboxRow: (key) => ({ key, untilMs: clock.now() + options.windowMs }),
    finished: letGo,
  }

  function keyOf(delivery: Delivery, reader: Reader): string | undefined {
    if (options.key === 'id') return delivery.record.id
    const reading = reader.read(delivery)
    return 'message' in reading ? reader.idempotencyKey(reading.message) : undefined
  }
}

interface KeyClaimsOptions {
  readonly group: string
  readonly windowMs: number
  readonly leaseMs: number
  readonly store: () => Promise<Store>
  readonly clock: Clock
}

/** Keys in the store: taken by one handler at a time, and remembered where nobody else does. */
function createKeyClaims({ group, windowMs, leaseMs, store, clock }: KeyClaimsOptions) {
  const tokens = new Map<string, number>()
  const scope = `inbox:${group}`
  return {
    async claim(key: string): Promise<Verdict> {
      const { claims } = await store()
      const result = await claims.claim(scope, key, leaseMs)
      if (result.state === 'claimed') {
        tokens.set(key, result.token)
        return 'new'
      }
      if (result.state === 'done') return 'done'
      return { afterMs: Math.min(1000, Math.max(50, result.untilMs - clock.now())) }
    },
    async remember(key: string): Promise<boolean> {
      const token = tokens.get(key)
      if (token === undefined) return false
      const { claims } = await store()
      const isDone = await claims.complete(scope, key, token, windowMs)
      if (isDone) tokens.delete(key)
      return isDone
    },
    letGo(key: string | undefined): void {
      const token = key === undefined ? undefined : tokens.get(key)
      if (key === undefined || token === undefined) return
      tokens.delete(key)
      void store()
        .then(({ claims }) => claims.release(scope, key, token))
        .catch(() => {
          // The claim frees itself when its lease ends.
        })
    },
  }
}
