import type { CompiledSchema } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import { isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import { parseRateLimit, type RateLimitHints } from '../headers/rate-limit.ts'
import { retryStatuses } from '../resilience/failure.ts'
import type { RateLimitPolicy } from '../resilience/rate-limiter.ts'
import type { CallScope } from '../resilience/scope.ts'
import type { CallResponse } from './call.ts'
import { egressDenied } from './network-error.ts'
import {
  checkTarget,
  type EgressRules,
  isRedirect,
  nextRequest,
  redirectRefused,
} from './redirect.ts'
import type { EncodedBody, RequestBody } from './request-body.ts'
import { decodeBody, parseBody, type ResponseType, statusError, waitAskedFor } from './response.ts'
import type { HttpTransport, SendProgress, WireRequest, WireResponse } from './transport.ts'

/** What all attempts of a client have in common. */
export interface AttemptContext {
  readonly transport: HttpTransport
  readonly auth: Authenticator | undefined
  readonly home: string
  readonly egress: EgressRules
  readonly redirect: { readonly mode: 'follow' | 'manual' | 'error'; readonly max: number }
  readonly bytesMax: number
  readonly hints: RateLimitHints | undefined
  readonly clock: Clock
  readonly rateLimiter: RateLimitPolicy | undefined
}

/** One call, as its attempts see it. */
export interface CallPlan {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: RequestBody
  readonly isSafe: boolean
  readonly hasKey: boolean
  schemaFor(status: number): CompiledSchema | undefined
  readonly responseType: ResponseType
  readonly where: string
  attempts: number
  progress: SendProgress
}

/** Whether another attempt may follow (rules R1 to R4, R9, R11). */
export function mayRetry(error: unknown, plan: CallPlan): boolean {
  if (!isTreatyError(error) || !plan.body.isReplayable || error.code === 'HTTP_TLS') return false
  switch (error.kind) {
    case 'http': {
      if (error.status === undefined || error.code !== 'HTTP_STATUS') return false
      if (error.status === 409 && plan.hasKey) return true
      if (!retryStatuses.has(error.status)) return false
      // With Retry-After the server says that it has not done it.
      const isPromised = error.status === 429 || error.status === 503
      return plan.isSafe || (isPromised && error.retryAfterMs !== undefined)
    }
    case 'network':
    case 'timeout':
      return plan.isSafe || !plan.progress.wasSent
    default:
      return false
  }
}

function build(
  plan: CallPlan,
  context: AttemptContext,
  body: EncodedBody | undefined,
): WireRequest {
  const headers = { ...plan.headers }
  if (body === undefined) delete headers['content-type']
  else if (body.contentType !== undefined) {
    if (body.isTypeFixed) delete headers['content-type']
    headers['content-type'] ??= body.contentType
  }
  return {
    method: plan.method,
    origin: context.home,
    path: plan.path,
    headers,
    body: body?.payload,
  }
}

/** One attempt: credential, request, redirects, one renewal after a 401, answer. */
export async function attempt(
  plan: CallPlan,
  context: AttemptContext,
  scope: CallScope,
): Promise<CallResponse> {
  plan.progress = { wasSent: false }
  const { progress } = plan
  const made = plan.body.next()
  const request = build(plan, context, made instanceof Promise ? await made : made)
  if (context.auth) {
    const applied = context.auth.apply(request, scope)
    if (applied !== undefined) await applied
  }
  let response = await context.transport.send(request, scope, progress)
  if (response.status === 401 && context.auth && plan.body.isReplayable) {
    response = await sendAgain(response, { request, plan, context, scope, progress })
  }
  if (isRedirect(response) && context.redirect.mode !== 'manual') {
    response = await follow(response, { request, plan, context, scope, progress })
  }
  return await read(response, plan, context)
}

interface Sent {
  readonly request: WireRequest
  readonly plan: CallPlan
  readonly context: AttemptContext
  readonly scope: CallScope
  readonly progress: SendProgress
}

/** Exactly one renewal and one replay, for any method: a 401 says that nothing was done (rule R10). */
async function sendAgain(response: WireResponse, sent: Sent): Promise<WireResponse> {
  const { request, plan, context, scope, progress } = sent
  if (!(await context.auth?.renew(request, scope))) return response
  const made = plan.body.next()
  const body = made instanceof Promise ? await made : made
  return await context.transport.send({ ...request, body: body?.payload }, scope, progress)
}

async function follow(first: WireResponse, sent: Sent): Promise<WireResponse> {
  const { plan, context, scope, progress } = sent
  const { mode, max } = context.redirect
  if (mode === 'error') throw redirectRefused(plan.where, first.status, 'redirects are not allowed')
  let { request } = sent
  let response = first
  let hasLeft = false
  for (let hop = 1; isRedirect(response); hop += 1) {
    if (hop > max) throw redirectRefused(plan.where, response.status, `more than ${max} times`)
    const next = nextRequest(request, response, {
      egress: context.egress,
      canRepeat: plan.body.isReplayable,
      home: context.home,
    })
    request = next.request
    // Once a stranger has had a say, its word does not get the credential even at home.
    hasLeft ||= next.isForeign
    if (hasLeft) for (const name of context.auth?.headerNames ?? []) delete request.headers[name]
    else await context.auth?.apply(request, scope)
    response = await context.transport.send(request, scope, progress)
  }
  return response
}

async function read(
  response: WireResponse,
  plan: CallPlan,
  context: AttemptContext,
): Promise<CallResponse> {
  const { status, headers } = response
  const limits = { where: plan.where, bytesMax: context.bytesMax }
  if (context.rateLimiter) tellLimiter(response, context, context.rateLimiter)
  if (status >= 400) {
    // What cannot be decoded is still an answer with a status.
    const body = await decodeBody(response, limits).catch(() => new Uint8Array(0))
    throw statusError(response, body, {
      where: plan.where,
      retryAfterMs: retryStatuses.has(status)
        ? waitAskedFor(response, new Date(context.clock.now()), context.hints)
        : undefined,
      secrets: context.auth?.secrets() ?? [],
    })
  }
  const isEmpty = plan.method === 'HEAD' || status === 204 || status === 205 || status === 304
  const encoded = isEmpty || response.body.length === 0
  const bytes =
    encoded || headers['content-encoding'] === undefined
      ? response.body
      : await decodeBody(response, limits)
  const body = isEmpty
    ? null
    : parseBody(response, bytes, { type: plan.responseType, where: plan.where })
  const schema = isEmpty ? undefined : plan.schemaFor(status)
  if (schema && !schema.check(body)) throw schemaError(schema.findings(body), status, plan)
  return { status, headers, body, attempts: plan.attempts }
}

function schemaError(findings: readonly Finding[], status: number, plan: CallPlan): TreatyError {
  return new TreatyError(
    'HTTP_SCHEMA_MISMATCH',
    `${plan.where}: the body of the answer breaks its schema`,
    { kind: 'schema', status, findings },
  )
}

/** A 429 stops everybody who shares the limit, not only the caller that met it (rule L4). */
function tellLimiter(
  response: WireResponse,
  context: AttemptContext,
  limiter: RateLimitPolicy,
): void {
  const { status } = response
  if (status === 429 || (status === 503 && response.headers['retry-after'] !== undefined)) {
    const waitMs = waitAskedFor(response, new Date(context.clock.now()), context.hints)
    if (waitMs !== undefined) {
      limiter.pause(waitMs)
      return
    }
  }
  if (!speaksOfLimit(response.headers, context.hints)) return
  const now = new Date(context.clock.now())
  const state = parseRateLimit(response.headers, now, context.hints)
  if (state) limiter.adapt(state)
}

/** A quick look, because most answers do not: reading them all would be a tenth of a call. */
function speaksOfLimit(
  headers: Readonly<Record<string, string>>,
  hints: RateLimitHints | undefined,
): boolean {
  if (hints?.remainingHeader !== undefined || hints?.resetHeader !== undefined) return true
  for (const name in headers) {
    if (name.includes('ratelimit') || name.includes('rate-limit')) return true
  }
  return false
}

/** @throws EGRESS_DENIED before anything is done */
export function checkHome(url: URL, context: Pick<AttemptContext, 'egress'>): void {
  const verdict = checkTarget(url, context.egress)
  if (!verdict.allowed) throw egressDenied(url.origin, verdict.reason)
}
