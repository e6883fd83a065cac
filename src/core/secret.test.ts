import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { redactUrl, resolveSecrets } from './secret.ts'

/** A user with a secret reference as password, in the URL of each transport and store. */
const places = [
  'kafka://app:PW@host:9092',
  'kafka+ssl://app:PW@one:9092,two:9092?ca=/etc/ca.pem',
  'nats://app:PW@host',
  'nats://PW@host',
  'tls://app:PW@one,two?replicas=3',
  'nats://host?token=PW',
  'amqp://app:PW@host/vhost?queues=classic',
  'amqps://app:PW@host/vhost',
  'redis://app:PW@host:6379/1',
  'rediss://:PW@host',
  'valkey://app:PW@[::1]:6379',
  'postgres://app:PW@host:5432/shop?schema=treaty',
  'https://app:PW@registry.example/confluent',
] as const

describe('redactUrl', () => {
  it('shows no password that could not be a port, whatever is in it and wherever it stands', () => {
    const character = fc.constantFrom(...'aZ9/?#@:%&=+ $\'"\\'.split(''))
    const passwords = fc
      .array(character, { minLength: 6, maxLength: 20 })
      .map((parts) => `Z${parts.join('').replaceAll(/\s/g, '+')}Q7`)
    fc.assert(
      fc.property(fc.constantFrom(...places), passwords, (place, password) => {
        const shown = redactUrl(place.replace('PW', () => password))
        expect(shown).not.toContain('Q7')
      }),
    )
  })

  it('keeps scheme, host, port, path and the names of options', () => {
    expect(places.map((place) => redactUrl(place))).toEqual([
      'kafka://***@host:9092',
      'kafka+ssl://***@one:9092,two:9092?ca=***',
      'nats://***@host',
      'nats://***@host',
      'tls://***@one,two?replicas=***',
      'nats://host?token=***',
      'amqp://***@host/vhost?queues=***',
      'amqps://***@host/vhost',
      'redis://***@host:6379/1',
      'rediss://***@host',
      'valkey://***@[::1]:6379',
      'postgres://***@host:5432/shop?schema=***',
      'https://***@registry.example/confluent',
    ])
    expect(redactUrl('https://host:8443/users/a@b?x=1')).toBe('https://host:8443/users/a@b?x=***')
    expect(redactUrl('http://[::1]:80/a@b')).toBe('http://[::1]:80/a@b')
    expect(redactUrl('sqlite:./treaty.db')).toBe('sqlite:./treaty.db')
  })
})

describe('resolveSecrets', () => {
  it('puts a secret into the place of the password of every URL, percent-encoded', () => {
    for (const place of places) {
      const text = place.replace('PW', 'secret://env/PW')
      const { reveal } = { reveal: () => resolveSecrets(text, { PW: 'p@s/s:w?d' }).reveal() }
      expect(reveal()).toBe(place.replace('PW', 'p%40s%2Fs%3Aw%3Fd'))
    }
  })

  it('takes a whole URL from one secret as it is', () => {
    const URL = 'kafka://app:p%40ss@host'
    expect(resolveSecrets('secret://env/URL', { URL }).reveal()).toBe(URL)
  })
})
