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
import { createProblems } from '../problems.ts'
import { loadFeedModule, loadHandlerModule } from './modules.ts'
import type { FeedPlan, StartPlan } from './plan.ts'

/** The parts that live in this process: bus, handlers, feeds. Exchanged as a whole on a reload. */
export interface Session {
  readonly bus: Bus
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
  try {
    bus.onError(createProblems(clock, options.onError))
    for (const path of plan.handlers) {
      const { handlers, options: tuning } = await loadHandlerModule(path)
      for (const [consumer, map] of Object.entries(handlers)) {
        await bus.consume(consumer, map, { ...tuning?.[consumer], onSettled: options.onSettled })
        consumers.push(consumer)
      }
    }
  } catch (error) {
    await bus.close({ drainMs: 0 })
    throw error
  }
  let running: Promise<void> | undefined
  return {
    bus,
    consumers,
    runFeeds() {
      running ??= runAll(plan, options, abort.signal)
      return running
    },
    async close(drainMs) {
      abort.abort()
      // A feed that does not look at its signal is left behind: its bus refuses it from now on.
      const timer = new AbortController()
      await Promise.race([running, delay(clock, drainMs, timer.signal).catch(() => {})])
      timer.abort()
      await bus.close({ drainMs })
    },
  }
}

async function runAll(
  plan: StartPlan,
  options: SessionOptions,
  signal: AbortSignal,
): Promise<void> {
  if (plan.feeds.length === 0) return
  const store = await openStore(plan.store ?? storeUrlFor(plan.transport), {
    clock: options.clock ?? systemClock,
  })
  try {
    await Promise.all(plan.feeds.map((feed) => runFeed(feed, { plan, store, signal, options })))
  } finally {
    await store.close()
  }
}

interface FeedSurroundings {
  readonly plan: StartPlan
  readonly store: Store
  readonly signal: AbortSignal
  readonly options: SessionOptions
}

async function runFeed(feed: FeedPlan, surroundings: FeedSurroundings): Promise<void> {
  const { plan, store, signal, options } = surroundings
  try {
    const { run } = await loadFeedModule(feed.module)
    // A bus of its own, because it speaks for a producer of its own; what is compiled is shared with the others.
    const bus = await openBus(busOptions(plan, options.contracts, feed.as))
    try {
      await run({ bus, store, signal, report: (text) => options.onFeed(feed.name, text, false) })
    } finally {
      await bus.close({ drainMs: 0 })
    }
  } catch (error) {
    if (signal.aborted) return
    const hint = isTreatyError(error) && error.hint !== undefined ? ` (${error.hint})` : ''
    options.onFeed(feed.name, `${errorMessage(error)}${hint}`, true)
  }
}
