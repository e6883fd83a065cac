import type { Consumer, Contract, MessageValidator } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import type { TreatyError } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'
import type { Store } from '../../store/index.ts'
import type { Catalogue, KnownConsumer } from '../catalogue.ts'
import type { Commands } from '../commands/commands.ts'
import type { InboxDatabase } from '../inbox/inbox.ts'
import type { Publishing } from '../publish/publishing.ts'
import { commandGroup, consumerGroup, groupName } from '../topology/topology.ts'
import type { Transport } from '../transport.ts'
import type {
  BatchHandler,
  BatchOptions,
  CommandHandler,
  ConsumeOptions,
  Handler,
  Subscription,
} from '../types.ts'
import { batchOptions, oneByOne } from './batch-handler.ts'
import { createCompletion } from './completion.ts'
import { checkConsumeOptions, concurrencyMax, handlerTable } from './handler-table.ts'
import { createIdempotencyGuard } from './idempotency.ts'
import { createReader } from './reader.ts'
import { together } from './subscriptions.ts'
import { withUpcasts } from './upcasting.ts'
import type { StartedWorker, WorkerOptions } from './worker.ts'
import { startWorker } from './worker.ts'

export interface ConsumingOptions {
  readonly catalogue: Catalogue
  readonly transport: Transport
  readonly readerView: MessageValidator
  readonly clock: Clock
  readonly random: Random
  readonly leaseMs: number
  /** Where effects are made, if not in the broker's own transaction. */
  readonly inbox: InboxDatabase | undefined
  readonly publishing: Publishing
  readonly commands: Commands
  readonly openStore: () => Promise<Store>
  readonly onError: (error: TreatyError) => void
}

/** What comes in: a worker for each consumer of each contract, and for each command that is handled here. */
export class Consuming {
  readonly #options: ConsumingOptions
  readonly #workers = new Set<StartedWorker>()

  constructor(options: ConsumingOptions) {
    this.#options = options
  }

  /** The leases of all deliveries that are out are gone: what they still settle has no effect. */
  leasesLost(): void {
    for (const worker of this.#workers) worker.leasesLost()
  }

  /** @throws CONSUMER_NOT_FOUND · HANDLER_MISSING · EVENT_NOT_LISTED · OPTION_INVALID */
  async consume(
    name: string,
    handlers: Readonly<Record<string, Handler>>,
    options: ConsumeOptions & { readonly batch?: number | BatchOptions },
  ): Promise<Subscription> {
    if (options.batch !== undefined) return this.#consumeBatches(name, handlers, options)
    checkConsumeOptions(options)
    const known = this.#options.catalogue.consumer(name)
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
    return parts.length === 1 ? (parts[0] as Subscription) : together(name, parts)
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
      ([event, handler]) =>
        [event, oneByOne(handler as BatchHandler, read, this.#options.clock)] as const,
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
      await this.#ensureGroup(
        contract,
        consumerGroup(contract, consumer, this.#options.catalogue.contracts),
      )
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
      publish: (event, data, more) =>
        this.#options.publishing.publish(event, data, more, consumer.name),
      consume: options,
    })
  }

  #guardOf(group: string, consumer: Consumer) {
    if (!consumer.idempotency) return undefined
    const { key, windowMs } = consumer.idempotency
    return createIdempotencyGuard({
      transport: this.#options.transport,
      group,
      key,
      windowMs,
      leaseMs: this.#options.leaseMs,
      store: this.#options.openStore,
      clock: this.#options.clock,
      database: this.#options.inbox,
    })
  }

  get #hasTransactions(): boolean {
    return this.#options.transport.capabilities.transactions !== 'none'
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
    const { clock, random, onError } = this.#options
    return {
      transport: this.#options.transport,
      takesEffects: this.#hasTransactions || this.#options.inbox !== undefined,
      clock,
      random,
      onError,
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
    await this.#options.transport.ensure({ channels, groups: [group] }, 'create')
  }

  async handle(
    name: string,
    handler: CommandHandler<never, unknown>,
    options: ConsumeOptions,
  ): Promise<Subscription> {
    checkConsumeOptions(options)
    const { contract, command } = this.#options.catalogue.command(name)
    await this.#ensureGroup(
      contract,
      commandGroup(contract, command, this.#options.catalogue.contracts),
    )
    return this.#startWorker({
      ...this.#workerBase(),
      ...this.#options.commands.worker(name, handler),
      publish: (event, data, more) =>
        this.#options.publishing.publish(event, data, more, command.handler),
      consume: options,
    })
  }
}
