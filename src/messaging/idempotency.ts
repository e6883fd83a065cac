import type { Clock } from '../core/clock.ts'
import type { Store } from '../store/index.ts'
import type { Reader } from './reader.ts'
import type { Delivery, Transport } from './transport.ts'

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
  /** The handler has ended, however; another delivery of the key may try. */
  finished(key: string | undefined): void
}

/**
 * The message id is guarded by the delivery itself: one id is with one handler of a group at a
 * time. Another key may come with two messages at once, so it is claimed in the store first.
 */
export function createIdempotencyGuard(options: {
  readonly transport: Transport
  readonly group: string
  readonly key: string
  readonly windowMs: number
  readonly leaseMs: number
  readonly store: () => Promise<Store>
  readonly clock: Clock
}): IdempotencyGuard {
  const { transport, group, clock } = options
  const tokens = new Map<string, number>()

  async function claim(key: string): Promise<Verdict> {
    const { claims } = await options.store()
    const result = await claims.claim(`inbox:${group}`, key, options.leaseMs)
    if (result.state === 'claimed') {
      tokens.set(key, result.token)
      return 'new'
    }
    if (result.state === 'done') return 'done'
    return { afterMs: Math.min(1000, Math.max(50, result.untilMs - clock.now())) }
  }

  return {
    async look(deliveries, reader) {
      const keys = deliveries.map((delivery) => keyOf(delivery, reader))
      const asked = keys.filter((key) => key !== undefined)
      const seen = new Map<string, boolean>()
      if (asked.length > 0 && transport.inboxSeen) {
        const answers = await transport.inboxSeen(group, asked)
        asked.forEach((key, at) => {
          seen.set(key, answers[at] ?? false)
        })
      }
      const verdicts: Verdict[] = []
      for (const key of keys) {
        if (key === undefined) verdicts.push('new')
        else if (seen.get(key)) verdicts.push('done')
        else verdicts.push(options.key === 'id' ? 'new' : await claim(key))
      }
      return verdicts
    },
    inboxRow: (key) => ({ key, untilMs: clock.now() + options.windowMs }),
    finished(key) {
      const token = key === undefined ? undefined : tokens.get(key)
      if (key === undefined || token === undefined) return
      tokens.delete(key)
      void options
        .store()
        .then(({ claims }) => claims.release(`inbox:${group}`, key, token))
        .catch(() => {
          // The claim frees itself when its lease ends.
        })
    },
  }

  function keyOf(delivery: Delivery, reader: Reader): string | undefined {
    if (options.key === 'id') return delivery.record.id
    const reading = reader.read(delivery)
    return 'message' in reading ? reader.idempotencyKey(reading.message) : undefined
  }
}
