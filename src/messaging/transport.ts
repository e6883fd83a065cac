import type { Clock } from '../core/clock.ts'
import type { TreatyError } from '../core/errors.ts'
import type { Finding } from '../core/finding.ts'

/**
 * The port between the bus and a broker. A transport owns bytes, credit, settlement and topology;
 * meaning (encoding, validation, retry policy) is the bus's. Every transport passes
 * `describeTransport` on the real broker.
 *
 * Delivery is at least once. What a broker lacks is said in {@link Capabilities} and then emulated
 * or refused at start-up, never ignored.
 */
export interface Transport {
  readonly name: string
  readonly capabilities: Capabilities
  /** Opens the connection. @throws TRANSPORT_UNAVAILABLE and the STORE_ codes */
  connect(signal?: AbortSignal): Promise<void>
  /**
   * Stops intake, waits up to `drainMs` for what is out with handlers, releases the rest, flushes, closes.
   * Safe to call twice and at the same time as anything else.
   */
  close(options: { drainMs: number }): Promise<void>
  /** Creates what is missing (`create`; adds, never deletes) or reports the difference (`verify`). Idempotent. */
  ensure(topology: Topology, mode: 'create' | 'verify'): Promise<TopologyDiff>
  /**
   * Resolves after the broker's durable acknowledgement, with one result for each record, in order.
   * A record that is refused does not stop the others.
   */
  publish(records: readonly OutgoingRecord[], signal?: AbortSignal): Promise<PublishResult[]>
  /** Pushes deliveries to `sink`, never more unsettled ones than the credit granted. Starts with no credit. */
  subscribe(spec: SubscriptionSpec, sink: DeliverySink): Promise<TransportSubscription>
  /**
   * Applies outcomes, each fenced: one that came too late (the lease has moved) has no effect and says `lost`.
   * Resolves when durable. `effect` of an acknowledgement runs inside the same transaction where
   * {@link Capabilities.transactions} is not `none`.
   */
  settle(settlements: readonly Settlement[]): Promise<SettleResult[]>
  readonly dead: DeadLetterStore
  /** Counters and gauges; right within a second. */
  stats(): Promise<TransportStats>
  /** Messages that are still readable, oldest first. Absent where the broker cannot look back. */
  browse?(query: BrowseQuery): Promise<Page<StoredMessage>>
  /**
   * Stores records inside the caller's own transaction, where `tx` is a handle on this broker's very database: they are published with its commit,
   * and a rollback leaves nothing. Undefined: it is no such handle, nothing was done. Synchronous.
   *
   * @throws MESSAGE_TOO_LARGE, before anything is written · OUTBOX_NO_TRANSACTION · the STORE_ codes
   */
  publishWithin?(
    tx: TransactionHandle,
    records: readonly OutgoingRecord[],
  ): readonly { readonly id: string }[] | undefined
  /** True for each inbox key of the group that was completed before. Present where `transactions` is not `none`. */
  inboxSeen?(group: string, keys: readonly string[]): Promise<readonly boolean[]>
  /**
   * Everything of Treaty's that is on the broker, whichever contract it belongs to, for `treaty topology`: what no contract needs any
   * more is decided above the port. Read only. Where the broker is shared with other programs, only what carries Treaty's own mark
   * (a name that we give, a table of ours); groups that vanish with their connection are left out. Optional: without it, a
   * plan says only what is missing or other than needed.
   */
  inventory?(): Promise<BrokerInventory>
  /**
   * Takes away what is named: subscriptions first, then groups (what waits in them counts as expired, where the broker counts), then channels (with
   * their messages). Dead letters of a group stay until their retention ends where the broker keeps them apart. What is not there any more is no
   * error, so that it can be tried again. Only ever called by `treaty topology apply --allow-delete`. Present where `inventory` is, or absent.
   *
   * @throws TOPOLOGY_IN_USE for a channel that another group still reads
   */
  remove?(surplus: TopologySurplus): Promise<void>
  /** Problems without a caller: a lost connection, a failed background commit. */
  onError(listener: (error: TreatyError) => void): void
}

export interface Capabilities {
  /** Survives the end of the process. */
  readonly durable: boolean
  readonly competingConsumers: boolean
  readonly fanOutGroups: boolean
  /** Longest delay in milliseconds; 0: none. */
  readonly nativeDelayMsMax: number
  readonly nativeDeadLetter: boolean
  /** Counts deliveries over crashes of the consumer. */
  readonly deliveryCount: boolean
  readonly orderedByKey: 'native' | 'partition' | 'none'
  readonly orderSurvivesRetry: boolean
  readonly orderSurvivesDead: boolean
  /** Number of levels; 1: none. */
  readonly priorityLevels: number
  readonly ttl: boolean
  /** 0: duplicates are not recognised at publish. */
  readonly publishDedupWindowMs: number
  readonly batchPublish: boolean
  readonly batchSettle: boolean
  readonly transactions: 'sync' | 'async' | 'none'
  readonly historyReplay: boolean
  /** Several processes may use the same broker. */
  readonly multiProcess: boolean
  readonly releaseOnDisconnect: boolean
  readonly messageBytesMax: number
  readonly headers: boolean
  /** Why something above is denied: capability → sentence with its source. */
  readonly denials: Readonly<Record<string, string>>
  /** What is claimed above, but is our doing rather than the broker's own: capability → how, in one sentence. */
  readonly emulations?: Readonly<Record<string, string>>
}

/** What the contracts need on a broker. */
export interface Topology {
  readonly channels: readonly ChannelTopology[]
  readonly groups: readonly GroupTopology[]
}
export interface ChannelTopology {
  readonly address: string
  readonly ordering: 'none' | 'per-key' | 'per-channel'
  /** Absent: a message goes when every group is done with it. */
  readonly retentionMs?: number
  readonly bindings?: Readonly<Record<string, unknown>>
}
export interface GroupTopology {
  /** `<contract id>.<consumer>`. */
  readonly name: string
  readonly consumer: string
  readonly subscriptions: readonly {
    readonly address: string
    /** Message types that are handed out; others count as skipped. `*`: all. */
    readonly types: readonly string[] | '*'
    /**
     * Where other programs write to the channel too: only these count as skipped, and a type that is in neither list is handed out, so
     * that it dies as UNKNOWN_EVENT instead of vanishing. Absent: all others count as skipped.
     */
    readonly ignored?: readonly string[]
  }[]
  /** Where a group that is new begins; only what is still kept can be read. */
  readonly start: 'earliest' | 'latest'
  readonly deadLetter: {
    readonly address: string
    readonly retentionMs: number
    readonly onDead: 'next' | 'block'
    readonly onExpired: 'dead-letter' | 'drop'
  }
  /** Deliveries after which a message dies as CRASH_LOOP without being handed out again. */
  readonly deliveriesMax: number
  /** Vanishes with the connection that made it: reply queues. */
  readonly ephemeral?: boolean
}
export interface TopologyDiff {
  readonly missing: readonly string[]
  readonly created: readonly string[]
  /** What is there but other than needed, in such a way that a promise would break. */
  readonly drift: readonly Finding[]
}

/** What is on a broker; see {@link Transport.inventory}. */
export interface BrokerInventory {
  readonly channels: readonly {
    readonly address: string
    /** Messages that it keeps, where the broker can say so cheaply. */
    readonly messages?: number
  }[]
  readonly groups: readonly {
    readonly name: string
    /** The consumer's own name, where the broker keeps it: it tells `shop` + `orders.x` from `shop.orders` + `x`. */
    readonly consumer?: string
    readonly addresses: readonly string[]
    /** Messages that are not finished: they go when the group is removed. */
    readonly waiting?: number
  }[]
}
/** What is to be taken away; see {@link Transport.remove}. */
export interface TopologySurplus {
  readonly subscriptions: readonly { readonly group: string; readonly address: string }[]
  /** Names of groups. */
  readonly groups: readonly string[]
  /** Addresses of channels. */
  readonly channels: readonly string[]
}

/** Priorities in order; the position is the level. */
export const priorityLevels = ['low', 'normal', 'high', 'critical'] as const

export interface OutgoingRecord {
  readonly id: string
  readonly address: string
  readonly type: string
  /** Absent: no order is kept. */
  readonly key?: string
  readonly body: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  readonly contentType: string
  /** 0 low, 1 normal (default), 2 high, 3 critical. */
  readonly priority?: number
  /** Epoch milliseconds; expired from this instant on. */
  readonly expiresAt?: number
  /** Epoch milliseconds before which it is not handed out. */
  readonly deliverAt?: number
  /** Milliseconds for which the same id on the same address is a duplicate; absent: not looked at. */
  readonly dedupWindowMs?: number
  readonly correlationId?: string
  readonly causationId?: string
}
export type PublishResult =
  | { readonly id: string; readonly position: string; readonly duplicate?: boolean }
  | { readonly error: TreatyError }

/** A record as the broker keeps it. */
export interface IncomingRecord extends OutgoingRecord {
  /** Place in the broker: sortable within one address and key. */
  readonly position: string
  /** Epoch milliseconds at which the broker took it. */
  readonly publishedAt: number
}

export interface SubscriptionSpec {
  readonly group: string
  /** Name of this replica, for people. */
  readonly replica?: string
  /** Told of deliveries that were handed to another process while they were out: what they still settle has no effect. Must not throw. */
  readonly onLost?: (deliveries: readonly Delivery[]) => void
}
/** Must not throw. Called with one or more deliveries. */
export type DeliverySink = (deliveries: readonly Delivery[]) => void
export interface TransportSubscription {
  /** Allows `count` more unsettled deliveries. Settling one does not give its credit back: grant anew. */
  grant(count: number): void
  pause(): void
  resume(): void
  /** No more deliveries; what is out stays valid until settled. Resolves when intake has ended. */
  stop(): Promise<void>
  /** True once assigned and polling. */
  readonly isReady: boolean
}

/** One message handed to one consumer, once. */
export interface Delivery {
  readonly record: IncomingRecord
  readonly group: string
  /** Which attempt of the handler this is, from 1; a release does not count. */
  readonly attempt: number
  /** How often it was handed out, from 1; counts crashes too. */
  readonly deliveryCount: number
  /** Epoch milliseconds of the first failed attempt. */
  readonly firstFailedAt?: number
  /** The transport's own handle; opaque. */
  readonly lease: unknown
}

/** The handle that an effect gets: the broker's database inside the acknowledgement's transaction. */
export type TransactionHandle = unknown
/** Synchronous where {@link Capabilities.transactions} is `sync`; where it is `async` its promise is awaited before the commit. */
export type TransactionEffect = (tx: TransactionHandle) => void | Promise<void>

export type Settlement =
  | {
      readonly outcome: 'ack'
      readonly delivery: Delivery
      /** How it counts. Default `handled`. */
      readonly as?: 'handled' | 'skipped'
      /** Written with the acknowledgement, so that the key is seen as completed until `untilMs` (epoch). */
      readonly inbox?: { readonly key: string; readonly untilMs: number }
      /** Runs inside the acknowledgement's transaction; a throw rolls this settlement back, and only it. */
      readonly effect?: TransactionEffect
      /** Published in the same transaction, in order. */
      readonly publish?: readonly OutgoingRecord[]
    }
  | { readonly outcome: 'retry'; readonly delivery: Delivery; readonly delayMs: number }
  | { readonly outcome: 'release'; readonly delivery: Delivery; readonly delayMs?: number }
  | { readonly outcome: 'dead'; readonly delivery: Delivery; readonly failure: Failure }
  | { readonly outcome: 'drop'; readonly delivery: Delivery }
export type SettleResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'lost' }
  | { readonly ok: false; readonly reason: 'error'; readonly error: unknown }

/** Why a message died. */
export interface Failure {
  /** A code of the catalogue: HANDLER_FAILED, SCHEMA_MISMATCH, UNKNOWN_EVENT, EXPIRED, CRASH_LOOP … */
  readonly reason: string
  readonly message?: string
  readonly errorClass?: string
  readonly stack?: string
  readonly findings?: readonly Finding[]
  readonly contract?: string
  readonly contractVersion?: string
}

export interface DeadLetter extends Failure {
  readonly id: string
  readonly messageId: string
  readonly event: string
  /** Null: refused at `ingest` or at publish, before any consumer. */
  readonly consumer: string | null
  readonly group: string | null
  readonly attempts: number
  /** Epoch milliseconds. */
  readonly firstFailedAt: number
  readonly failedAt: number
  readonly address: string
  readonly position?: string
  readonly key?: string
  readonly correlationId?: string
  /** The original bytes, headers and content type. */
  readonly body: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  readonly contentType: string
}
export interface DeadFilter {
  readonly consumer?: string
  readonly event?: string
  readonly reason?: string
  /** Epoch milliseconds, inclusive. */
  readonly failedAfter?: number
  readonly failedBefore?: number
}
export interface Page<Item> {
  readonly items: readonly Item[]
  /** Give it back as `cursor` for the next page; absent on the last. */
  readonly next?: string
}
/** Dead letters as headers only: bodies are read one at a time with `get`. */
export type DeadLetterSummary = Omit<DeadLetter, 'body' | 'headers' | 'stack'>
export interface DeadLetterStore {
  list(
    filter: DeadFilter,
    page: { limit: number; cursor?: string },
  ): Promise<Page<DeadLetterSummary>>
  get(id: string): Promise<DeadLetter | undefined>
  /**
   * Hands the message to the consumer whose dead letter it is, and to no other: same message id,
   * attempt 1 again, keeping its dead-letter route and, under `onDead: block`, its place. The dead letter is gone
   * in the same transaction. False: no such dead letter. A letter without a consumer is published anew.
   */
  replay(id: string): Promise<boolean>
  discard(id: string): Promise<boolean>
  count(filter: DeadFilter): Promise<number>
  /**
   * Keeps what never became a message: bytes refused by `ingest`. The same bytes under the same message id, refused again for the
   * same reason before any consumer, are kept once, and the first letter's id comes back: outsiders try again.
   */
  put(letter: Omit<DeadLetter, 'id'>): Promise<string>
}

/** One row of the ledger. `deliveries = handled + skipped + dead + expired + waiting` in every row. */
export interface CountRow {
  readonly event: string
  /** Null: counts of the event before any consumer: `published`, and what `ingest` refused. */
  readonly consumer: string | null
  readonly published: number
  readonly deliveries: number
  readonly handled: number
  readonly skipped: number
  readonly retried: number
  readonly dead: number
  readonly expired: number
  readonly waiting: number
}
export interface TransportStats {
  readonly counts: readonly CountRow[]
  readonly groups: readonly {
    readonly group: string
    readonly ready: number
    readonly inFlight: number
    /** Waiting for a retry or a delayed publish. */
    readonly delayed: number
    /** Waiting behind an earlier message of the same key. */
    readonly blocked: number
    readonly oldestAgeMs: number | null
  }[]
}

/** `cursor` is `next` of a page, or the position of the last message that was seen. */
export interface BrowseQuery {
  readonly correlationId?: string
  readonly event?: string
  /** Epoch milliseconds: what was published before is not asked for. A transport may give it all the same. */
  readonly from?: number
  /**
   * Only what is on these, and replies: a broker may carry the channels of many others, which are not read then. Absent: all. A
   * transport may give others all the same.
   */
  readonly addresses?: readonly string[]
  readonly limit: number
  readonly cursor?: string
}
/** A message as kept for looking back, with what became of it. */
export interface StoredMessage {
  readonly record: IncomingRecord
  readonly consumers: readonly {
    readonly consumer: string
    readonly state: 'waiting' | 'in-flight' | 'retrying' | 'blocked' | 'dead' | 'done'
    readonly attempts: number
  }[]
}

/** What every transport factory takes. */
export interface TransportOptions {
  readonly clock?: Clock
  /** Milliseconds after which the work of a process that went silent is handed to another. Default 30 000. */
  readonly leaseMs?: number
}
