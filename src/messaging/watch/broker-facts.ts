import type { Clock } from '../../core/clock.ts'
import { redactUrl } from '../../core/secret.ts'

/** What a broker says of itself when somebody asks. */
export interface BrokerFacts {
  /** Product and version, for people: `Redis 8.0.2`. */
  readonly version: string
  /** Milliseconds that its clock is ahead of this host's, to half the time of the answer; absent: it does not tell its time. */
  readonly clockAheadMs?: number
  /** How far `clockAheadMs` may be off. */
  readonly clockErrorMs?: number
  /** Settings that keep its promises weaker than people expect, a sentence each. */
  readonly unsafe: readonly string[]
}

/** Difference of two clocks from which times in messages, expiry and delays are noticeably wrong. */
export const clockSkewMsMax = 2000

/** Runs `ask`, which gives the broker's time in epoch milliseconds, and says how far its clock is ahead. */
export async function compareClocks(
  clock: Clock,
  ask: () => Promise<number | undefined>,
): Promise<Pick<BrokerFacts, 'clockAheadMs' | 'clockErrorMs'>> {
  const askedAt = clock.now()
  const theirs = await ask()
  const answeredAt = clock.now()
  if (theirs === undefined || !Number.isFinite(theirs)) return {}
  return {
    clockAheadMs: Math.round(theirs - (askedAt + answeredAt) / 2),
    clockErrorMs: Math.ceil((answeredAt - askedAt) / 2),
  }
}

/** A sentence when the clocks differ by more than their messages bear; undefined when all is well. */
export function clockSkewProblem(facts: BrokerFacts, url: string): string | undefined {
  const { clockAheadMs, clockErrorMs = 0 } = facts
  if (clockAheadMs === undefined) return undefined
  if (Math.abs(clockAheadMs) - clockErrorMs <= clockSkewMsMax) return undefined
  const seconds = (Math.abs(clockAheadMs) / 1000).toFixed(1)
  const side = clockAheadMs > 0 ? 'ahead of' : 'behind'
  return `the clock of ${redactUrl(url)} is ${seconds} s ${side} that of this host`
}
