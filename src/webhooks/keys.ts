import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  type Hmac,
  type KeyObject,
} from 'node:crypto'

/** How the text of a secret becomes the bytes of a key. */
export type SecretEncoding = 'utf8' | 'base64' | 'hex'

/** DER heads that turn 32 raw bytes into a key that Node reads. @see RFC 8410 sections 4 and 7 */
const privateHead = Buffer.from('302e020100300506032b657004220420', 'hex')
const publicHead = Buffer.from('302a300506032b6570032100', 'hex')

/** A key in the form that Node's HMAC takes fastest: text and its encoding. Bytes would be made a key object in each call. */
export interface HmacKey {
  readonly text: string
  readonly encoding: SecretEncoding
}

/** The key that a secret stands for; undefined where it is empty or not in its encoding: such a one never verifies. */
export function hmacKey(secret: string, encoding: SecretEncoding): HmacKey | undefined {
  if (typeof secret !== 'string' || secret === '') return undefined
  const isUsable =
    encoding === 'utf8' ||
    (encoding === 'base64' ? base64Bytes(secret) : hexBytes(secret)) !== undefined
  return isUsable ? { text: secret, encoding } : undefined
}

/** An HMAC under such a key. */
export function hmacWith(algorithm: 'sha1' | 'sha256' | 'sha512', key: HmacKey): Hmac {
  return createHmac(algorithm, key.text, { encoding: key.encoding })
}

/** Strict where Node is lenient: a text that is not base64 gives no shorter key instead. */
export function base64Bytes(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === 0 ? undefined : bytes
}

/** Strict as {@link base64Bytes}: undefined for what is no hex, or half a byte. */
export function hexBytes(text: string): Buffer | undefined {
  if (text.length === 0 || text.length % 2 !== 0 || !/^[0-9a-f]+$/i.test(text)) return undefined
  return Buffer.from(text, 'hex')
}

/**
 * A symmetric secret of Standard Webhooks: base64, with or without `whsec_`. The two asymmetric
 * kinds are refused: a public key must never serve as a shared secret.
 */
export function symmetricKey(secret: string): HmacKey | undefined {
  if (typeof secret !== 'string' || secret.startsWith('whpk_') || secret.startsWith('whsk_')) {
    return undefined
  }
  return hmacKey(secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : secret, 'base64')
}

/** The key that checks `v1a`: a `whpk_` secret, or that which belongs to a `whsk_` one. */
export function verifyingKey(secret: string): KeyObject | undefined {
  if (typeof secret !== 'string') return undefined
  if (secret.startsWith('whpk_')) return publicKeyOf(base64Bytes(secret.slice('whpk_'.length)))
  const own = signingKey(secret)
  return own && createPublicKey(own)
}

/** The key that signs `v1a`: a `whsk_` secret, 32 bytes of seed, or 64 with the public half behind. */
export function signingKey(secret: string): KeyObject | undefined {
  if (typeof secret !== 'string' || !secret.startsWith('whsk_')) return undefined
  return privateKeyOf(base64Bytes(secret.slice('whsk_'.length)))
}

/** 32 raw bytes as an Ed25519 public key. */
export function publicKeyOf(bytes: Buffer | undefined): KeyObject | undefined {
  if (bytes?.length !== 32) return undefined
  return createPublicKey({ key: Buffer.concat([publicHead, bytes]), format: 'der', type: 'spki' })
}

/** A seed of 32 bytes, or seed and public half of 64, as an Ed25519 private key. */
export function privateKeyOf(bytes: Buffer | undefined): KeyObject | undefined {
  if (bytes?.length !== 32 && bytes?.length !== 64) return undefined
  const key = Buffer.concat([privateHead, bytes.subarray(0, 32)])
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
}
