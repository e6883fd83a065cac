import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TreatyError } from '../../src/core/errors.ts'
import {
  type ClientOptions,
  checkUrl,
  compose,
  createBreaker,
  createBulkhead,
  createClient,
  createDeadline,
  createFallback,
  createRateLimiter,
  createRetry,
  createTimeout,
  type HttpTransport,
  idempotencyKeyFor,
  type PaginateOptions,
} from '../../src/http/index.ts'
import { type HostileServer, hostile, hostileServer } from '../../src/testing/hostile-server.ts'
import { hastyClock } from './clocks.ts'
import { holds } from './law.ts'
import { type SampleInit, sampleClient } from './seed-models.ts'

// Capabilities 5.C, rows 81 to 97: calls to neighbours.

let server: HostileServer
beforeAll(async () => {
  server = await hostileServer()
})
afterAll(() => server.close())

const apiKey = 'CANARY-key'
const loopback = { egress: { https: 'optional', privateNetworks: 'allow' } } as const
let scripts = 0
/** A path of its own, and how often it was asked. */
function place(...behaviours: Parameters<HostileServer['script']>[1][]) {
  scripts += 1
  const path = `/c${scripts}`
  server.script(path, ...behaviours)
  const requests = () => server.requests.filter(({ url }) => url.split('?')[0] === path)
  return { path, requests }
}
const quick = { retry: { attempts: 3, baseMs: 1, capMs: 2 } } as const
function ours(options: Partial<ClientOptions> = {}) {
  const base = { baseUrl: server.url, auth: { type: 'bearer', token: apiKey } } as const
  return createClient({ ...base, ...loopback, ...quick, ...options } as ClientOptions)
}

type Call = (path: string, init?: SampleInit) => Promise<{ readonly body: unknown }>
const oursAs =
  (client = ours()): Call =>
  (path, init = {}) =>
    client.request({ path, ...init, method: init.method ?? 'GET', headers: init.headers as never })
const seedAs = (retries?: number): Call =>
  sampleClient({ baseUrl: server.url, apiKey, ...(retries === undefined ? {} : { retries }) })

const failureOf = (call: Promise<unknown>) =>
  call.then(
    () => expect.fail('the call must fail'),
    (error: TreatyError) => error,
  )
const settled = (call: Promise<unknown>) => call.catch(() => undefined)

describe('5.C REST integration client', () => {
  it('C81 refuses a configuration that cannot be meant, and takes no number for another', async () => {
    const wrong: Partial<ClientOptions>[] = [
      { baseUrl: 'http://api.example', egress: {} },
      { baseUrl: 'https://me:secret@api.example', egress: {} },
      { auth: { type: 'bearer', token: '' } },
      { timeout: { attemptMs: -1 } },
      { breaker: { failureRate: 0 } },
      { rateLimit: { ratePerSecond: 0, burst: 1 } },
    ]
    for (const options of wrong) {
      expect(() => ours(options)).toThrow(expect.objectContaining({ code: 'HTTP_OPTIONS_INVALID' }))
    }
    // No retries asked for: either that is refused, or there are none.
    await holds<(attempts: number) => Call | undefined>(
      async (make) => {
        const { path, requests } = place(hostile.answer({ status: 503 }))
        const call = make(0)
        if (call === undefined) return
        await settled(call(path))
        expect(requests()).toHaveLength(1)
      },
      {
        ours: (attempts) => {
          try {
            return oursAs(ours({ retry: { attempts } }))
          } catch {
            return undefined
          }
        },
        seed: seedAs,
      },
    )
  })

  it('C82 joins URLs so that no endpoint changes the origin', async () => {
    const urlsOf = (base: string) => {
      const sent: string[] = []
      const transport: HttpTransport = {
        send: async ({ origin, path }) => {
          sent.push(origin + path)
          return { status: 204, headers: {}, body: new Uint8Array() }
        },
        close: () => Promise.resolve(),
      }
      const client = createClient({ baseUrl: base, transport })
      return async (path: string) => {
        await settled(client.request({ method: 'GET', path }))
        return sent.splice(0)
      }
    }
    const base = 'https://api.home.test/v1'
    const nasty = [
      '@evil.test/x',
      '.evil.test/x',
      '//evil.test/',
      'https://evil.test',
      '\\\\evil.test',
    ]
    await holds<(path: string) => Promise<string[]>>(
      async (urlsFor) => {
        expect(await urlsFor('orders')).toEqual(['https://api.home.test/v1/orders'])
        for (const path of [...nasty, '/../admin', '/%2e%2e/admin', '/a/../../x']) {
          for (const url of await urlsFor(path)) {
            expect(new URL(url).origin, path).toBe('https://api.home.test')
            expect(new URL(url).pathname, path).toMatch(/^\/v1\//)
          }
        }
      },
      { ours: urlsOf(base), seed: async (path) => [new URL(base + path).href] },
    )
  })

  it('C83 merges headers in any form and lets no caller replace the credential', async () => {
    const law = async (call: Call) => {
      const own = place(hostile.json({}))
      await call(own.path, { headers: new Headers({ 'X-Own': 'mine' }) })
      expect(own.requests()[0]?.headers['x-own']).toBe('mine')
      const stolen = place(hostile.json({}))
      await settled(call(stolen.path, { headers: { authorization: 'Bearer other' } }))
      for (const { headers } of stolen.requests()) {
        expect(String(headers.authorization)).not.toContain('other')
      }
      const bare = place(hostile.json({}))
      await call(bare.path)
      expect(bare.requests()[0]?.headers['content-type']).toBeUndefined()
    }
    await holds(law, { ours: oursAs(), seed: seedAs() })
    const form = new FormData()
    form.set('a', 'b')
    const { path, requests } = place(hostile.json({}))
    await ours().request({ method: 'POST', path, body: form })
    expect(requests()[0]?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/)
  })

  it('C84 proves itself in each way, fetches one token for many calls, and shows no secret', async () => {
    const seen = async (auth: ClientOptions['auth']) => {
      const { path, requests } = place(hostile.json({}))
      await ours({ auth } as ClientOptions).request({ method: 'POST', path, body: { a: 1 } })
      return requests()[0] as (typeof server.requests)[number]
    }
    const inHeader = await seen({ type: 'apiKey', name: 'X-Api-Key', value: apiKey })
    expect(inHeader.headers['x-api-key']).toBe(apiKey)
    expect((await seen({ type: 'apiKey', in: 'query', name: 'key', value: apiKey })).url).toContain(
      `key=${apiKey}`,
    )
    const basic = await seen({ type: 'basic', user: 'me', password: 'pass' })
    expect(basic.headers.authorization).toBe(`Basic ${btoa('me:pass')}`)
    const signed = await seen({ type: 'hmac', secret: apiKey, header: 'X-Sign', content: '{body}' })
    expect(signed.headers['x-sign']).toMatch(/^[0-9a-f]{64}$/)

    const token = place(
      hostile.json({ access_token: 'CANARY-token', token_type: 'bearer', expires_in: 600 }),
    )
    const { path, requests } = place(hostile.json({}))
    const client = ours({
      auth: {
        type: 'oauth2',
        grant: 'client_credentials',
        tokenUrl: server.url + token.path,
        clientId: 'me',
        clientSecret: apiKey,
      },
    })
    await Promise.all(Array.from({ length: 100 }, () => client.request({ method: 'GET', path })))
    expect(token.requests()).toHaveLength(1)
    expect(new Set(requests().map(({ headers }) => headers.authorization))).toEqual(
      new Set(['Bearer CANARY-token']),
    )
    const echo = place(hostile.echo(400))
    const error = await failureOf(client.request({ method: 'GET', path: echo.path }))
    expect(JSON.stringify([error, error.message, error.details, String(error.cause)])).not.toMatch(
      /CANARY/,
    )
  })

  it('C85 tries again what may pass, exactly as often as it is told, and never another 4xx', async () => {
    const law = async (call: Call) => {
      for (const status of [400, 401, 403, 404, 409, 422, 501]) {
        const { path, requests } = place(hostile.json({}, status))
        await settled(call(path))
        expect(requests(), String(status)).toHaveLength(1)
      }
    }
    await holds(law, { ours: oursAs(), seed: seedAs() })
    for (const status of [408, 425, 429, 500, 502, 503, 504]) {
      const { path, requests } = place(hostile.json({}, status))
      const client = ours({ retry: { ...quick.retry, attempts: 3, budget: false } })
      const error = await failureOf(client.request({ method: 'GET', path }))
      expect(requests(), String(status)).toHaveLength(3)
      expect(error).toMatchObject({ kind: 'http', status, attempts: 3 })
    }
    const gone = place(hostile.reset())
    const error = await failureOf(ours().request({ method: 'GET', path: gone.path }))
    expect(error).toMatchObject({ kind: 'network', attempts: 3 })
    expect(error.cause).toBeInstanceOf(Error)
  })

  it('C86 repeats no POST that may have been done, unless it has a key', async () => {
    const law = async (call: Call) => {
      const { path, requests } = place(hostile.json({}, 500))
      await settled(call(path, { method: 'POST', body: '{}' }))
      expect(requests()).toHaveLength(1)
    }
    await holds(law, { ours: oursAs(), seed: seedAs() })
    const { path, requests } = place(hostile.json({}, 500), hostile.json({}))
    const work = { flow: 'f', messageId: 'm', step: 's' }
    const idempotencyKey = idempotencyKeyFor(work)
    await ours().request({ method: 'POST', path, idempotencyKey })
    expect(requests().map(({ headers }) => headers['idempotency-key'])).toEqual([
      `"${idempotencyKey}"`,
      `"${idempotencyKey}"`,
    ])
    // As in another process.
    expect(idempotencyKeyFor({ ...work })).toBe(idempotencyKey)
    const unsent = createClient({ baseUrl: 'http://127.0.0.1:1', ...loopback, ...quick })
    const error = await failureOf(unsent.request({ method: 'POST', path: '/' }))
    expect(error).toMatchObject({ kind: 'network', attempts: 3 })
  })

  it('C87 takes empty and foreign answers for what they are, and never asks again because of them', async () => {
    const law = async (call: Call) => {
      for (const behaviour of [hostile.answer({ status: 204 }), hostile.html()]) {
        const { path, requests } = place(behaviour)
        await settled(call(path, { method: 'POST', body: '{}' }))
        expect(requests()).toHaveLength(1)
      }
      const { path } = place(hostile.answer({ status: 204 }))
      const answer = await call(path, { method: 'POST', body: '{}' }).catch(() => undefined)
      expect(answer).toMatchObject({ body: null })
    }
    await holds(law, { ours: oursAs(), seed: seedAs() })
    const { path, requests } = place(hostile.invalidJson())
    const error = await failureOf(ours().request({ method: 'GET', path }))
    expect(error).toMatchObject({ kind: 'parse', attempts: 1 })
    expect(requests()).toHaveLength(1)
  })

  it('C88 waits by luck below a ceiling, and never past its budget of time', async () => {
    type Waits = (path: string) => Promise<readonly number[]>
    const waitsOf =
      (random: () => number): Waits =>
      async (path) => {
        const clock = hastyClock()
        const client = ours({
          clock,
          random,
          timeout: false,
          retry: { attempts: 4, baseMs: 100, capMs: 300, budget: false },
        })
        await settled(client.request({ method: 'GET', path }))
        return clock.waits
      }
    const seed: Waits = async (path) => {
      const waits: number[] = []
      const wait = async (ms: number) => void waits.push(ms)
      await settled(sampleClient({ baseUrl: server.url, apiKey }, wait)(path))
      return waits
    }
    const { path } = place(hostile.json({}, 503))
    await holds<Waits>(
      async (waitsFor) => {
        const waits = await waitsFor(path)
        expect(waits).toHaveLength(3)
        for (const [n, ms] of waits.entries()) {
          expect(ms).toBeLessThanOrEqual(Math.min(300, 100 * 2 ** n))
        }
      },
      { ours: waitsOf(() => 1), seed },
    )
    expect(await waitsOf(() => 0.5)(path)).toEqual([50, 100, 150])

    const clock = hastyClock()
    const bounded = compose(
      createDeadline({ ms: 1000, clock }),
      createRetry({ attempts: 100, baseMs: 400, capMs: 400, jitter: 'none', budget: false, clock }),
    )
    const begunAt = clock.monotonic()
    await settled(bounded.run(() => Promise.reject(new Error('down'))))
    expect(clock.monotonic() - begunAt).toBeLessThanOrEqual(1000)
  })

  it('C89 comes back when the other side says, not before, and not where that is too late', async () => {
    type Waits = (path: string) => Promise<number>
    const oursWaits: Waits = async (path) => {
      const clock = hastyClock()
      await settled(ours({ clock, timeout: false }).request({ method: 'GET', path }))
      return Math.max(0, ...clock.waits)
    }
    const at = (ms: number) => new Date(Date.UTC(2026, 0, 1) + ms)
    const ways = {
      seconds: { 'retry-after': '7' },
      date: { 'retry-after': at(7000).toUTCString() },
      limit: { 'ratelimit-limit': '1', 'ratelimit-remaining': '0', 'ratelimit-reset': '7' },
    }
    await holds<Waits>(
      async (waitFor) => {
        for (const [name, headers] of Object.entries(ways)) {
          const { path } = place(hostile.json({}, 429, headers), hostile.json({}))
          expect(await waitFor(path), name).toBeGreaterThanOrEqual(7000)
        }
      },
      {
        ours: oursWaits,
        seed: async (path) => {
          let most = 0
          const wait = async (ms: number) => {
            most = Math.max(most, ms)
          }
          await settled(sampleClient({ baseUrl: server.url, apiKey }, wait)(path))
          return most
        },
      },
    )
    const { path, requests } = place(hostile.json({}, 503, { 'retry-after': '3600' }))
    const error = await failureOf(ours().request({ method: 'GET', path }))
    expect(error).toMatchObject({ kind: 'retry_after_exceeds_deadline', retryAfterMs: 3_600_000 })
    expect(requests()).toHaveLength(1)
  })

  it('C90 abandons a server that hangs, within its time, and frees the socket', async () => {
    const law = async (call: Call) => {
      const { path } = place(hostile.hang())
      const late = Symbol('late')
      const patience = new Promise((resolve) => setTimeout(resolve, 1500, late))
      expect(await Promise.race([settled(call(path)), patience])).not.toBe(late)
    }
    const lone = await hostileServer()
    lone.script('/', hostile.hang())
    const client = createClient({
      baseUrl: lone.url,
      ...loopback,
      timeout: { attemptMs: 60, totalMs: 200 },
      retry: false,
    })
    const error = await failureOf(client.request({ method: 'GET', path: '/' }))
    expect(error).toMatchObject({ kind: 'timeout', attempts: 1 })
    await expect.poll(() => lone.connections()).toBe(0)
    await lone.close()
    await holds(law, {
      ours: oursAs(ours({ timeout: { attemptMs: 60, totalMs: 300 } })),
      seed: seedAs(),
    })
    // Nothing else frees the socket of the model.
    await server.close()
    server = await hostileServer()
  })

  it('C91 stops at once when its caller aborts, and does not ask again', async () => {
    type Tries = (path: string, signal: AbortSignal) => Promise<number>
    const { path: hanging, requests: asked } = place(hostile.hang())
    await holds<Tries>(
      async (triesOf) => {
        // None where a busy machine had not sent it by then.
        expect(await triesOf(hanging, AbortSignal.timeout(50))).toBeLessThanOrEqual(1)
      },
      {
        async ours(path, signal) {
          await settled(ours().request({ method: 'GET', path, signal }))
          return asked().length
        },
        async seed(path, signal) {
          let tries = 0
          const send: typeof fetch = (...given) => {
            tries += 1
            return fetch(...given)
          }
          await settled(sampleClient({ baseUrl: server.url, apiKey, send })(path, { signal }))
          return tries
        },
      },
    )
    const { path, requests } = place(hostile.json({}))
    const signal = AbortSignal.abort()
    const error = await failureOf(ours().request({ method: 'GET', path, signal }))
    expect(error.kind).toBe('aborted')
    expect(requests()).toHaveLength(0)
  })

  it('C92 fails with an error that says what happened, briefly and without secrets', async () => {
    const law = async (call: Call) => {
      const { path } = place(hostile.echo(400))
      const error = await failureOf(call(path) as Promise<never>)
      expect(error).toMatchObject({ kind: 'http', status: 400, attempts: 1, retryable: false })
    }
    await holds(law, { ours: oursAs(), seed: seedAs() })
    const lone = await hostileServer()
    lone.script('/', hostile.answer({ status: 400, body: `${apiKey} ${'x'.repeat(100_000)}` }))
    const client = createClient({
      baseUrl: lone.url,
      ...loopback,
      auth: { type: 'bearer', token: apiKey },
      limits: { connections: 1 },
    })
    for (let n = 0; n < 5; n += 1) {
      const error = await failureOf(client.request({ method: 'GET', path: '/' }))
      expect(JSON.stringify(error.details).length).toBeLessThan(4000)
      expect(JSON.stringify(error.details)).not.toContain(apiKey)
    }
    // Bodies were read to their end: one connection is enough for all.
    expect(lone.connections()).toBe(1)
    await client.close()
    await lone.close()
  })

  it('C93 checks an answer against its schema, and says so in a kind of its own', async () => {
    const { path, requests } = place(hostile.json({ total: 'many' }))
    const schema = { type: 'object', properties: { total: { type: 'number' } } }
    const error = await failureOf(ours().request({ method: 'GET', path, schema }))
    expect(error).toMatchObject({ kind: 'schema', status: 200, attempts: 1 })
    expect(error.findings).toMatchObject([{ pointer: '/total' }])
    expect(requests()).toHaveLength(1)
  })

  it('C94 gives a stranger no credential on a redirect, ends, and goes to no private place', async () => {
    const stranger = await hostileServer()
    stranger.script('/', hostile.json({}))
    const away = place(hostile.redirect(`${stranger.url}/`))
    await ours().request({ method: 'GET', path: away.path, headers: { 'x-own': 'mine' } })
    expect(stranger.requests[0]?.headers).not.toHaveProperty('authorization')
    expect(stranger.requests[0]?.headers).not.toHaveProperty('x-own')
    await stranger.close()

    const round = place(hostile.redirect(''))
    server.script(round.path, hostile.redirect(round.path))
    await failureOf(ours().request({ method: 'GET', path: round.path }))
    expect(round.requests().length).toBeLessThanOrEqual(6)

    const metadata = place(hostile.redirect('http://169.254.169.254/latest/meta-data'))
    const error = await failureOf(ours().request({ method: 'GET', path: metadata.path }))
    expect(error.kind).toBe('egress_denied')
    const guarded = createClient({ baseUrl: 'https://localhost:9', ...quick })
    expect((await failureOf(guarded.request({ method: 'GET', path: '/' }))).kind).toBe(
      'egress_denied',
    )
    const resolve = async () => ['93.184.216.34', '10.0.0.1']
    expect(await checkUrl('https://chosen.example/', { resolve })).toMatchObject({ allowed: false })
  })

  it('C95 sends a body that can be read once only once', async () => {
    const { path, requests } = place(hostile.json({}, 503))
    const error = await failureOf(
      ours().request({ method: 'PUT', path, body: Readable.from(['a', 'b']) }),
    )
    expect(error).toMatchObject({ status: 503, attempts: 1 })
    expect(requests()).toHaveLength(1)
    const again = place(hostile.json({}, 503), hostile.json({}))
    await ours().request({ method: 'PUT', path: again.path, body: () => Readable.from(['a']) })
    expect(again.requests().map(({ body }) => body.toString())).toEqual(['a', 'a'])
  })

  it('C96 reads all pages of each kind, and notices a circle', async () => {
    const all = async (path: string, options: PaginateOptions) => {
      const items: number[] = []
      for await (const item of ours().paginate<number>({ method: 'GET', path }, options)) {
        items.push(item)
      }
      return items
    }
    const page = (items: number[], next?: string) => hostile.json({ items, next })
    const cursor = place(page([1], 'a'), page([], 'b'), page([2]))
    const byCursor = { type: 'cursor', param: 'c', next: 'next', items: 'items' } as const
    expect(await all(cursor.path, byCursor)).toEqual([1, 2])
    const numbered = place(page([1]), page([2]), page([]))
    expect(await all(numbered.path, { type: 'page', param: 'p', items: 'items' })).toEqual([1, 2])
    expect(numbered.requests().map(({ url }) => url.split('?')[1])).toEqual(['p=1', 'p=2', 'p=3'])
    const offset = place(page([1, 2]), page([3]))
    const byOffset = { type: 'offset', param: 'o', limit: 2, items: 'items' } as const
    expect(await all(offset.path, byOffset)).toEqual([1, 2, 3])
    const link = place()
    server.script(
      link.path,
      hostile.json({ items: [1] }, 200, { link: `<${link.path}?p=2>; rel="next"` }),
      page([2]),
    )
    expect(await all(link.path, { type: 'link', items: 'items' })).toEqual([1, 2])

    const circle = place(page([1], 'a'))
    const error = await failureOf(all(circle.path, byCursor))
    expect(error.code).toBe('PAGINATION_LOOP')
    expect(circle.requests().length).toBeLessThanOrEqual(3)
  })

  it('C97 puts its policies in one order, and does not hammer a breaker that is open', async () => {
    const clock = hastyClock()
    const composed = compose(
      createTimeout({ ms: 1000, clock }),
      createBulkhead({ concurrent: 1 }),
      createRateLimiter({ ratePerSecond: 1000, burst: 1000, clock }),
      createBreaker({ consecutive: 2, clock }),
      createRetry({ clock }),
      createDeadline({ ms: 10_000, clock }),
      createFallback({ value: 0, clock }),
    )
    expect(composed.policies.map(({ kind }) => kind)).toEqual([
      'fallback',
      'deadline',
      'retry',
      'breaker',
      'rateLimit',
      'bulkhead',
      'timeout',
    ])
    const { path, requests } = place(hostile.json({}, 503))
    const client = ours({
      breaker: { consecutive: 2 },
      retry: { attempts: 50, baseMs: 1, capMs: 1, budget: false },
    })
    const error = await failureOf(client.request({ method: 'GET', path }))
    expect(error.kind).toBe('breaker_open')
    expect(requests()).toHaveLength(2)
  })
})
