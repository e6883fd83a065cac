import { randomBytes } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { isJsonObject } from '../../core/json.ts'
import { verificationType } from '../inbound/handshake.ts'
import { sign } from '../verify.ts'
import type { Egress } from './egress.ts'
import type { Post, PostResult } from './post.ts'

/** Whether an endpoint wants our deliveries. */
export type Proof = { readonly ok: true } | { readonly ok: false; readonly reason: string }

/** How an endpoint is asked to prove itself. */
export interface ProofOptions {
  readonly kind: 'challenge' | 'cloudevents'
  readonly secrets: readonly string[]
  readonly origin: string
  readonly post: Post
  readonly egress: Egress
  readonly clock: Clock
  readonly nextId: () => string
  readonly timeoutMs: number
}

const failed = (reason: string): Proof => ({ ok: false, reason })

/**
 * Asks an endpoint to prove itself. `challenge`: a signed event of type `endpoint.verification`, whose `data.challenge`
 * must come back as text or as `{ challenge }`. `cloudevents`: OPTIONS, answered with WebHook-Allowed-Origin.
 */
export async function proveEndpoint(url: string, options: ProofOptions): Promise<Proof> {
  const verdict = await options.egress.check(url)
  if (!verdict.allowed) return failed(verdict.reason)
  return options.kind === 'cloudevents' ? askOrigin(url, options) : askChallenge(url, options)
}

/** @see CloudEvents, "HTTP 1.1 Web Hooks", section 4 */
async function askOrigin(url: string, { post, origin, timeoutMs }: ProofOptions): Promise<Proof> {
  const headers = { 'webhook-request-origin': origin }
  const result = await post({ method: 'OPTIONS', url, headers, body: new Uint8Array(), timeoutMs })
  const problem = problemOf(result)
  if (problem !== undefined || !('status' in result)) return failed(problem ?? 'no answer')
  const allowed = result.headers['webhook-allowed-origin']
  return allowed === origin || allowed === '*'
    ? { ok: true }
    : failed('WebHook-Allowed-Origin does not name us')
}

async function askChallenge(url: string, options: ProofOptions): Promise<Proof> {
  const { post, clock, secrets, timeoutMs } = options
  const challenge = randomBytes(24).toString('base64url')
  const now = new Date(clock.now())
  const text = { type: verificationType, timestamp: now.toISOString(), data: { challenge } }
  const body = Buffer.from(JSON.stringify(text))
  const signed = sign({
    scheme: 'standard-webhooks',
    secrets,
    id: options.nextId(),
    timestamp: now,
    rawBody: body,
  })
  const headers = { 'content-type': 'application/json', ...signed }
  const result = await post({ url, headers, body, timeoutMs })
  const problem = problemOf(result)
  if (problem !== undefined || !('status' in result)) return failed(problem ?? 'no answer')
  return echoOf(result.excerpt) === challenge
    ? { ok: true }
    : failed('the challenge did not come back')
}

function problemOf(result: PostResult): string | undefined {
  if ('failure' in result) return `${result.failure}: ${result.message}`
  return result.status >= 200 && result.status < 300 ? undefined : `the answer is ${result.status}`
}

function echoOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value.challenge : value
  } catch {
    return text.trim()
  }
}
