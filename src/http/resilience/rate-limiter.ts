import { type Clock, systemClock, type TimerHandle } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import {
  boundOption,
  invalidOption,
  numberOption,
  type Policy,
  type Reporting,
  reporter,
  type Work,
} from './policy.ts'
import { abortedError, type CallScope, enterScope, type RunOptions, startWork } from './scope.ts'
import { TokenBucket } from './token-bucket.ts'
import { type Waiter, WaitQueue } from './wait-queue.ts'

/** The rate of a limiter, and how long and how many may wait. */
export interface RateLimiterOptions extends Reporting {
  /** Tokens that come back each second; above 0. */
  readonly ratePerSecond: number
  /** Tokens at most, and at the start; at least 1. */
  readonly burst: number
  /** Longest wait for a turn; a longer one is refused at once. Default 60 000. */
  readonly maxWaitMs?: number
  /** How many may wait; default 1000. */
  readonly maxQueue?: number
  /** Whether {@link RateLimiter.adapt} changes the rate; default false. */
  readonly adaptive?: boolean
  /** A wider limit that must be satisfied too, at the same moment: that of the service around this endpoint, of all tenants … */
  readonly within?: RateLimiter
  readonly clock?: Clock
}

/** How one call asks for its turn. */
export interface AcquireOptions extends RunOptions {
  /** Whole tokens; default 1. */
  readonly cost?: number
  /** Higher goes first, equals in order of arrival; default 0. */
  readonly priority?: number
}

/** What a server tells about its own limit. */
export interface RateFeedback {
  readonly limit?: number | undefined
  readonly remaining?: number | undefined
  readonly resetMs?: number | undefined
}

/** A limiter at one moment. */
export interface RateLimiterSnapshot {
  readonly available: number
  readonly waiting: number
  readonly ratePerSecond: number
  readonly burst: number
  /** Milliseconds that a pause still lasts. */
  readonly pausedMs: number
  readonly admitted: number
  readonly refused: number
}

/** A rate limit as a call sees it, of this process or shared. */
export interface RateLimitPolicy extends Policy {
  readonly kind: 'rateLimit'
  /**
   * Resolves when it is this call's turn, in order of arrival.
   *
   * @throws RATE_LIMITED when the wait would be too long or the queue is full; HTTP_ABORTED by the signal
   */
  acquire(options?: AcquireOptions): Promise<void>
  /** Nobody is admitted for this time: the other side said so. A longer pause that is running stays. */
  pause(ms: number): void
  /** Takes what a server says: nothing left pauses until its reset; with `adaptive` the rate follows, never above the configured one. */
  adapt(feedback: RateFeedback): void
  snapshot(): RateLimiterSnapshot
}

/** A rate limit of this process, usable alone. */
export interface RateLimiter extends RateLimitPolicy {
  /** Takes tokens now, or none at all; false also while others wait: nobody overtakes. */
  tryAcquire(cost?: number): boolean
}

/**
 * A token bucket: for any two times, admitted ≤ burst + rate · time between them; whole tokens only; first come, first
 * served; one timer however many wait; the monotonic clock. Alone or nested (`within`).
 *
 * @throws HTTP_OPTIONS_INVALID
 */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  return new TokenLimiter(options)
}

class TokenLimiter implements RateLimiter {
  readonly kind = 'rateLimit'
  readonly #clock: Clock
  readonly #bucket: TokenBucket
  readonly #queue = new WaitQueue()
  readonly #report: ReturnType<typeof reporter>
  readonly #name: string
  readonly #maxWaitMs: number
  readonly #maxQueue: number
  readonly #ratePerSecond: number
  readonly #isAdaptive: boolean
  readonly #outer: TokenLimiter | undefined
  #timer: { readonly handle: TimerHandle; readonly dueAt: number } | undefined
  #pausedUntil = Number.NEGATIVE_INFINITY
  /** Our one place in the queue of the wider limit. */
  #claim: Waiter | undefined
  #isServing = false
  #admitted = 0
  #refused = 0

  constructor(options: RateLimiterOptions) {
    const { ratePerSecond, burst, within } = options
    if (!(ratePerSecond > 0)) {
      throw invalidOption(
        `rateLimit.ratePerSecond is ${String(ratePerSecond)}, which would never admit anything`,
        'Set a rate above 0.',
      )
    }
    this.#ratePerSecond = numberOption('rateLimit.ratePerSecond', ratePerSecond, { min: 1e-6 })
    numberOption('rateLimit.burst', burst, { min: 1 })
    this.#maxWaitMs = boundOption('rateLimit.maxWaitMs', options.maxWaitMs ?? 60_000, 0)
    this.#maxQueue = boundOption('rateLimit.maxQueue', options.maxQueue ?? 1000, 0)
    this.#clock = options.clock ?? systemClock
    this.#bucket = new TokenBucket({ ratePerSecond, burst }, this.#clock.monotonic())
    this.#report = reporter(options)
    this.#name = options.name ?? 'the dependency'
    this.#isAdaptive = options.adaptive ?? false
    if (within !== undefined && !(within instanceof TokenLimiter)) {
      throw invalidOption(
        'rateLimit.within is no rate limiter',
        'Give one made by createRateLimiter.',
      )
    }
    this.#outer = within
  }

  tryAcquire(cost = 1): boolean {
    this.#checkCost(cost)
    const now = this.#clock.monotonic()
    if (this.#queue.size > 0 || this.#waitMs(cost, now) > 0) return false
    if (this.#outer && !this.#outer.tryAcquire(cost)) return false
    this.#take(cost, now)
    return true
  }

  async acquire(options: AcquireOptions = {}): Promise<void> {
    const { signal, cost, priority } = options
    if (signal === undefined) {
      if (!this.tryAcquire(cost)) await this.#wait({ cost: cost ?? 1, priority: priority ?? 0 })
      return
    }
    await enterScope({ signal }, (scope) => this.#acquireWithin(scope, options))
  }

  run<T>(work: Work<T>, within?: CallScope | RunOptions): Promise<T> {
    return enterScope(within, async (scope) => {
      if (!this.tryAcquire(1)) await this.#acquireWithin(scope, {})
      return startWork(work, scope)
    })
  }

  pause(ms: number): void {
    const until = this.#clock.monotonic() + Math.max(0, ms)
    if (until <= this.#pausedUntil) return
    this.#pausedUntil = until
    this.#report({ type: 'rate_limit_paused', ms })
    this.#serve()
  }

  adapt({ limit, remaining, resetMs }: RateFeedback): void {
    if (remaining !== undefined && remaining <= 0 && resetMs !== undefined) this.pause(resetMs)
    if (!this.#isAdaptive || resetMs === undefined || resetMs <= 0) return
    const left = remaining ?? limit
    if (left === undefined || left <= 0) return
    const offered = (left / resetMs) * 1000
    const next = Math.min(this.#ratePerSecond, offered)
    // Small wobbles are not worth an event or a timer.
    if (Math.abs(next - this.#bucket.ratePerSecond) < this.#ratePerSecond / 100) return
    this.#bucket.setRate(next, this.#clock.monotonic())
    this.#report({ type: 'rate_limit_adapted', ratePerSecond: next })
    this.#serve()
  }

  snapshot(): RateLimiterSnapshot {
    const now = this.#clock.monotonic()
    return {
      available: this.#bucket.available(now),
      waiting: this.#queue.size,
      ratePerSecond: this.#bucket.ratePerSecond,
      burst: this.#bucket.burst,
      pausedMs: Math.max(0, this.#pausedUntil - now),
      admitted: this.#admitted,
      refused: this.#refused,
    }
  }

  #checkCost(cost: number): void {
    numberOption('cost', cost, { min: 1, isInteger: true })
    if (cost <= this.#bucket.burst) return
    throw invalidOption(
      `a cost of ${cost} is above the burst of ${this.#bucket.burst}, so its turn would never come`,
      'Raise rateLimit.burst, or split the call.',
    )
  }

  /** Milliseconds until our own bucket and pause allow it. */
  #waitMs(cost: number, now: number): number {
    return Math.max(this.#bucket.waitMs(cost, now), this.#pausedUntil - now)
  }

  #take(cost: number, now: number): void {
    this.#bucket.take(cost, now)
    this.#admitted += 1
  }

  async #acquireWithin(scope: CallScope, options: AcquireOptions): Promise<void> {
    if (scope.isCancelled) throw waitingError(scope.reason, 'rateLimit')
    const { cost = 1, priority = 0 } = options
    if (this.tryAcquire(cost)) return
    await this.#wait({ cost, priority, scope })
  }

  #wait(turn: {
    readonly cost: number
    readonly priority: number
    readonly scope?: CallScope
  }): Promise<void> {
    const { cost, priority, scope } = turn
    const now = this.#clock.monotonic()
    const expectedMs = this.#waitMs(this.#queue.costAhead(priority) + cost, now)
    if (this.#queue.size >= this.#maxQueue || expectedMs > this.#maxWaitMs) {
      return Promise.reject(this.#refusal(expectedMs))
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        cost,
        priority,
        expiresAt: now + this.#maxWaitMs,
        grant: () => {
          forget?.()
          resolve()
          return true
        },
        expire: () => {
          forget?.()
          reject(this.#refusal(this.#waitMs(cost, this.#clock.monotonic())))
        },
      }
      this.#queue.add(waiter)
      const forget = scope?.onCancel((reason) => {
        this.#queue.remove(waiter)
        reject(waitingError(reason, 'rateLimit'))
        this.#serve()
      })
      this.#serve()
    })
  }

  #refusal(waitMs: number): TreatyError {
    this.#refused += 1
    this.#report({ type: 'rate_limited' })
    const retryAfterMs = Math.ceil(Math.max(0, waitMs))
    return new TreatyError(
      'RATE_LIMITED',
      `the rate limit of ${this.#name} leaves no turn in time`,
      {
        kind: 'rate_limited',
        hint: `Try again in ${retryAfterMs} ms, or raise the rate.`,
        retryAfterMs,
      },
    )
  }

  /** Admits whom it can, in order, and sets the one timer for the next. */
  #serve(): void {
    if (this.#isServing) return
    this.#isServing = true
    const now = this.#clock.monotonic()
    for (const waiter of this.#queue.takeExpired(now)) waiter.expire()
    let head = this.#queue.first()
    while (head && this.#waitMs(head.cost, now) <= 0 && this.#admitHead(head, now)) {
      head = this.#queue.first()
    }
    this.#isServing = false
    this.#setTimer(head, now)
  }

  /** False: the wider limit has not given its turn yet. */
  #admitHead(head: Waiter, now: number): boolean {
    if (this.#outer !== undefined) {
      if (this.#claim !== undefined) return false
      if (!this.#outer.tryAcquire(head.cost)) {
        this.#claimOuter(head)
        return false
      }
    }
    this.#give(head, now)
    return true
  }

  #give(head: Waiter, now: number): void {
    this.#queue.remove(head)
    if (head.grant()) this.#take(head.cost, now)
  }

  /** Stands in the wider limit's queue for our head; both tokens are taken at the same moment. */
  #claimOuter(head: Waiter): void {
    const outer = this.#outer as TokenLimiter
    const claim: Waiter = {
      cost: head.cost,
      priority: head.priority,
      expiresAt: Number.POSITIVE_INFINITY,
      grant: () => {
        this.#claim = undefined
        const now = this.#clock.monotonic()
        const next = this.#queue.first()
        const isWanted =
          next !== undefined && next.cost <= claim.cost && this.#waitMs(next.cost, now) <= 0
        if (isWanted) this.#give(next, now)
        // Not from here: the wider queue is being served.
        queueMicrotask(() => this.#serve())
        return isWanted
      },
      expire: () => undefined,
    }
    this.#claim = claim
    outer.#queue.add(claim)
    outer.#serve()
  }

  #setTimer(head: Waiter | undefined, now: number): void {
    const isUseless = head === undefined
    const turnAt = head ? now + this.#waitMs(head.cost, now) : Number.POSITIVE_INFINITY
    // A head that could go waits for the wider limit, which wakes us.
    const wakeAt = turnAt > now ? turnAt : Number.POSITIVE_INFINITY
    const dueAt = isUseless
      ? Number.POSITIVE_INFINITY
      : Math.min(wakeAt, this.#queue.earliestExpiry())
    if (this.#timer?.dueAt === dueAt) return
    if (this.#timer) this.#clock.clearTimeout(this.#timer.handle)
    this.#timer = undefined
    if (dueAt === Number.POSITIVE_INFINITY) return
    const handle = this.#clock.setTimeout(
      () => {
        this.#timer = undefined
        this.#serve()
      },
      Math.max(1, Math.ceil(dueAt - now)),
    )
    this.#timer = { handle, dueAt }
  }
}

/** A deadline that passed in our own queue says so: it does not speak against the dependency. */
export function waitingError(reason: unknown, queue: 'rateLimit' | 'bulkhead'): unknown {
  if (!(reason instanceof TreatyError)) return abortedError(reason)
  if (reason.kind !== 'deadline') return reason
  return new TreatyError('HTTP_DEADLINE', `${reason.message}; it was still waiting for its turn`, {
    kind: 'deadline',
    details: { ...reason.details, waitingFor: queue },
    cause: reason.cause,
  })
}
