import { describe, expect, it } from 'vitest'
import { isNatsUrl, readNatsUrl } from './url.ts'

describe('the URL of NATS', () => {
  it('names servers, a user and options', () => {
    const url = 'nats://ada:p%40ss@one:4223,two/?namespace=shop&replicas=3'
    expect(readNatsUrl(url)).toEqual({
      servers: ['one:4223', 'two:4222'],
      user: 'ada',
      password: 'p@ss',
      tls: false,
      verify: true,
      namespace: 'shop',
      replicas: 3,
    })
  })

  it('holds a token in place of a user, or as an option', () => {
    expect(readNatsUrl('nats://s3cret@host').token).toBe('s3cret')
    expect(readNatsUrl('nats://host?token=s3cret').token).toBe('s3cret')
  })

  it('asks for TLS by its scheme', () => {
    expect(readNatsUrl('tls://host?ca=/ca.pem&verify=false')).toMatchObject({
      tls: true,
      ca: '/ca.pem',
      verify: false,
    })
    expect(readNatsUrl('nats+tls://[::1]:4222')).toMatchObject({
      servers: ['[::1]:4222'],
      tls: true,
    })
    expect(['nats://a', 'tls://a', 'nats+tls://a', 'redis://a'].map(isNatsUrl)).toEqual([
      true,
      true,
      true,
      false,
    ])
  })

  it.each([
    'nats://',
    'nats://host:99999',
    'nats://host?speed=9',
    'nats://host?replicas=0',
    'nats://h/x',
  ])('is refused without its password: %s', (url) => {
    const at = url.replace('nats://', 'nats://ada:hush@')
    const read = () => readNatsUrl(at)
    expect(read).toThrow(expect.objectContaining({ code: 'BROKER_URL_INVALID' }))
    try {
      read()
    } catch (error) {
      expect(JSON.stringify(error)).not.toContain('hush')
    }
  })
})
