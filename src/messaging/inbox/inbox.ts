import type { TransactionEffect } from '../transport.ts'

/**
 * The inbox in a database of the caller's, for brokers that have no transactions: the effect of a message and the row that remembers it are
 * committed together, before the message is acknowledged. A crash between the two brings the message again, and the row says that it
 * is done: effect once, whatever the broker.
 */
export interface InboxDatabase {
  /** For each key of the group: was it completed, and is it still remembered? */
  seen(group: string, keys: readonly string[]): Promise<readonly boolean[]>
  /**
   * Runs the effects and writes the row in one transaction. False: somebody has completed the key before; nothing was done. A throw of an effect
   * rolls everything back.
   */
  complete(
    row: { readonly group: string; readonly key: string; readonly keepMs: number },
    effects: readonly TransactionEffect[],
  ): Promise<boolean>
  close(): Promise<void>
}

/** `inbox` of `openBus`. */
export interface InboxOptions {
  /**
   * The database that effects are made in: `postgres://…?schema=NAME` (table `inbox` of that schema, default `treaty`) or `sqlite:FILE` (table
   * `treaty_inbox`). Default: that of `outbox`, where the broker has no transactions of its own.
   */
  readonly url?: string
}

/** Completions after which what has had its time is deleted, a chunk at a time. */
export const purgeEvery = 500
export const purgeChunk = 1000
