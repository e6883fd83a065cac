import { type Clock, systemClock } from '../../core/clock.ts'
import { numberOption } from './policy.ts'

/** How large a part of the traffic retries may be. */
export interface RetryBudgetOptions {
  /** Retries for each request, 0 to 1; default 0.2. */
  readonly ratio?: number
  /** Retries a second that are always allowed; default 3. */
  readonly minPerSecond?: number
  readonly clock?: Clock
}

/** Keeps retries a small part of the traffic, so that they cannot finish off a neighbour that is down. */
export interface RetryBudget {
  noteRequest(): void
  /** Takes one retry out of the budget; false: there is none left. */
  takeRetry(): boolean
}

const windowSeconds = 10

/**
 * A budget over the last ten seconds: retries ≤ ratio × requests + minPerSecond × 10 (rule R8). One object may be
 * shared by everything that calls the same dependency.
 *
 * @throws HTTP_OPTIONS_INVALID
 */
export function createRetryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  const ratio = numberOption('retry.budget.ratio', options.ratio ?? 0.2, { min: 0, max: 1 })
  const minPerSecond = numberOption('retry.budget.minPerSecond', options.minPerSecond ?? 3, {
    min: 0,
  })
  const clock = options.clock ?? systemClock
  const requests = new Array<number>(windowSeconds).fill(0)
  const retries = new Array<number>(windowSeconds).fill(0)
  let requestSum = 0
  let retrySum = 0
  let second = Math.floor(clock.monotonic() / 1000)

  /** Forgets the seconds that have passed; the place in the ring of the present one. */
  function present(): number {
    const now = Math.floor(clock.monotonic() / 1000)
    for (let step = 0; second < now && step < windowSeconds; step += 1) {
      second += 1
      const place = second % windowSeconds
      requestSum -= requests[place] as number
      retrySum -= retries[place] as number
      requests[place] = 0
      retries[place] = 0
    }
    second = Math.max(second, now)
    return second % windowSeconds
  }

  return {
    noteRequest() {
      const place = present()
      requests[place] = (requests[place] as number) + 1
      requestSum += 1
    },
    takeRetry() {
      const place = present()
      if (retrySum + 1 > ratio * requestSum + minPerSecond * windowSeconds) return false
      retries[place] = (retries[place] as number) + 1
      retrySum += 1
      return true
    },
  }
}
