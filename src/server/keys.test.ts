import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Secret } from '../core/secret.ts'
import { type ApiKey, createKeyRing } from './keys.ts'

const text = 'a-key-of-more-than-24-characters'
const secret = new Secret('secret://env/KEY', text)

describe('a key ring', () => {
  test('knows a key by itself and by its digest', () => {
    const sha256 = createHash('sha256').update(text).digest('hex')
    for (const key of [{ key: secret }, { sha256 }]) {
      const ring = createKeyRing([{ name: 'ci', scopes: ['read'], ...key }])
      expect(ring.find(text)?.name).toBe('ci')
      expect(ring.find(`${text}!`)).toBeUndefined()
      expect(ring.find('')).toBeUndefined()
    }
  })

  test.each<[string, ApiKey[]]>([
    [
      'a name twice',
      [
        { name: 'a', scopes: ['read'], key: secret },
        { name: 'a', scopes: ['read'], key: secret },
      ],
    ],
    ['an unknown scope', [{ name: 'a', scopes: ['red' as 'read'], key: secret }]],
    ['no scope', [{ name: 'a', scopes: [], key: secret }]],
    ['a short key', [{ name: 'a', scopes: ['read'], key: new Secret('secret://env/K', 'short') }]],
    ['neither key nor digest', [{ name: 'a', scopes: ['read'] }]],
    ['a digest that is none', [{ name: 'a', scopes: ['read'], sha256: 'abc' }]],
  ])('refuses %s, and never says the key', (_what, keys) => {
    expect(() => createKeyRing(keys)).toThrow(expect.objectContaining({ code: 'KEYS_INVALID' }))
    try {
      createKeyRing(keys)
    } catch (error) {
      expect(JSON.stringify(error)).not.toContain(text)
    }
  })
})
