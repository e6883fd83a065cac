import type { FallbackOptions } from '../resilience/fallback.ts'
import { invalidOption } from '../resilience/policy.ts'
import type { CallScope } from '../resilience/scope.ts'
import type { CallRequest, CallResponse } from './call.ts'

/** What a client's fallback is told beside why the call failed. */
type StandIn = (cause: unknown, scope: CallScope, request: CallRequest) => unknown

/** What stands in for an answer of a neighbour. Exactly one of `value`, `cached`, `alternate`, `queue`. */
export interface ClientFallback extends Pick<FallbackOptions, 'cached' | 'when'> {
  /** Always the same body, with status 200. */
  readonly value?: unknown
  /**
   * The base URL of a second neighbour that takes the same calls with the same credential, or a function that makes the body.
   */
  readonly alternate?: string | URL | StandIn
  /** Keeps the call for later; what it gives is the body of an answer with status 202. */
  readonly queue?: StandIn
}

/** What the fallback of a client needs of it. */
export interface ClientFallbackContext {
  /** The call that runs in a scope. */
  requestOf(scope: CallScope): CallRequest
  /** Calls the second neighbour, where `alternate` is a URL. */
  callAlternate(request: CallRequest, scope: CallScope): Promise<CallResponse>
}

/** Policies give values; callers of a client get answers. */
export function policyFallback(
  fallback: ClientFallback,
  context: ClientFallbackContext,
): FallbackOptions {
  const { value, alternate, queue, ...rest } = fallback
  return {
    ...rest,
    ...(value === undefined ? {} : { value: answer(200, value) }),
    ...(alternate === undefined ? {} : { alternate: alternateOf(alternate, context) }),
    ...(queue && {
      queue: async (cause, scope) =>
        answer(202, await queue(cause, scope, context.requestOf(scope))),
    }),
  }
}

function alternateOf(
  alternate: NonNullable<ClientFallback['alternate']>,
  context: ClientFallbackContext,
): NonNullable<FallbackOptions['alternate']> {
  if (typeof alternate === 'function') {
    return async (cause, scope) =>
      answer(200, await alternate(cause, scope, context.requestOf(scope)))
  }
  return (_, scope) => context.callAlternate(context.requestOf(scope), scope)
}

function answer(status: number, body: unknown): CallResponse {
  return { status, headers: {}, body, attempts: 0 }
}

/** @throws HTTP_OPTIONS_INVALID for a URL that is none, or is the client's own */
export function checkAlternate(alternate: string | URL, home: string): URL {
  const url = URL.parse(String(alternate))
  if (url !== null && url.origin !== home) return url
  throw invalidOption(
    url === null ? 'fallback.alternate is no URL' : 'fallback.alternate is the neighbour itself',
    'Give the base URL of another neighbour that takes the same calls.',
  )
}
