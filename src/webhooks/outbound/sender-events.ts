import type { TreatyError } from '../../core/errors.ts'

/** What happened in a sender: for metrics, alerts and command lines. */
export type SenderEvent =
  | {
      readonly kind: 'attempt'
      readonly endpointId: string
      readonly messageId: string
      readonly type: string
      readonly attempt: number
      readonly outcome: AttemptOutcome
      readonly status?: number
      readonly error?: string
      readonly elapsedMs: number
      /** Epoch milliseconds of the next attempt. */
      readonly nextAt?: number
    }
  | {
      readonly kind: 'exhausted'
      readonly endpointId: string
      readonly messageId: string
      readonly type: string
      readonly attempts: number
    }
  | {
      /** Nothing has come through for this share of the time after which the endpoint is disabled. */
      readonly kind: 'endpoint.failing'
      readonly endpointId: string
      readonly share: number
      readonly failingSince: number
    }
  | { readonly kind: 'endpoint.disabled'; readonly endpointId: string; readonly reason: string }
  | { readonly kind: 'endpoint.recovered'; readonly endpointId: string }
  | {
      /** The filter of an endpoint could not judge a message, which is therefore not delivered to it. */
      readonly kind: 'filter.failed'
      readonly endpointId: string
      readonly messageId: string
      readonly type: string
      readonly error: string
    }
  | { readonly kind: 'problem'; readonly error: TreatyError }

/** `filter_failed` stands in the log alone: nothing was sent. */
export type AttemptOutcome = 'delivered' | 'failed' | 'exhausted' | 'gone' | 'filter_failed'

/** One line of the delivery log. */
export interface Attempt {
  readonly id: string
  readonly endpointId: string
  readonly messageId: string
  readonly type: string
  /** From 1; begins anew with each redelivery. 0: nothing was sent. */
  readonly attempt: number
  readonly outcome: AttemptOutcome
  /** Epoch milliseconds. */
  readonly at: number
  readonly elapsedMs: number
  readonly status?: number
  readonly error?: string
  readonly responseHeaders?: Readonly<Record<string, string>>
  /** The beginning of what the endpoint answered. */
  readonly response?: string
  readonly nextAt?: number
}
