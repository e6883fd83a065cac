import { createHmac, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TreatyError } from '../../core/errors.ts'
import { Secret } from '../../core/secret.ts'
import { openStore, type Store } from '../../store/index.ts'
import { type FakeClock, fakeClock } from '../../testing/fake-clock.ts'
import {
  type HostileBehaviour,
  type HostileServer,
  hostile,
  hostileServer,
} from '../../testing/hostile-server.ts'
import { createClient } from '../client/client.ts'
import type { Client, ClientOptions } from '../client/client-options.ts'
import type { OAuth2Auth } from './oauth2.ts'

let server: HostileServer
const closing: { close(): Promise<void> }[] = []

beforeAll(async () => {
  server = await hostileServer()
})
afterAll(async () => {
  for (const each of closing) await each.close()
  await server.close()
})

let count = 0
function setUp(tokenAnswers: HostileBehaviour[], auth: Partial<OAuth2Auth> = {}) {
  count += 1
  const tokenPath = `/token${count}`
  const path = `/api${count}`
  server.script(tokenPath, ...tokenAnswers)
  server.script(path, hostile.json({ ok: true }))
  const options = {
    type: 'oauth2',
    grant: 'client_credentials',
    tokenUrl: server.url + tokenPath,
    clientId: 'client',
    clientSecret: new Secret('secret://env/X', 'CANARY-secret'),
    ...auth,
  } as OAuth2Auth
  const at = (wanted: string) => server.requests.filter(({ url }) => url.split('?')[0] === wanted)
  return { path, tokenPath, options, tokens: () => at(tokenPath), calls: () => at(path) }
}

function clientOf(auth: ClientOptions['auth'], clock?: FakeClock): Client {
  const client = createClient({
    baseUrl: server.url,
    egress: { https: 'optional', privateNetworks: 'allow' },
    retry: false,
    ...(auth === undefined ? {} : { auth }),
    ...(clock === undefined ? {} : { clock }),
  })
  closing.push(client)
  return client
}

async function newStore(): Promise<Store> {
  const store = await openStore(join(mkdtempSync(join(tmpdir(), 'treaty-http-')), 'store.db'))
  closing.unshift(store)
  return store
}

const failure = (promise: Promise<unknown>): Promise<TreatyError> =>
  promise.then(
    () => Promise.reject(new Error('it did not reject')),
    (error: TreatyError) => error,
  )
const token = (value: string, more: object = {}) =>
  hostile.json({ access_token: value, token_type: 'Bearer', expires_in: 3600, ...more })

describe('fixed credentials (C84)', () => {
  it('go where they belong', async () => {
    server.script('/fixed', hostile.json({}))
    const cases: [ClientOptions['auth'], string, string | undefined][] = [
      [{ type: 'bearer', token: new Secret('x', 'tok-1') }, 'authorization', 'Bearer tok-1'],
      [
        { type: 'basic', user: 'ü', password: 'p:w' },
        'authorization',
        `Basic ${Buffer.from('ü:p:w').toString('base64')}`,
      ],
      [{ type: 'apiKey', name: 'X-Key', value: 'k-12' }, 'x-key', 'k-12'],
      [
        { type: 'apiKey', name: 'Authorization', prefix: 'Token ', value: 'k-12' },
        'authorization',
        'Token k-12',
      ],
    ]
    for (const [auth, name, value] of cases) {
      await clientOf(auth).request({ method: 'GET', path: '/fixed' })
      expect(server.requests.at(-1)?.headers[name]).toBe(value)
    }
    await clientOf({ type: 'apiKey', in: 'query', name: 'key', value: 'a&b' }).request({
      method: 'GET',
      path: '/fixed?x=1',
    })
    expect(server.requests.at(-1)?.url).toBe('/fixed?x=1&key=a%26b')
  })

  it('sign method, path, time and exact body', async () => {
    server.script('/signed', hostile.json({}))
    const clock = fakeClock()
    const client = clientOf(
      {
        type: 'hmac',
        secret: 'key-1234',
        header: 'Authorization',
        content: '{method}\n{path}\n{timestamp}\n{body}',
        format: 'HMAC {keyId}:{signature}',
        keyId: 'me',
        encoding: 'base64',
        timestamp: { header: 'X-Time' },
      },
      clock,
    )
    const body = new Uint8Array([0xff, 0xfe, 1])
    await client.request({ method: 'POST', path: '/signed?a=1', body })
    const seconds = String(Date.UTC(2026, 0, 1) / 1000)
    const expected = createHmac('sha256', 'key-1234')
      .update(`POST\n/signed?a=1\n${seconds}\n`)
      .update(body)
      .digest('base64')

    expect(server.requests.at(-1)?.headers).toMatchObject({
      authorization: `HMAC me:${expected}`,
      'x-time': seconds,
    })
  })
})

describe('OAuth 2 (O1 to O4)', () => {
  it('asks for one token however many calls need it', async () => {
    const { options, path, tokens, calls } = setUp([token('t-1')])
    const client = clientOf(options)
    await Promise.all(Array.from({ length: 100 }, () => client.request({ method: 'GET', path })))

    expect(tokens()).toHaveLength(1)
    expect(calls()).toHaveLength(100)
    expect(new Set(calls().map(({ headers }) => headers.authorization))).toEqual(
      new Set(['Bearer t-1']),
    )
    expect(tokens()[0]?.headers.authorization).toMatch(/^Basic /)
    expect(tokens()[0]?.body.toString()).toContain('grant_type=client_credentials')
  })

  it('renews a minute before the end, not at every call', async () => {
    const clock = fakeClock()
    const { options, path, tokens } = setUp([token('t-1'), token('t-2')])
    const client = clientOf(options, clock)
    await client.request({ method: 'GET', path })
    await clock.advance(3_539_000)
    await client.request({ method: 'GET', path })
    expect(tokens()).toHaveLength(1)
    await clock.advance(1001)
    await client.request({ method: 'GET', path })
    expect(tokens()).toHaveLength(2)
  })

  it('renews once after a 401 and repeats once, for any method and however many calls', async () => {
    const { options, path, tokens, calls } = setUp([token('t-1'), token('t-2')])
    const guard: HostileBehaviour = (exchange) => {
      const isGood = exchange.request.headers.authorization === 'Bearer t-2'
      hostile.json({ isGood }, isGood ? 200 : 401)(exchange)
    }
    server.script(path, guard)
    const client = clientOf(options)
    const results = await Promise.all(
      Array.from({ length: 20 }, () => client.request({ method: 'POST', path, body: { a: 1 } })),
    )

    expect(results.every(({ body }) => (body as { isGood: boolean }).isGood)).toBe(true)
    expect(tokens()).toHaveLength(2)
    expect(calls()).toHaveLength(40)
    expect(calls().every(({ body }) => body.toString() === '{"a":1}')).toBe(true)
  })

  it('gives up after one renewal when the answer stays 401', async () => {
    const { options, path, calls } = setUp([token('t-1'), token('t-2')])
    server.script(path, hostile.answer({ status: 401 }))
    const error = await failure(clientOf(options).request({ method: 'GET', path }))

    expect(error).toMatchObject({ kind: 'http', status: 401, attempts: 1 })
    expect(calls()).toHaveLength(2)
  })

  it('stops for good after invalid_grant', async () => {
    const { options, path, tokens, calls } = setUp(
      [hostile.json({ error: 'invalid_grant', error_description: 'CANARY-secret' }, 400)],
      { grant: 'refresh_token', refreshToken: 'CANARY-refresh' } as Partial<OAuth2Auth>,
    )
    const client = clientOf(options)
    for (let n = 0; n < 3; n += 1) {
      const error = await failure(client.request({ method: 'GET', path }))
      expect(error).toMatchObject({ code: 'CREDENTIAL_REFUSED', kind: 'auth' })
      expect(inspect(error, { depth: 9 })).not.toContain('CANARY')
    }
    expect(tokens()).toHaveLength(1)
    expect(calls()).toHaveLength(0)
  })

  it('cools down for thirty seconds after another failure', async () => {
    const clock = fakeClock()
    const { options, path, tokens } = setUp([hostile.answer({ status: 500 }), token('t-1')])
    const client = clientOf(options, clock)
    for (let n = 0; n < 3; n += 1) {
      const error = await failure(client.request({ method: 'GET', path }))
      expect(error).toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE', kind: 'auth' })
    }
    expect(tokens()).toHaveLength(1)
    await clock.advance(30_000)
    await client.request({ method: 'GET', path })
    expect(tokens()).toHaveLength(2)
  })

  it('keeps a rotated refresh token in the store, sealed, before it uses the token', async () => {
    const store = await newStore()
    const { options, path, tokens, calls } = setUp(
      [token('t-1', { refresh_token: 'CANARY-r2' }), token('t-2', { refresh_token: 'CANARY-r3' })],
      { grant: 'refresh_token', refreshToken: 'CANARY-r1', store } as Partial<OAuth2Auth>,
    )
    await clientOf(options).request({ method: 'GET', path })
    const [record] = await store.records.list('http-credentials', { limit: 10 })
    expect(record).toBeDefined()
    expect(JSON.stringify(record)).not.toMatch(/CANARY|t-1/)

    // Another process, later: the token is taken from the store; after a 401 the rotated refresh token is used.
    server.script(path, hostile.answer({ status: 401 }), hostile.json({}))
    await clientOf(options).request({ method: 'GET', path })
    expect(
      tokens().map(({ body }) => new URLSearchParams(body.toString()).get('refresh_token')),
    ).toEqual(['CANARY-r1', 'CANARY-r2'])
    expect(calls().map(({ headers }) => headers.authorization)).toEqual([
      'Bearer t-1',
      'Bearer t-1',
      'Bearer t-2',
    ])
  })

  it('asks once for all clients that share a store', async () => {
    const store = await newStore()
    const { options, path, tokens } = setUp([token('t-1')], { store })
    const clients = Array.from({ length: 5 }, () => clientOf(options))
    await Promise.all(
      clients.flatMap((client) => [1, 2, 3].map(() => client.request({ method: 'GET', path }))),
    )

    expect(tokens()).toHaveLength(1)
  })

  it('proves itself by a signed assertion, as client and as grant', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    const bearer = setUp([token('t-1')], {
      grant: 'jwt_bearer',
      privateKey: pem,
      keyId: 'k1',
      subject: 'user@example.com',
      scope: ['a', 'b'],
      clientSecret: undefined,
    } as unknown as Partial<OAuth2Auth>)
    await clientOf(bearer.options).request({ method: 'GET', path: bearer.path })
    const form = new URLSearchParams(bearer.tokens()[0]?.body.toString())
    const assertion = form.get('assertion') ?? ''
    const { payload } = await jwtVerify(assertion, publicKey, { currentDate: new Date() })
    expect(decodeProtectedHeader(assertion)).toEqual({ alg: 'RS256', kid: 'k1' })
    expect(payload).toMatchObject({
      iss: 'client',
      sub: 'user@example.com',
      aud: bearer.options.tokenUrl,
      scope: 'a b',
    })

    const asClient = setUp([token('t-1')], {
      clientAuth: 'private_key_jwt',
      privateKey: pem,
      clientSecret: undefined,
    } as unknown as Partial<OAuth2Auth>)
    await clientOf(asClient.options).request({ method: 'GET', path: asClient.path })
    const sent = new URLSearchParams(asClient.tokens()[0]?.body.toString())
    expect(sent.get('client_assertion_type')).toMatch(/jwt-bearer$/)
  })

  it('never calls a token endpoint that the egress rules forbid', async () => {
    const { options, tokens } = setUp([token('t-1')])
    const client = createClient({
      baseUrl: 'https://api.example.com',
      auth: { ...options, tokenUrl: options.tokenUrl.replace('http:', 'https:') },
      retry: false,
    })
    closing.push(client)
    const error = await failure(client.request({ method: 'GET', path: '/' }))

    expect(error).toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE' })
    expect(error.message).toContain('may not be called')
    expect(tokens()).toHaveLength(0)
  })
})

describe('tokens in two steps', () => {
  it('come from a request of the neighbour’s own making', async () => {
    server.script('/login', hostile.json({ data: { session: 's-1234' }, ttl: 60 }))
    server.script('/two-step', hostile.json({}))
    const client = clientOf({
      type: 'token',
      request: { url: `${server.url}/login`, body: { user: 'me', password: 'CANARY-pw' } },
      token: 'data.session',
      expiresIn: 'ttl',
      header: 'X-Session',
      prefix: '',
    })
    await client.request({ method: 'GET', path: '/two-step' })

    expect(server.requests.at(-1)?.headers['x-session']).toBe('s-1234')
    expect(server.requests.at(-2)?.body.toString()).toBe('{"user":"me","password":"CANARY-pw"}')
  })
})
