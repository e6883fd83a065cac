import { sign as signBytes, verify as verifyBytes } from 'node:crypto'
import { TreatyError } from '../core/errors.ts'
import { type FieldValue, type HeaderFields, readField } from './header-fields.ts'
import { isEqual } from './hmac.ts'
import {
  base64Bytes,
  type HmacKey,
  hmacWith,
  signingKey,
  symmetricKey,
  verifyingKey,
} from './keys.ts'
import {
  checkTimestamp,
  isPlainId,
  refused,
  type SignOptions,
  toleranceSecondsDefault,
  type Verdict,
  type VerifyOptions,
} from './scheme.ts'

/** What the three headers begin with; Svix sends its own or the standard's. */
const prefixes = { 'standard-webhooks': ['webhook'], svix: ['svix', 'webhook'] } as const
type StandardName = keyof typeof prefixes

/** Bounds what one request can make us compute. */
const signaturesMax = 32

interface Signatures {
  readonly v1: readonly Buffer[]
  readonly v1a: readonly Buffer[]
}

/** @see https://www.standardwebhooks.com, version 1.0.0: `v1` HMAC-SHA256, `v1a` Ed25519 */
export function verifyStandard(name: StandardName, options: VerifyOptions): Verdict {
  const fields = readFields(name, options.headers)
  if ('problem' in fields) return refused(fields.problem)
  const { id, timestamp, signature } = fields
  if (!isPlainId(id) || id.includes('.')) return refused('malformed')
  const signatures = readSignatures(signature)
  if (signatures === undefined) return refused('malformed')
  const toleranceSeconds = options.toleranceSeconds ?? toleranceSecondsDefault
  const check = checkTimestamp(timestamp, 's', { now: options.now, toleranceSeconds })
  if (check !== 'fresh') return refused(check)
  const head = `${id}.${timestamp}.`
  const secretIndex = options.secrets.findIndex((secret) =>
    isSignedBy(secret, signatures, { head, body: options.rawBody }),
  )
  return secretIndex < 0 ? refused('mismatch') : { ok: true, id, secretIndex }
}

/** One signature for each secret. @throws WEBHOOK_SIGN_INVALID */
export function signStandard(name: StandardName, options: SignOptions): Record<string, string> {
  const { id, secrets, timestamp, rawBody } = options
  if (!isPlainId(id) || id.includes('.')) {
    throw new TreatyError('WEBHOOK_SIGN_INVALID', 'the id of the delivery cannot be signed', {
      hint: 'Use printable characters without space, comma or dot.',
    })
  }
  if (secrets.length === 0) {
    throw new TreatyError('WEBHOOK_SIGN_INVALID', 'no secret was given', {
      hint: 'Give at least one secret.',
    })
  }
  const seconds = String(Math.floor(timestamp.getTime() / 1000))
  const head = `${id}.${seconds}.`
  const prefix = prefixes[name][0]
  return {
    [`${prefix}-id`]: id,
    [`${prefix}-timestamp`]: seconds,
    [`${prefix}-signature`]: secrets
      .map((secret) => signatureBy(secret, { head, body: rawBody }))
      .join(' '),
  }
}

interface Content {
  readonly head: string
  readonly body: Uint8Array
}

function signatureBy(secret: string, content: Content): string {
  const privateKey = signingKey(secret)
  if (privateKey) return `v1a,${signBytes(null, whole(content), privateKey).toString('base64')}`
  const key = symmetricKey(secret)
  if (key) return `v1,${hmacOf(key, content).toString('base64')}`
  throw new TreatyError('WEBHOOK_SIGN_INVALID', 'a secret is neither whsec_, whsk_ nor base64', {
    hint: 'Write whsec_ and base64 of at least 24 random bytes; newSecret makes one.',
  })
}

function isSignedBy(secret: string, signatures: Signatures, content: Content): boolean {
  if (signatures.v1.length > 0) {
    const key = symmetricKey(secret)
    const expected = key && hmacOf(key, content)
    if (expected && signatures.v1.some((one) => isEqual(one, expected))) return true
  }
  if (signatures.v1a.length === 0) return false
  const publicKey = verifyingKey(secret)
  if (publicKey === undefined) return false
  const bytes = whole(content)
  return signatures.v1a.some((one) => verifyBytes(null, bytes, publicKey, one))
}

function hmacOf(key: HmacKey, { head, body }: Content): Buffer {
  return hmacWith('sha256', key).update(head).update(body).digest()
}

function whole({ head, body }: Content): Buffer {
  return Buffer.concat([Buffer.from(head), body])
}

/** Undefined where it is not a list of signatures; versions that we do not know are passed over. */
function readSignatures(text: string): Signatures | undefined {
  const items = text.split(' ').filter((item) => item !== '')
  if (items.length === 0 || items.length > signaturesMax) return undefined
  const v1: Buffer[] = []
  const v1a: Buffer[] = []
  let isKnown = false
  for (const item of items) {
    const [version = '', signature, ...more] = item.split(',')
    // A second comma is what remains where two header fields were joined.
    if (signature === undefined || version === '' || more.length > 0) return undefined
    if (version !== 'v1' && version !== 'v1a') continue
    isKnown = true
    const bytes = base64Bytes(signature)
    if (version === 'v1' && bytes?.length === 32) v1.push(bytes)
    if (version === 'v1a' && bytes?.length === 64) v1a.push(bytes)
  }
  return isKnown && v1.length + v1a.length === 0 ? undefined : { v1, v1a }
}

type Fields =
  | { readonly id: string; readonly timestamp: string; readonly signature: string }
  | { readonly problem: 'missing' | 'malformed' }

function readFields(name: StandardName, headers: HeaderFields): Fields {
  let result: Fields = { problem: 'missing' }
  for (const prefix of prefixes[name]) {
    result = readTriple(prefix, headers)
    if (!('problem' in result) || result.problem === 'malformed') return result
  }
  return result
}

function readTriple(prefix: string, headers: HeaderFields): Fields {
  const id = readField(headers, `${prefix}-id`)
  const timestamp = readField(headers, `${prefix}-timestamp`)
  const signature = readField(headers, `${prefix}-signature`)
  if (isDoubled(id) || isDoubled(timestamp) || isDoubled(signature)) return { problem: 'malformed' }
  if ('problem' in id || 'problem' in timestamp || 'problem' in signature) {
    return { problem: 'missing' }
  }
  return { id: id.value, timestamp: timestamp.value, signature: signature.value }
}

function isDoubled(field: FieldValue): boolean {
  return 'problem' in field && field.problem === 'malformed'
}
