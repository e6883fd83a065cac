import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { errorMessage, TreatyError } from '../../core/errors.ts'

/** Makes secrets unreadable for who only has the store. */
export interface SecretBox {
  seal(text: string): string
  /** @throws WEBHOOK_SECRET_UNREADABLE */
  open(text: string): string
}

const mark = 'sealed1:'

/** AES-256-GCM under a key derived from `key`; without one texts stay as they are. */
export function createSecretBox(key: string | undefined): SecretBox {
  const bytes = key === undefined ? undefined : createHash('sha256').update(key).digest()
  return {
    seal(text) {
      if (bytes === undefined) return text
      const iv = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', bytes, iv)
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return mark + Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64')
    },
    open(text) {
      if (!text.startsWith(mark)) return text
      if (bytes === undefined) throw unreadable('no key was given')
      try {
        const all = Buffer.from(text.slice(mark.length), 'base64')
        const decipher = createDecipheriv('aes-256-gcm', bytes, all.subarray(0, 12))
        decipher.setAuthTag(all.subarray(12, 28))
        return decipher.update(all.subarray(28), undefined, 'utf8') + decipher.final('utf8')
      } catch (error) {
        throw unreadable(errorMessage(error))
      }
    },
  }
}

function unreadable(why: string): TreatyError {
  return new TreatyError(
    'WEBHOOK_SECRET_UNREADABLE',
    `a secret of an endpoint cannot be read: ${why}`,
    { hint: 'Give the sealKey with which the endpoint was added.' },
  )
}

/** A new secret: 32 random bytes for HMAC, or the seed of an Ed25519 key. */
export function newSecret(algorithm: 'hmac-sha256' | 'ed25519'): string {
  const prefix = algorithm === 'ed25519' ? 'whsk_' : 'whsec_'
  return prefix + randomBytes(32).toString('base64')
}
