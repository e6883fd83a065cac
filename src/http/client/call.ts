import type { JsonSchema } from '../../contracts/index.ts'
import type { Degraded } from '../resilience/scope.ts'
import type { HeadersInput } from './message-headers.ts'
import type { ResponseType } from './response.ts'
import type { ParameterValue, Query } from './url.ts'

/** One call. */
export interface CallRequest {
  readonly method: string
  /** Under the base; may hold `{name}` for `params`. */
  readonly path: string
  readonly params?: Readonly<Record<string, ParameterValue>>
  readonly query?: Query
  readonly headers?: HeadersInput
  /** Text, bytes, a form, a stream (one attempt), a function that makes one for each attempt, or data that is sent as JSON. */
  readonly body?: unknown
  /** The same on every attempt; makes any method safe to retry. */
  readonly idempotencyKey?: string
  /** Says that the call does no harm twice, or, false, that it does, whatever its method. */
  readonly idempotent?: boolean
  /** What the body of the answer must satisfy. */
  readonly schema?: JsonSchema
  /** As `schema`, where it depends on the status; undefined: anything goes. */
  readonly responseSchema?: (status: number) => JsonSchema | undefined
  /** Default `auto`: by content type. */
  readonly responseType?: ResponseType
  /** For all attempts together, in place of the client's `timeout.totalMs`. */
  readonly timeoutMs?: number
  /** False: the call's own failure, also where the client has a fallback. */
  readonly fallback?: false
  readonly signal?: AbortSignal
}

/** What a call came to. */
export interface CallResponse<Body = unknown> {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Parsed; null when there is none. */
  readonly body: Body
  /** How often it was asked. */
  readonly attempts: number
  /** Present when a fallback answered, and why. */
  readonly degraded?: Degraded
}
