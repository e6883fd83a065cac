import type { EventValidator, Message, MessageValidator } from '../contracts/index.ts'
import type { Clock } from '../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../core/errors.ts'
import { createIdSource, createTimestampSource } from '../core/ids.ts'
import type { Random } from '../core/random.ts'
import type { Store } from '../store/index.ts'
import type { Catalogue } from './catalogue.ts'
import { Commands } from './commands/commands.ts'
import { Consuming } from './consume/consuming.ts'
import { tracked } from './consume/subscriptions.ts'
import type { InboxDatabase } from './inbox/inbox.ts'
import type { BusOutbox, OutboxDesk } from './outbox/index.ts'
import { createOutgoingFactory } from './publish/outgoing.ts'
import { needed, Publishing } from './publish/publishing.ts'
import type { Sender } from './publish/sender.ts'
import { createSender } from './publish/sender.ts'
import type { OutgoingRecord, Transport } from './transport.ts'
import type {
  BatchOptions,
  CommandHandler,
  ConsumeOptions,
  Handler,
  Published,
  PublishOptions,
  Subscription,
} from './types.ts'
import type { BrokerWatch } from './watch/broker-watch.ts'

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
  /** Looks at broker and topology from time to time, for `health`. */
  readonly brokerWatch?: BrokerWatch
}

/** Everything a bus remembers; {@link busOver} gives it its public shape. */
export class BusCore {
  readonly catalogue: Catalogue
  readonly transport: Transport
  readonly clock: Clock
  readonly messageBytesMax: number
  readonly stamps: { nextId: () => string; nextTimestamp: () => string }
  readonly #options: BusCoreOptions
  readonly #publishing: Publishing
  readonly #consuming: Consuming
  readonly #sender: Sender
  readonly #commands: Commands
  readonly #subscriptions = new Set<Subscription>()
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
    const factory = createOutgoingFactory(options)
    this.#sender = createSender(options.transport)
    this.stamps = {
      nextId: createIdSource(options.clock),
      nextTimestamp: createTimestampSource(options.clock),
    }
    this.#commands = new Commands({
      ...options,
      factory,
      sender: this.#sender,
      nextId: this.stamps.nextId,
      onError: (error) => this.report(error),
    })
    this.#publishing = new Publishing({
      ...options,
      factory,
      sender: this.#sender,
      nextId: this.stamps.nextId,
    })
    this.#consuming = new Consuming({
      ...options,
      publishing: this.#publishing,
      commands: this.#commands,
      openStore: () => this.#openStore(),
      onError: (error) => this.report(error),
    })
    options.transport.onError((error) => {
      if (error.code === 'LEASES_LOST') this.#consuming.leasesLost()
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

  get brokerWatch(): BrokerWatch | undefined {
    return this.#options.brokerWatch
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
    const make = (event: string, data: unknown, options: PublishOptions) =>
      this.#publishing.made(event, data, options)
    return (this.#outbox as BusOutbox).writer(tx, make)
  }

  /** A record that was judged already: out with it. */
  async send(record: OutgoingRecord): Promise<Published> {
    return this.#sender.send(record)
  }

  publish(event: string, data: unknown, options: PublishOptions = {}): Promise<Published> {
    try {
      this.assertOpen()
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#publishing.publish(event, data, options)
  }

  /** Each message on its own: one that is refused does not stop the others. */
  async publishMany(
    messages: readonly ({ event: string; data: unknown } & PublishOptions)[],
  ): Promise<(Published | { error: TreatyError })[]> {
    this.assertOpen()
    return this.#publishing.publishMany(messages)
  }

  /** @throws CONSUMER_NOT_FOUND · HANDLER_MISSING · EVENT_NOT_LISTED · OPTION_INVALID */
  async consume(
    name: string,
    handlers: Readonly<Record<string, Handler>>,
    options: ConsumeOptions & { readonly batch?: number | BatchOptions },
  ): Promise<Subscription> {
    this.assertOpen()
    return this.#track(await this.#consuming.consume(name, handlers, options))
  }

  async handle(
    name: string,
    handler: CommandHandler<never, unknown>,
    options: ConsumeOptions,
  ): Promise<Subscription> {
    this.assertOpen()
    return this.#track(await this.#consuming.handle(name, handler, options))
  }

  #track(subscription: Subscription): Subscription {
    const known = tracked(subscription, (self) => this.#subscriptions.delete(self))
    this.#subscriptions.add(known)
    return known
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
