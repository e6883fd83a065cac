import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib'
import { TreatyError } from '../../core/errors.ts'
import { parseRateLimit, type RateLimitHints } from '../headers/rate-limit.ts'
import { parseRetryAfter } from '../headers/retry-after.ts'
import { retryStatuses } from '../resilience/failure.ts'
import { excerptOf } from './redact.ts'
import { tooLarge, type WireResponse } from './transport.ts'

type Inflate = (body: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>

const unzip = promisify(gunzip) as Inflate
/** `deflate` is zlib by the book and raw by habit; the first byte tells (RFC 9110 section 8.4.1.2). */
const undeflate: Inflate = (body, options) => {
  const isZlib = ((body[0] ?? 0) & 0x0f) === 8
  return (promisify(isZlib ? inflate : inflateRaw) as Inflate)(body, options)
}
const decoders: Readonly<Record<string, Inflate>> = {
  gzip: unzip,
  'x-gzip': unzip,
  deflate: undeflate,
  br: promisify(brotliDecompress) as Inflate,
}
/** One answer may be encoded several times over; more than this is an attack. */
const encodingsMax = 3

function unreadable(where: string, what: string, status: number): TreatyError {
  return new TreatyError('HTTP_UNREADABLE', `${where}: ${what}`, {
    kind: 'parse',
    status,
    retryable: false,
  })
}

/**
 * The body without its content encodings; never more than `bytesMax`, however small it came.
 *
 * @throws HTTP_UNREADABLE
 */
export async function decodeBody(
  response: WireResponse,
  limits: { readonly where: string; readonly bytesMax: number },
): Promise<Uint8Array> {
  const { where, bytesMax } = limits
  const names = (response.headers['content-encoding'] ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity')
  if (names.length > encodingsMax) {
    throw unreadable(where, 'the answer is encoded too often', response.status)
  }
  let { body } = response
  for (const name of names.reverse()) {
    const decode = decoders[name]
    if (decode === undefined) {
      throw unreadable(
        where,
        `the answer has an unknown encoding ${JSON.stringify(name.slice(0, 40))}`,
        response.status,
      )
    }
    try {
      body = await decode(body, { maxOutputLength: bytesMax })
    } catch (error) {
      const isTooLarge = (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'
      if (isTooLarge) throw tooLarge(where, bytesMax)
      throw unreadable(where, `the answer is no valid ${name}`, response.status)
    }
  }
  return body
}

/** How a body is read. `auto`: by its content type. */
export type ResponseType = 'auto' | 'json' | 'text' | 'bytes'

const isJsonType = (type: string) => type === 'application/json' || type.endsWith('+json')
const isTextType = (type: string) =>
  type.startsWith('text/') ||
  /^application\/(xml|.*\+xml|javascript|x-www-form-urlencoded)$/.test(type)

function textOf(body: Uint8Array, contentType: string): string | undefined {
  const charset = /;\s*charset\s*=\s*"?([\w.:-]+)/i.exec(contentType)?.[1]?.toLowerCase() ?? 'utf-8'
  if (charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii') {
    const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
    return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
  }
  try {
    return new TextDecoder(charset).decode(body)
  } catch {
    return undefined
  }
}

/**
 * The value of a body: JSON parsed, text as text, the rest as bytes, nothing as null. Without a content type JSON is tried
 * first. An answer that cannot be read is no reason to ask again: it was given.
 *
 * @throws HTTP_UNREADABLE
 */
export function parseBody(
  response: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
  body: Uint8Array,
  want: { readonly type: ResponseType; readonly where: string },
): unknown {
  if (body.length === 0) return null
  if (want.type === 'bytes') return body
  const contentType = response.headers['content-type'] ?? ''
  const mediaType = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase()
  const isJson = want.type === 'json' || (want.type === 'auto' && isJsonType(mediaType))
  const isUntyped = want.type === 'auto' && mediaType === ''
  if (!isJson && !isUntyped && want.type !== 'text' && !isTextType(mediaType)) return body
  const text = textOf(body, contentType)
  if (text === undefined) {
    throw unreadable(want.where, 'the answer has an unknown character set', response.status)
  }
  if (!isJson && !isUntyped) return text
  try {
    return JSON.parse(text)
  } catch {
    if (isUntyped) return text
    // The parser's own message quotes the body, which may hold anything.
    throw unreadable(want.where, 'the answer is no valid JSON', response.status)
  }
}

/** How long the other side asks to wait; undefined: it does not say. */
export function waitAskedFor(
  response: Pick<WireResponse, 'status' | 'headers'>,
  now: Date,
  hints?: RateLimitHints,
): number | undefined {
  const header = response.headers['retry-after']
  const asked = header === undefined ? undefined : parseRetryAfter(header, now)
  if (asked) return asked.delayMs
  if (response.status !== 429) return undefined
  const state = parseRateLimit(response.headers, now, hints)
  return state?.remaining === undefined || state.remaining <= 0 ? state?.resetMs : undefined
}

const shownHeaders = [
  'content-type',
  'date',
  'request-id',
  'retry-after',
  'traceparent',
  'x-request-id',
]

/** The error of a status of 400 or above, with what helps to find out why, and no secret. */
export function statusError(
  response: WireResponse,
  body: Uint8Array,
  facts: {
    readonly where: string
    readonly retryAfterMs: number | undefined
    readonly secrets: readonly string[]
  },
): TreatyError {
  const { status, headers } = response
  const shown = shownHeaders.flatMap((name) => {
    const value = headers[name]
    return value === undefined ? [] : [[name, excerptOf(Buffer.from(value), facts.secrets)]]
  })
  return new TreatyError('HTTP_STATUS', `${facts.where} answered ${status}`, {
    kind: 'http',
    status,
    retryable: retryStatuses.has(status),
    ...(facts.retryAfterMs === undefined ? {} : { retryAfterMs: facts.retryAfterMs }),
    details: {
      headers: Object.fromEntries(shown),
      ...(body.length === 0 ? {} : { excerpt: excerptOf(body, facts.secrets) }),
    },
  })
}
