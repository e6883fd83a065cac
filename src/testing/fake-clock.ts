import type { Clock } from '../core/clock.ts'

/** A clock that stands still until a test moves it. */
export interface FakeClock extends Clock {
  /**
   * Moves both clocks forward by `ms`, running what comes due in order of its time; between two
   * timers the microtasks and the event loop's turns get to run, so that a timer set by a
   * continuation still fires when it is due within the same call.
   */
  advance(ms: number): Promise<void>
  /** Lets microtasks, the event loop's turns and what is already due run; time stands still. */
  tick(): Promise<void>
  /** Steps the wall clock, as an operator or NTP does: `monotonic` and timers do not notice. */
  set(epochMs: number): void
  /** Timers that are waiting. */
  pending(): number
  /** Milliseconds until the next timer is due; undefined when none waits. */
  nextInMs(): number | undefined
}

interface Timer {
  readonly dueAt: number
  readonly order: number
  readonly run: () => void
}

/** How many turns of the event loop pass between two timers: enough for a chain of continuations. */
const turnsBetweenTimers = 3

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

async function letRun(): Promise<void> {
  for (let turn = 0; turn < turnsBetweenTimers; turn += 1) await nextTurn()
}

/** 2026-01-01T00:00:00Z: a fixed instant, so that stamps in a test's output never change. */
const defaultStartMs = Date.UTC(2026, 0, 1)

/**
 * A clock for tests: `now` starts at `startMs` (epoch milliseconds, default the first instant of 2026),
 * `monotonic` at 0, and neither moves by itself.
 */
export function fakeClock(startMs: number = defaultStartMs): FakeClock {
  const timers = new Set<Timer>()
  let wallOffsetMs = startMs
  let elapsedMs = 0
  let created = 0
  let moving: Promise<void> = Promise.resolve()

  function earliest(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of timers) {
      const sooner = !first || timer.dueAt < first.dueAt
      if (sooner || (first && timer.dueAt === first.dueAt && timer.order < first.order))
        first = timer
    }
    return first
  }

  async function moveTo(targetMs: number): Promise<void> {
    await letRun()
    for (;;) {
      const timer = earliest()
      if (!timer || timer.dueAt > targetMs) break
      timers.delete(timer)
      elapsedMs = Math.max(elapsedMs, timer.dueAt)
      timer.run()
      await letRun()
    }
    elapsedMs = Math.max(elapsedMs, targetMs)
    await letRun()
  }

  // Two calls at the same time take turns: interleaved they would run timers out of order.
  function enqueue(ms: () => number): Promise<void> {
    const move = moving.then(() => moveTo(elapsedMs + ms()))
    moving = move.catch(() => undefined)
    return move
  }

  return {
    now: () => wallOffsetMs + elapsedMs,
    monotonic: () => elapsedMs,
    setTimeout(run, delayMs) {
      created += 1
      const timer: Timer = { dueAt: elapsedMs + Math.max(0, delayMs), order: created, run }
      timers.add(timer)
      return timer
    },
    clearTimeout: (handle) => void timers.delete(handle as Timer),
    advance: (ms) => enqueue(() => Math.max(0, ms)),
    tick: () => enqueue(() => 0),
    set(epochMs) {
      wallOffsetMs = epochMs - elapsedMs
    },
    pending: () => timers.size,
    nextInMs() {
      const timer = earliest()
      return timer && Math.max(0, timer.dueAt - elapsedMs)
    },
  }
}
