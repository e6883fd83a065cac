import type { RetryPolicy } from '../../contracts/index.ts'
import { errorMessage, isTreatyError } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'
import { redactUrl } from '../../core/secret.ts'
import type { Delivery, Failure, Settlement } from '../transport.ts'
import type { Outcome, SettledEvent } from '../types.ts'
import { retryDelayMs } from './retry-policy.ts'

/** What becomes of a delivery, and how it is told. */
export interface Decision {
  readonly settlement: Settlement
  readonly told: Pick<SettledEvent, 'outcome' | 'error' | 'retryAfterMs'>
}

export interface DecisionRules {
  readonly retry: RetryPolicy
  readonly random: Random
}

export function release(delivery: Delivery, delayMs?: number): Decision {
  return {
    settlement: { outcome: 'release', delivery, ...(delayMs === undefined ? {} : { delayMs }) },
    told: { outcome: 'release' },
  }
}

const acknowledged: Decision['told'] = { outcome: 'ack' }

/** Done; `more` is what its acknowledgement's transaction holds. */
export function ack(
  delivery: Delivery,
  more?: Pick<Extract<Settlement, { outcome: 'ack' }>, 'inbox' | 'effect'>,
): Decision {
  const settlement: Settlement =
    more === undefined ? { outcome: 'ack', delivery } : { outcome: 'ack', delivery, ...more }
  return { settlement, told: acknowledged }
}

/** Never tried again. */
export function dead(delivery: Delivery, failure: Failure): Decision {
  return {
    settlement: { outcome: 'dead', delivery, failure },
    told: { outcome: 'dead', error: { code: failure.reason, message: failure.message ?? '' } },
  }
}

/** Acknowledged without a handler: not listed by the consumer, or its effect was completed before. */
export function unseen(delivery: Delivery, told: 'skipped' | 'duplicate'): Decision {
  return { settlement: { outcome: 'ack', as: 'skipped', delivery }, told: { outcome: told } }
}

/** Another attempt by the policy, or a dead letter when the last one is spent. */
export function tryAgain(
  delivery: Delivery,
  failure: Failure,
  rules: DecisionRules & { afterMs?: number | undefined },
): Decision {
  if (delivery.attempt >= rules.retry.attempts) return dead(delivery, failure)
  const delayMs = rules.afterMs ?? retryDelayMs(rules.retry, delivery.attempt, rules.random)
  return {
    settlement: { outcome: 'retry', delivery, delayMs },
    told: {
      outcome: 'retry',
      retryAfterMs: delayMs,
      error: { code: failure.reason, message: failure.message ?? '' },
    },
  }
}

/** What a thrown error means: one that cannot pass at a later attempt is dead at once. */
export function afterError(delivery: Delivery, error: unknown, rules: DecisionRules): Decision {
  const failure = failureOf(error)
  if (isTreatyError(error) && !error.retryable) return dead(delivery, failure)
  return tryAgain(delivery, failure, rules)
}

/** What a returned outcome other than `ack` means. */
export function afterOutcome(
  delivery: Delivery,
  outcome: Exclude<Outcome, { outcome: 'ack' }>,
  rules: DecisionRules,
): Decision {
  switch (outcome.outcome) {
    case 'retry': {
      const message = outcome.reason ?? 'the handler asked for another attempt'
      return tryAgain(
        delivery,
        { reason: 'HANDLER_FAILED', message },
        { ...rules, afterMs: outcome.afterMs },
      )
    }
    case 'release':
      return release(delivery, outcome.afterMs)
    case 'dead':
      return dead(delivery, { reason: 'REJECTED', message: outcome.reason })
    case 'drop':
      return { settlement: { outcome: 'drop', delivery }, told: { outcome: 'drop' } }
  }
}

/** The record of an error in a dead letter; credentials in URLs are masked. */
export function failureOf(error: unknown): Failure {
  const stack = error instanceof Error ? error.stack : undefined
  return {
    reason: isTreatyError(error) ? error.code : 'HANDLER_FAILED',
    message: redactUrl(errorMessage(error)),
    errorClass: error instanceof Error ? error.name : typeof error,
    ...(stack === undefined ? {} : { stack: redactUrl(stack) }),
    ...(isTreatyError(error) ? { findings: error.findings } : {}),
  }
}
