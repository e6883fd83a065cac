import type { Json } from '../core/json.ts'

/**
 * Memory that outlives a process: the port behind registry, inbox, checkpoints and locks. Small on
 * purpose: six primitives from which the features are made. Every adapter passes `describeStore`.
 *
 * All methods are safe under concurrent use by several processes on the same store. Names and keys
 * are text of 1 to 512 characters; values are JSON.
 */
export interface Store {
  readonly kind: 'sqlite' | 'postgres' | 'memory'
  readonly records: RecordStore
  readonly log: LogStore
  readonly claims: ClaimStore
  readonly locks: LockStore
  readonly counters: CounterStore
  /** Copies a consistent snapshot to `file` while others go on reading and writing. */
  backup(file: string): Promise<void>
  close(): Promise<void>
}

export interface StoredRecord<Value extends Json = Json> {
  readonly key: string
  readonly value: Value
  /** Grows by one with each write of the key, from 1. */
  readonly revision: number
}
/** Named collections of keyed values with optimistic concurrency. */
export interface RecordStore {
  get(collection: string, key: string): Promise<StoredRecord | undefined>
  /**
   * Writes when the present revision equals `expect` (0: the key must be absent; undefined: whatever it is).
   * Undefined: another write came first, nothing was changed.
   */
  put(
    collection: string,
    key: string,
    value: Json,
    options?: { expect?: number },
  ): Promise<StoredRecord | undefined>
  /** False: not there, or at another revision. */
  delete(collection: string, key: string, options?: { expect?: number }): Promise<boolean>
  /** In key order (code points), after `after`; at most `limit`. */
  list(
    collection: string,
    options: { prefix?: string; after?: string; limit: number },
  ): Promise<readonly StoredRecord[]>
}

export interface LogEntry {
  /** Position in the stream, from 1, without gaps. */
  readonly position: number
  /** Epoch milliseconds. */
  readonly at: number
  readonly value: Json
}
/** Append-only streams. */
export interface LogStore {
  /** Appends all or none; the position of the first. `expect`: the stream's present length, else undefined is returned. */
  append(
    stream: string,
    values: readonly Json[],
    options?: { expect?: number },
  ): Promise<number | undefined>
  read(stream: string, options: { after?: number; limit: number }): Promise<readonly LogEntry[]>
  length(stream: string): Promise<number>
}

/** Idempotency keys: an atomic claim, completion, and their end. */
export interface ClaimStore {
  /**
   * `claimed`: yours until `leaseMs` from now on the store's clock; `running`: somebody's, until `untilMs`; `done`: completed before.
   * A claim whose lease has passed can be claimed anew: that is how a crash frees it.
   */
  claim(scope: string, key: string, leaseMs: number): Promise<ClaimResult>
  /** Completes a claim, remembered for `keepMs`. False: the token has been fenced off. */
  complete(scope: string, key: string, token: number, keepMs: number): Promise<boolean>
  /** Gives a claim back so that another may try at once. */
  release(scope: string, key: string, token: number): Promise<boolean>
  /** Deletes completions whose time is over, in chunks; how many. */
  purge(): Promise<number>
}
export type ClaimResult =
  | { readonly state: 'claimed'; readonly token: number }
  | { readonly state: 'running'; readonly untilMs: number }
  | { readonly state: 'done' }

export interface Lock {
  readonly name: string
  /** Grows with every acquisition of the name: hand it along, so that a late holder is refused. */
  readonly fence: number
}
/** Leases with fencing tokens. */
export interface LockStore {
  acquire(name: string, holder: string, leaseMs: number): Promise<Lock | undefined>
  /** False: the lease had ended and another holds it, or it was released. */
  renew(lock: Lock, leaseMs: number): Promise<boolean>
  release(lock: Lock): Promise<boolean>
}

/** Numbers that grow, shared by all processes. */
export interface CounterStore {
  add(increments: Readonly<Record<string, number>>): Promise<void>
  /** Every counter whose name begins with `prefix`. */
  read(prefix: string): Promise<Readonly<Record<string, number>>>
}
