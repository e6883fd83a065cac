import type { Contract, ContractTypes, Message, Profile } from '../contracts/index.ts'
import type { Clock } from '../core/clock.ts'
import type { TreatyError } from '../core/errors.ts'
import type { Finding } from '../core/finding.ts'
import type { Random } from '../core/random.ts'
import type { Store } from '../store/index.ts'
import type { ConfluentWireOptions } from './confluent/transport.ts'
import type { PatternOf } from './event-pattern.ts'
import type { InboxOptions } from './inbox/inbox.ts'
import type {
  Outbox,
  OutboxDesk,
  OutboxOptions,
  PostgresHandle,
  SqliteHandle,
  SyncOutbox,
} from './outbox/outbox.ts'
import type { Published, PublishOptions } from './publish/publish-options.ts'
import type {
  CountRow,
  DeadFilter,
  DeadLetter,
  DeadLetterSummary,
  Page,
  StoredMessage,
  TransactionHandle,
  Transport,
} from './transport.ts'
import type { BrokerFacts } from './watch/broker-facts.ts'

export interface BusOptions {
  /** A file, a folder (read recursively), or contracts from `defineContract` or `loadContracts`. */
  readonly contracts: string | readonly (string | Contract)[]
  /** `memory:`, `sqlite:FILE`, or a broker's URL, or an opened transport. Default `sqlite:./treaty.db`. */
  readonly transport?: string | Transport
  /** Name of the producer that this process speaks for; default: the only one the contract names. */
  readonly service?: string
  readonly profile?: Profile
  readonly store?: string | Store
  /** Default `create`: missing topology is made before the first send. */
  readonly topology?: 'create' | 'verify'
  /**
   * Messages in the transactions of your own database: see {@link OutboxOptions}. Without it `bus.outbox` takes only handles on the
   * embedded broker's own file, and the `tx` of `context.commit` there.
   */
  readonly outbox?: OutboxOptions
  /**
   * The database in which the effects of `context.commit` are made and remembered, where that is another than the broker's: see
   * {@link InboxOptions}. Without it they are part of the broker's own transaction, or, where the broker has none, made in the database of `outbox`.
   */
  readonly inbox?: InboxOptions
  /** Messages carry the id of their schema in the Confluent wire format, on channels of contracts with the envelope `none`. */
  readonly confluent?: ConfluentWireOptions
  /**
   * Milliseconds after which the work of a process that went silent is handed on. Default: 30 000 on SQLite and PostgreSQL, 4000 to 6000
   * on the other brokers, where the lease is of lanes and not of messages.
   */
  readonly leaseMs?: number
  readonly clock?: Clock
  readonly random?: Random
  /** Largest message on the wire, in bytes. Default 1 MiB. */
  readonly messageBytesMax?: number
}

export type { Published, PublishOptions } from './publish/publish-options.ts'

/** What a handler may return instead of throwing; nothing means `ack`. */
export type Outcome =
  | { readonly outcome: 'ack' }
  | { readonly outcome: 'retry'; readonly afterMs?: number; readonly reason?: string }
  | { readonly outcome: 'release'; readonly afterMs?: number }
  | { readonly outcome: 'dead'; readonly reason: string }
  | { readonly outcome: 'drop' }

export interface HandlerContext<C extends ContractTypes = ContractTypes> {
  /** From 1; a release does not count. */
  readonly attempt: number
  /** Aborts when the bus gives up waiting for this handler: shutdown, or the lease has moved. */
  readonly signal: AbortSignal
  readonly consumer: string
  /** As `bus.publish`, inheriting the correlation id; the message being handled is the cause. */
  publish<E extends keyof C['events'] & string>(
    event: E,
    data: C['events'][E],
    options?: PublishOptions,
  ): Promise<Published>
  /**
   * Effect once: `effect` runs inside the transaction of this message's acknowledgement, together with the inbox row,
   * after the handler has returned. On a broker without transactions it runs with the inbox row in the database of `inbox` or `outbox` of the bus,
   * before the acknowledgement; where there is none, this throws EFFECTS_UNSUPPORTED. On SQLite synchronous, with the database (node:sqlite) as `tx`; on PostgreSQL it may be async, with
   * `{ query(text, values) }` on the connection whose transaction ends with the acknowledgement. A throw rolls back and counts as a failed attempt.
   * Resolves once it is registered, not once it has run. Say which handle it is: `(tx: DatabaseSync) => …`, `async (tx: PostgresHandle) => …`.
   */
  commit<Tx = TransactionHandle>(effect: (tx: Tx) => void | Promise<void>): void
  ack(): Outcome
  retry(options?: { afterMs?: number; reason?: string }): Outcome
  /** Gives the message back without counting an attempt. */
  release(options?: { afterMs?: number }): Outcome
  /** Never tried again: a dead letter with this reason. */
  dead(reason: string): Outcome
  drop(): Outcome
}
export type Handler<Data = unknown, C extends ContractTypes = ContractTypes> = (
  message: Message<Data>,
  context: HandlerContext<C>,
) => void | Outcome | Promise<void | Outcome>

/**
 * Handlers of a consumer: one for each event that the contract lists for it, patterns for several (`order.*`: one segment,
 * `order.#`: the rest), or `*` for those without one. The closest wins: the name itself, then the pattern with the most literal segments.
 */
export type Handlers<C extends ContractTypes, Name extends keyof C['consumers'] & string> =
  | { [E in EventsOf<C, Name>]: Handler<C['events'][E], C> }
  | { '*': Handler<C['events'][EventsOf<C, Name>], C> }
  | AtLeastOne<
      { [P in PatternOf<EventsOf<C, Name>>]: Handler<C['events'][EventsOf<C, Name>], C> },
      { [E in EventsOf<C, Name>]?: Handler<C['events'][E], C> }
    >
type EventsOf<
  C extends ContractTypes,
  Name extends keyof C['consumers'] & string,
> = C['consumers'][Name] & keyof C['events'] & string
/** One member of the first at the least, and whatever of the second. */
type AtLeastOne<Patterns, Rest> = {
  [P in keyof Patterns]: Pick<Patterns, P> & Partial<Omit<Patterns, P>> & Rest
}[keyof Patterns]

/** How messages are gathered: `batch` of {@link ConsumeOptions}. */
export interface BatchOptions {
  /** Messages of one event in one call at most, 1 to 10 000. Default 100. */
  readonly size?: number
  /** Longest time in milliseconds that the first of them waits for others, 0 to 60 000. Default 25. */
  readonly waitMs?: number
}
export interface BatchContext<C extends ContractTypes = ContractTypes>
  extends Pick<
    HandlerContext<C>,
    'consumer' | 'signal' | 'ack' | 'retry' | 'release' | 'dead' | 'drop'
  > {
  /** One for each message, in its order: its attempt, what it publishes and commits. */
  readonly each: readonly HandlerContext<C>[]
}
/**
 * Gets messages of one event together. Nothing, or one outcome, is for all of them; a list has one for each, undefined being `ack`. After a
 * throw each message is tried alone at once, in a batch of one, so that only those that cannot pass fail.
 */
export type BatchHandler<Data = unknown, C extends ContractTypes = ContractTypes> = (
  messages: readonly Message<Data>[],
  context: BatchContext<C>,
) => BatchOutcome | Promise<BatchOutcome>
export type BatchOutcome = void | Outcome | readonly (Outcome | undefined)[]
/** As {@link Handlers}, for batches. */
export type BatchHandlers<C extends ContractTypes, Name extends keyof C['consumers'] & string> =
  | { [E in EventsOf<C, Name>]: BatchHandler<C['events'][E], C> }
  | { '*': BatchHandler<C['events'][EventsOf<C, Name>], C> }
  | AtLeastOne<
      { [P in PatternOf<EventsOf<C, Name>>]: BatchHandler<C['events'][EventsOf<C, Name>], C> },
      { [E in EventsOf<C, Name>]?: BatchHandler<C['events'][E], C> }
    >

export interface ConsumeOptions {
  /** Handlers at work at the same time, 1 to 10 000. Default 16. With `batch`: batches of all events together, default 1. */
  readonly concurrency?: number
  /** Deliveries held ready beside those at work, 0 to 10 000: bounds what a crash hands out again. Default: as many as `concurrency`. */
  readonly prefetch?: number
  /** Name of this replica, for people. */
  readonly replica?: string
  readonly signal?: AbortSignal
  /** Told after each settlement: for command lines, pages and tests. */
  readonly onSettled?: (event: SettledEvent) => void
}
export interface SettledEvent {
  readonly consumer: string
  readonly messageId: string
  readonly event: string
  readonly attempt: number
  readonly outcome: 'ack' | 'skipped' | 'duplicate' | 'retry' | 'release' | 'dead' | 'drop' | 'lost'
  readonly elapsedMs: number
  readonly error?: { readonly code: string; readonly message: string }
  readonly retryAfterMs?: number
}
export interface Subscription {
  readonly consumer: string
  /** True once assigned and polling. */
  readonly isReady: boolean
  pause(): void
  resume(): void
  /** Stops intake, waits for handlers up to `drainMs` (default 30 000), then aborts them and releases what is left. */
  stop(options?: { drainMs?: number }): Promise<void>
}

export type CommandHandler<Data, Reply> = (
  message: Message<Data>,
  context: HandlerContext,
) => Reply | Promise<Reply>

export type EventCounts = Omit<CountRow, 'event' | 'consumer'>
export interface BusStats extends EventCounts {
  readonly byEvent: Readonly<Record<string, EventCounts>>
  /** Rows by event and consumer. */
  readonly rows: readonly CountRow[]
}

export interface DeadLetters {
  list(options?: DeadFilter & { limit?: number; cursor?: string }): Promise<Page<DeadLetterSummary>>
  get(id: string): Promise<DeadLetter | undefined>
  /**
   * Hands the message to its consumer again, under the same id; what `ingest` refused goes to all consumers. False: no such
   * dead letter.
   *
   * @throws SCHEMA_MISMATCH when what `ingest` refused breaks the contract still; the letter is kept
   */
  replay(id: string): Promise<boolean>
  discard(id: string): Promise<boolean>
  count(filter?: DeadFilter): Promise<number>
}

/** What became of one inner message of a batch. */
export interface IngestedItem {
  /** Place in the batch, from 0. */
  readonly index: number
  readonly id: string
  readonly deadLetter?: string
  readonly findings?: readonly Finding[]
}
export interface IngestedBatch {
  readonly id: string
  /** In the order of the batch; empty where the batch itself was refused. */
  readonly items: readonly IngestedItem[]
  readonly deadLetter?: string
  readonly findings?: readonly Finding[]
}

export interface TraceEntry {
  readonly message: Message
  readonly consumers: StoredMessage['consumers']
  readonly depth: number
}
/** All messages of one correlation id that are still kept, causes before effects. */
export interface Trace {
  readonly correlationId: string
  readonly entries: readonly TraceEntry[]
  /** Ids of causes that are named but not kept. */
  readonly missing: readonly string[]
}

export interface BusHealth {
  readonly live: boolean
  /** The broker answers, and every consumer of this process is polling. */
  readonly ready: boolean
  /** A sentence for each thing that is wrong. */
  readonly problems: readonly string[]
  /** The broker answers. */
  readonly reachable: boolean
  /** Consumers of this process. */
  readonly consumers: readonly { readonly consumer: string; readonly ready: boolean }[]
  /** Looked for once a minute: what is on the broker but other than the contracts need. Its errors are problems, and change nothing in `ready`. */
  readonly drift: readonly Finding[]
  /** What the broker says of itself, asked once a minute; absent for the embedded ones and for a transport that was handed over open. */
  readonly broker?: BrokerFacts
}

export interface Bus<C extends ContractTypes = ContractTypes> {
  readonly contracts: readonly Contract[]
  readonly transport: Transport
  /**
   * Validates against the producer view, then sends; resolves after the broker's durable acknowledgement.
   * @throws SCHEMA_MISMATCH with findings, before anything is sent · UNKNOWN_EVENT · KEY_CONFLICT · MESSAGE_TOO_LARGE · BUS_CLOSED
   */
  publish<E extends keyof C['events'] & string>(
    event: E,
    data: C['events'][E],
    options?: PublishOptions,
  ): Promise<Published>
  publishMany(
    messages: readonly ({ event: keyof C['events'] & string; data: unknown } & PublishOptions)[],
  ): Promise<(Published | { error: TreatyError })[]>
  /**
   * Publishes with the commit of your own transaction, and not at all where it is rolled back. On the embedded broker's own file the insert is
   * the publish; elsewhere a relay sends what `outbox` of `openBus` names, at least once and under the same id, a key in its order.
   *
   * @param tx The `DatabaseSync` or the `pg` client that your BEGIN went through, or the `tx` of `context.commit`.
   * @throws OUTBOX_NOT_CONFIGURED at publish, where the handle is on no database that the bus knows of
   */
  outbox(tx: SqliteHandle): SyncOutbox<C>
  outbox(tx: PostgresHandle): Outbox<C>
  outbox(tx: TransactionHandle): Outbox<C> | SyncOutbox<C>
  /** What waits in the outbox, and what is parked there. Undefined where the bus was opened without one, or its insert is the publish. */
  readonly outboxDesk: OutboxDesk | undefined
  /** Takes the raw bytes of outsiders: valid → published, invalid → a dead letter with the bytes and the findings. Never throws on content. */
  ingest(
    event: keyof C['events'] & string,
    rawBytes: Uint8Array,
    options: { source: string; headers?: Readonly<Record<string, string>>; id?: string },
  ): Promise<{ id: string; deadLetter?: string; findings?: readonly Finding[] }>
  /**
   * Takes a batch message (type `batch`, `batch_size` and `messages`): each inner message is judged on its own, so that
   * one that is invalid stops nobody else. A batch that is itself wrong is one dead letter. Never throws on content.
   */
  ingestBatch(
    rawBytes: Uint8Array,
    options: { source: string; headers?: Readonly<Record<string, string>> },
  ): Promise<IngestedBatch>
  /** Hands messages over in batches: `batch` is their size, or says more. */
  consume<Name extends keyof C['consumers'] & string>(
    consumer: Name,
    handlers: BatchHandlers<C, Name>,
    options: ConsumeOptions & { readonly batch: number | BatchOptions },
  ): Promise<Subscription>
  consume<Name extends keyof C['consumers'] & string>(
    consumer: Name,
    handlers: Handlers<C, Name>,
    options?: ConsumeOptions,
  ): Promise<Subscription>
  /**
   * Sends a command and waits for its reply; the waiter stands before the command is sent.
   * @throws REQUEST_TIMEOUT · COMMAND_FAILED with the typed error in `details`
   */
  request<K extends keyof C['commands'] & string>(
    command: K,
    data: C['commands'][K]['data'],
    options?: { timeoutMs?: number; signal?: AbortSignal },
  ): Promise<Message<C['commands'][K]['reply']>>
  handle<K extends keyof C['commands'] & string>(
    command: K,
    handler: CommandHandler<C['commands'][K]['data'], C['commands'][K]['reply']>,
    options?: ConsumeOptions,
  ): Promise<Subscription>
  readonly dead: DeadLetters
  stats(): Promise<BusStats>
  trace(correlationId: string): Promise<Trace>
  /** Messages still kept, oldest first. */
  messages(query: {
    correlationId?: string
    event?: string
    /** Epoch milliseconds; messages from before may be among them all the same. */
    from?: number
    limit?: number
    cursor?: string
  }): Promise<Page<StoredMessage & { message: Message | null }>>
  /** A sentence for each thing that is wrong; empty when all is well. */
  health(): Promise<BusHealth>
  /** Runs `work` so that what it publishes belongs to this correlation id. */
  withCorrelation<T>(correlationId: string, work: () => T): T
  onError(listener: (error: TreatyError) => void): void
  /** Stops intake, drains up to `drainMs` (default 30 000), releases the rest, closes. Safe to call twice. */
  close(options?: { drainMs?: number }): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
