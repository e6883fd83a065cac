import { type Clock, delay, systemClock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import { backoffDelay } from './backoff.ts'
import { isRetryableError, localRejections, retryAfterOf } from './failure.ts'
import {
  boundOption,
  numberOption,
  type Policy,
  type Reporting,
  reporter,
  type Work,
} from './policy.ts'
import { createRetryBudget, type RetryBudget, type RetryBudgetOptions } from './retry-budget.ts'
import { type CallScope, enterScope, noteAttempts, type RunOptions, startWork } from './scope.ts'

/** How often, when and whether at all something is tried again. */
export interface RetryOptions extends Reporting {
  /** How often at most, the first attempt included; 1: no retry. Default 3. */
  readonly attempts?: number
  /** Default 100. */
  readonly baseMs?: number
  /** Longest wait that we choose ourselves; default 20 000. */
  readonly capMs?: number
  readonly jitter?: 'full' | 'none'
  /** A server that asks to wait longer than this is not waited for; default 60 000. */
  readonly maxRetryAfterMs?: number
  /** False: no budget. Default ratio 0.2 and 3 a second. A {@link RetryBudget} may be shared. */
  readonly budget?: false | RetryBudget | Omit<RetryBudgetOptions, 'clock'>
  /** Whether another attempt makes sense; a call's own view, where it has one, goes before. */
  readonly isRetryable?: (error: unknown) => boolean
  readonly clock?: Clock
  readonly random?: Random
}

interface RetrySettings {
  readonly attempts: number
  readonly baseMs: number
  readonly capMs: number
  readonly jitter: 'full' | 'none'
  readonly maxRetryAfterMs: number
}

function readSettings(options: RetryOptions): RetrySettings {
  return {
    attempts: numberOption('retry.attempts', options.attempts ?? 3, { min: 1, isInteger: true }),
    baseMs: numberOption('retry.baseMs', options.baseMs ?? 100, { min: 0 }),
    capMs: numberOption('retry.capMs', options.capMs ?? 20_000, { min: 0 }),
    jitter: options.jitter ?? 'full',
    maxRetryAfterMs: boundOption('retry.maxRetryAfterMs', options.maxRetryAfterMs ?? 60_000, 0),
  }
}

function readBudget(options: RetryOptions, clock: Clock): RetryBudget | undefined {
  const { budget } = options
  if (budget === false) return undefined
  if (budget !== undefined && 'takeRetry' in budget) return budget
  return createRetryBudget({ ...budget, clock })
}

function tooLong(error: unknown, retryAfterMs: number): TreatyError {
  const status = isTreatyError(error) ? error.status : undefined
  return new TreatyError(
    'RETRY_AFTER_EXCEEDS_DEADLINE',
    `the other side asks to wait ${Math.ceil(retryAfterMs)} ms, longer than this call may take`,
    {
      kind: 'retry_after_exceeds_deadline',
      hint: 'Try again after that time, or raise the deadline.',
      retryAfterMs,
      ...(status === undefined ? {} : { status }),
      details: { reason: errorMessage(error) },
      cause: error,
    },
  )
}

/**
 * Another try, with full jitter, a cap and a budget (rules R1 to R9). A Retry-After of the other side is a lower bound
 * of the wait; where it exceeds the deadline the call fails now. Waits never pass the deadline. The last error is
 * thrown as it is; on errors of calls, `attempts` says how many were made.
 *
 * @throws HTTP_OPTIONS_INVALID
 */
export function createRetry(options: RetryOptions = {}): Policy & { readonly kind: 'retry' } {
  const settings = readSettings(options)
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  const budget = readBudget(options, clock)
  const report = reporter(options)
  const ownView = options.isRetryable ?? isRetryableError

  /** The wait before the next attempt; throws what the call ends with where there is none. */
  function nextDelay(error: unknown, scope: CallScope): number {
    const { attempt } = scope
    if (scope.isCancelled) throw scope.reason
    if (attempt >= settings.attempts || !(scope.canRetry ?? ownView)(error)) throw error
    const askedMs = retryAfterOf(error)
    const remainingMs = scope.deadlineAt - clock.monotonic()
    if (askedMs !== undefined && (askedMs > settings.maxRetryAfterMs || askedMs >= remainingMs)) {
      throw tooLong(error, askedMs)
    }
    const delayMs = Math.max(askedMs ?? 0, backoffDelay(attempt, settings, random))
    if (delayMs >= remainingMs) throw error
    if (budget && !budget.takeRetry()) {
      report({ type: 'retry_budget_exhausted', attempt, error })
      throw error
    }
    report({ type: 'retry', attempt, delayMs, error })
    return delayMs
  }

  async function attemptAll<T>(work: Work<T>, scope: CallScope): Promise<T> {
    budget?.noteRequest()
    scope.attempt = 0
    for (;;) {
      if (scope.isCancelled) throw scope.reason
      scope.attempt += 1
      try {
        return await startWork(work, scope)
      } catch (error) {
        scope.lastError = error
        const delayMs = afterFailure(error, scope)
        await pause(delayMs, scope)
      }
    }
  }

  function afterFailure(error: unknown, scope: CallScope): number {
    try {
      return nextDelay(error, scope)
    } catch (final) {
      // A refusal of our own policies was no attempt: nothing was sent.
      const isLocal = isTreatyError(error) && localRejections.has(error.kind)
      noteAttempts(final, scope.attempt - (isLocal ? 1 : 0))
      throw final
    }
  }

  async function pause(delayMs: number, scope: CallScope): Promise<void> {
    // The deadline's error is better than the signal's plain reason, and comes from the same place.
    await delay(clock, delayMs, scope.signal).catch(() => {
      noteAttempts(scope.reason, scope.attempt)
      throw scope.reason
    })
  }

  return {
    kind: 'retry',
    run: <T>(work: Work<T>, within?: CallScope | RunOptions) =>
      enterScope(within, (scope) => attemptAll(work, scope)),
  }
}
