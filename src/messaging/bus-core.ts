import type {
  Consumer,
  Contract,
  EventValidator,
  Message,
  MessageValidator,
} from '../contracts/index.ts'
import type { Clock } from '../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../core/errors.ts'
import { createIdSource, createTimestampSource } from '../core/ids.ts'
import type { Random } from '../core/random.ts'
import type { Store } from '../store/index.ts'
import { batchOptions, oneByOne } from './batch-handler.ts'
import type { Catalogue, KnownConsumer } from './catalogue.ts'
import { Commands } from './commands.ts'
import { createCompletion } from './completion.ts'
import { checkConsumeOptions, concurrencyMax, handlerTable } from './handler-table.ts'
import { createIdempotencyGuard } from './idempotency.ts'
import type { InboxDatabase } from './inbox/inbox.ts'
import type { BusOutbox, MadeRecord, OutboxDesk } from './outbox/index.ts'
import type { OutgoingFactory, OutgoingSpec } from './outgoing.ts'
import { createOutgoingFactory } from './outgoing.ts'
import { producerOf } from './producers.ts'
import { createReader } from './reader.ts'
import type { Sender } from './sender.ts'
import { createSender } from './sender.ts'
import { commandGroup, consumerGroup, groupName } from './topology.ts'
import type { OutgoingRecord, Transport } from './transport.ts'
import type {
  BatchHandler,
  BatchOptions,
  CommandHandler,
  ConsumeOptions,
  Handler,
  Published,
  PublishOptions,
  Subscription,
} from './types.ts'
import { withUpcasts } from './upcasting.ts'
import type { StartedWorker, WorkerOptions } from './worker.ts'
import { startWorker } from './worker.ts'

export interface BusCoreOptions {
  readonly catalogue: Catalogue
  readonly transport: Transport
  readonly producerView: MessageValidator
  readonly readerView: MessageValidator
  readonly service: string | undefined
  readonly openStore: () => Promise<Store>
  /** False: the store is the caller's, who closes it. */
  readonly ownsStore: boolean
  readonly clock: Clock
  readonly random: Random
  readonly leaseMs: number
  readonly messageBytesMax: number
  /** Where effects are made, if not in the broker's own transaction; closed with the bus. */
  readonly inbox: InboxDatabase | undefined
}

/** Everything a bus remembers; {@link busOver} gives it its public shape. */
export class BusCore {
  readonly catalogue: Catalogue
  readonly transport: Transport
  readonly clock: Clock
  readonly messageBytesMax: number
  readonly stamps: { nextId: () => string; nextTimestamp: () => string }
  readonly #options: BusCoreOptions
  readonly #factory: OutgoingFactory
  readonly #sender: Sender
  readonly #commands: Commands
  readonly #specs = new Map<string, OutgoingSpec>()
  readonly #subscriptions = new Set<Subscription>()
  readonly #workers = new Set<StartedWorker>()
  readonly #listeners = new Set<(error: TreatyError) => void>()
  #store: Promise<Store> | undefined
  #outbox: BusOutbox | undefined
  #closed: Promise<void> | undefined

  constructor(options: BusCoreOptions) {
    this.#options = options
    this.catalogue = options.catalogue
    this.transport = options.transport
    this.clock = options.clock
    this.messageBytesMax = options.messageBytesMax
    this.#factory = createOutgoingFactory(options)
    this.#sender = createSender(options.transport)
    this.stamps = {
      nextId: createIdSource(options.clock),
      nextTimestamp: createTimestampSource(options.clock),
    }
    this.#commands = new Commands({
      ...options,
      factory: this.#factory,
      sender: this.#sender,
      nextId: this.stamps.nextId,
      onError: (error) => this.report(error),
    })
    options.transport.onError((error) => {
      if (error.code === 'LEASES_LOST') for (const worker of this.#workers) worker.leasesLost()
      this.report(error)
    })
  }

  /** @throws BUS_CLOSED */
  assertOpen(): void {
    if (this.#closed !== undefined) {
      throw new TreatyError('BUS_CLOSED', 'the bus is closed', {
        hint: 'Open a new bus; publish before calling close.',
      })
    }
  }

  onError(listener: (error: TreatyError) => void): void {
    this.#listeners.add(listener)
  }

  report(error: unknown): void {
    const known = isTreatyError(error)
      ? error
      : new TreatyError('TRANSPORT_FAILED', errorMessage(error), { cause: error })
    for (const listener of this.#listeners) listener(known)
  }

  subscriptions(): Iterable<Subscription> {
    return this.#subscriptions
  }

  /** The reader view of an event. */
  readerOf(event: string): EventValidator {
    return needed(this.#options.readerView.forEvent(event), event)
  }

  get readerView(): MessageValidator {
    return this.#options.readerView
  }

  /** Given once, right after the core was made: an outbox reports its problems here. */
  attachOutbox(outbox: BusOutbox): void {
    this.#outbox = outbox
  }

  get outboxDesk(): OutboxDesk | undefined {
    return this.#outbox?.desk
  }

  /** @throws OPTION_INVALID for what is no handle */
  outbox(tx: unknown) {
    this.assertOpen()
    return (this.#outbox as BusOutbox).writer(tx, (event, data, options): MadeRecord => {
      const spec = this.#eventSpec(event)
      return { record: this.#factory.make(spec, data, options).record, contract: spec.contract }
    })
  }

  /** A record that was judged already: out with it. */
  async send(record: OutgoingRecord): Promise<Published> {
    return this.#sender.send(record)
  }

  async publish(event: string, data: unknown, options: PublishOptions = {}): Promise<Published> {
    this.assertOpen()
    return this.#publish(event, data, options)
  }

  /** Also while the bus drains: a handler that is still at work may finish it. */
  async #publish(
    event: string,
    data: unknown,
    options: PublishOptions = {},
    fallbackSource?: string,
  ): Promise<Published> {
    options.signal?.throwIfAborted()
    const outgoing = await this.#make(event, data, options, fallbackSource)
    return this.#sender.send(outgoing)
  }

  /** Each message on its own: one that is refused does not stop the others. */
  async publishMany(
    messages: readonly ({ event: string; data: unknown } & PublishOptions)[],
  ): Promise<(Published | { error: TreatyError })[]> {
    this.assertOpen()
    return Promise.all(
      messages.map(({ event, data, ...options }) =>
        this.publish(event, data, options).catch((error: unknown) => {
          if (isTreatyError(error)) return { error }
          throw error
        }),
      ),
    )
  }

  #make(
    event: string,
    data: unknown,
    options: PublishOptions,
    fallbackSource?: string,
  ): OutgoingRecord | Promise<OutgoingRecord> {
    const spec = this.#eventSpec(event, fallbackSource)
    try {
      return this.#factory.make(spec, data, options).record
    } catch (error) {
      const producer = spec.contract.producers[spec.source]
      if (producer?.onInvalid !== 'dead-letter' || !isTreatyError(error)) throw error
      return this.#keepRefused({ spec, data, error })
    }
  }

  /** `onInvalid: dead-letter`: the caller still learns of it, and the data is kept. */
  async #keepRefused(refused: {
    spec: OutgoingSpec
    data: unknown
    error: TreatyError
  }): Promise<never> {
    const { spec, error } = refused
    const now = this.clock.now()
    await this.transport.dead.put({
      messageId: this.stamps.nextId(),
      event: spec.type,
      consumer: null,
      group: null,
      reason: error.code,
      message: error.message,
      findings: error.findings,
      contract: spec.contract.id,
      contractVersion: spec.contract.version,
      attempts: 0,
      firstFailedAt: now,
      failedAt: now,
      address: spec.address,
      body: Buffer.from(JSON.stringify(refused.data) ?? 'null'),
      headers: { 'treaty-source': spec.source },
      contentType: 'application/json',
    })
    throw error
  }

  #eventSpec(event: string, fallbackSource?: string): OutgoingSpec {
    const cached = this.#specs.get(
      fallbackSource === undefined ? event : `${event}\n${fallbackSource}`,
    )
    if (cached && this.clock.now() < this.catalogue.event(event).sunsetAt) return cached
    const known = this.catalogue.event(event)
    if (this.clock.now() >= known.sunsetAt) {
      throw new TreatyError(
        'EVENT_RETIRED',
        `"${event}" may not be published since ${known.event.deprecated?.sunset}`,
        {
          hint: known.event.deprecated?.use
            ? `Publish "${known.event.deprecated.use}" instead.`
            : 'Ask the owner of the contract for its successor.',
          details: { event },
        },
      )
    }
    const spec: OutgoingSpec = {
      type: event,
      contract: known.contract,
      address: known.address,
      keyPath: known.keyPath,
      validator: needed(this.#options.producerView.forEvent(event), event),
      source: producerOf(known.contract, event, {
        service: this.#options.service,
        fallback: fallbackSource,
      }),
    }
    this.#specs.set(fallbackSource === undefined ? event : `${event}\n${fallbackSource}`, spec)
    return spec
  }

  /** @throws CONSUMER_NOT_FOUND · HANDLER_MISSING · EVENT_NOT_LISTED · OPTION_INVALID */
  async consume(
    name: string,
    handlers: Readonly<Record<string, Handler>>,
    options: ConsumeOptions & { readonly batch?: number | BatchOptions },
  ): Promise<Subscription> {
    if (options.batch !== undefined) return this.#consumeBatches(name, handlers, options)
    this.assertOpen()
    checkConsumeOptions(options)
    const known = this.catalogue.consumer(name)
    const tables = handlerTable(known, handlers)
    const parts: Subscription[] = []
    try {
      for (const [at, entry] of known.entries()) {
        parts.push(await this.#startConsumer(entry, tables[at] ?? {}, options))
      }
    } catch (error) {
      await Promise.all(parts.map((part) => part.stop({ drainMs: 0 })))
      throw error
    }
    return this.#track(parts.length === 1 ? (parts[0] as Subscription) : together(name, parts))
  }

  /** Each message of a batch is a handler at work: as many batches as `concurrency` says are so many times their size. */
  #consumeBatches(
    name: string,
    handlers: Readonly<Record<string, unknown>>,
    { batch, ...options }: ConsumeOptions & { readonly batch?: number | BatchOptions },
  ): Promise<Subscription> {
    const read = batchOptions(batch ?? {})
    const { concurrency = 1 } = options
    const singles = Object.entries(handlers).map(
      ([event, handler]) => [event, oneByOne(handler as BatchHandler, read, this.clock)] as const,
    )
    return this.consume(name, Object.fromEntries(singles), {
      ...options,
      concurrency: Math.min(concurrencyMax, concurrency * read.size),
    })
  }

  async #startConsumer(
    { contract, consumer }: KnownConsumer,
    handlers: Readonly<Record<string, Handler>>,
    options: ConsumeOptions,
  ): Promise<Subscription> {
    const group = groupName(contract, consumer.name)
    if (consumer.pending)
      await this.#ensureGroup(contract, consumerGroup(contract, consumer, this.catalogue.contracts))
    const reader = createReader({
      contract,
      consumer,
      validatorOf: (type) => this.#options.readerView.forEvent(type),
    })
    const guard = this.#guardOf(group, consumer)
    return this.#startWorker({
      ...this.#workerBase(),
      group,
      consumer: consumer.name,
      retry: consumer.retry,
      reader,
      guard,
      completion: this.#settlesWithEffects
        ? undefined
        : createCompletion({
            group,
            guard,
            database: this.#options.inbox,
            windowMs: consumer.idempotency?.windowMs,
          }),
      handlerOf: withUpcasts(reader, (type) => handlers[type] ?? handlers['*']),
      publish: (event, data, more) => this.#publish(event, data, more, consumer.name),
      consume: options,
    })
  }

  #guardOf(group: string, consumer: Consumer) {
    if (!consumer.idempotency) return undefined
    const { key, windowMs } = consumer.idempotency
    return createIdempotencyGuard({
      transport: this.transport,
      group,
      key,
      windowMs,
      leaseMs: this.#options.leaseMs,
      store: () => this.#openStore(),
      clock: this.clock,
      database: this.#options.inbox,
    })
  }

  get #hasTransactions(): boolean {
    return this.transport.capabilities.transactions !== 'none'
  }

  /** Effects and keys are part of the acknowledgement's own transaction. */
  get #settlesWithEffects(): boolean {
    return this.#hasTransactions && this.#options.inbox === undefined
  }

  async #startWorker(options: WorkerOptions): Promise<Subscription> {
    const worker = await startWorker({
      ...options,
      onStopped: () => this.#workers.delete(worker),
    })
    this.#workers.add(worker)
    return worker
  }

  #workerBase() {
    const { clock, random } = this.#options
    return {
      transport: this.transport,
      takesEffects: this.#hasTransactions || this.#options.inbox !== undefined,
      clock,
      random,
      onError: (error: TreatyError) => this.report(error),
    }
  }

  async #ensureGroup(contract: Contract, group: ReturnType<typeof consumerGroup>): Promise<void> {
    const channels = Object.values(contract.channels).map(
      ({ address, ordering, retentionMs, bindings }) => ({
        address,
        ordering,
        bindings,
        ...(retentionMs === undefined ? {} : { retentionMs }),
      }),
    )
    await this.transport.ensure({ channels, groups: [group] }, 'create')
  }

  /** @throws REQUEST_TIMEOUT · COMMAND_FAILED · SCHEMA_MISMATCH */
  async request(
    name: string,
    data: unknown,
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<Message> {
    this.assertOpen()
    return this.#commands.request(name, data, options)
  }

  async handle(
    name: string,
    handler: CommandHandler<never, unknown>,
    options: ConsumeOptions,
  ): Promise<Subscription> {
    this.assertOpen()
    checkConsumeOptions(options)
    const { contract, command } = this.catalogue.command(name)
    await this.#ensureGroup(contract, commandGroup(contract, command, this.catalogue.contracts))
    const subscription = await this.#startWorker({
      ...this.#workerBase(),
      ...this.#commands.worker(name, handler),
      publish: (event, data, more) => this.#publish(event, data, more, command.handler),
      consume: options,
    })
    return this.#track(subscription)
  }

  #track(subscription: Subscription): Subscription {
    const stop = subscription.stop.bind(subscription)
    const tracked: Subscription = {
      consumer: subscription.consumer,
      get isReady() {
        return subscription.isReady
      },
      pause: () => subscription.pause(),
      resume: () => subscription.resume(),
      stop: async (options) => {
        await stop(options)
        this.#subscriptions.delete(tracked)
      },
    }
    this.#subscriptions.add(tracked)
    return tracked
  }

  #openStore(): Promise<Store> {
    this.#store ??= this.#options.openStore()
    return this.#store
  }

  close(drainMs: number): Promise<void> {
    this.#closed ??= this.#close(drainMs)
    return this.#closed
  }

  async #close(drainMs: number): Promise<void> {
    // Handlers that drain may still publish; so the sender stays open until they are done.
    await Promise.all(
      [...this.#subscriptions].map((subscription) => subscription.stop({ drainMs })),
    )
    await this.#commands.close()
    await this.#outbox?.stop()
    await this.#sender.flush()
    await this.transport.close({ drainMs: Math.min(1000, drainMs) })
    await this.#options.inbox?.close()
    if (this.#store !== undefined && this.#options.ownsStore) await (await this.#store).close()
  }
}

function needed(validator: EventValidator | undefined, name: string): EventValidator {
  if (validator) return validator
  throw new TreatyError('UNKNOWN_EVENT', `no loaded contract has "${name}"`)
}

/** Several subscriptions of one consumer, as one. */
function together(consumer: string, parts: readonly Subscription[]): Subscription {
  return {
    consumer,
    get isReady() {
      return parts.every((part) => part.isReady)
    },
    pause: () => {
      for (const part of parts) part.pause()
    },
    resume: () => {
      for (const part of parts) part.resume()
    },
    stop: async (options) => {
      await Promise.all(parts.map((part) => part.stop(options)))
    },
  }
}
