import { createHash, timingSafeEqual } from 'node:crypto'
import { TreatyError } from '../core/errors.ts'
import type { Secret } from '../core/secret.ts'

/** What a key may do: `read` the API, `write` what changes state, read `/metrics`. */
export const keyScopes = ['read', 'write', 'metrics'] as const
export type KeyScope = (typeof keyScopes)[number]

/** An API key as configured. Either the key itself, by reference, or its SHA-256 digest in hex. */
export interface ApiKey {
  /** For audit and messages; not secret. */
  readonly name: string
  readonly scopes: readonly KeyScope[]
  readonly key?: Secret
  readonly sha256?: string
}

/** A key that was recognised. */
export interface KnownKey {
  readonly name: string
  readonly scopes: ReadonlySet<KeyScope>
}

/** Recognises presented keys. Holds digests only. */
export interface KeyRing {
  readonly size: number
  /** Compares with every key in constant time, so that neither content nor place of a match shows in the duration. */
  find(presented: string): KnownKey | undefined
}

/** A key this short can be guessed. */
const keyCharactersMin = 24

/**
 * @throws KEYS_INVALID a name twice, an unknown scope, no scope, a short key, a digest that is none
 */
export function createKeyRing(keys: readonly ApiKey[]): KeyRing {
  const names = new Set<string>()
  const ring = keys.map((key) => {
    if (names.has(key.name)) throw invalid(key.name, 'its name is used twice')
    names.add(key.name)
    return { digest: digestOf(key), known: { name: key.name, scopes: scopesOf(key) } }
  })
  return {
    size: ring.length,
    find(presented) {
      const digest = sha256(presented)
      let found: KnownKey | undefined
      for (const entry of ring) {
        if (timingSafeEqual(entry.digest, digest)) found = entry.known
      }
      return found
    },
  }
}

function scopesOf(key: ApiKey): ReadonlySet<KeyScope> {
  if (key.scopes.length === 0) throw invalid(key.name, 'it has no scope')
  for (const scope of key.scopes) {
    if (!keyScopes.includes(scope)) {
      throw invalid(key.name, `\`${scope}\` is no scope (there are ${keyScopes.join(', ')})`)
    }
  }
  return new Set(key.scopes)
}

function digestOf(key: ApiKey): Buffer {
  if (key.sha256 !== undefined) {
    if (!/^[0-9a-f]{64}$/i.test(key.sha256)) {
      throw invalid(key.name, 'its sha256 is not 64 hexadecimal digits')
    }
    return Buffer.from(key.sha256, 'hex')
  }
  const text = key.key?.reveal() ?? ''
  if (text.length < keyCharactersMin) {
    throw invalid(key.name, `it has fewer than ${keyCharactersMin} characters`)
  }
  return sha256(text)
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest()
}

function invalid(name: string, reason: string): TreatyError {
  return new TreatyError('KEYS_INVALID', `the API key \`${name}\` cannot be used: ${reason}`, {
    hint: 'Mend the key under server.keys; a good one is made with: openssl rand -base64 32',
    details: { name },
  })
}
