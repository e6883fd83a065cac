import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TreatyError } from '../../src/core/errors.ts'
import { type ClientOptions, checkUrl, createClient } from '../../src/http/index.ts'
import {
  type HostileBehaviour,
  type HostileServer,
  hostile,
  hostileServer,
  rebindingResolver,
} from '../../src/testing/index.ts'
import { makeIdentity } from './self-signed.ts'

let server: HostileServer
beforeAll(async () => {
  server = await hostileServer()
})
afterAll(() => server.close())

const open = { https: 'optional', privateNetworks: 'allow' } as const

async function callOnce(options: Partial<ClientOptions>, path = '/x'): Promise<TreatyError> {
  const client = createClient({
    baseUrl: server.url,
    egress: open,
    retry: { attempts: 2, baseMs: 1, capMs: 1 },
    timeout: { attemptMs: 300, totalMs: 2000 },
    ...options,
  })
  try {
    const response = await client.request({ method: 'GET', path })
    throw new Error(`it was answered: ${JSON.stringify(response).slice(0, 200)}`)
  } catch (error) {
    return error as TreatyError
  } finally {
    await client.close()
  }
}

describe('a hostile server', () => {
  it.each<[string, HostileBehaviour, object]>([
    ['resets instead of an answer', hostile.reset(), { kind: 'network', attempts: 2 }],
    ['resets within the body', hostile.resetInBody(), { kind: 'network', attempts: 2 }],
    ['sends less than it says', hostile.shortBody(), { kind: 'network', attempts: 2 }],
    ['drips', hostile.drip(5), { kind: 'timeout', attempts: 2 }],
    ['hangs', hostile.hang(), { kind: 'timeout', attempts: 2 }],
    ['hangs within the body', hostile.hangInBody(), { kind: 'timeout', attempts: 2 }],
    ['sends a gzip bomb', hostile.gzipBomb(200_000_000), { kind: 'parse', attempts: 1 }],
    ['never stops sending', hostile.endlessBody(), { kind: 'parse', attempts: 1 }],
    ['sends 100 000 headers', hostile.manyHeaders(100_000), { kind: 'parse', attempts: 1 }],
    ['sends invalid JSON', hostile.invalidJson(), { kind: 'parse', attempts: 1 }],
    ['sends no HTTP', hostile.garbage(), { kind: 'network', attempts: 2 }],
    ['answers 500 with HTML', hostile.html(500), { kind: 'http', status: 500, attempts: 2 }],
    [
      'redirects to the metadata of a cloud',
      hostile.redirect('http://169.254.169.254/latest/meta-data/'),
      { kind: 'egress_denied', attempts: 1 },
    ],
    [
      'redirects to what carries an IPv4 address',
      hostile.redirect('http://[::ffff:169.254.169.254]/'),
      { kind: 'egress_denied', attempts: 1 },
    ],
  ])('that %s', async (_, behaviour, expected) => {
    server.script('/x', behaviour)
    const error = await callOnce({})
    expect(error).toMatchObject(expected)
    expect(JSON.stringify(error).length).toBeLessThan(3000)
  })

  it('that answers 204 with a body is believed in its 204, and the next call works', async () => {
    server.script('/x', hostile.noContentWithBody(), hostile.json({ next: true }))
    const client = createClient({ baseUrl: server.url, egress: open })
    expect(await client.request({ method: 'GET', path: '/x' })).toMatchObject({
      status: 204,
      body: null,
    })
    expect(await client.request({ method: 'GET', path: '/x' })).toMatchObject({
      body: { next: true },
    })
    await client.close()
  })

  it('that sends more than it says gives what it says, and the next call is not fooled', async () => {
    server.script('/x', hostile.longBody(), hostile.json({ next: true }))
    const client = createClient({ baseUrl: server.url, egress: open })
    expect(await client.request({ method: 'GET', path: '/x' })).toMatchObject({ body: { a: 1 } })
    expect(await client.request({ method: 'GET', path: '/x' })).toMatchObject({
      body: { next: true },
    })
    await client.close()
  })

  it('holds no sockets of calls that were abandoned', async () => {
    server.script('/x', hostile.hang())
    const client = createClient({
      baseUrl: server.url,
      egress: open,
      retry: false,
      timeout: { attemptMs: 50 },
    })
    await Promise.allSettled(
      Array.from({ length: 50 }, () => client.request({ method: 'GET', path: '/x' })),
    )
    await expect.poll(() => server.connections()).toBe(0)
    await client.close()
  })

  it('slows nobody else down: calls that hang leave room within the bulkhead', async () => {
    server.script('/x', hostile.hang())
    server.script('/y', hostile.json({ fine: true }))
    const client = createClient({
      baseUrl: server.url,
      egress: open,
      retry: false,
      timeout: { attemptMs: 100 },
      bulkhead: { concurrent: 5, queue: 10 },
    })
    const hanging = Array.from({ length: 5 }, () => client.request({ method: 'GET', path: '/x' }))
    const settled = Promise.allSettled(hanging)
    expect(await client.request({ method: 'GET', path: '/y' })).toMatchObject({
      body: { fine: true },
    })
    await settled
    await client.close()
  })
})

describe('the egress guard', () => {
  it('denies a name whose address changed between the check and the connection', async () => {
    const dns = rebindingResolver(['8.8.8.8'], ['127.0.0.1'])
    const url = `http://rebind.test:${server.port}`
    const options = { https: 'optional', ports: [server.port], resolve: dns.resolve } as const
    expect(await checkUrl(url, options)).toEqual({ allowed: true })
    const before = server.requests.length
    const error = await callOnce({
      baseUrl: url,
      egress: { https: 'optional', resolve: dns.resolve },
    })

    expect(error).toMatchObject({ kind: 'egress_denied', attempts: 1 })
    expect(dns.asked).toEqual(['rebind.test', 'rebind.test'])
    expect(server.requests.length).toBe(before)
  })

  it('denies a name of which one address is private', async () => {
    const dns = rebindingResolver(['8.8.8.8', '10.0.0.1'])
    const error = await callOnce({
      baseUrl: 'https://mixed.test',
      egress: { resolve: dns.resolve },
    })

    expect(error).toMatchObject({ kind: 'egress_denied' })
  })

  it('denies literal addresses in every spelling, before anything is sent', async () => {
    const before = server.requests.length
    for (const host of [
      '127.0.0.1',
      '2130706433',
      '0x7f.1',
      '[::1]',
      '[::ffff:127.0.0.1]',
      'localhost',
    ]) {
      const error = await callOnce({
        baseUrl: `http://${host}:${server.port}`,
        egress: { https: 'optional' },
      })
      expect([host, error.kind]).toEqual([host, 'egress_denied'])
    }
    expect(server.requests.length).toBe(before)
  })

  it('denies a redirect to a name that leads to the metadata of a cloud', async () => {
    server.script('/x', hostile.redirect('http://innocent.test/'))
    const { resolve } = rebindingResolver(['169.254.169.254'])
    const error = await callOnce({ egress: { ...open, resolve } })

    expect(error).toMatchObject({ kind: 'egress_denied', attempts: 1 })
  })

  it('resolves names by the resolver given where private networks are allowed', async () => {
    server.script('/x', hostile.json({ found: true }))
    const { resolve } = rebindingResolver(['127.0.0.1'])
    const client = createClient({
      baseUrl: `http://service.internal:${server.port}`,
      egress: { ...open, resolve },
    })
    expect(await client.request({ method: 'GET', path: '/x' })).toMatchObject({
      body: { found: true },
    })
    await client.close()
  })
})

describe('TLS', () => {
  it('refuses a certificate nobody vouches for, never retries it, and says what to do', async () => {
    const tls = await hostileServer({ tls: makeIdentity('stranger') })
    const error = await callOnce({ baseUrl: tls.url })
    expect(error).toMatchObject({
      code: 'HTTP_TLS',
      kind: 'network',
      attempts: 1,
      retryable: false,
    })
    expect(tls.requests).toHaveLength(0)
    await tls.close()
  })

  it('refuses plain HTTP on an https address', async () => {
    const error = await callOnce({ baseUrl: server.url.replace('http:', 'https:') })
    expect(error).toMatchObject({ code: 'HTTP_TLS', attempts: 1 })
  })

  it('shows our certificate where both sides have one, and trusts the authority given', async () => {
    const authority = makeIdentity('authority')
    const side = makeIdentity('server', authority)
    const own = makeIdentity('client', authority)
    const tls = await hostileServer({
      tls: { key: side.key, cert: side.cert, ca: authority.cert, requestCert: true },
    })
    tls.script('/x', hostile.json({ ok: true }))
    const client = createClient({
      baseUrl: tls.url,
      egress: open,
      tls: { ca: authority.cert, key: own.key, cert: own.cert },
    })
    expect(await client.request({ method: 'GET', path: '/x' })).toMatchObject({
      body: { ok: true },
    })
    await client.close()
    const without = await callOnce({ baseUrl: tls.url, tls: { ca: authority.cert }, retry: false })
    expect(without.kind).toBe('network')
    await tls.close()
  })
})
