import { describe, expect, it } from 'vitest'
import { loadRedisDriver } from './driver.ts'
import { isRedisUrl, readRedisUrl } from './url.ts'

describe('the URL of a Redis server', () => {
  it('says host, port, database, user, password and prefix', () => {
    expect(readRedisUrl('redis://ada:p%40ss@redis.example:6380/3?prefix=prod:')).toEqual({
      host: 'redis.example',
      port: 6380,
      database: 3,
      username: 'ada',
      password: 'p@ss',
      prefix: 'prod:',
      name: 'redis://redis.example:6380/3',
    })
  })

  it('has the usual port, the first database and no prefix where it says nothing else', () => {
    expect(readRedisUrl('redis://localhost')).toEqual({
      host: 'localhost',
      port: 6379,
      database: 0,
      prefix: '',
      name: 'redis://localhost:6379/0',
    })
  })

  it('asks for TLS by its scheme', () => {
    expect(readRedisUrl('rediss://localhost?servername=redis.example').tls).toEqual({
      servername: 'redis.example',
    })
    expect(readRedisUrl('valkeys://localhost').tls).toEqual({})
    expect(readRedisUrl('valkey://[::1]:7000')).toMatchObject({ host: '::1', port: 7000 })
  })

  it('asks for copies on replicas, a small number of them', () => {
    expect(readRedisUrl('redis://localhost?replicas=2').replicas).toBe(2)
    expect(readRedisUrl('redis://localhost?replicas=0').replicas).toBeUndefined()
    for (const wrong of ['-1', 'all', '1.5', '10', '']) {
      expect(() => readRedisUrl(`redis://localhost?replicas=${wrong}`)).toThrow('replicas')
    }
  })

  it('is told by its scheme', () => {
    expect(['redis://a', 'rediss://a', 'valkey://a', 'VALKEYS://a'].every(isRedisUrl)).toBe(true)
    expect(['sqlite:redis', 'nats://a', 'redis'].some(isRedisUrl)).toBe(false)
  })

  it.each([
    'redis://ada:secret@localhost/database',
    'redis://ada:secret@localhost:port',
    'redis://ada:secret@localhost?pool=1',
    'redis://ada:secret@localhost?ca=/nowhere',
    'rediss://ada:secret@localhost?ca=/nowhere/at/all.pem',
    'redis://ada:%ZZsecret@localhost',
    'http://ada:secret@localhost',
  ])('that cannot be read is refused without its password: %s', (url) => {
    const read = () => readRedisUrl(url)
    expect(read).toThrow(expect.objectContaining({ code: 'BROKER_URL_INVALID' }))
    expect(read).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('secret') }),
    )
  })
})

describe('the driver', () => {
  it('that is not installed is named, with what to run', async () => {
    const load = () =>
      Promise.reject(Object.assign(new Error('x'), { code: 'ERR_MODULE_NOT_FOUND' }))
    await expect(loadRedisDriver(load)).rejects.toMatchObject({
      code: 'DRIVER_MISSING',
      hint: 'Run npm install ioredis@6.',
    })
  })
})
