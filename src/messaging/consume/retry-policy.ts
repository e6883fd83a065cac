import type { RetryPolicy } from '../../contracts/index.ts'
import type { Random } from '../../core/random.ts'

/**
 * How long to wait before the attempt that follows attempt `attempt`, in milliseconds: exponential,
 * capped, and with full jitter a uniform draw from [0, cap). Attempts count from 1.
 *
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("Full Jitter")
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: Random): number {
  const cap = Math.min(policy.capMs, policy.baseMs * policy.factor ** (attempt - 1))
  return policy.jitter === 'full' ? Math.floor(random() * cap) : cap
}
