import { type Clock, systemClock } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import { CallWindow } from './call-window.ts'
import { isFailure as isFailureByDefault } from './failure.ts'
import {
  type BreakerState,
  invalidOption,
  numberOption,
  type Policy,
  type Reporting,
  reporter,
  type Work,
} from './policy.ts'
import { type CallScope, enterScope, type RunOptions, startWork } from './scope.ts'

/** When a breaker opens, and how it finds its way back. */
export interface BreakerOptions extends Reporting {
  /** The stretch of time that the rates look at; default 30 000. */
  readonly windowMs?: number
  /** Fewer calls than this in the window never open it by rate; default 20. */
  readonly minCalls?: number
  /** Share of failures that opens it, above 0 to 1; default 0.5. */
  readonly failureRate?: number
  /** Failures in a row that open it. Default: 5 where no rate is set, else off. */
  readonly consecutive?: number
  /** A call that takes at least this long is slow; default: none is. */
  readonly slowCallMs?: number
  /** Share of slow calls that opens it; default 1. */
  readonly slowRate?: number
  /** How long it stays open before probes; default 30 000, then with a tenth of jitter on top. */
  readonly openMs?: number
  /** Part of `openMs` that luck adds, so that many processes do not probe together. */
  readonly openJitter?: number
  /** Each failed probe doubles the time open, up to this; default 300 000, at least `openMs`. */
  readonly openMsMax?: number
  /** Probes at a time when half open, and successes that close it; default 3. */
  readonly probes?: number
  /** A probe that has not ended by then counts as failed and frees its place; default: `openMs`. */
  readonly probeTimeoutMs?: number
  /** What speaks against the dependency; default: 5xx, 429, timeouts, broken connections, foreign errors. */
  readonly isFailure?: (error: unknown) => boolean
  readonly clock?: Clock
  readonly random?: Random
}

/** The breaker at one moment. */
export interface BreakerSnapshot {
  readonly state: BreakerState
  /** Grows with each change of state; results of calls from before one are ignored. */
  readonly generation: number
  readonly calls: number
  readonly failures: number
  readonly slow: number
  readonly consecutiveFailures: number
  /** Calls that were turned away since it was made. */
  readonly rejected: number
  /** Milliseconds until probes are let through; 0 unless open. */
  readonly retryAfterMs: number
  /** True while it was opened by hand: it stays so until `close` or `reset`. */
  readonly isForced: boolean
}

/** A circuit breaker, usable alone: `breaker.run(work)`. */
export interface Breaker extends Policy {
  readonly kind: 'breaker'
  readonly state: BreakerState
  snapshot(): BreakerSnapshot
  /** Opens by hand, until {@link Breaker.close} or {@link Breaker.reset}. */
  open(): void
  /** Closes by hand and forgets what was counted. */
  close(): void
  /** As new. */
  reset(): void
}

/** What callers are told to wait while others' probes run. */
const halfOpenPauseMs = 1000

type Verdict = 'success' | 'failure' | 'ignored'
interface Permit {
  readonly generation: number
  readonly isProbe: boolean
  readonly begunAt: number
}

function readSettings(options: BreakerOptions) {
  const hasRates = [options.windowMs, options.minCalls, options.failureRate].some(
    (each) => each !== undefined,
  )
  const consecutive = options.consecutive ?? (hasRates ? undefined : 5)
  const openMs = numberOption('breaker.openMs', options.openMs ?? 30_000, { min: 1 })
  const whole = { min: 1, isInteger: true }
  const rate = (name: string, value: number) => {
    if (value > 0) return numberOption(name, value, { min: 0, max: 1 })
    throw invalidOption(`${name} is ${value}, which would open at once`, `Set ${name} above 0.`)
  }
  return {
    windowMs: numberOption('breaker.windowMs', options.windowMs ?? 30_000, { min: 10 }),
    minCalls: numberOption('breaker.minCalls', options.minCalls ?? 20, whole),
    failureRate: rate('breaker.failureRate', options.failureRate ?? 0.5),
    consecutive:
      consecutive === undefined
        ? Number.POSITIVE_INFINITY
        : numberOption('breaker.consecutive', consecutive, whole),
    slowCallMs: options.slowCallMs ?? Number.POSITIVE_INFINITY,
    slowRate: rate('breaker.slowRate', options.slowRate ?? 1),
    openMs,
    openMsMax: Math.max(openMs, options.openMsMax ?? 300_000),
    openJitter: numberOption(
      'breaker.openJitter',
      options.openJitter ?? (options.openMs === undefined ? 0.1 : 0),
      { min: 0, max: 1 },
    ),
    probes: numberOption('breaker.probes', options.probes ?? 3, whole),
    probeTimeoutMs: numberOption('breaker.probeTimeoutMs', options.probeTimeoutMs ?? openMs, {
      min: 1,
    }),
  }
}

/**
 * Stops calling what keeps failing (rules B1 to B7): closed, open after too many failures in a row or too large a share
 * of failures or slow calls in the window, half open with a bounded number of probes. Results of calls that began before
 * the last change of state are ignored. Nothing runs by itself: time is looked at when a call comes.
 *
 * @throws HTTP_OPTIONS_INVALID
 */
export function createBreaker(options: BreakerOptions = {}): Breaker {
  return new CircuitBreaker(options)
}

class CircuitBreaker implements Breaker {
  readonly kind = 'breaker'
  readonly #settings: ReturnType<typeof readSettings>
  readonly #clock: Clock
  readonly #random: Random
  readonly #report: ReturnType<typeof reporter>
  readonly #isFailure: (error: unknown) => boolean
  readonly #name: string
  readonly #window: CallWindow
  #state: BreakerState = 'closed'
  #generation = 0
  #consecutive = 0
  #rejected = 0
  #reopenAt = 0
  #timesOpened = 0
  #probesRunning = 0
  #probesPassed = 0
  #isForced = false

  constructor(options: BreakerOptions) {
    this.#settings = readSettings(options)
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#report = reporter(options)
    this.#isFailure = options.isFailure ?? isFailureByDefault
    this.#name = options.name ?? 'the dependency'
    this.#window = new CallWindow(this.#settings.windowMs, this.#clock.monotonic())
  }

  run<T>(work: Work<T>, within?: CallScope | RunOptions): Promise<T> {
    return enterScope(within, async (scope) => {
      const permit = this.#admit()
      if (permit.isProbe) return this.#runProbe(work, scope, permit)
      try {
        const result = await startWork(work, scope)
        this.#settle(permit, 'success')
        return result
      } catch (error) {
        this.#settle(permit, this.#judge(error))
        throw error
      }
    })
  }

  get state(): BreakerState {
    this.#lookAtTime()
    return this.#state
  }

  snapshot(): BreakerSnapshot {
    this.#lookAtTime()
    return {
      state: this.#state,
      generation: this.#generation,
      ...this.#window.counts(this.#clock.monotonic()),
      consecutiveFailures: this.#consecutive,
      rejected: this.#rejected,
      retryAfterMs: this.#state === 'open' ? this.#retryAfterMs() : 0,
      isForced: this.#isForced,
    }
  }

  open(): void {
    this.#isForced = true
    if (this.#state !== 'open') this.#enter('open', 'manual')
  }

  close(): void {
    this.#isForced = false
    this.#timesOpened = 0
    if (this.#state === 'closed') this.#window.clear()
    else this.#enter('closed', 'manual')
    this.#consecutive = 0
  }

  reset(): void {
    this.close()
    // Also what is still running from before must not count: it belongs to the old life.
    this.#generation += 1
    this.#rejected = 0
  }

  #judge(error: unknown): Verdict {
    return this.#isFailure(error) ? 'failure' : 'ignored'
  }

  #isSlow(permit: Permit): boolean {
    return this.#clock.monotonic() - permit.begunAt >= this.#settings.slowCallMs
  }

  #retryAfterMs(): number {
    return Math.max(0, this.#reopenAt - this.#clock.monotonic())
  }

  #lookAtTime(): void {
    if (this.#state !== 'open' || this.#isForced) return
    if (this.#clock.monotonic() >= this.#reopenAt) this.#enter('half_open', 'time')
  }

  #admit(): Permit {
    this.#lookAtTime()
    const begunAt = this.#clock.monotonic()
    const isProbe = this.#state === 'half_open'
    const isTaken = this.#probesRunning + this.#probesPassed >= this.#settings.probes
    if (this.#state === 'open' || (isProbe && isTaken)) throw this.#rejection(begunAt)
    if (isProbe) this.#probesRunning += 1
    return { generation: this.#generation, isProbe, begunAt }
  }

  #rejection(now: number): TreatyError {
    this.#rejected += 1
    const retryAfterMs = Math.ceil(
      this.#state === 'open' && !this.#isForced
        ? Math.max(0, this.#reopenAt - now)
        : Math.min(this.#settings.probeTimeoutMs, halfOpenPauseMs),
    )
    this.#report({ type: 'breaker_rejected', retryAfterMs })
    return new TreatyError('BREAKER_OPEN', `the circuit breaker of ${this.#name} is open`, {
      kind: 'breaker_open',
      hint: `Try again in ${retryAfterMs} ms.`,
      retryAfterMs,
      details: { state: this.#state, retryAt: Math.ceil(this.#clock.now() + retryAfterMs) },
    })
  }

  /** A probe holds one of few places, so it gives it back when it is cancelled or takes too long, whatever its work does. */
  #runProbe<T>(work: Work<T>, scope: CallScope, permit: Permit): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimeout(
        () => this.#settle(permit, 'failure'),
        this.#settings.probeTimeoutMs,
      )
      let isOver = false
      const end = (verdict: Verdict) => {
        if (isOver) return
        isOver = true
        this.#clock.clearTimeout(timer)
        this.#settle(permit, verdict)
      }
      const forget = scope.onCancel((reason) => {
        end(this.#judge(reason))
        reject(reason)
      })
      startWork(work, scope).then(
        (result) => {
          forget()
          end(this.#isSlow(permit) ? 'failure' : 'success')
          resolve(result)
        },
        (error: unknown) => {
          forget()
          end(this.#judge(error))
          reject(error)
        },
      )
    })
  }

  #settle(permit: Permit, verdict: Verdict): void {
    if (permit.generation !== this.#generation) return
    if (permit.isProbe) this.#settleProbe(verdict)
    else if (verdict !== 'ignored') this.#count(permit, verdict === 'failure')
  }

  #settleProbe(verdict: Verdict): void {
    this.#probesRunning -= 1
    if (verdict === 'failure') this.#enter('open', 'probe')
    if (verdict !== 'success') return
    this.#probesPassed += 1
    if (this.#probesPassed < this.#settings.probes) return
    this.#timesOpened = 0
    this.#enter('closed', 'probe')
  }

  #count(permit: Permit, isFailure: boolean): void {
    const now = this.#clock.monotonic()
    const { minCalls, failureRate, slowRate, consecutive } = this.#settings
    this.#window.note(now, { isFailure, isSlow: this.#isSlow(permit) })
    this.#consecutive = isFailure ? this.#consecutive + 1 : 0
    const { calls, failures, slow } = this.#window.counts(now)
    if (this.#consecutive >= consecutive) this.#enter('open', 'failures')
    else if (calls < minCalls) return
    else if (failures / calls >= failureRate) this.#enter('open', 'failures')
    else if (slow > 0 && slow / calls >= slowRate) this.#enter('open', 'slow')
  }

  #enter(to: BreakerState, reason: 'failures' | 'slow' | 'probe' | 'time' | 'manual'): void {
    const from = this.#state
    this.#state = to
    this.#generation += 1
    this.#probesRunning = 0
    this.#probesPassed = 0
    if (to === 'open') {
      const { openMs, openMsMax, openJitter } = this.#settings
      const grownMs = Math.min(openMsMax, openMs * 2 ** Math.min(this.#timesOpened, 30))
      this.#reopenAt = this.#clock.monotonic() + grownMs * (1 + openJitter * this.#random())
      this.#timesOpened += 1
    }
    if (to === 'closed') {
      this.#window.clear()
      this.#consecutive = 0
    }
    this.#report({ type: 'breaker_state', from, to, reason })
  }
}
