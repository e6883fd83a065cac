import { type Clock, systemClock } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import { numberOption, type Policy, type Reporting, reporter, type Work } from './policy.ts'
import { type CallScope, enterScope, noteAttempts, type RunOptions, startWork } from './scope.ts'

/** How long something may take. */
export interface TimeLimitOptions extends Reporting {
  /** Milliseconds; at least 1. */
  readonly ms: number
  readonly clock?: Clock
}

interface Limit {
  msFor(scope: CallScope): number
  readonly clock: Clock
  /** Told when the time is over, before the work is cancelled. */
  expired(scope: CallScope, ms: number): TreatyError
}

/**
 * Settles with the work, or rejects when the time is over or the scope ends, whichever is first: also when the
 * work pays no attention. The work is told through its own scope, so that it frees what it holds.
 */
function runLimited<T>(work: Work<T>, outer: CallScope, limit: Limit): Promise<T> {
  if (outer.isCancelled) return Promise.reject(outer.reason)
  return new Promise((resolve, reject) => {
    const { clock } = limit
    const scope = outer.child()
    const now = clock.monotonic()
    const ms = limit.msFor(outer)
    scope.deadlineAt = Math.min(outer.deadlineAt, now + ms)
    const timer = clock.setTimeout(() => scope.cancel(limit.expired(scope, ms)), ms)
    const finish = () => {
      clock.clearTimeout(timer)
      forget()
    }
    const fail = (error: unknown) => {
      finish()
      reject(error)
    }
    const forget = scope.onCancel((reason) => {
      if (scope.attempt > 0) noteAttempts(reason, scope.attempt)
      fail(reason)
    })
    startWork(work, scope).then((value) => {
      finish()
      resolve(value)
    }, fail)
  })
}

/**
 * A bound on everything inside: attempts, waits and queues together (rule R7). What runs when the time is over is
 * cancelled and abandoned; the error has kind `deadline` and, as its cause, the last attempt's error.
 */
export function createDeadline(options: TimeLimitOptions): Policy {
  const totalMs = numberOption('totalMs', options.ms, { min: 1 })
  const clock = options.clock ?? systemClock
  const report = reporter(options)
  const limit: Limit = {
    msFor: (scope) => scope.totalMs ?? totalMs,
    clock,
    expired(scope, ms) {
      report({ type: 'deadline', ms })
      return new TreatyError('HTTP_DEADLINE', `the call did not end within ${ms} ms`, {
        kind: 'deadline',
        details: { totalMs: ms },
        ...(scope.lastError === undefined ? {} : { cause: scope.lastError }),
      })
    },
  }
  return {
    kind: 'deadline',
    run: (work, within) => enterScope(within, (scope) => runLimited(work, scope, limit)),
  }
}

/** A bound on one attempt; kind `timeout`. What runs when the time is over is cancelled and abandoned. */
export function createTimeout(options: TimeLimitOptions): Policy {
  const ms = numberOption('attemptMs', options.ms, { min: 1 })
  const clock = options.clock ?? systemClock
  const report = reporter(options)
  const limit: Limit = {
    msFor: () => ms,
    clock,
    expired() {
      report({ type: 'timeout', ms })
      return new TreatyError('HTTP_TIMEOUT', `the attempt did not end within ${ms} ms`, {
        kind: 'timeout',
        details: { attemptMs: ms },
      })
    },
  }
  return {
    kind: 'timeout',
    run: <T>(work: Work<T>, within?: CallScope | RunOptions) =>
      enterScope(within, (scope) => runLimited(work, scope, limit)),
  }
}
