import { type Clock, delay } from '../../core/clock.ts'
import { type Bus, groupName, type Subscription } from '../../messaging/index.ts'

/** Milliseconds between two looks at what has no event of its own. */
const lookEveryMs = 50

/** Waits until the subscription is assigned and polling, or the signal aborts. */
export async function untilReady(
  subscription: Subscription,
  clock: Clock,
  ending: AbortSignal,
): Promise<void> {
  while (!subscription.isReady && !ending.aborted) await pause(clock, lookEveryMs, ending)
}

export interface IdleOptions {
  readonly bus: Bus
  readonly consumer: string
  readonly idleMs: number
  /** When the last message came or was settled, on the clock's monotonic time. */
  readonly activity: { readonly lastAt: number }
  readonly clock: Clock
  readonly ending: AbortSignal
}

/**
 * Waits until nothing has come for `idleMs` and nothing is under way or waits for a retry, or the signal aborts.
 * What is blocked behind a dead letter waits for a person, and is not waited for.
 */
export async function untilIdle(options: IdleOptions): Promise<void> {
  const { activity, clock, idleMs, ending } = options
  while (!ending.aborted) {
    const leftMs = activity.lastAt + idleMs - clock.monotonic()
    if (leftMs > 0) await pause(clock, leftMs, ending)
    else if (await hasWork(options)) await pause(clock, Math.max(lookEveryMs, idleMs / 20), ending)
    else return
  }
}

async function hasWork({ bus, consumer }: IdleOptions): Promise<boolean> {
  const groups = new Set(
    bus.contracts
      .filter((contract) => Object.hasOwn(contract.consumers, consumer))
      .map((contract) => groupName(contract, consumer)),
  )
  const stats = await bus.transport.stats()
  return stats.groups.some(
    ({ group, ready, inFlight, delayed }) => groups.has(group) && ready + inFlight + delayed > 0,
  )
}

async function pause(clock: Clock, ms: number, ending: AbortSignal): Promise<void> {
  // Ending early is why the signal is there.
  await delay(clock, ms, ending).catch(() => undefined)
}
