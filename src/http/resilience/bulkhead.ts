import { TreatyError } from '../../core/errors.ts'
import { boundOption, type Policy, type Reporting, reporter, type Work } from './policy.ts'
import { waitingError } from './rate-limiter.ts'
import { type CallScope, enterScope, type RunOptions, startWork } from './scope.ts'
import { type Waiter, WaitQueue } from './wait-queue.ts'

/** How many calls may run and wait. */
export interface BulkheadOptions extends Reporting {
  /** Calls that may run at once; at least 1. */
  readonly concurrent: number
  /** Calls that may wait beside them; default 0: the next is refused. */
  readonly queue?: number
}

/** A bound on calls at a time, usable alone: `bulkhead.run(work)`. */
export interface Bulkhead extends Policy {
  readonly kind: 'bulkhead'
  snapshot(): { readonly running: number; readonly waiting: number; readonly rejected: number }
}

/**
 * Bounds how many calls run at once, so that one slow neighbour cannot take everything (rule K1). Overflow is refused
 * at once; those who wait are served in order of arrival; one that is cancelled leaves the queue.
 *
 * @throws HTTP_OPTIONS_INVALID
 */
export function createBulkhead(options: BulkheadOptions): Bulkhead {
  const concurrent = boundOption('bulkhead.concurrent', options.concurrent, 1)
  const queueMax = boundOption('bulkhead.queue', options.queue ?? 0, 0)
  const report = reporter(options)
  const queue = new WaitQueue()
  let running = 0
  let rejected = 0

  function release(): void {
    const next = queue.first()
    if (next === undefined) {
      running -= 1
      return
    }
    // The place changes hands without being free in between: nobody overtakes.
    queue.remove(next)
    next.grant()
  }

  function wait(scope: CallScope): Promise<void> {
    if (queue.size >= queueMax) {
      rejected += 1
      report({ type: 'bulkhead_rejected' })
      const name = options.name ?? 'the dependency'
      return Promise.reject(
        new TreatyError('BULKHEAD_FULL', `${name} has ${running} calls running and no place left`, {
          kind: 'bulkhead_full',
          details: { running, waiting: queue.size },
        }),
      )
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        cost: 1,
        priority: 0,
        expiresAt: Number.POSITIVE_INFINITY,
        grant: () => {
          forget()
          resolve()
          return true
        },
        expire: () => undefined,
      }
      queue.add(waiter)
      const forget = scope.onCancel((reason) => {
        queue.remove(waiter)
        reject(waitingError(reason, 'bulkhead'))
      })
    })
  }

  return {
    kind: 'bulkhead',
    snapshot: () => ({ running, waiting: queue.size, rejected }),
    run: <T>(work: Work<T>, within?: CallScope | RunOptions) =>
      enterScope(within, async (scope) => {
        if (scope.isCancelled) throw waitingError(scope.reason, 'bulkhead')
        if (running < concurrent) running += 1
        else await wait(scope)
        try {
          return await startWork(work, scope)
        } finally {
          release()
        }
      }),
  }
}
