import { TreatyError } from '../../core/errors.ts'
import type { CallScope, RunOptions } from './scope.ts'

/** Outer to inner: the order that `compose` keeps, whatever the order they are given in. */
export const policyOrder = [
  'fallback',
  'deadline',
  'retry',
  'breaker',
  'rateLimit',
  'bulkhead',
  'hedge',
  'timeout',
] as const
/** One of the kinds of {@link policyOrder}. */
export type PolicyKind = (typeof policyOrder)[number]

/** What a policy runs: a function that is told its scope, and may also throw at once. */
export type Work<T> = (scope: CallScope) => Promise<T> | T

/** A way of running a call. Usable alone, or inside `compose`. */
export interface Policy {
  readonly kind: PolicyKind
  run<T>(work: Work<T>, within?: CallScope | RunOptions): Promise<T>
}

/** What a policy reports. `dependency` is the name that the policy was made with. */
export type ResilienceEvent = { readonly dependency?: string } & (
  | {
      readonly type: 'retry'
      readonly attempt: number
      readonly delayMs: number
      readonly error: unknown
    }
  | { readonly type: 'retry_budget_exhausted'; readonly attempt: number; readonly error: unknown }
  | {
      readonly type: 'breaker_state'
      readonly from: BreakerState
      readonly to: BreakerState
      readonly reason: 'failures' | 'slow' | 'probe' | 'time' | 'manual'
    }
  | { readonly type: 'breaker_rejected'; readonly retryAfterMs: number }
  | { readonly type: 'rate_limit_paused'; readonly ms: number }
  | { readonly type: 'rate_limit_adapted'; readonly ratePerSecond: number }
  | { readonly type: 'rate_limit_degraded'; readonly error: unknown }
  | { readonly type: 'rate_limited' }
  | { readonly type: 'bulkhead_rejected' }
  | { readonly type: 'hedged'; readonly afterMs: number }
  | { readonly type: 'timeout'; readonly ms: number }
  | { readonly type: 'deadline'; readonly ms: number }
  | { readonly type: 'fallback'; readonly by: string; readonly error: unknown }
  | { readonly type: 'fallback_failed'; readonly by: string; readonly error: unknown }
)
/** Closed lets calls through, open refuses them, half open lets probes through. */
export type BreakerState = 'closed' | 'open' | 'half_open'

/** Where events go, and under which name. */
export interface Reporting {
  /** Name of the dependency, for events and messages. */
  readonly name?: string | undefined
  /** Told at once, in order; what it throws is dropped, because watching a call must not break it. */
  readonly onEvent?: ((event: ResilienceEvent) => void) | undefined
}

/** Every kind of event without the name, which the reporter adds. */
type Unnamed<Event> = Event extends ResilienceEvent ? Omit<Event, 'dependency'> : never

/** Tells the listener of a policy what happens, under its name; without a listener it costs nothing. */
export function reporter({ name, onEvent }: Reporting): (event: Unnamed<ResilienceEvent>) => void {
  if (onEvent === undefined) return () => undefined
  return (event) => {
    try {
      onEvent((name === undefined ? event : { ...event, dependency: name }) as ResilienceEvent)
    } catch {
      // The listener's own problem.
    }
  }
}

/** The error of a setting that cannot be. */
export function invalidOption(message: string, hint: string): TreatyError {
  return new TreatyError('HTTP_OPTIONS_INVALID', message, { hint })
}

/**
 * A setting that is a finite number within bounds.
 *
 * @throws HTTP_OPTIONS_INVALID
 */
export function numberOption(
  name: string,
  value: number,
  bounds: { readonly min: number; readonly max?: number; readonly isInteger?: boolean },
): number {
  const { min, max = Number.MAX_SAFE_INTEGER, isInteger = false } = bounds
  const isNumber = typeof value === 'number' && value >= min && value <= max
  if (isNumber && (!isInteger || Number.isInteger(value))) return value
  const wanted = `${isInteger ? 'a whole number' : 'a number'} from ${min} to ${max}`
  throw invalidOption(`${name} is ${String(value)}, not ${wanted}`, `Set ${name} to ${wanted}.`)
}

/** As {@link numberOption}, and Infinity is accepted: no bound. */
export function boundOption(name: string, value: number, min: number): number {
  return value === Number.POSITIVE_INFINITY ? value : numberOption(name, value, { min })
}
