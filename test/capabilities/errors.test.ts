import { describe, expect, it } from 'vitest'
import { errorCatalog, isTreatyError } from '../../src/core/errors.ts'
import { createClient, createRateLimiter, type HttpTransport } from '../../src/http/index.ts'
import { createServer } from '../../src/server/index.ts'
import { openStore, type Store } from '../../src/store/index.ts'
import { createReceiver, createSender } from '../../src/webhooks/index.ts'
import { holds } from './law.ts'
import { sampleClient } from './seed-models.ts'

// Capabilities 167 and 239: one taxonomy of errors, and the conventions of our own API.

const failureOf = (call: () => unknown) =>
  Promise.resolve()
    .then(call)
    .then(
      () => expect.fail('the call must fail'),
      (error: unknown) => error,
    )

describe('errors', () => {
  it('C167 rejects with errors of the one catalogue only, whatever breaks', async () => {
    const throwing = (thrown: unknown): HttpTransport => ({
      send: () => Promise.reject(thrown),
      close: () => Promise.resolve(),
    })
    const law = async (failures: readonly (() => unknown)[]) => {
      for (const failure of failures) {
        const error = await failureOf(failure)
        expect(isTreatyError(error), String(error)).toBe(true)
        if (!isTreatyError(error)) continue
        expect(errorCatalog).toHaveProperty(error.code)
        expect(error.message).not.toBe('')
      }
    }
    const baseUrl = 'https://shop.test'
    const calls =
      (request: object, transport = throwing(new TypeError('no such thing'))) =>
      () =>
        createClient({ baseUrl, transport, retry: false }).request({
          method: 'GET',
          path: '/',
          ...request,
        })
    const store = await openStore('memory:')
    const full = () => Promise.reject(new Error('the disk is full'))
    const broken: Store = { ...store, records: { ...store.records, put: full as never } }
    const sender = await createSender({ store, dispatch: false })
    await holds<readonly (() => unknown)[]>(law, {
      ours: [
        calls({}),
        calls({}, throwing('a text')),
        calls({}, throwing(undefined)),
        calls({ method: 'get' }),
        calls({ path: 'https://evil.test' }),
        calls({ headers: { 'a b': 'c' } }),
        calls({
          method: 'PUT',
          body: () => {
            throw new Error('no body')
          },
        }),
        calls({ signal: AbortSignal.abort() }),
        () => createClient({ baseUrl: 'nonsense' }),
        () => createRateLimiter({ ratePerSecond: 1, burst: 1 }).acquire({ cost: 2 }),
        () => createReceiver({ store, sources: { x: {} as never } }),
        () => sender.endpoints.add({ url: 'nonsense' }),
        () => sender.redeliver('none', 'none'),
        () => sender.send({ type: 'x', data: {}, id: 'a b' }),
      ],
      seed: [() => sampleClient({ baseUrl: 'http://127.0.0.1:1', apiKey: 'k' })('/')],
    })
    await sender.close()
    // A receiver answers instead: what it cannot keep the provider sends again.
    const receiver = createReceiver({
      store: broken,
      sources: {
        psp: {
          verify: 'unsigned',
          handle: () => Promise.reject(new Error('a defect')),
        },
      },
    })
    const request = { method: 'POST', url: '/', headers: {}, rawBody: new Uint8Array([0xff]) }
    expect((await receiver.receive('psp', request)).status).toBe(500)
    await store.close()
  })

  it('C239 answers with problem details and a request id, and says what is left of its limit', async () => {
    const server = createServer({ rateLimit: { perSecond: 1, burst: 2 } })
    const get = (url: string, headers = {}) =>
      server.app.inject({ url, headers: { host: '127.0.0.1:4400', ...headers } })
    const unknown = await get('/api/nothing', { 'x-request-id': 'call-7' })
    expect(unknown.statusCode).toBe(404)
    expect(unknown.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(unknown.headers['x-request-id']).toBe('call-7')
    expect(unknown.json()).toMatchObject({
      type: expect.any(String),
      title: expect.any(String),
      status: 404,
      detail: expect.any(String),
      requestId: 'call-7',
    })
    expect(unknown.headers['ratelimit-policy']).toBe('"default";q=2;w=2')
    expect(unknown.headers.ratelimit).toBe('"default";r=1;t=1')
    await get('/api/nothing')
    const refused = await get('/api/nothing')
    expect(refused.statusCode).toBe(429)
    expect(refused.headers).toMatchObject({ 'retry-after': '1', ratelimit: '"default";r=0;t=1' })
    expect(refused.json()).toMatchObject({ code: 'RATE_LIMIT_REACHED', status: 429 })
    // Whoever watches a process must be able to.
    expect((await get('/health')).statusCode).not.toBe(429)
    await server.close()
  })
})
