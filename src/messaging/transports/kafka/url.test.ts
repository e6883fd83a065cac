import { describe, expect, it } from 'vitest'
import { parseKafkaUrl } from './url.ts'

describe('the URL of a Kafka cluster', () => {
  it('names servers, credentials and options', () => {
    const target = parseKafkaUrl(
      'kafka://ann:p%40ss@one:9093,[::1]:9094,two/?mechanism=scram-sha-512&idempotence=false&prefix=dev.&replicas=3',
    )

    expect(target).toMatchObject({
      servers: [
        { host: 'one', port: 9093 },
        { host: '::1', port: 9094 },
        { host: 'two', port: 9092 },
      ],
      sasl: { mechanism: 'SCRAM-SHA-512', username: 'ann', password: 'p@ss' },
      isIdempotent: false,
      prefix: 'dev.',
      replicas: 3,
    })
    expect(target.tls).toBeUndefined()
    expect(parseKafkaUrl('kafka+ssl://one').tls).toEqual({})
  })

  it.each([
    ['kafka://', 'HOST:PORT'],
    ['kafka://one:0', 'no port'],
    ['kafka://one:99999', 'no port'],
    ['kafka://one?colour=red', 'colour'],
    ['kafka://one?ca=/x', 'kafka+ssl'],
    ['kafka+ssl://one?ca=/no/such/file', 'cannot be read'],
    ['kafka://one?idempotence=maybe', 'idempotence'],
    ['kafka://one?mechanism=PLAIN', 'user'],
    ['kafka://a:b@one?mechanism=NTLM', 'NTLM'],
    ['kafka://one?prefix=a/b', 'prefix'],
    ['kafka://one?replicas=0', 'replicas'],
    ['kafka://one/topic', 'form'],
  ])('refuses %s with the reason', (url, reason) => {
    expect(() => parseKafkaUrl(url)).toThrow(reason)
    try {
      parseKafkaUrl(url)
    } catch (error) {
      expect(error).toMatchObject({ code: 'BROKER_URL_INVALID' })
    }
  })

  it('never shows a password', () => {
    expect(parseKafkaUrl('kafka://ann:secret@one').shown).not.toContain('secret')
    expect(() => parseKafkaUrl('kafka://ann:secret@one:x')).toThrow(/^((?!secret).)*$/)
  })
})
