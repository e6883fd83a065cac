import type { Random } from '../../core/random.ts'

/** Milliseconds before each attempt after the first: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h. */
export const scheduleDefault: readonly number[] = [
  5000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 36_000_000,
]

/** When a delivery that failed is tried again. */
export interface ScheduleOptions {
  readonly schedule: readonly number[]
  /** Share of a delay that luck adds or takes away. */
  readonly jitter: number
  readonly random: Random
  /** Milliseconds for which a receiver is left alone at least, when it was too slow or says that it is overloaded. Default 60 000. */
  readonly overloadDelayMs?: number
}

/** What is known of the failure. */
export interface FailedAttempt {
  /** From 1. */
  readonly attempt: number
  /** Absent where no answer came. */
  readonly status?: number
  readonly isTimeout: boolean
  readonly retryAfterMs?: number
}

const overloadDelayMsDefault = 60_000
const retryAfterMsMax = 3_600_000
const overloaded = new Set([429, 502, 504])

/**
 * Milliseconds until the next attempt; undefined when there is none. A Retry-After is never undercut, and
 * is taken up to an hour, or twice the planned delay where that is longer.
 */
export function nextDelayMs(failed: FailedAttempt, options: ScheduleOptions): number | undefined {
  const planned = options.schedule[failed.attempt - 1]
  if (planned === undefined) return undefined
  const jittered = planned * (1 + options.jitter * (2 * options.random() - 1))
  const isOverloaded = failed.isTimeout || overloaded.has(failed.status ?? 0)
  const { overloadDelayMs = overloadDelayMsDefault } = options
  const least = isOverloaded ? Math.max(jittered, overloadDelayMs) : jittered
  const asked = Math.min(failed.retryAfterMs ?? 0, Math.max(2 * planned, retryAfterMsMax))
  return Math.max(least, asked)
}
