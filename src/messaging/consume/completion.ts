import { TreatyError } from '../../core/errors.ts'
import type { InboxDatabase } from '../inbox/inbox.ts'
import { dedupWindowMsDefault } from '../topology/topology.ts'
import type { TransactionEffect } from '../transport.ts'
import type { IdempotencyGuard } from './idempotency.ts'

/**
 * What has to be durable before a message is acknowledged, where the broker has no transaction that it could be part of: its
 * effects, and that it was handled.
 */
export interface Completion {
  /** True where {@link complete} has something to do. */
  isNeeded(message: HandledMessage): boolean
  /** False: it was completed before, and nothing was done. Rejects where an effect, or its database, failed. */
  complete(message: HandledMessage): Promise<boolean>
}
export interface HandledMessage {
  readonly id: string
  /** The idempotency key; undefined where the contract asks for none. */
  readonly inboxKey: string | undefined
  readonly effects: readonly TransactionEffect[]
}

export function createCompletion(options: {
  readonly group: string
  readonly guard: IdempotencyGuard | undefined
  /** Undefined: there are no effects, only keys to be remembered, in the store. */
  readonly database: InboxDatabase | undefined
  /** How long a completed key is remembered; default 7 days. */
  readonly windowMs: number | undefined
}): Completion {
  const { group, guard, database, windowMs = dedupWindowMsDefault } = options
  return {
    isNeeded: ({ inboxKey, effects }) => inboxKey !== undefined || effects.length > 0,
    async complete({ id, inboxKey, effects }) {
      if (database !== undefined) {
        return database.complete({ group, key: inboxKey ?? id, keepMs: windowMs }, effects)
      }
      if (inboxKey === undefined || guard?.remember === undefined) return true
      if (await guard.remember(inboxKey)) return true
      throw new TreatyError(
        'LEASES_LOST',
        `the key ${JSON.stringify(inboxKey)} was handed to another process meanwhile`,
      )
    },
  }
}
