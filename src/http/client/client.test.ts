import { Readable } from 'node:stream'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TreatyError } from '../../core/errors.ts'
import { type HostileServer, hostile, hostileServer } from '../../testing/hostile-server.ts'
import { createClient } from './client.ts'
import type { Client, ClientOptions } from './client-options.ts'

let server: HostileServer
const clients: Client[] = []

beforeAll(async () => {
  server = await hostileServer()
})
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  await server.close()
})

function clientOf(options: Partial<ClientOptions> = {}): Client {
  const client = createClient({
    baseUrl: server.url,
    egress: { https: 'optional', privateNetworks: 'allow' },
    retry: { attempts: 3, baseMs: 1, capMs: 2, budget: false },
    breaker: false,
    ...options,
  })
  clients.push(client)
  return client
}

/** A path of its own for each test. */
let paths = 0
function scripted(...behaviours: Parameters<HostileServer['script']>[1][]): string {
  paths += 1
  const path = `/p${paths}`
  server.script(path, ...behaviours)
  return path
}
const seenAt = (path: string) => server.requests.filter(({ url }) => url.split('?')[0] === path)
const failure = (promise: Promise<unknown>): Promise<TreatyError> =>
  promise.then(
    () => Promise.reject(new Error('it did not reject')),
    (error: TreatyError) => error,
  )

describe('configuration (C81)', () => {
  it.each([
    [{ baseUrl: 'http://api.example.com', egress: {} }, /not https/],
    [{ baseUrl: 'ftp://api.example.com' }, /no http/],
    [{ baseUrl: 'nonsense' }, /no http/],
    [{ baseUrl: 'https://u:p@api.example.com' }, /user information/],
    [{ baseUrl: 'https://api.example.com/?a=1' }, /query/],
    [{ auth: { type: 'bearer', token: '' } }, /empty/],
    [{ auth: { type: 'bearer', token: 'a\r\nx: y' } }, /line break/],
    [{ auth: { type: 'apiKey', name: '', value: 'x' } }, /auth.name/],
    [{ retry: { attempts: 0 } }, /attempts/],
    [{ timeout: { attemptMs: 0 } }, /attemptMs/],
    [{ limits: { connections: 0 } }, /connections/],
  ] as [Partial<ClientOptions>, RegExp][])('refuses %j', (options, message) => {
    expect(() => clientOf(options)).toThrow(
      expect.objectContaining({
        code: 'HTTP_OPTIONS_INVALID',
        message: expect.stringMatching(message),
      }),
    )
  })

  it('takes 1 attempt as one, not as the default', async () => {
    const path = scripted(hostile.answer({ status: 503 }))
    await failure(clientOf({ retry: { attempts: 1 } }).request({ method: 'GET', path }))
    await failure(clientOf({ retry: false }).request({ method: 'GET', path }))

    expect(seenAt(path)).toHaveLength(2)
  })
})

describe('credentials and headers (C83)', () => {
  it('refuses a caller that would replace the credential, in any form of headers', async () => {
    const client = clientOf({ auth: { type: 'bearer', token: 'tok-1234' } })
    for (const headers of [
      { Authorization: 'x' },
      new Headers({ AUTHORIZATION: 'x' }),
      [['authorization', 'x']] as [string, string][],
    ]) {
      const error = await failure(client.request({ method: 'GET', path: '/', headers }))
      expect(error.code).toBe('HTTP_OPTIONS_INVALID')
    }
  })

  it('merges Headers instances, arrays and records, whatever their case', async () => {
    const path = scripted(hostile.json({}))
    const client = clientOf({
      headers: { 'X-Team': 'a' },
      auth: { type: 'bearer', token: 'tok-1234' },
    })
    await client.request({
      method: 'GET',
      path,
      headers: new Headers({ 'x-one': '1', ACCEPT: 'text/csv' }),
    })
    await client.request({
      method: 'GET',
      path,
      headers: [
        ['X-One', '1'],
        ['x-one', '2'],
      ],
    })

    const [first, second] = seenAt(path)
    expect(first?.headers).toMatchObject({
      authorization: 'Bearer tok-1234',
      'x-one': '1',
      'x-team': 'a',
      accept: 'text/csv',
    })
    expect(second?.headers['x-one']).toBe('1, 2')
  })

  it('sends Content-Type only with a body, and lets a form bring its own', async () => {
    const path = scripted(hostile.json({}))
    const client = clientOf({ headers: { 'content-type': 'application/xml' } })
    const plain = clientOf()
    await client.request({ method: 'GET', path })
    await plain.request({ method: 'POST', path, body: { a: 1 } })
    const form = new FormData()
    form.set('a', '1')
    await plain.request({ method: 'POST', path, body: form })
    await plain.request({ method: 'POST', path, body: new URLSearchParams({ a: 'ü' }) })
    await plain.request({
      method: 'POST',
      path,
      body: 'text',
      headers: { 'content-type': 'text/csv' },
    })

    const types = seenAt(path).map(({ headers }) => headers['content-type'])
    expect(types).toEqual([
      undefined,
      'application/json',
      expect.stringMatching(/^multipart\/form-data; boundary=/),
      'application/x-www-form-urlencoded;charset=UTF-8',
      'text/csv',
    ])
    expect(seenAt(path)[1]?.body.toString()).toBe('{"a":1}')
  })

  it('refuses headers that would smuggle another one in', async () => {
    for (const headers of [
      { 'x-a': 'a\r\nx-b: c' },
      { 'x a': '1' },
      { host: 'evil' },
      { 'content-length': '3' },
    ]) {
      const error = await failure(clientOf().request({ method: 'GET', path: '/', headers }))
      expect(error.code).toBe('HTTP_OPTIONS_INVALID')
    }
  })
})

describe('retries (C85 to C89)', () => {
  it('does not repeat a POST that may have been done, but one that was never sent', async () => {
    const path = scripted(hostile.reset())
    const lost = await failure(clientOf().request({ method: 'POST', path, body: {} }))
    expect(lost).toMatchObject({ kind: 'network', attempts: 1 })
    expect(seenAt(path)).toHaveLength(1)

    const refused = await failure(
      clientOf({ baseUrl: 'http://127.0.0.1:1' }).request({ method: 'POST', path: '/', body: {} }),
    )
    expect(refused).toMatchObject({
      kind: 'network',
      attempts: 3,
      details: { reason: 'ECONNREFUSED' },
    })
  })

  it('repeats a POST with a key, under the same key each time, also a 409', async () => {
    const path = scripted(hostile.reset(), hostile.answer({ status: 409 }), hostile.json({ ok: 1 }))
    const response = await clientOf().request({
      method: 'POST',
      path,
      body: {},
      idempotencyKey: 'k"1',
    })

    expect(response).toMatchObject({ body: { ok: 1 }, attempts: 3 })
    expect(seenAt(path).map(({ headers }) => headers['idempotency-key'])).toEqual(
      new Array(3).fill('"k\\"1"'),
    )
  })

  it('repeats a POST without a key only after a 503 or 429 that says when', async () => {
    const promised = scripted(
      hostile.answer({ status: 503, headers: { 'retry-after': '0' } }),
      hostile.json({}),
    )
    const silent = scripted(hostile.answer({ status: 503 }))
    expect(await clientOf().request({ method: 'POST', path: promised })).toMatchObject({
      attempts: 2,
    })
    expect(await failure(clientOf().request({ method: 'POST', path: silent }))).toMatchObject({
      attempts: 1,
    })
  })

  it('obeys idempotent: false on a GET and idempotent: true on a POST', async () => {
    const path = scripted(hostile.answer({ status: 500 }))
    const client = clientOf()
    const get = await failure(client.request({ method: 'GET', path, idempotent: false }))
    const post = await failure(client.request({ method: 'POST', path, idempotent: true }))

    expect([get.attempts, post.attempts]).toEqual([1, 3])
  })

  it('does not ask again because a 204, an empty or an unreadable answer came', async () => {
    const client = clientOf()
    const empty = scripted(hostile.answer({ status: 204 }))
    const broken = scripted(hostile.invalidJson())
    const nothing = scripted(hostile.answer({ headers: { 'content-type': 'application/json' } }))

    expect(await client.request({ method: 'POST', path: empty })).toMatchObject({
      status: 204,
      body: null,
    })
    expect(await client.request({ method: 'GET', path: nothing })).toMatchObject({ body: null })
    const error = await failure(client.request({ method: 'GET', path: broken }))
    expect(error).toMatchObject({ kind: 'parse', status: 200, attempts: 1, retryable: false })
    expect(inspect(error)).not.toContain('half')
    expect(seenAt(broken)).toHaveLength(1)
  })

  it('reads what is no JSON as what it is', async () => {
    const client = clientOf()
    const html = scripted(hostile.html())
    const bytes = scripted(
      hostile.answer({ headers: { 'content-type': 'image/png' }, body: new Uint8Array([1, 2]) }),
    )
    const zipped = scripted(
      hostile.answer({
        headers: { 'content-type': 'application/problem+json', 'content-encoding': 'gzip' },
        body: gzipSync('{"a":1}'),
      }),
    )

    expect((await client.request({ method: 'GET', path: html })).body).toBe('<html>Sorry</html>')
    expect((await client.request({ method: 'GET', path: bytes })).body).toEqual(Buffer.from([1, 2]))
    expect((await client.request({ method: 'GET', path: zipped })).body).toEqual({ a: 1 })
  })

  it('fails at once when Retry-After exceeds the deadline', async () => {
    const path = scripted(hostile.answer({ status: 429, headers: { 'retry-after': '120' } }))
    const error = await failure(
      clientOf({ timeout: { totalMs: 5000 } }).request({ method: 'GET', path }),
    )

    expect(error).toMatchObject({
      kind: 'retry_after_exceeds_deadline',
      status: 429,
      retryAfterMs: 120_000,
      attempts: 1,
    })
  })

  it('pauses everybody who shares the limit after a 429 (C163)', async () => {
    const path = scripted(hostile.answer({ status: 429, headers: { 'x-ratelimit-reset': '2' } }))
    const client = clientOf({
      retry: false,
      rateLimit: { ratePerSecond: 100, burst: 10, maxWaitMs: 100 },
    })
    await failure(client.request({ method: 'GET', path }))

    expect(await failure(client.request({ method: 'GET', path }))).toMatchObject({
      kind: 'rate_limited',
      attempts: 0,
    })
    expect(seenAt(path)).toHaveLength(1)
  })

  it('follows RateLimit headers of good answers', async () => {
    const path = scripted(hostile.json({}, 200, { ratelimit: '"p";r=0;t=30' }))
    const client = clientOf({ rateLimit: { ratePerSecond: 100, burst: 10 } })
    await client.request({ method: 'GET', path })

    expect(client.snapshot().rateLimit?.pausedMs).toBeGreaterThan(29_000)
  })
})

describe('time (C90, C91)', () => {
  it('abandons a server that hangs and frees its socket', async () => {
    const path = scripted(hostile.hang())
    const client = clientOf({
      timeout: { attemptMs: 40 },
      retry: { attempts: 2, baseMs: 1, capMs: 1 },
    })
    const error = await failure(client.request({ method: 'GET', path }))

    expect(error).toMatchObject({ kind: 'timeout', attempts: 2 })
    await expect.poll(() => server.connections()).toBeLessThan(20)
    await client.close()
    expect(seenAt(path)).toHaveLength(2)
  })

  it('bounds a body that drips', async () => {
    const path = scripted(hostile.drip(5))
    const client = clientOf({ timeout: { attemptMs: 60 }, retry: false })

    expect(await failure(client.request({ method: 'GET', path }))).toMatchObject({
      kind: 'timeout',
    })
  })

  it('bounds everything by the total, or by the call itself', async () => {
    const path = scripted(hostile.hang())
    const client = clientOf({ timeout: { attemptMs: 5000, totalMs: 5000 } })
    const error = await failure(client.request({ method: 'GET', path, timeoutMs: 50 }))

    expect(error).toMatchObject({ kind: 'deadline', attempts: 1 })
  })

  it('stops at once when the caller aborts, before and during, and does not ask again', async () => {
    const path = scripted(hostile.hang())
    const client = clientOf()
    const controller = new AbortController()
    const run = failure(client.request({ method: 'GET', path, signal: controller.signal }))
    await expect.poll(() => seenAt(path).length).toBe(1)
    controller.abort(new Error('changed my mind'))
    expect(await run).toMatchObject({ kind: 'aborted', attempts: 1 })
    const early = await failure(
      client.request({ method: 'GET', path, signal: AbortSignal.abort() }),
    )
    expect(early).toMatchObject({ kind: 'aborted', attempts: 0 })
    expect(seenAt(path)).toHaveLength(1)
  })
})

describe('errors (C92, C93)', () => {
  it('tell status, headers and a short excerpt', async () => {
    const path = scripted(
      hostile.answer({
        status: 422,
        headers: { 'content-type': 'text/plain', 'x-request-id': 'r1', 'set-cookie': 'sid=1' },
        body: `name is too long ${'x'.repeat(5000)}`,
      }),
    )
    const error = await failure(
      clientOf().request({ method: 'GET', path, query: { token: 'abc' } }),
    )

    expect(error).toMatchObject({ code: 'HTTP_STATUS', kind: 'http', status: 422, attempts: 1 })
    expect(error.retryable).toBe(false)
    expect(error.message).toBe(`GET ${server.url}${path} answered 422`)
    expect(error.details.headers).toEqual({ 'content-type': 'text/plain', 'x-request-id': 'r1' })
    expect(String(error.details.excerpt).length).toBeLessThan(520)
    expect(error.details.excerpt).toMatch(/^name is too long/)
  })

  it('never show a secret, however it comes back', async () => {
    const canary = 'CANARY+/s3cr3t"x'
    const path = scripted(hostile.echo(400))
    const auths: ClientOptions['auth'][] = [
      { type: 'bearer', token: canary },
      { type: 'basic', user: 'u', password: canary },
      { type: 'apiKey', name: 'X-Key', value: canary, prefix: 'Token ' },
      { type: 'apiKey', in: 'query', name: 'key', value: canary },
      { type: 'hmac', header: 'x-sig', secret: canary, content: '{method}{path}{timestamp}{body}' },
    ]
    for (const auth of auths) {
      const events: unknown[] = []
      const client = clientOf({
        ...(auth === undefined ? {} : { auth }),
        onEvent: (event) => events.push(event),
      })
      const error = await failure(client.request({ method: 'GET', path }))
      const shown = [
        inspect(error, { depth: 10, showHidden: true }),
        JSON.stringify(error),
        inspect(events, { depth: 10 }),
        inspect(client, { depth: 10 }),
        String(error.stack),
      ].join('\n')
      const basic = Buffer.from(`u:${canary}`).toString('base64')
      for (const form of [canary, 'CANARY', encodeURIComponent(canary), basic]) {
        expect(shown).not.toContain(form)
      }
    }
  })

  it('have a kind of their own for answers that break the schema', async () => {
    const path = scripted(hostile.json({ id: 'one', extra: true }))
    const schema = {
      type: 'object',
      required: ['id', 'total'],
      properties: { id: { type: 'integer' } },
    } as const
    const error = await failure(clientOf().request({ method: 'GET', path, schema }))

    expect(error).toMatchObject({ kind: 'schema', status: 200, attempts: 1 })
    expect(error.findings).toHaveLength(2)
    expect(seenAt(path)).toHaveLength(1)
  })
})

describe('redirects (C94)', () => {
  it('are followed at home, with the credential', async () => {
    const end = scripted(hostile.json({ here: true }))
    const start = scripted(hostile.redirect(end, 307))
    const client = clientOf({ auth: { type: 'bearer', token: 'tok-1234' } })
    const response = await client.request({ method: 'POST', path: start, body: { a: 1 } })

    expect(response.body).toEqual({ here: true })
    expect(seenAt(end)[0]).toMatchObject({
      method: 'POST',
      headers: { authorization: 'Bearer tok-1234' },
    })
    expect(seenAt(end)[0]?.body.toString()).toBe('{"a":1}')
  })

  it('drop credential, cookies and own headers at another origin, also on the way back', async () => {
    const other = await hostileServer()
    const end = scripted(hostile.json({}))
    other.script('/there', hostile.redirect(`${server.url}${end}`))
    const start = scripted(hostile.redirect(`${other.url}/there`))
    const client = clientOf({ auth: { type: 'apiKey', name: 'X-Key', value: 'key-1234' } })
    await client.request({ method: 'GET', path: start, headers: { cookie: 'sid=1', 'x-own': '1' } })
    for (const request of [other.requests[0], seenAt(end)[0]]) {
      expect(request).toBeDefined()
      for (const name of ['x-key', 'cookie', 'x-own'])
        expect(request?.headers[name]).toBeUndefined()
    }
    await other.close()
  })

  it('turn a POST into a GET after 303, never carry a body elsewhere, and end', async () => {
    const end = scripted(hostile.json({}))
    const seeOther = scripted(hostile.redirect(end, 303))
    const away = scripted(hostile.redirect('http://127.0.0.1:1/', 308))
    const circle = scripted()
    server.script(circle, hostile.redirect(circle))
    const client = clientOf()
    await client.request({ method: 'POST', path: seeOther, body: { a: 1 } })
    expect(seenAt(end)[0]).toMatchObject({ method: 'GET', body: Buffer.alloc(0) })
    const carried = await failure(client.request({ method: 'POST', path: away, body: 'x' }))
    expect(carried.code).toBe('HTTP_REDIRECT_REFUSED')
    const round = await failure(client.request({ method: 'GET', path: circle }))
    expect(round).toMatchObject({ code: 'HTTP_REDIRECT_REFUSED', attempts: 1 })
    expect(seenAt(circle)).toHaveLength(6)
  })

  it('are not followed where the caller says so', async () => {
    const path = scripted(hostile.redirect('/elsewhere'))
    const manual = clientOf({ redirect: { mode: 'manual' } })
    expect(await manual.request({ method: 'GET', path })).toMatchObject({ status: 302, body: null })
    const strict = clientOf({ redirect: { mode: 'error' } })
    expect((await failure(strict.request({ method: 'GET', path }))).code).toBe(
      'HTTP_REDIRECT_REFUSED',
    )
  })
})

describe('bodies (C95)', () => {
  it('that can be read once are sent once', async () => {
    const path = scripted(hostile.answer({ status: 503 }))
    const body = Readable.from(['a', 'b'])
    const error = await failure(clientOf().request({ method: 'PUT', path, body }))

    expect(error).toMatchObject({ attempts: 1 })
    expect(seenAt(path)[0]?.body.toString()).toBe('ab')
  })

  it('that a function makes are made anew for each attempt', async () => {
    const path = scripted(hostile.answer({ status: 503 }), hostile.json({}))
    let made = 0
    const body = () => {
      made += 1
      return Readable.from([`try ${made}`])
    }
    await clientOf().request({ method: 'PUT', path, body })

    expect(seenAt(path).map((each) => each.body.toString())).toEqual(['try 1', 'try 2'])
  })
})

describe('fallback (C156)', () => {
  it('is visible in the answer, and a cached one is only for the same call', async () => {
    const good = scripted(hostile.json({ n: 1 }), hostile.answer({ status: 503 }))
    const bad = scripted(hostile.answer({ status: 503 }))
    const client = clientOf({ retry: false, fallback: { cached: { maxAgeMs: 60_000 } } })
    expect((await client.request({ method: 'GET', path: good })).degraded).toBeUndefined()
    expect(await client.request({ method: 'GET', path: good })).toMatchObject({
      status: 200,
      body: { n: 1 },
      degraded: { by: 'cached', cause: { kind: 'http', status: 503 } },
    })
    const error = await failure(client.request({ method: 'GET', path: bad }))
    expect(error).toMatchObject({ code: 'FALLBACK_FAILED', status: 503, attempts: 1 })
  })

  it('asks a second neighbour with the same call, and says so', async () => {
    const path = scripted(hostile.answer({ status: 503 }))
    const second = await hostileServer()
    second.script(path, hostile.json({ from: 'second' }, 201))
    const client = clientOf({ retry: false, fallback: { alternate: second.url } })
    const request = { method: 'PUT', path, body: { n: 1 }, query: { q: 'x' } }

    expect(await client.request(request)).toMatchObject({
      status: 201,
      body: { from: 'second' },
      degraded: { by: 'alternate', cause: { status: 503 } },
    })
    expect(second.requests).toMatchObject([{ method: 'PUT', url: `${path}?q=x` }])
    expect(second.requests[0]?.body.toString()).toBe('{"n":1}')

    second.script(path, hostile.answer({ status: 500 }))
    expect(await failure(client.request(request))).toMatchObject({
      code: 'FALLBACK_FAILED',
      status: 503,
    })
    // Who asks for the failure itself gets it.
    expect(await failure(client.request({ ...request, fallback: false }))).toMatchObject({
      code: 'HTTP_STATUS',
    })
    await client.close()
    await second.close()
  })

  it('refuses an alternate that is no URL, or the neighbour itself', () => {
    for (const alternate of ['backup', `${server.url}/other`]) {
      expect(() => clientOf({ fallback: { alternate } })).toThrow(
        expect.objectContaining({ code: 'HTTP_OPTIONS_INVALID' }),
      )
    }
  })

  it('gives a fixed body, or keeps the call for later with 202', async () => {
    const path = scripted(hostile.answer({ status: 503 }))
    const fixed = clientOf({ retry: false, fallback: { value: { rate: 1 } } })
    expect(await fixed.request({ method: 'GET', path })).toMatchObject({
      status: 200,
      body: { rate: 1 },
      degraded: { by: 'static' },
    })
    const queued = clientOf({ retry: false, fallback: { queue: () => ({ id: 'q1' }) } })
    expect(await queued.request({ method: 'POST', path })).toMatchObject({
      status: 202,
      body: { id: 'q1' },
      degraded: { by: 'queued' },
    })
  })
})
