import { createHmac, timingSafeEqual } from 'node:crypto'
import { isJsonObject, type Json } from '../../core/json.ts'
import type { Scheme } from '../scheme.ts'
import type { InboundAnswer } from './delivery.ts'

/**
 * How a provider asks whether the endpoint is ours, before or between deliveries. Answered without
 * making a message.
 *
 * `slack`: `url_verification` · `discord`: PING · `zoom`: `endpoint.url_validation` · `meta`: `hub.challenge` with a
 * token · `twitter`: `crc_token` · `cloudevents`: OPTIONS · `treaty`: what {@link createSender} asks · `query`: a parameter
 * is echoed · `body`: a member is echoed where another has a value.
 */
export type Handshake =
  | { readonly kind: 'slack' | 'discord' | 'treaty' }
  | { readonly kind: 'zoom' | 'twitter' }
  | { readonly kind: 'meta'; readonly verifyToken: string }
  | {
      readonly kind: 'cloudevents'
      readonly origins: readonly string[]
      readonly ratePerMinute?: number
    }
  | { readonly kind: 'query'; readonly parameter: string }
  | {
      readonly kind: 'body'
      readonly when: readonly [member: string, equals: string]
      readonly echo: string
    }

/** The handshakes that belong to a scheme without being asked for. */
export function handshakesOf(scheme: Scheme | undefined): readonly Handshake[] {
  if (scheme === 'slack') return [{ kind: 'slack' }]
  if (scheme === 'discord') return [{ kind: 'discord' }]
  if (scheme === 'standard-webhooks' || scheme === 'svix') return [{ kind: 'treaty' }]
  return []
}

/** Type of the event with which {@link createSender} asks an endpoint to prove itself. */
export const verificationType = 'endpoint.verification'

/** What is echoed must be no page and no header. */
const challengePattern = /^[\x21-\x7e]{1,512}$/

function text(body: string): InboundAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
    body,
  }
}

function json(body: Json): InboundAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }
}

/** Handshakes that come without a body: GET and OPTIONS. Undefined: not one of them. */
export function answerQuestion(
  handshakes: readonly Handshake[],
  question: {
    readonly method: string
    readonly query: URLSearchParams
    readonly header: (name: string) => string | undefined
    readonly secrets: readonly string[]
  },
): InboundAnswer | undefined {
  const { method, query, header, secrets } = question
  for (const handshake of handshakes) {
    if (method === 'OPTIONS' && handshake.kind === 'cloudevents') {
      return allowOrigin(handshake, header('webhook-request-origin'))
    }
    if (method !== 'GET') continue
    if (handshake.kind === 'query') {
      const challenge = query.get(handshake.parameter)
      if (challenge !== null && challengePattern.test(challenge)) return text(challenge)
    }
    if (handshake.kind === 'meta') {
      const challenge = query.get('hub.challenge') ?? ''
      const isKnown = isSameText(query.get('hub.verify_token') ?? '', handshake.verifyToken)
      if (isKnown && challengePattern.test(challenge)) return text(challenge)
    }
    if (handshake.kind === 'twitter') {
      const token = query.get('crc_token')
      const [secret] = secrets
      if (token !== null && secret && token.length <= 512) {
        const digest = createHmac('sha256', secret).update(token).digest('base64')
        return json({ response_token: `sha256=${digest}` })
      }
    }
  }
  return undefined
}

/** @see CloudEvents, "HTTP 1.1 Web Hooks", section 4 */
function allowOrigin(
  { origins, ratePerMinute }: Extract<Handshake, { kind: 'cloudevents' }>,
  origin: string | undefined,
): InboundAnswer | undefined {
  if (origin === undefined || !(origins.includes(origin) || origins.includes('*'))) return undefined
  return {
    status: 200,
    headers: {
      allow: 'POST',
      'webhook-allowed-origin': origin,
      ...(ratePerMinute === undefined ? {} : { 'webhook-allowed-rate': String(ratePerMinute) }),
    },
    body: '',
  }
}

/** A look at the bytes, so that ordinary deliveries are not parsed for a question that they do not ask. */
export function mayAsk(handshakes: readonly Handshake[], rawBody: Uint8Array): boolean {
  if (rawBody.length > 8192) return false
  const bytes = Buffer.from(rawBody.buffer, rawBody.byteOffset, rawBody.byteLength)
  return handshakes.some((handshake) => {
    const marker = markerOf(handshake)
    return marker !== undefined && bytes.includes(marker)
  })
}

function markerOf(handshake: Handshake): string | undefined {
  switch (handshake.kind) {
    case 'slack':
      return 'url_verification'
    case 'treaty':
      return verificationType
    case 'zoom':
      return 'endpoint.url_validation'
    case 'discord':
      return '"type"'
    case 'body':
      return handshake.when[1]
    default:
      return undefined
  }
}

/** Handshakes in a body whose signature has been verified. Undefined: an ordinary delivery. */
export function answerChallenge(
  handshakes: readonly Handshake[],
  body: Json | undefined,
  secrets: readonly string[],
): InboundAnswer | undefined {
  if (!isJsonObject(body)) return undefined
  for (const handshake of handshakes) {
    const answer = challengeAnswer(handshake, body, secrets)
    if (answer) return answer
  }
  return undefined
}

function challengeAnswer(
  handshake: Handshake,
  body: Readonly<Record<string, Json | undefined>>,
  secrets: readonly string[],
): InboundAnswer | undefined {
  switch (handshake.kind) {
    case 'slack':
      return body.type === 'url_verification' ? echo(body.challenge) : undefined
    case 'treaty': {
      const data = body.type === verificationType && isJsonObject(body.data) ? body.data : {}
      return echo(data.challenge)
    }
    case 'body': {
      const [member, equals] = handshake.when
      return body[member] === equals ? echo(body[handshake.echo]) : undefined
    }
    case 'discord':
      // Interactions ask with type 1, webhook events with type 0.
      if (body.type === 1 && body.application_id !== undefined) return json({ type: 1 })
      return body.type === 0 ? { status: 204, headers: {}, body: '' } : undefined
    case 'zoom': {
      const payload = isJsonObject(body.payload) ? body.payload : {}
      const [secret] = secrets
      const token = payload.plainToken
      if (body.event !== 'endpoint.url_validation' || typeof token !== 'string' || !secret) {
        return undefined
      }
      const encryptedToken = createHmac('sha256', secret).update(token).digest('hex')
      return json({ plainToken: token, encryptedToken })
    }
    default:
      return undefined
  }
}

function echo(challenge: Json | undefined): InboundAnswer | undefined {
  if (typeof challenge !== 'string' || !challengePattern.test(challenge)) return undefined
  return json({ challenge })
}

function isSameText(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)]
  return a.length === b.length && a.length > 0 && timingSafeEqual(a, b)
}
