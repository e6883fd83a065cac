import type { Clock } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import { createRateLimiter, type RateLimiter } from '../http/index.ts'

/** How often one caller may ask. */
export interface CallerRate {
  /** Requests a second on average; above 0. */
  readonly perSecond: number
  /** Requests at once; default: what comes in two seconds. */
  readonly burst?: number
}

/** Generous: it is there for a caller that went wild, not for one at work. */
export const callerRateDefault: CallerRate = { perSecond: 1000 }

/** Callers that are remembered; of more, the one that was seen first is forgotten. */
const callersMax = 10_000

export interface CallerLimit {
  /** Counts a request. The headers are sent with every answer, also with a refusal. */
  take(caller: string): {
    readonly headers: Readonly<Record<string, string>>
    /** Undefined: it may go on. */
    readonly refusal: TreatyError | undefined
  }
}

/**
 * A token bucket for each caller, and what is left of it in the headers of the IETF draft.
 *
 * @see draft-ietf-httpapi-ratelimit-headers: RateLimit and RateLimit-Policy
 * @throws HTTP_OPTIONS_INVALID for a rate of 0 or a burst below 1
 */
export function createCallerLimit({ perSecond, burst }: CallerRate, clock: Clock): CallerLimit {
  const most = burst ?? Math.max(1, Math.ceil(2 * perSecond))
  const limiters = new Map<string, RateLimiter>()
  const create = () => createRateLimiter({ ratePerSecond: perSecond, burst: most, clock })
  create()
  const seconds = Math.max(1, Math.ceil(1 / perSecond))
  const often = perSecond < 1 ? `once in ${seconds} s` : `${Math.floor(perSecond)} times a second`
  const policy = `"default";q=${most};w=${Math.max(1, Math.ceil(most / perSecond))}`

  function limiterOf(caller: string): RateLimiter {
    const known = limiters.get(caller)
    if (known) return known
    const [first] = limiters.keys()
    if (limiters.size >= callersMax && first !== undefined) limiters.delete(first)
    const made = create()
    limiters.set(caller, made)
    return made
  }

  return {
    take(caller) {
      const limiter = limiterOf(caller)
      const isAdmitted = limiter.tryAcquire()
      const left = Math.floor(limiter.snapshot().available)
      return {
        headers: {
          'ratelimit-policy': policy,
          ratelimit: `"default";r=${Math.max(0, left)};t=${seconds}`,
        },
        refusal: isAdmitted
          ? undefined
          : new TreatyError('RATE_LIMIT_REACHED', 'this caller asks more often than allowed', {
              hint: `Wait ${seconds} s, and ask ${often} at most.`,
              retryAfterMs: seconds * 1000,
            }),
      }
    },
  }
}
