import { timingSafeEqual } from 'node:crypto'
import { TreatyError } from '../core/errors.ts'
import { type FieldValue, type HeaderFields, readField } from './header-fields.ts'
import { base64Bytes, hexBytes, hmacKey, hmacWith } from './keys.ts'
import {
  checkTimestamp,
  type HmacScheme,
  isPlainId,
  type RefusalReason,
  refused,
  type SignOptions,
  toleranceSecondsDefault,
  type Verdict,
  type VerifyOptions,
} from './scheme.ts'

const digestLengths = { sha1: 20, sha256: 32, sha512: 64 } as const

/** What a template's placeholders stand for. */
interface Parts {
  readonly id: string
  readonly ts: string
  readonly body: Uint8Array
  readonly method: string
  readonly url: string
}

type Read<T> = { readonly found: T } | { readonly problem: RefusalReason }

interface Signed {
  readonly candidates: readonly Buffer[]
  /** The timestamp that stood beside the signature. */
  readonly ts: string | undefined
}

/** Verifies by a description. */
export function verifyHmac(scheme: HmacScheme, options: VerifyOptions): Verdict {
  const { headers } = options
  const signed = readSignature(scheme, headers)
  if ('problem' in signed) return refused(signed.problem)
  const parts = readParts(scheme, options, signed.found)
  if ('problem' in parts) return refused(parts.problem)
  const secretIndex = options.secrets.findIndex((secret) => {
    const expected = digest(scheme, secret, parts.found)
    return expected !== undefined && signed.found.candidates.some((one) => isEqual(one, expected))
  })
  if (secretIndex < 0) return refused('mismatch')
  const { id } = parts.found
  return id === '' ? { ok: true, secretIndex } : { ok: true, id, secretIndex }
}

/** The headers of a request, signed by a description. @throws WEBHOOK_SIGN_INVALID */
export function signHmac(scheme: HmacScheme, options: SignOptions): Record<string, string> {
  const { timestamp } = scheme
  const ms = options.timestamp.getTime()
  const ts = String(timestamp?.unit === 'ms' ? ms : Math.floor(ms / 1000))
  const parts: Parts = {
    id: options.id,
    ts,
    body: options.rawBody,
    method: options.method ?? 'POST',
    url: options.url ?? '',
  }
  if (scheme.content.includes('{id}') && !isIdUsable(scheme, options.id)) {
    throw new TreatyError('WEBHOOK_SIGN_INVALID', 'the id of the delivery cannot be signed', {
      hint: 'Use printable characters without space, comma or dot.',
    })
  }
  if (scheme.content.includes('{url}') && options.url === undefined) {
    throw new TreatyError('WEBHOOK_SIGN_INVALID', 'this scheme signs the URL, and none was given', {
      hint: 'Give url.',
    })
  }
  const all = options.secrets.map((secret) => {
    const bytes = digest(scheme, secret, parts)
    if (bytes) return bytes.toString(scheme.encoding)
    throw new TreatyError('WEBHOOK_SIGN_INVALID', 'a secret is empty or not in its encoding', {
      hint: `Give secrets as ${scheme.secretEncoding} text.`,
    })
  })
  const value = signatureText(scheme, all, ts)
  return {
    [scheme.header.toLowerCase()]: value,
    ...(scheme.id === undefined ? {} : { [scheme.id.header.toLowerCase()]: options.id }),
    ...(timestamp?.header === undefined ? {} : { [timestamp.header.toLowerCase()]: ts }),
  }
}

function signatureText(scheme: HmacScheme, all: readonly string[], ts: string): string {
  const { prefix = '', format, separator = ',', key = 'v1', timestamp } = scheme
  const [first] = all
  if (first === undefined) {
    throw new TreatyError('WEBHOOK_SIGN_INVALID', 'no secret was given', {
      hint: 'Give at least one secret.',
    })
  }
  if (format === 'raw') return prefix + first
  if (format === 'list') return prefix + all.join(separator)
  const pairs = all.map((one) => `${key}=${one}`)
  const stamped = timestamp?.key === undefined ? pairs : [`${timestamp.key}=${ts}`, ...pairs]
  return prefix + stamped.join(separator)
}

function readSignature(scheme: HmacScheme, headers: HeaderFields): Read<Signed> {
  const field = readField(headers, scheme.header.toLowerCase())
  if ('problem' in field) return field
  const { prefix = '', format, separator = ',' } = scheme
  const text = field.value.trim()
  if (prefix !== '' && !text.startsWith(prefix)) return { problem: 'malformed' }
  const rest = text.slice(prefix.length)
  if (format === 'kv') return readPairs(scheme, rest.split(separator))
  const items = format === 'raw' ? [rest] : rest.split(separator)
  const candidates = items
    .map((item) => item.trim())
    .map((item) => (prefix !== '' && item.startsWith(prefix) ? item.slice(prefix.length) : item))
    .map((item) => signatureBytes(scheme, item))
  return withCandidates(candidates, undefined)
}

function readPairs(scheme: HmacScheme, pairs: readonly string[]): Read<Signed> {
  const { key = 'v1', timestamp } = scheme
  const candidates: (Buffer | undefined)[] = []
  let ts: string | undefined
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    const name = pair.slice(0, Math.max(0, at)).trim()
    const value = pair.slice(at + 1).trim()
    if (name === key) candidates.push(signatureBytes(scheme, value))
    if (timestamp?.key === undefined || name !== timestamp.key) continue
    if (ts !== undefined) return { problem: 'malformed' }
    ts = value
  }
  return withCandidates(candidates, ts)
}

/** Bounds what one request can make us compare. */
const candidatesMax = 32

function withCandidates(
  all: readonly (Buffer | undefined)[],
  ts: string | undefined,
): Read<Signed> {
  const candidates = all.filter((one) => one !== undefined)
  if (candidates.length === 0 || all.length > candidatesMax) return { problem: 'malformed' }
  return { found: { candidates, ts } }
}

function signatureBytes({ algorithm, encoding }: HmacScheme, text: string): Buffer | undefined {
  const bytes = encoding === 'hex' ? hexBytes(text) : base64Bytes(text)
  return bytes?.length === digestLengths[algorithm] ? bytes : undefined
}

function readParts(scheme: HmacScheme, options: VerifyOptions, signed: Signed): Read<Parts> {
  const stamp = readTimestamp(scheme, options, signed)
  if ('problem' in stamp) return stamp
  const needsId = scheme.content.includes('{id}')
  const field = scheme.id ? readField(options.headers, scheme.id.header.toLowerCase()) : undefined
  const id = idOf(scheme, field, needsId)
  if ('problem' in id) return id
  const { url } = options
  if (url === undefined && scheme.content.includes('{url}')) return { problem: 'missing' }
  return {
    found: {
      id: id.found,
      ts: stamp.found,
      body: options.rawBody,
      method: options.method ?? 'POST',
      url: url ?? '',
    },
  }
}

function idOf(scheme: HmacScheme, field: FieldValue | undefined, isNeeded: boolean): Read<string> {
  if (field === undefined) return isNeeded ? { problem: 'missing' } : { found: '' }
  if ('problem' in field) {
    return field.problem === 'missing' && !isNeeded ? { found: '' } : field
  }
  return isIdUsable(scheme, field.value) ? { found: field.value } : { problem: 'malformed' }
}

/** A dot in the id would let two different contents read the same where dots join them. */
function isIdUsable({ content }: HmacScheme, id: string): boolean {
  return isPlainId(id) && !(/\{id\}\.|\.\{id\}/.test(content) && id.includes('.'))
}

function readTimestamp(scheme: HmacScheme, options: VerifyOptions, signed: Signed): Read<string> {
  const { timestamp } = scheme
  if (timestamp === undefined) {
    return scheme.content.includes('{ts}') ? { problem: 'missing' } : { found: '' }
  }
  const field =
    timestamp.header === undefined
      ? signed.ts
      : readField(options.headers, timestamp.header.toLowerCase())
  if (field === undefined || field === '') return { problem: 'missing' }
  if (typeof field !== 'string' && 'problem' in field) return field
  const text = typeof field === 'string' ? field : field.value
  const toleranceSeconds =
    options.toleranceSeconds ?? scheme.toleranceSeconds ?? toleranceSecondsDefault
  const check = checkTimestamp(text, timestamp.unit, { now: options.now, toleranceSeconds })
  return check === 'fresh' ? { found: text } : { problem: check }
}

function digest(scheme: HmacScheme, secret: string, parts: Parts): Buffer | undefined {
  const key = hmacKey(secret, scheme.secretEncoding)
  if (key === undefined) return undefined
  const hmac = hmacWith(scheme.algorithm, key)
  for (const piece of scheme.content.split(/(\{(?:id|ts|body|method|url)\})/)) {
    if (piece === '') continue
    hmac.update(piece.startsWith('{') ? partOf(piece, parts) : piece)
  }
  return hmac.digest()
}

function partOf(placeholder: string, parts: Parts): string | Uint8Array {
  switch (placeholder) {
    case '{id}':
      return parts.id
    case '{ts}':
      return parts.ts
    case '{body}':
      return parts.body
    case '{method}':
      return parts.method
    case '{url}':
      return parts.url
    default:
      return placeholder
  }
}

/** In constant time; both are digests of the same algorithm, so their length is no secret. */
export function isEqual(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right)
}
