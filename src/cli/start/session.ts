import type { Contract } from '../../contracts/index.ts'
import { type Clock, delay, systemClock } from '../../core/clock.ts'
import { errorMessage, isTreatyError } from '../../core/errors.ts'
import {
  type Bus,
  type BusOptions,
  openBus,
  type SettledEvent,
  storeUrlFor,
} from '../../messaging/index.ts'
import { openStore, type Store } from '../../store/index.ts'
import { openWebhooks, type Sender, type Webhooks } from '../../webhooks/index.ts'
import { createProblems } from '../problems.ts'
import type { CallQueues } from './call-queues.ts'
import { loadFeedModule, loadHandlerModule } from './modules.ts'
import type { FeedPlan, StartPlan } from './plan.ts'
import {
  loadWebhookModule,
  madeSecret,
  openSecrets,
  type WebhookPlan,
  type WebhookSink,
} from './webhooks.ts'

/** The parts that live in this process: bus, handlers, feeds. Exchanged as a whole on a reload. */
export interface Session {
  readonly bus: Bus
  /** What the section `webhooks:` runs; absent without one. */
  readonly webhooks: Webhooks | undefined
  /** Consumers that run here. */
  readonly consumers: readonly string[]
  /** Runs the feeds, one beside the other; resolves when all have ended. A feed that fails is reported, not thrown. */
  runFeeds(): Promise<void>
  /** Drains handlers and closes; safe to call twice. */
  close(drainMs: number): Promise<void>
}

export interface SessionOptions {
  readonly plan: StartPlan
  readonly contracts: readonly Contract[]
  readonly clock?: Clock
  /** Where the server answers. */
  readonly url: string
  readonly webhookSink?: WebhookSink
  /** Starts to drain what waits for neighbours; default: nothing does. */
  readonly startQueues?: () => Promise<CallQueues>
  /** Something that a feed says, or what went wrong with it. */
  readonly onFeed: (name: string, text: string, failed: boolean) => void
  readonly onError: (text: string) => void
  /** After each settlement of a handler that runs here. */
  readonly onSettled: (event: SettledEvent) => void
}

/** Options of a bus on the plan's transport. */
function busOptions(
  plan: StartPlan,
  contracts: BusOptions['contracts'],
  service: string | undefined,
): BusOptions {
  return {
    contracts,
    transport: plan.transport,
    leaseMs: plan.leaseMs,
    profile: plan.profile,
    ...(plan.messageBytesMax === undefined ? {} : { messageBytesMax: plan.messageBytesMax }),
    ...(plan.store === undefined ? {} : { store: plan.store }),
    ...plan.extras,
    ...(service === undefined ? {} : { service }),
  }
}

/**
 * Opens the bus and starts the handlers.
 *
 * @throws CONTRACT_INVALID · MODULE_INVALID · the STORE_ and TRANSPORT_ codes; nothing stays open then
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { plan } = options
  const bus = await openBus(busOptions(plan, options.contracts, plan.service))
  const clock = options.clock ?? systemClock
  const abort = new AbortController()
  const consumers: string[] = []
  const stores: Store[] = []
  let webhooks: Webhooks | undefined
  let queues: CallQueues | undefined
  try {
    bus.onError(createProblems(clock, options.onError))
    for (const path of plan.handlers) {
      const { handlers, options: tuning } = await loadHandlerModule(path)
      for (const [consumer, map] of Object.entries(handlers)) {
        await bus.consume(consumer, map, { ...tuning?.[consumer], onSettled: options.onSettled })
        consumers.push(consumer)
      }
    }
    if (plan.webhooks || plan.feeds.length > 0) stores.push(await openPlanStore(plan, clock))
    const [store] = stores
    if (plan.webhooks && store) {
      webhooks = await openPlannedWebhooks(plan.webhooks, { bus, store, clock, options })
    }
    queues = await options.startQueues?.()
  } catch (error) {
    await bus.close({ drainMs: 0 })
    await webhooks?.close(0)
    for (const store of stores) await store.close()
    throw error
  }
  const surroundings = { plan, stores, signal: abort.signal, options, sender: webhooks?.sender }
  let running: Promise<void> | undefined
  return {
    bus,
    webhooks,
    consumers,
    runFeeds() {
      running ??= runAll(surroundings)
      return running
    },
    async close(drainMs) {
      abort.abort()
      // A feed that does not look at its signal is left behind: its bus refuses it from now on.
      // So is a call that a neighbour does not answer: it is still kept.
      const timer = new AbortController()
      const ended = Promise.all([running, queues?.close()])
      await Promise.race([ended, delay(clock, drainMs, timer.signal).catch(() => {})])
      timer.abort()
      await bus.close({ drainMs })
      // After the bus, so that what it was still handing over is durable here.
      await webhooks?.close(drainMs)
      for (const store of stores.splice(0)) await store.close()
    },
  }
}

/** Beside the embedded broker, where nothing else is said. */
function openPlanStore(plan: StartPlan, clock: Clock): Promise<Store> {
  return openStore(plan.store ?? storeUrlFor(plan.transport), { clock })
}

async function openPlannedWebhooks(
  plan: WebhookPlan,
  around: { bus: Bus; store: Store; clock: Clock; options: SessionOptions },
): Promise<Webhooks> {
  const { bus, store, clock, options } = around
  const { webhookSink, onSettled } = options
  return openWebhooks(plan.config, {
    bus,
    store,
    clock,
    secret: await openSecrets(plan, store, clock),
    load: (path) => loadWebhookModule(plan.folder, path),
    onSettled,
    ...(webhookSink === undefined
      ? {}
      : {
          onReceiver: (event) => webhookSink.onReceiver(event),
          onSender: (event) => webhookSink.onSender(event),
        }),
  })
}

async function runAll(surroundings: FeedSurroundings): Promise<void> {
  const { feeds } = surroundings.plan
  await Promise.all(feeds.map((feed) => runFeed(feed, surroundings)))
}

interface FeedSurroundings {
  readonly plan: StartPlan
  /** One, where there are feeds. */
  readonly stores: readonly Store[]
  readonly signal: AbortSignal
  readonly options: SessionOptions
  readonly sender: Sender | undefined
}

async function runFeed(feed: FeedPlan, surroundings: FeedSurroundings): Promise<void> {
  const { plan, stores, signal, options, sender } = surroundings
  const [store] = stores
  if (!store) return
  const secret = async (reference: string) =>
    reference.startsWith('secret://store/') ? madeSecret(store, reference) : plan.reveal(reference)
  try {
    const { run } = await loadFeedModule(feed.module)
    // A bus of its own, because it speaks for a producer of its own; what is compiled is shared with the others.
    const { outbox, ...busOfFeed } = busOptions(plan, options.contracts, feed.as)
    const bus = await openBus({
      ...busOfFeed,
      ...(outbox === undefined ? {} : { outbox: { ...outbox, relay: false } }),
    })
    try {
      const report = (text: string) => options.onFeed(feed.name, text, false)
      const sends = sender === undefined ? {} : { sender }
      await run({ bus, store, signal, secret, url: options.url, report, ...sends })
    } finally {
      await bus.close({ drainMs: 0 })
    }
  } catch (error) {
    if (signal.aborted) return
    const hint = isTreatyError(error) && error.hint !== undefined ? ` (${error.hint})` : ''
    options.onFeed(feed.name, `${errorMessage(error)}${hint}`, true)
  }
}
