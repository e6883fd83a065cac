import { type CallErrorKind, isTreatyError } from '../../core/errors.ts'

/** Statuses after which the same request may succeed (rule R2). */
export const retryStatuses: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])

/** The call never left this process. */
export const localRejections: ReadonlySet<CallErrorKind | undefined> = new Set<CallErrorKind>([
  'breaker_open',
  'bulkhead_full',
  'rate_limited',
])

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { status, statusCode } = error as { status?: unknown; statusCode?: unknown }
  if (typeof status === 'number') return status
  return typeof statusCode === 'number' ? statusCode : undefined
}

/** Milliseconds that the other side, or a policy, asks to wait; undefined: nothing is known. */
export function retryAfterOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { retryAfterMs } = error as { retryAfterMs?: unknown }
  return typeof retryAfterMs === 'number' && retryAfterMs >= 0 ? retryAfterMs : undefined
}

function isAbort(error: unknown): boolean {
  if (isTreatyError(error)) return error.kind === 'aborted'
  return error instanceof Error && error.name === 'AbortError'
}

/**
 * The retry policy's own view of an error, where a call does not bring one: statuses by rule R2, broken
 * connections and timeouts yes; aborts, refusals of our own policies, unreadable answers no; errors that
 * are not of a call yes.
 */
export function isRetryableError(error: unknown): boolean {
  if (isAbort(error)) return false
  if (isTreatyError(error) && error.kind !== undefined && error.kind !== 'http') {
    if (localRejections.has(error.kind) || error.kind === 'deadline') return false
    return error.retryable
  }
  const status = statusOf(error)
  return status === undefined || retryStatuses.has(status)
}

/**
 * What speaks against the dependency (rule B2): 5xx, 429, timeouts, broken connections, errors that are not of a call.
 * Not: other 4xx, aborts, unreadable or invalid answers, refusals of our own policies, waits in our own queues.
 */
export function isFailure(error: unknown): boolean {
  if (isAbort(error)) return false
  if (isTreatyError(error) && error.kind !== undefined) {
    if (error.kind === 'network' || error.kind === 'timeout') return true
    if (error.kind === 'deadline') return error.details.waitingFor === undefined
    if (error.kind !== 'http') return false
  }
  const status = statusOf(error)
  return status === undefined || status >= 500 || status === 429
}

/** When a fallback steps in: the dependency failed, or was not asked for its own good. */
export function isUnavailable(error: unknown): boolean {
  if (!isTreatyError(error) || error.kind === undefined) return isFailure(error)
  const kinds = ['breaker_open', 'bulkhead_full', 'rate_limited', 'retry_after_exceeds_deadline']
  return kinds.includes(error.kind) || error.kind === 'deadline' || isFailure(error)
}
