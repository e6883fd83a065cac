import type { Random } from '../../core/random.ts'

/** How long waits between attempts grow. */
export interface BackoffOptions {
  readonly baseMs: number
  readonly capMs: number
  /** `full` (default): anywhere from 0 to the ceiling; `none`: the ceiling itself. */
  readonly jitter?: 'full' | 'none'
}

/**
 * Milliseconds before retry `retry` (from 1): a number drawn evenly from 0 to min(cap, base · 2^(retry−1)), so that
 * callers that failed together do not come back together (rule R5).
 *
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, "full jitter"
 */
export function backoffDelay(retry: number, options: BackoffOptions, random: Random): number {
  // 2^1024 is Infinity, and Infinity times a base of 0 no number at all.
  const ceiling = Math.min(options.capMs, options.baseMs * 2 ** Math.min(retry - 1, 60))
  return options.jitter === 'none' ? ceiling : random() * ceiling
}
