import type { ContractTypes } from '../../contracts/index.ts'
import type { PublishOptions } from '../publish/publish-options.ts'
import type { OutgoingRecord, Page } from '../transport.ts'

/**
 * The outbox: messages that are written inside the caller's own transaction, and sent by a relay after its commit. A rollback
 * leaves nothing; a crash between commit and broker loses nothing. A message may be sent twice, under the same id, which
 * the broker's dedup window and the consumers' inbox recognise.
 */

/** `outbox` of `openBus`: where the rows are, and whether this process sends them. */
export interface OutboxOptions {
  /**
   * The database that your transactions are in: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME` (the rows go to the table
   * `outbox` of that schema, default `treaty`) or `sqlite:FILE` (table `treaty_outbox` in your file, which is put into WAL mode).
   * Default: the database of the transport, where the transport is one.
   */
  readonly url?: string
  /**
   * True (default): this process sends, too. Any number of processes may: each shard has one relay at a time, and another takes over when
   * it ends. False: rows are only written; `treaty outbox relay` or another process sends them.
   */
  readonly relay?: boolean
  /** Failures of one message after which it is parked, 1 or more. That the broker is away is no failure of a message. Default 10. */
  readonly failuresMax?: number
  /**
   * What the later messages of the same key do once one is parked: `next` (default) go on without it, `block` wait until it is retried or
   * discarded. Other keys never wait.
   */
  readonly onParked?: 'next' | 'block'
  /** Longest time in milliseconds until a row is seen whose wake-up was lost. Default 1000. */
  readonly pollMs?: number
  /** Rows of one shard that are read at a time, 1 to 10 000. Default 500. */
  readonly batch?: number
}

/** Options of a publish that make sense before the commit. Times count from the call, not from the commit. */
export type OutboxPublishOptions = Omit<PublishOptions, 'signal'>
/** A message that will be sent once the transaction is committed. */
export interface Queued {
  readonly id: string
}
type ManyOf<C extends ContractTypes> = readonly ({
  event: keyof C['events'] & string
  data: unknown
} & OutboxPublishOptions)[]

/** Writes into a transaction on PostgreSQL. */
export interface Outbox<C extends ContractTypes = ContractTypes> {
  /**
   * Validates as `bus.publish` does, then writes one row in the transaction of the handle.
   *
   * @throws SCHEMA_MISMATCH and what else `bus.publish` throws, before anything is written
   */
  publish<E extends keyof C['events'] & string>(
    event: E,
    data: C['events'][E],
    options?: OutboxPublishOptions,
  ): Promise<Queued>
  /** All or none: the first that is refused throws, and nothing is written. Their order is kept. */
  publishMany(messages: ManyOf<C>): Promise<readonly Queued[]>
}

/** As {@link Outbox}, for `node:sqlite`: synchronous, so that it fits into `context.commit` and between BEGIN and COMMIT. */
export interface SyncOutbox<C extends ContractTypes = ContractTypes> {
  /** @throws SCHEMA_MISMATCH and what else `bus.publish` throws, before anything is written · OUTBOX_NO_TRANSACTION */
  publish<E extends keyof C['events'] & string>(
    event: E,
    data: C['events'][E],
    options?: OutboxPublishOptions,
  ): Queued
  publishMany(messages: ManyOf<C>): readonly Queued[]
}

/** What is needed of a handle on PostgreSQL: `pg`'s `Client` and `PoolClient` have it, and the `tx` of `context.commit` there. */
export interface PostgresHandle {
  query(text: string, values?: unknown[]): Promise<unknown>
}
/** What is needed of a handle on SQLite: `node:sqlite`'s `DatabaseSync` has it, and the `tx` of `context.commit` there. */
export interface SqliteHandle {
  prepare(sql: string): {
    run(...values: (string | number | null | Uint8Array)[]): unknown
    get(...values: (string | number | null | Uint8Array)[]): unknown
    all(...values: (string | number | null | Uint8Array)[]): unknown[]
  }
  exec(sql: string): void
  readonly isTransaction: boolean
  location?(): string | null
}

/** What waits in an outbox. */
export interface OutboxStatus {
  /** Where it is, without user and password. */
  readonly database: string
  /** Messages that are committed and not yet sent, without the parked. */
  readonly backlog: number
  /** Milliseconds since the oldest of them was written; null: nothing waits. */
  readonly oldestAgeMs: number | null
  /** Messages that failed and are tried again, and those of their keys behind them. */
  readonly failing: number
  readonly parked: number
  /** Shards that a relay holds at this moment. */
  readonly relays: number
}

/** A message that the broker refused too often. */
export interface ParkedMessage {
  readonly id: string
  readonly messageId: string
  readonly event: string
  readonly address: string
  readonly key: string | null
  readonly failures: number
  /** Epoch milliseconds. */
  readonly writtenAt: number
  readonly parkedAt: number
  /** Code and sentence of the last failure. */
  readonly error: string
}

/** What a person can do about an outbox. */
export interface OutboxDesk {
  status(): Promise<OutboxStatus>
  parked(page: { limit: number; cursor?: string }): Promise<Page<ParkedMessage>>
  /** Lets the relay try a parked message again, its failures forgotten. False: there is none of this id. */
  retry(id: string): Promise<boolean>
  /** Deletes a parked message for good. False: there is none of this id. */
  discard(id: string): Promise<boolean>
}

/** One row as the relay reads it. */
export interface OutboxRow {
  readonly id: string
  /** What must stay in order; null: nothing does. */
  readonly chain: string | null
  readonly failures: number
  readonly record: OutgoingRecord
}
/** What became of rows that were tried. */
export interface OutboxResult {
  readonly sent: readonly string[]
  readonly failed: readonly {
    readonly id: string
    readonly error: string
    /** Counts as a failure of its own; else the broker is away. */
    readonly counts: boolean
    /** Milliseconds until the next try; undefined: parked. */
    readonly retryMs: number | undefined
  }[]
}
/** The rows of one shard, while this relay alone has it. */
export interface OutboxShard {
  /** Rows that may be sent now, in their order; of a key only what no earlier row of it forbids. */
  read(limit: number): Promise<readonly OutboxRow[]>
  /** Deletes what was sent and notes what failed, in one transaction. @throws where the shard is ours no more */
  finish(result: OutboxResult): Promise<void>
}

/** A database with an outbox: what {@link startRelay} and the command line work on. */
export interface OutboxDatabase extends OutboxDesk {
  /** For people, without user and password. */
  readonly name: string
  /** The shards that have rows which may be sent, as far as a look without locks can tell. */
  pending(): Promise<readonly number[]>
  /** Runs `work` while no other relay may touch the shard; undefined: another has it just now. */
  alone<T>(shard: number, work: (shard: OutboxShard) => Promise<T>): Promise<T | undefined>
  /** Called when something was committed, or may have been. */
  onWake(listener: () => void): void
  close(): Promise<void>
}
