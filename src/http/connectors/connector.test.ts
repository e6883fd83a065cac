import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TreatyError } from '../../core/errors.ts'
import { Secret } from '../../core/secret.ts'
import { openStore } from '../../store/index.ts'
import { type HostileServer, hostile, hostileServer } from '../../testing/hostile-server.ts'
import { createClient } from '../client/client.ts'
import { openConnector } from './connector.ts'
import { needsStore } from './connector-config.ts'
import { connectorOptions } from './connector-options.ts'
import { readOpenApi } from './openapi.ts'
import { recordTransport, replayTransport } from './recording.ts'

const document = {
  openapi: '3.0.3',
  info: { title: 'Shop', version: '1.0.0' },
  servers: [{ url: 'https://api.shop.example/v1' }],
  paths: {
    '/orders/{id}': {
      parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
      get: {
        operationId: 'getOrder',
        summary: 'One order.',
        parameters: [{ $ref: '#/components/parameters/Expand' }],
        responses: {
          200: {
            content: { 'application/json': { schema: { $ref: '#/components/schemas/Order' } } },
          },
          '4XX': { description: 'no' },
        },
      },
    },
    '/orders': {
      post: {
        operationId: 'createOrder',
        requestBody: {
          required: true,
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Order' } } },
        },
        responses: { 201: { $ref: '#/components/responses/Created' } },
      },
    },
  },
  components: {
    parameters: {
      Expand: { name: 'expand', in: 'query', schema: { type: 'string', enum: ['lines'] } },
    },
    responses: {
      Created: {
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Order' } } },
      },
    },
    schemas: {
      Order: {
        type: 'object',
        required: ['id', 'total'],
        properties: {
          id: { type: 'string' },
          total: { type: 'number', minimum: 0, exclusiveMinimum: true },
          note: { type: 'string', nullable: true },
          parent: { $ref: '#/components/schemas/Order' },
        },
      },
    },
  },
}

let server: HostileServer
beforeAll(async () => {
  server = await hostileServer()
})
afterAll(() => server.close())

const failure = (promise: Promise<unknown>): Promise<TreatyError> =>
  promise.then(
    () => Promise.reject(new Error('it did not reject')),
    (error: TreatyError) => error,
  )
const shop = () =>
  openConnector('shop', readOpenApi(document), {
    baseUrl: server.url,
    egress: { https: 'optional', privateNetworks: 'allow' },
    retry: false,
  })

describe('a connector over OpenAPI', () => {
  it('calls operations by name, with parameters where they belong', async () => {
    server.script(
      '/orders/a%2Fb',
      hostile.json({ id: 'a/b', total: 1, note: null, parent: { id: 'p', total: 2 } }),
    )
    const connector = shop()
    const { body } = await connector.call('getOrder', { params: { id: 'a/b', expand: 'lines' } })

    expect(body).toMatchObject({ id: 'a/b' })
    expect(server.requests.at(-1)?.url).toBe('/orders/a%2Fb?expand=lines')
    await connector.close()
  })

  it('refuses a call that breaks the contract, with all its problems, before anything is sent', async () => {
    const connector = shop()
    const before = server.requests.length
    const error = await failure(connector.call('getOrder', { params: { expand: 'all', no: 1 } }))
    expect(error).toMatchObject({ code: 'HTTP_SCHEMA_MISMATCH', kind: 'schema', attempts: 0 })
    expect(error.findings.map(({ pointer }) => pointer).sort()).toEqual([
      '/params/expand',
      '/params/id',
      '/params/no',
    ])
    const body = await failure(connector.call('createOrder', { body: { id: 'x', total: 0 } }))
    expect(body.findings).toMatchObject([{ pointer: '/body/total' }])
    expect((await failure(connector.call('createOrder'))).findings).toMatchObject([
      { pointer: '/body' },
    ])
    expect(server.requests.length).toBe(before)
    await connector.close()
  })

  it('refuses an answer that breaks the contract of its status', async () => {
    server.script('/orders', hostile.json({ id: 'x' }, 201))
    const connector = shop()
    const error = await failure(connector.call('createOrder', { body: { id: 'x', total: 1 } }))

    expect(error).toMatchObject({ kind: 'schema', status: 201 })
    await connector.close()
  })

  it('knows of single operations what the contract leaves open', async () => {
    server.script(
      '/orders',
      hostile.answer({ status: 503 }),
      hostile.json({ id: 'a', total: 1 }, 201),
    )
    const options = {
      baseUrl: server.url,
      egress: { https: 'optional', privateNetworks: 'allow' },
    } as const
    const connector = openConnector('shop', readOpenApi(document), {
      ...options,
      retry: { attempts: 2, baseMs: 1, capMs: 1 },
      operations: { createOrder: { idempotent: true } },
    })
    expect(await connector.call('createOrder', { body: { id: 'a', total: 1 } })).toMatchObject({
      status: 201,
      attempts: 2,
    })
    await connector.close()
    const operations = { createOrdr: { idempotent: true } }
    expect(() => openConnector('shop', readOpenApi(document), { ...options, operations })).toThrow(
      expect.objectContaining({ code: 'OPERATION_UNKNOWN' }),
    )
  })

  it('names the nearest operation for one that is not there', async () => {
    const connector = shop()
    const error = await failure(connector.call('getOrdr'))

    expect(error).toMatchObject({
      code: 'OPERATION_UNKNOWN',
      hint: expect.stringContaining('getOrder'),
    })
    await connector.close()
  })

  it('reports every mistake of the document', () => {
    const { findings } = readOpenApi({
      openapi: '2.0',
      paths: {
        '/a': {
          get: { operationId: 'x', parameters: [{ $ref: '#/nowhere' }] },
          put: { operationId: 'x' },
        },
      },
    })

    expect(findings.map(({ pointer }) => pointer)).toEqual([
      '/openapi',
      '/paths/~1a/get',
      '/paths/~1a/put/operationId',
    ])
    expect(() => openConnector('a', readOpenApi({}), { baseUrl: 'https://a.test' })).toThrow(
      expect.objectContaining({ code: 'CONNECTOR_INVALID' }),
    )
  })
})

describe('connectorOptions', () => {
  it('reads the configuration as the specification writes it', () => {
    const options = connectorOptions(
      'shop',
      {
        baseUrl: 'https://api.shop.example',
        auth: { type: 'apiKey', in: 'header', name: 'X-Api-Key', value: 'secret://env/SHOP_KEY' },
        resilience: {
          timeout: { attempt: '5s', total: '20s' },
          retry: {
            attempts: 4,
            backoff: { base: '200ms', cap: '10s', jitter: 'full' },
            budget: '20%',
          },
          breaker: { window: '30s', minCalls: 20, failureRate: '50%', open: '30s', probes: 3 },
          rateLimit: { rate: '600/m', burst: 20, adaptive: 'headers' },
          bulkhead: { concurrent: 8, queue: 100 },
        },
      },
      { resolve: (text) => new Secret(text, 'value'), server: undefined },
    )

    expect(options).toEqual({
      name: 'shop',
      baseUrl: 'https://api.shop.example',
      auth: { type: 'apiKey', in: 'header', name: 'X-Api-Key', value: 'value' },
      timeout: { attemptMs: 5000, totalMs: 20_000 },
      retry: { attempts: 4, baseMs: 200, capMs: 10_000, jitter: 'full', budget: { ratio: 0.2 } },
      breaker: { windowMs: 30_000, minCalls: 20, failureRate: 0.5, openMs: 30_000, probes: 3 },
      rateLimit: { ratePerSecond: 10, burst: 20, adaptive: true },
      bulkhead: { concurrent: 8, queue: 100 },
    })
    void createClient(options).close()
  })

  const bare = { resolve: (text: string) => new Secret(text, 'value'), server: 'https://a.test' }

  it('shares tokens, limits and calls through the store, and says where that is needed', async () => {
    const store = await openStore('memory:')
    const added: string[] = []
    const queue = {
      add: (request: { readonly path: string }) => {
        added.push(request.path)
        return Promise.resolve({ id: 'q1' })
      },
    }
    const auth = { type: 'oauth2', grant: 'refresh_token', refreshToken: 'secret://env/R' }
    const resilience = {
      rateLimit: { rate: '10/s', scope: 'cluster', replicas: 3 },
      fallback: { queue: 'store' },
    } as const
    expect(needsStore({ auth })).toBe(true)
    expect(needsStore({ auth: { ...auth, share: 'off' } })).toBe(false)
    expect(needsStore({ auth: { type: 'oauth2', grant: 'client_credentials' } })).toBe(false)
    expect(needsStore({ auth: { type: 'token', share: 'store' } })).toBe(true)
    expect(needsStore({ resilience: { rateLimit: resilience.rateLimit } })).toBe(true)
    expect(needsStore({ resilience: { fallback: resilience.fallback } })).toBe(true)
    const onRedis = { rate: '1/s', scope: 'cluster', redis: 'redis://r' } as const
    expect(needsStore({ resilience: { rateLimit: onRedis } })).toBe(false)

    const options = connectorOptions('a', { auth, resilience }, { ...bare, store, queue })
    expect(options.auth).toMatchObject({ refreshToken: 'value', store })
    expect(options.rateLimit).toMatchObject({ shared: { replicas: 3 } })
    const client = createClient({
      ...options,
      auth: { type: 'bearer', token: 't' },
      transport: {
        send: () => Promise.reject(new TreatyError('HTTP_NETWORK', 'gone', { kind: 'network' })),
        close: () => Promise.resolve(),
      },
    })
    expect(await client.request({ method: 'PUT', path: '/x' })).toMatchObject({
      status: 202,
      body: { queued: true, id: 'q1' },
      degraded: { by: 'queued' },
    })
    expect(added).toEqual(['/x'])
    for (const config of [{ auth }, { resilience }]) {
      expect(() => connectorOptions('a', config, bare)).toThrow(
        expect.objectContaining({ code: 'HTTP_OPTIONS_INVALID' }),
      )
    }
  })

  it('reads fallbacks, tokens in two steps and the form of idempotency keys', () => {
    const read = (config: Parameters<typeof connectorOptions>[1]) =>
      connectorOptions('a', config, bare)
    expect(read({ resilience: { fallback: { value: { rate: 1 } } } }).fallback).toEqual({
      value: { rate: 1 },
    })
    const cached = { maxAge: '5m', entries: 10 }
    expect(read({ resilience: { fallback: { cached } } }).fallback).toEqual({
      cached: { maxAgeMs: 300_000, entriesMax: 10 },
    })
    const alternate = 'https://backup.test'
    expect(read({ resilience: { fallback: { alternate } } }).fallback).toEqual({ alternate })
    const request = { url: 'https://a.test/login', body: { key: 'secret://env/K' } }
    const auth = {
      type: 'token',
      request,
      tokenPath: 'data.token',
      expiresInPath: 'ttl',
      ttl: '1h',
    }
    expect(read({ auth }).auth).toEqual({
      type: 'token',
      request: { url: 'https://a.test/login', body: { key: 'value' } },
      token: 'data.token',
      expiresIn: 'ttl',
      ttlMs: 3_600_000,
    })
    expect(read({ idempotency: { header: 'X-Key', format: 'plain' } }).idempotency).toEqual({
      header: 'X-Key',
      quoted: false,
    })
  })

  it('refuses what is no duration, share or rate', () => {
    const context = { resolve: (text: string) => new Secret(text, ''), server: 'https://a.test' }
    for (const resilience of [
      { timeout: { total: 'soon' } },
      { retry: { budget: '20' } },
      { rateLimit: { rate: '10' } },
    ]) {
      expect(() => connectorOptions('a', { resilience }, context)).toThrow(
        expect.objectContaining({ code: 'HTTP_OPTIONS_INVALID' }),
      )
    }
  })
})

describe('record and replay', () => {
  it('gives the same answers without the network, and keeps no secret', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'treaty-record-')), 'shop.jsonl')
    server.script(
      '/r',
      hostile.json({ n: 1 }),
      hostile.json({ n: 2, access_token: 'CANARY-t' }, 200, { 'set-cookie': 'CANARY-c' }),
    )
    const options = { file, ignoreQuery: ['key'] }
    const common = {
      baseUrl: server.url,
      egress: { https: 'optional', privateNetworks: 'allow' },
      auth: { type: 'apiKey', in: 'query', name: 'key', value: 'CANARY-key' },
    } as const
    const recording = createClient({
      ...common,
      transport: (network) => recordTransport(network, options),
    })
    const request = { method: 'GET', path: '/r' }
    const first = await recording.request(request)
    await recording.request(request)
    await recording.close()
    expect(readFileSync(file, 'utf8')).not.toContain('CANARY')

    const before = server.requests.length
    const replaying = createClient({ ...common, transport: replayTransport(options) })
    expect(await replaying.request(request)).toEqual(first)
    expect((await replaying.request(request)).body).toMatchObject({ n: 2 })
    const error = await failure(replaying.request({ method: 'GET', path: '/other' }))
    expect(error.code).toBe('RECORDING_MISSING')
    expect(server.requests.length).toBe(before)
  })
})
