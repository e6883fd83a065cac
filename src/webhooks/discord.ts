import {
  createPrivateKey,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from 'node:crypto'
import { TreatyError } from '../core/errors.ts'
import { readField } from './header-fields.ts'
import { hexBytes, privateKeyOf, publicKeyOf } from './keys.ts'
import {
  checkTimestamp,
  refused,
  type SignOptions,
  toleranceSecondsDefault,
  type Verdict,
  type VerifyOptions,
} from './scheme.ts'

/** Ed25519 over timestamp and body; the secrets are the application's public keys in hex. @see Discord, "Interactions" */
export function verifyDiscord(options: VerifyOptions): Verdict {
  const signature = readField(options.headers, 'x-signature-ed25519')
  const timestamp = readField(options.headers, 'x-signature-timestamp')
  if ('problem' in signature) return refused(signature.problem)
  if ('problem' in timestamp) return refused(timestamp.problem)
  const bytes = hexBytes(signature.value.trim())
  if (bytes?.length !== 64) return refused('malformed')
  const toleranceSeconds = options.toleranceSeconds ?? toleranceSecondsDefault
  const check = checkTimestamp(timestamp.value, 's', { now: options.now, toleranceSeconds })
  if (check !== 'fresh') return refused(check)
  const content = Buffer.concat([Buffer.from(timestamp.value), options.rawBody])
  const secretIndex = options.secrets.findIndex((secret) => {
    const key = typeof secret === 'string' ? publicKeyOf(hexBytes(secret)) : undefined
    return key !== undefined && verifyBytes(null, content, key, bytes)
  })
  return secretIndex < 0 ? refused('mismatch') : { ok: true, secretIndex }
}

/** For tests of receivers: the first secret is a private key, 32 bytes in hex, or PEM. @throws WEBHOOK_SIGN_INVALID */
export function signDiscord(options: SignOptions): Record<string, string> {
  const key = privateKeyFrom(options.secrets[0] ?? '')
  if (key === undefined) {
    throw new TreatyError('WEBHOOK_SIGN_INVALID', 'the secret is no private key of Ed25519', {
      hint: 'Give 32 bytes in hex, or PEM.',
    })
  }
  const seconds = String(Math.floor(options.timestamp.getTime() / 1000))
  const content = Buffer.concat([Buffer.from(seconds), options.rawBody])
  return {
    'x-signature-ed25519': signBytes(null, content, key).toString('hex'),
    'x-signature-timestamp': seconds,
  }
}

function privateKeyFrom(secret: string): KeyObject | undefined {
  if (!secret.startsWith('-----BEGIN')) return privateKeyOf(hexBytes(secret))
  try {
    return createPrivateKey(secret)
  } catch {
    return undefined
  }
}
