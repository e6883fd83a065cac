import { type Clock, systemClock, type TimerHandle } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import {
  boundOption,
  invalidOption,
  numberOption,
  type Reporting,
  reporter,
  type Work,
} from './policy.ts'
import {
  type AcquireOptions,
  createRateLimiter,
  type RateFeedback,
  type RateLimiterSnapshot,
  type RateLimitPolicy,
  waitingError,
} from './rate-limiter.ts'
import { type CallScope, enterScope, type RunOptions, startWork } from './scope.ts'
import type { SharedBucket } from './shared-bucket.ts'
import { type Waiter, WaitQueue } from './wait-queue.ts'

/** A rate that several processes keep together, and where. */
export interface SharedLimiterOptions extends Reporting {
  readonly bucket: SharedBucket
  readonly ratePerSecond: number
  readonly burst: number
  /** Processes that share it: what each may do alone while the bucket cannot be reached. Default 1. */
  readonly replicas?: number
  readonly maxWaitMs?: number
  readonly maxQueue?: number
  readonly clock?: Clock
}

/** How long the bucket is left alone after it failed. */
const degradedMs = 1000
/** Calls that one step asks for at most. */
const batchMax = 100

/**
 * A rate limit that several processes share. Within a process first come, first served; between processes whoever asks first
 * when a token is there, each asking for those that wait and no more. While the bucket cannot be reached, each process keeps to
 * its part of the rate (rule L1: degraded, not open).
 *
 * @throws HTTP_OPTIONS_INVALID
 */
export function createSharedRateLimiter(options: SharedLimiterOptions): RateLimitPolicy {
  return new SharedLimiter(options)
}

class SharedLimiter implements RateLimitPolicy {
  readonly kind = 'rateLimit'
  readonly #options: SharedLimiterOptions
  readonly #clock: Clock
  readonly #queue = new WaitQueue()
  readonly #report: ReturnType<typeof reporter>
  readonly #maxWaitMs: number
  readonly #maxQueue: number
  readonly #local: ReturnType<typeof createRateLimiter>
  #isAsking = false
  #timer: TimerHandle | undefined
  #degradedUntil = Number.NEGATIVE_INFINITY
  #pausedUntil = Number.NEGATIVE_INFINITY
  #admitted = 0
  #refused = 0

  constructor(options: SharedLimiterOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#report = reporter(options)
    this.#maxWaitMs = boundOption('rateLimit.maxWaitMs', options.maxWaitMs ?? 60_000, 0)
    this.#maxQueue = boundOption('rateLimit.maxQueue', options.maxQueue ?? 1000, 0)
    const replicas = numberOption('rateLimit.replicas', options.replicas ?? 1, { min: 1 })
    this.#local = createRateLimiter({
      ratePerSecond: options.ratePerSecond / replicas,
      burst: Math.max(1, options.burst / replicas),
      clock: this.#clock,
    })
    numberOption('rateLimit.burst', options.burst, { min: 1 })
  }

  async acquire(options: AcquireOptions = {}): Promise<void> {
    await enterScope({ signal: options.signal }, (scope) => this.#wait(scope, options))
  }

  run<T>(work: Work<T>, within?: CallScope | RunOptions): Promise<T> {
    return enterScope(within, async (scope) => {
      await this.#wait(scope, {})
      return startWork(work, scope)
    })
  }

  pause(ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock.monotonic() + ms)
    this.#local.pause(ms)
    this.#report({ type: 'rate_limit_paused', ms })
    this.#options.bucket.pause(ms).catch((error: unknown) => this.#degrade(error))
  }

  adapt({ remaining, resetMs }: RateFeedback): void {
    if (remaining !== undefined && remaining <= 0 && resetMs !== undefined) this.pause(resetMs)
  }

  snapshot(): RateLimiterSnapshot {
    const local = this.#local.snapshot()
    return {
      ...local,
      ratePerSecond: this.#options.ratePerSecond,
      waiting: this.#queue.size,
      admitted: this.#admitted,
      refused: this.#refused,
    }
  }

  #wait(scope: CallScope, { cost = 1, priority = 0 }: AcquireOptions): Promise<void> {
    if (scope.isCancelled) return Promise.reject(waitingError(scope.reason, 'rateLimit'))
    if (!Number.isInteger(cost) || cost < 1 || cost > this.#options.burst) {
      const message = `a cost of ${cost} is not between 1 and the burst of ${this.#options.burst}`
      return Promise.reject(invalidOption(message, 'Raise rateLimit.burst, or split the call.'))
    }
    if (this.#queue.size >= this.#maxQueue) return Promise.reject(this.#refusal())
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        cost,
        priority,
        expiresAt: this.#clock.monotonic() + this.#maxWaitMs,
        grant: () => {
          forget()
          this.#admitted += 1
          resolve()
          return true
        },
        expire: () => {
          forget()
          reject(this.#refusal())
        },
      }
      this.#queue.add(waiter)
      const forget = scope.onCancel((reason) => {
        this.#queue.remove(waiter)
        reject(waitingError(reason, 'rateLimit'))
      })
      // Those of one turn ask together.
      queueMicrotask(() => this.#ask())
    })
  }

  #refusal(): TreatyError {
    this.#refused += 1
    this.#report({ type: 'rate_limited' })
    const name = this.#options.name ?? 'the dependency'
    return new TreatyError(
      'RATE_LIMITED',
      `the shared rate limit of ${name} leaves no turn in time`,
      {
        kind: 'rate_limited',
      },
    )
  }

  #ask(): void {
    if (this.#isAsking || this.#timer !== undefined) return
    this.#isAsking = true
    this.#askOnce()
      .catch((error: unknown) => {
        this.#degrade(error)
        return 0
      })
      .then((waitMs) => {
        this.#isAsking = false
        if (this.#queue.size > 0) this.#askLater(waitMs)
      })
      // Nothing above rejects; this satisfies whoever looks for a loose promise.
      .catch(() => undefined)
  }

  #askLater(waitMs: number): void {
    const untilExpiry = this.#queue.earliestExpiry() - this.#clock.monotonic()
    const delayMs = Math.max(1, Math.ceil(Math.min(waitMs, untilExpiry)))
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined
      this.#ask()
    }, delayMs)
  }

  /** Serves whom it can; after how long to ask again. */
  async #askOnce(): Promise<number> {
    const now = this.#clock.monotonic()
    for (const waiter of this.#queue.takeExpired(now)) waiter.expire()
    const waiting = this.#queue.firsts(batchMax)
    if (waiting.length === 0) return 0
    if (this.#pausedUntil > now) return this.#pausedUntil - now
    if (now < this.#degradedUntil) return this.#serveAlone()
    const { ratePerSecond, burst, bucket } = this.#options
    const costs = waiting.map(({ cost }) => cost)
    const { admitted, waitMs } = await bucket.take({ ratePerSecond, burst, costs })
    let left = admitted
    for (const waiter of waiting.slice(0, admitted)) {
      // One that left meanwhile has its tokens taken all the same: giving them back is not worth a step.
      if (this.#queue.remove(waiter)) waiter.grant()
      left -= 1
    }
    return left === 0 ? waitMs : 0
  }

  #serveAlone(): number {
    for (let head = this.#queue.first(); head !== undefined; head = this.#queue.first()) {
      const cost = Math.min(head.cost, Math.floor(this.#local.snapshot().burst))
      if (!this.#local.tryAcquire(Math.max(1, cost)))
        return 1000 / this.#local.snapshot().ratePerSecond
      this.#queue.remove(head)
      head.grant()
    }
    return 0
  }

  #degrade(error: unknown): void {
    this.#degradedUntil = this.#clock.monotonic() + degradedMs
    this.#report({ type: 'rate_limit_degraded', error })
  }
}
