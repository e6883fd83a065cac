import type { Clock } from '../core/clock.ts'

/** A bound on how often something may happen. */
export interface Rate {
  /** 0: it may happen now, and counts. Else milliseconds after which to ask again. */
  take(): number
}

/** `perSecond` on average, `burst` at once. Keeps one number: the time by which the bucket would be empty again. */
export function createRate(
  perSecond: number,
  burst: number,
  clock: Pick<Clock, 'monotonic'>,
): Rate {
  const stepMs = 1000 / perSecond
  let emptyAt = Number.NEGATIVE_INFINITY
  return {
    take() {
      const now = clock.monotonic()
      const from = Math.max(now, emptyAt)
      const waitMs = from + stepMs - (now + burst * stepMs)
      // A hair of rounding must not refuse what is due just now.
      if (waitMs > 1e-6) return waitMs
      emptyAt = from + stepMs
      return 0
    },
  }
}
