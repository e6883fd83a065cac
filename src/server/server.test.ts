import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { Contract } from '../contracts/index.ts'
import { TreatyError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import type { Bus, BusStats, DeadLetter, StoredMessage } from '../messaging/index.ts'
import { createServer, type Server, type ServerOptions } from './server.ts'

const zero = {
  published: 0,
  deliveries: 0,
  handled: 0,
  skipped: 0,
  retried: 0,
  dead: 0,
  expired: 0,
  waiting: 0,
}
const counts = { ...zero, published: 3, deliveries: 3, handled: 2, dead: 1 }

const contract: Contract = {
  id: 'shop.orders',
  version: '1.2.0',
  status: 'active',
  purpose: 'Tells every service that an order was placed.',
  pattern: { style: 'pub-sub', timing: 'async', initiative: 'push' },
  envelope: 'treaty',
  channels: { orders: { name: 'orders', address: 'shop.orders', ordering: 'none', bindings: {} } },
  events: {
    'order.placed': {
      name: 'order.placed',
      channel: 'orders',
      purpose: 'Sent when a checkout has been paid.',
      schema: { type: 'object' },
      schemaFile: '/home/ada/contracts/order.placed.schema.json',
      examples: [{ file: '/home/ada/contracts/one.json', value: { orderId: 'a' } }],
    },
  },
  commands: {},
  evolution: { policy: 'evolvable', mode: 'full-transitive', upcast: [] },
  producers: { 'order-service': { name: 'order-service', onInvalid: 'reject' } },
  consumers: {},
  sla: {},
  gate: { block: [], waivers: [] },
  reviews: [],
  file: '/home/ada/contracts/orders.yaml',
}

const letter: DeadLetter = {
  id: 'dead-1',
  messageId: 'message-1',
  event: 'order.placed',
  consumer: 'billing',
  group: 'shop.orders.billing',
  reason: 'SCHEMA_MISMATCH',
  findings: [
    {
      code: 'SCHEMA_MISMATCH',
      severity: 'error',
      message: 'must be an integer',
      pointer: '/total/amount',
    },
  ],
  attempts: 1,
  firstFailedAt: 1_700_000_000_000,
  failedAt: 1_700_000_001_000,
  address: 'shop.orders',
  body: new TextEncoder().encode('{"total":{"amount":"1"}}'),
  headers: { 'x-source': 'test' },
  contentType: 'application/json',
}

const kept: StoredMessage = {
  record: {
    id: 'message-1',
    address: 'shop.orders',
    type: 'order.placed',
    body: letter.body,
    headers: {},
    contentType: 'application/json',
    position: '7',
    publishedAt: 1_700_000_000_000,
    correlationId: 'story-1',
  },
  consumers: [{ consumer: 'billing', state: 'dead', attempts: 1 }],
}

interface Calls {
  readonly replayed: string[]
  readonly lists: unknown[]
}

const well = { live: true, ready: true, problems: [], reachable: true, consumers: [], drift: [] }

/** A bus that answers from constants and remembers what it was asked; what a test does not use throws. */
function fakeBus(calls: Calls = { replayed: [], lists: [] }, over: Partial<Bus> = {}): Bus {
  const stats: BusStats = {
    ...counts,
    byEvent: { 'order.placed': counts },
    rows: [{ ...counts, event: 'order.placed', consumer: 'billing' }],
  }
  const bus: Partial<Bus> = {
    contracts: [contract],
    transport: {
      name: 'memory',
      stats: async () => ({
        counts: [{ ...counts, event: 'order.placed', consumer: 'billing' }],
        groups: [
          {
            group: 'shop.orders.billing',
            ready: 1,
            inFlight: 0,
            delayed: 0,
            blocked: 0,
            oldestAgeMs: 1500,
          },
        ],
      }),
    } as unknown as Bus['transport'],
    stats: async () => stats,
    dead: {
      list: async (options) => {
        calls.lists.push(options)
        return { items: [letter], next: 'cursor-2' }
      },
      get: async (id) => (id === letter.id ? letter : undefined),
      replay: async (id) => {
        calls.replayed.push(id)
        return id === letter.id
      },
      discard: async (id) => id === letter.id,
      count: async () => 1,
    },
    messages: async () => ({ items: [{ ...kept, message: null }] }),
    trace: async (correlationId) => ({ correlationId, entries: [], missing: [] }),
    health: async () => ({
      ...well,
      consumers: [{ consumer: 'billing', ready: true }],
      broker: { version: 'Redis 8.0.2', clockAheadMs: 1500, clockErrorMs: 1, unsafe: [] },
    }),
    ...over,
  }
  return bus as Bus
}

const open: Server[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()))
})
function serve(options: ServerOptions = {}): Server {
  const server = createServer({ bus: fakeBus(), ...options })
  open.push(server)
  return server
}
const host = { host: '127.0.0.1:4400' }
const get = (server: Server, url: string, headers: Record<string, string> = {}) =>
  server.app.inject({ method: 'GET', url, headers: { ...host, ...headers } })

describe('the read-only API', () => {
  test('gives the ledger with its totals and its rows by event, and nothing that moves by itself', async () => {
    const response = await get(serve(), '/api/stats')
    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({ ...counts, byEvent: { 'order.placed': counts } })
  })

  test('lists dead letters with findings and times as text, and hands filters and cursor on', async () => {
    const calls: Calls = { replayed: [], lists: [] }
    const server = serve({ bus: fakeBus(calls) })
    const body = (await get(server, '/api/dead?limit=100&cursor=abc&consumer=billing')).json()
    expect(body.next).toBe('cursor-2')
    expect(body.items[0]).toMatchObject({
      id: 'dead-1',
      messageId: 'message-1',
      event: 'order.placed',
      consumer: 'billing',
      reason: 'SCHEMA_MISMATCH',
      findings: [{ pointer: '/total/amount' }],
      attempts: 1,
      failedAt: '2023-11-14T22:13:21.000Z',
    })
    expect(calls.lists).toEqual([{ limit: 100, cursor: 'abc', consumer: 'billing' }])
  })

  test('gives one dead letter with its bytes, as text where they are UTF-8 and as base64 where not', async () => {
    const body = (await get(serve(), '/api/dead/dead-1')).json()
    expect(body.body).toEqual({ encoding: 'utf8', content: '{"total":{"amount":"1"}}' })
    const binary = { ...letter, body: Uint8Array.from([0xff, 0xfe, 0x00]) }
    const dead = { ...fakeBus().dead, get: async () => binary }
    const other = await get(serve({ bus: fakeBus(undefined, { dead }) }), '/api/dead/dead-1')
    expect(other.json().body).toEqual({ encoding: 'base64', content: '//4A' })
  })

  test('answers 404 with a problem for a dead letter that is not there', async () => {
    const response = await get(serve(), '/api/dead/nope')
    expect(response.statusCode).toBe(404)
    expect(response.json()).toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND', status: 404 })
  })

  test('gives messages, also those whose bytes cannot be read', async () => {
    const body = (
      await get(serve(), '/api/messages?correlationId=story-1&event=order.placed')
    ).json()
    expect(body.items[0]).toMatchObject({
      id: 'message-1',
      event: 'order.placed',
      message: null,
      correlationId: 'story-1',
    })
  })

  test('gives contracts whole and in summary, without the paths of this machine', async () => {
    const server = serve()
    const list = (await get(server, '/api/contracts')).json()
    expect(list.items[0]).toMatchObject({
      id: 'shop.orders',
      version: '1.2.0',
      events: ['order.placed'],
    })
    const whole = await get(server, list.items[0].href)
    expect(whole.json().events['order.placed'].examples).toEqual([{ orderId: 'a' }])
    expect(whole.body).not.toContain('/home/ada')
    expect((await get(server, '/api/contracts/shop.orders/versions/9.9.9')).json().code).toBe(
      'CONTRACT_NOT_FOUND',
    )
  })
})

describe('errors', () => {
  test('every wrong query parameter is a finding with a pointer', async () => {
    const response = await get(serve(), '/api/dead?limit=many&cursors=1&consumer=')
    expect(response.statusCode).toBe(400)
    expect(response.headers['content-type']).toContain('application/problem+json')
    const body = response.json()
    expect(body).toMatchObject({
      type: '/errors/REQUEST_INVALID',
      code: 'REQUEST_INVALID',
      title: 'Request invalid',
      status: 400,
    })
    expect(body.requestId).toBe(response.headers['x-request-id'])
    expect(body.findings.map((finding: { pointer: string }) => finding.pointer).sort()).toEqual([
      '/consumer',
      '/cursors',
      '/limit',
    ])
  })

  test.each([
    ['/api/nope', 404, 'ROUTE_NOT_FOUND'],
    ['/api/dead?limit=0', 400, 'REQUEST_INVALID'],
    ['/api/dead?limit=1001', 400, 'REQUEST_INVALID'],
    ['/api/dead?limit=5&limit=6', 400, 'REQUEST_INVALID'],
    ['/%E0%A4%A', 400, 'REQUEST_INVALID'],
    [`/api/dead/${'x'.repeat(201)}`, 400, 'REQUEST_INVALID'],
    ['/errors/NO_SUCH_CODE', 404, 'ROUTE_NOT_FOUND'],
    ['/errors/__proto__', 404, 'ROUTE_NOT_FOUND'],
  ])('GET %s is a problem of status %i, %s', async (url, status, code) => {
    const response = await get(serve(), url)
    expect(response.statusCode).toBe(status)
    expect(response.json()).toMatchObject({ code, status })
  })

  test('another method at a known path is 405 and says which are possible', async () => {
    const response = await serve().app.inject({
      method: 'DELETE',
      url: '/api/dead/dead-1',
      headers: { ...host, origin: 'http://127.0.0.1:4400' },
    })
    expect(response.statusCode).toBe(405)
    expect(response.headers.allow).toBe('GET, HEAD')
    expect(response.json().code).toBe('METHOD_NOT_ALLOWED')
  })

  test('what nobody foresaw tells the client the request id only, and the operator everything', async () => {
    const seen: string[] = []
    const stats = async () => {
      throw new Error('the password is hunter2')
    }
    const server = serve({
      bus: fakeBus(undefined, { stats }),
      onUnforeseen: (error, id) => seen.push(`${id}: ${(error.cause as Error).message}`),
    })
    const response = await get(server, '/api/stats', { 'x-request-id': 'call-7' })
    expect(response.statusCode).toBe(500)
    expect(response.body).not.toContain('hunter2')
    expect(seen).toEqual(['call-7: the password is hunter2'])
  })

  test('the type of a problem is a page of the same server', async () => {
    const server = serve()
    const { type } = (await get(server, '/api/nope')).json()
    expect((await get(server, type)).json()).toMatchObject({ code: 'ROUTE_NOT_FOUND', status: 404 })
    const page = await get(server, type, { accept: 'text/html' })
    expect(page.body).toContain('<h1>Route not found')
  })

  test('an operating error of the bus keeps its code, status and hint', async () => {
    const stats = async () => {
      throw new TreatyError('STORE_BUSY', 'the file is locked', { hint: 'Try again.' })
    }
    const response = await get(serve({ bus: fakeBus(undefined, { stats }) }), '/api/stats')
    expect(response.json()).toMatchObject({ code: 'STORE_BUSY', status: 503, hint: 'Try again.' })
  })
})

describe('access', () => {
  const key = 'correct-horse-battery-staple'
  const keys = [
    { name: 'reader', scopes: ['read'] as const, key: new Secret('secret://env/KEY', key) },
    {
      name: 'writer',
      scopes: ['read', 'write'] as const,
      key: new Secret('secret://env/KEY2', `${key}-2`),
    },
  ]
  const replay = (server: Server, headers: Record<string, string>) =>
    server.app.inject({
      method: 'POST',
      url: '/api/dead/dead-1/replay',
      headers: { ...host, ...headers },
    })

  test('another host than loopback is refused without keys', () => {
    expect(() => createServer({ host: '0.0.0.0' })).toThrow(
      expect.objectContaining({ code: 'KEYS_REQUIRED' }),
    )
    expect(serve({ host: '0.0.0.0', keys }).url).toBeUndefined()
  })

  test('a name that a page has pointed at this machine is refused', async () => {
    const response = await serve().app.inject({
      url: '/api/stats',
      headers: { host: 'evil.example' },
    })
    expect(response.statusCode).toBe(421)
    expect(response.json().code).toBe('HOST_REFUSED')
    const listed = serve({ allowedHosts: ['treaty.example'] })
    expect(
      (await listed.app.inject({ url: '/api/stats', headers: { host: 'treaty.example:443' } }))
        .statusCode,
    ).toBe(200)
  })

  test('a page of another origin gets nothing, not even what is read-only', async () => {
    for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1:9999']) {
      expect((await get(serve(), '/api/stats', { origin })).json().code).toBe('ORIGIN_REFUSED')
    }
    expect((await get(serve(), '/api/stats', { origin: 'http://127.0.0.1:4400' })).statusCode).toBe(
      200,
    )
  })

  test('a change needs the same origin where there are no keys', async () => {
    const calls: Calls = { replayed: [], lists: [] }
    const server = serve({ bus: fakeBus(calls) })
    expect((await replay(server, {})).json().code).toBe('ORIGIN_REFUSED')
    expect((await replay(server, { 'sec-fetch-site': 'cross-site' })).json().code).toBe(
      'ORIGIN_REFUSED',
    )
    expect(calls.replayed).toEqual([])
    expect((await replay(server, { origin: 'http://127.0.0.1:4400' })).json()).toEqual({
      id: 'dead-1',
      done: 'replayed',
    })
    expect((await replay(server, { 'sec-fetch-site': 'same-origin' })).statusCode).toBe(200)
  })

  test('with keys, each route needs one with its scope; health stays open', async () => {
    const server = serve({ keys })
    const missing = await get(server, '/api/stats')
    expect(missing.statusCode).toBe(401)
    expect(missing.headers['www-authenticate']).toContain('Bearer')
    expect((await get(server, '/api/stats', { 'x-api-key': 'guess' })).statusCode).toBe(401)
    expect((await get(server, '/api/stats', { authorization: `Bearer ${key}` })).statusCode).toBe(
      200,
    )
    expect((await get(server, '/api/stats', { 'x-api-key': key })).statusCode).toBe(200)
    expect((await get(server, '/metrics', { 'x-api-key': key })).json().code).toBe('SCOPE_MISSING')
    expect((await replay(server, { 'x-api-key': key })).json().code).toBe('SCOPE_MISSING')
    expect((await replay(server, { 'x-api-key': `${key}-2` })).statusCode).toBe(200)
    expect((await replay(server, { origin: 'http://127.0.0.1:4400' })).statusCode).toBe(401)
    expect((await get(server, '/health')).statusCode).toBe(200)
  })

  test('no answer holds a key, whatever was asked', async () => {
    const server = serve({ keys })
    for (const url of ['/api/stats', '/api/nope', '/health', '/openapi.json', '/metrics', '/']) {
      const response = await get(server, url, {
        authorization: `Bearer ${key}`,
        accept: 'text/html',
      })
      expect(response.body + JSON.stringify(response.headers)).not.toContain(key)
    }
  })
})

describe('operation', () => {
  test('health is 503 until there is a bus, and when the bus says so', async () => {
    const server = createServer({})
    open.push(server)
    const before = await get(server, '/health')
    expect(before.statusCode).toBe(503)
    expect(before.json()).toMatchObject({ live: true, ready: false })
    const early = await get(server, '/api/stats')
    expect(early.json().code).toBe('NOT_READY')
    expect(early.headers['retry-after']).toBe('1')
    server.attach(fakeBus())
    expect((await get(server, '/health')).json()).toMatchObject({
      ready: true,
      dependencies: [
        { name: 'memory', kind: 'transport', ready: true, version: 'Redis 8.0.2', drift: 0 },
        { name: 'billing', kind: 'consumer', ready: true },
      ],
    })
    server.attach(
      fakeBus(undefined, {
        health: async () => ({ ...well, ready: false, problems: ['the disk is full'] }),
      }),
    )
    const ill = await get(server, '/health')
    expect([ill.statusCode, ill.json().problems]).toEqual([503, ['the disk is full']])
  })

  test('metrics are Prometheus text with the ledger by event and consumer', async () => {
    const server = serve()
    await get(server, '/api/stats')
    const response = await get(server, '/metrics')
    expect(response.headers['content-type']).toContain('version=0.0.4')
    for (const line of [
      '# TYPE treaty_messages_published_total counter',
      'treaty_messages_published_total{event="order.placed"} 3',
      'treaty_deliveries_handled_total{event="order.placed",consumer="billing"} 2',
      'treaty_deliveries_dead_total{event="order.placed",consumer="billing"} 1',
      'treaty_group_oldest_age_seconds{group="shop.orders.billing"} 1.5',
      'treaty_transport_up{transport="memory"} 1',
      'treaty_consumer_ready{consumer="billing"} 1',
      'treaty_dead_letters 1',
      'treaty_transport_clock_ahead_seconds{transport="memory"} 1.5',
      'treaty_topology_drift{transport="memory"} 0',
      'http_server_request_duration_seconds_count{method="GET",route="/api/stats",status="200"} 1',
    ]) {
      expect(response.body).toContain(line)
    }
  })

  test('the OpenAPI document has every route, with its parameters, and answers 304 to whom has it', async () => {
    const server = serve()
    const response = await get(server, '/openapi.json')
    const document = response.json()
    expect(document.openapi).toBe('3.1.1')
    const paths = Object.keys(document.paths).filter((path) => !path.startsWith('/confluent'))
    expect(paths.sort()).toEqual([
      '/',
      '/.well-known/treaty',
      '/api/audit',
      '/api/can-i-deploy',
      '/api/consumers',
      '/api/contracts',
      '/api/contracts/{id}/versions',
      '/api/contracts/{id}/versions/{version}',
      '/api/contracts/{id}/versions/{version}/reviews',
      '/api/dead',
      '/api/dead/{id}',
      '/api/dead/{id}/discard',
      '/api/dead/{id}/replay',
      '/api/deployments',
      '/api/deployments/{environment}/{service}/{version}',
      '/api/environments',
      '/api/environments/{name}',
      '/api/events',
      '/api/hashes/{hash}',
      '/api/impact',
      '/api/messages',
      '/api/schemas',
      '/api/schemas/{type}',
      '/api/schemas/{type}/versions/{version}',
      '/api/stats',
      '/api/trace/{correlationId}',
      '/errors/{code}',
      '/health',
      '/metrics',
      '/openapi.json',
    ])
    expect(
      document.paths['/api/dead'].get.parameters.map((one: { name: string }) => one.name),
    ).toContain('cursor')
    const ids = Object.values(document.paths).flatMap((path) =>
      Object.values(path as object).map((one) => one.operationId),
    )
    expect(new Set(ids).size).toBe(ids.length)
    const again = await get(server, '/openapi.json', {
      'if-none-match': String(response.headers.etag),
    })
    expect([again.statusCode, again.body]).toEqual([304, ''])
  })

  test('/.well-known/treaty names contracts, versions and hashes that change with the content only', async () => {
    const one = (await get(serve(), '/.well-known/treaty')).json()
    expect(one.contracts).toEqual([
      {
        id: 'shop.orders',
        version: '1.2.0',
        status: 'active',
        hash: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
        href: '/api/contracts/shop.orders/versions/1.2.0',
        schemas: { 'order.placed': '/api/schemas/order.placed/versions/1.2.0' },
      },
    ])
    const hashOf = async (contracts: Contract[]) =>
      (await get(serve({ contracts }), '/.well-known/treaty')).json().contracts[0].hash
    expect(await hashOf([{ ...contract, file: '/elsewhere.yaml' }])).toBe(one.contracts[0].hash)
    expect(await hashOf([{ ...contract, purpose: 'Another.' }])).not.toBe(one.contracts[0].hash)
  })

  test('the page at / loads nothing, runs nothing and escapes what contracts say', async () => {
    const server = serve({ contracts: [{ ...contract, purpose: '<script>alert(1)</script>' }] })
    const page = await get(server, '/', { accept: 'text/html' })
    expect(page.headers['content-security-policy']).toMatch(
      /^default-src 'none'; style-src 'sha256-/,
    )
    expect(page.headers['x-content-type-options']).toBe('nosniff')
    expect(page.body).not.toContain('<script>')
    expect(page.body).toContain('shop.orders@1.2.0')
    expect((await get(server, '/')).body).toMatch(
      /^Treaty .*: 3 published, 2 handled, 0 waiting, 1 dead/,
    )
  })
})

describe('on a real socket', () => {
  const raw = (url: string, text: string) =>
    new Promise<string>((resolve, reject) => {
      const { hostname, port } = new URL(url)
      const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(text))
      let answer = ''
      socket.setEncoding('utf8').on('data', (part: string) => {
        answer += part
      })
      socket.on('close', () => resolve(answer)).on('error', reject)
    })

  test('it listens, answers, and frees the port when it is closed', async () => {
    const server = serve({ port: 0 })
    const url = await server.listen()
    expect(server.url).toBe(url)
    expect((await fetch(`${url}/health`)).status).toBe(200)
    await server.close()
    await server.close()
    await expect(fetch(`${url}/health`)).rejects.toThrow()
  })

  test('a port that is taken is PORT_IN_USE', async () => {
    const url = await serve({ port: 0 }).listen()
    const port = Number(new URL(url).port)
    await expect(serve({ port }).listen()).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: `port ${port} on 127.0.0.1 is in use by another process`,
    })
  })

  test('an address of another machine is LISTEN_FAILED', async () => {
    const server = serve({
      host: '192.0.2.1',
      keys: [{ name: 'a', scopes: ['read'], sha256: 'a'.repeat(64) }],
    })
    await expect(server.listen()).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
  })

  test.each([
    ['garbage', 'HELO there\r\n\r\n', 400, 'REQUEST_INVALID'],
    [
      'headers that are too large',
      `GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
      413,
      'REQUEST_TOO_LARGE',
    ],
  ])('%s get a problem, and the server goes on', async (_what, text, status, code) => {
    const server = serve({ port: 0 })
    const url = await server.listen()
    const answer = await raw(url, text)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))).toMatchObject({ code, status })
    expect((await fetch(`${url}/health`)).status).toBe(200)
  })

  test('a body over the limit is refused', async () => {
    const server = serve({ port: 0, bodyBytesMax: 1000 })
    const url = await server.listen()
    const response = await fetch(`${url}/api/dead/dead-1/replay`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin', origin: url },
      body: JSON.stringify({ text: 'x'.repeat(2000) }),
    })
    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ code: 'REQUEST_TOO_LARGE' })
  })
})
