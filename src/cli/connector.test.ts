import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HostileServer, hostile, hostileServer } from '../testing/hostile-server.ts'
import { parseLines, runCaptured } from './captured-run.ts'

const openapi = `
openapi: 3.1.0
info: { title: Shop, version: 1.0.0 }
paths:
  /orders:
    get: { operationId: listOrders, summary: All orders., responses: { 200: { description: a page } } }
  /orders/{id}:
    get:
      operationId: getOrder
      summary: One order.
      parameters:
        - { name: id, in: path, required: true, schema: { type: integer } }
      responses:
        200: { content: { application/json: { schema: { type: object, required: [id] } } } }
`

let server: HostileServer
let cwd: string
const environment = { SHOP_KEY: 'CANARY-key' }

beforeAll(async () => {
  server = await hostileServer()
  cwd = mkdtempSync(join(tmpdir(), 'treaty-connector-'))
  writeFileSync(join(cwd, 'shop.openapi.yaml'), openapi)
  writeFileSync(
    join(cwd, 'treaty.config.yaml'),
    `connectors:
  shop:
    contract: ./shop.openapi.yaml
    baseUrl: ${server.url}
    auth: { type: apiKey, name: X-Api-Key, value: secret://env/SHOP_KEY }
    egress: { https: optional, privateNetworks: allow }
    operations:
      listOrders: { paginate: { type: cursor, param: cursor, next: next, items: data } }
    resilience:
      timeout: { attempt: 2s, total: 5s }
      retry: { attempts: 2, backoff: { base: 1ms, cap: 2ms } }
  later:
    contract: ./shop.openapi.yaml
    baseUrl: ${server.url}
    egress: { https: optional, privateNetworks: allow }
    resilience:
      retry: { attempts: 1 }
      rateLimit: { rate: 100/s, scope: cluster }
      fallback: { queue: store }
  tokens:
    contract: ./shop.openapi.yaml
    baseUrl: ${server.url}
    egress: { https: optional, privateNetworks: allow }
    auth: { type: oauth2, grant: client_credentials, tokenUrl: '${server.url}/token', clientId: me,
            clientSecret: secret://env/SHOP_KEY, share: store }
`,
  )
})
afterAll(() => server.close())

const treaty = (...argv: string[]) => runCaptured([...argv, '--json'], { cwd, environment })

describe('treaty connector', () => {
  it('lists connectors with their operations', async () => {
    const { code, out } = await treaty('connector', 'list')

    expect(code).toBe(0)
    expect(JSON.parse(out).data.connectors).toMatchObject([
      {
        name: 'shop',
        operations: [{ name: 'listOrders' }, { name: 'getOrder', path: '/orders/{id}' }],
      },
      { name: 'later' },
      { name: 'tokens' },
    ])
  })

  it('calls an operation with the credential of the configuration', async () => {
    server.script('/orders/7', hostile.json({ id: 7 }))
    const { code, out } = await treaty('connector', 'call', 'shop', 'getOrder', '--param', 'id=7')

    expect(code).toBe(0)
    expect(JSON.parse(out).data).toMatchObject({ status: 200, body: { id: 7 }, attempts: 1 })
    expect(server.requests.at(-1)?.headers['x-api-key']).toBe('CANARY-key')
  })

  it('reads all pages of an operation', async () => {
    server.script('/orders', hostile.json({ data: [1, 2], next: 'c' }), hostile.json({ data: [3] }))
    const { code, out } = await treaty('connector', 'call', 'shop', 'listOrders', '--all')

    expect(code).toBe(0)
    expect(JSON.parse(out).data).toEqual({ items: [1, 2, 3] })
    expect(server.requests.at(-1)?.url).toBe('/orders?cursor=c')
    const one = await treaty('connector', 'call', 'shop', 'getOrder', '--param', 'id=1', '--all')
    expect(one.code).toBe(2)
    expect(one.out + one.err).toContain('PAGINATION_UNKNOWN')
  })

  it('refuses a call that breaks the contract, and never prints the secret', async () => {
    const invalid = await treaty('connector', 'call', 'shop', 'getOrder', '--param', 'id=x')
    expect(invalid.code).toBe(3)
    expect(invalid.out + invalid.err).toContain('/params/id')

    server.script('/orders/8', hostile.echo(500))
    const failed = await treaty('connector', 'call', 'shop', 'getOrder', '--param', 'id=8')
    expect(failed.code).toBe(6)
    expect(failed.out + failed.err).not.toContain('CANARY')
    expect(failed.out + failed.err).toContain('HTTP_STATUS')
  })

  it('says what is not there', async () => {
    expect((await treaty('connector', 'call', 'shopp', 'getOrder')).code).toBe(4)
    expect((await treaty('connector', 'call', 'shop', 'getOrdr')).code).toBe(4)
  })

  it('types the operations for programs', async () => {
    const { code, out } = await runCaptured(['gen', '--out', '-'], { cwd, environment })
    expect(code, out).toBe(0)
    expect(out).toContain("'getOrder': {\n      params: ShopGetOrderParams\n      body: undefined")
    expect(out).toMatch(/export interface ShopGetOrderParams \{\n {2}id: number\n\}/)
    expect(out).toContain('response: ShopGetOrderResponse')
  })

  it('records an exchange and replays it without a network', async () => {
    server.script('/orders/9', hostile.json({ id: 9 }), hostile.answer({ status: 500 }))
    const call = ['connector', 'call', 'shop', 'getOrder', '--param', 'id=9'] as const
    expect((await treaty(...call, '--record', 'shop.jsonl')).code).toBe(0)
    const before = server.requests.length

    const replayed = await treaty(...call, '--replay', 'shop.jsonl')
    expect(JSON.parse(replayed.out).data.body).toEqual({ id: 9 })
    expect(server.requests.length).toBe(before)
    expect((await treaty(...call, '--replay', 'none.jsonl')).code).toBe(4)
    expect((await treaty(...call, '--replay', 'a', '--record', 'b')).code).toBe(2)
  })

  it('keeps calls for a neighbour that is down, shows them, and sends them once it is back', async () => {
    server.script('/orders/1', hostile.answer({ status: 503 }))
    const kept = await treaty('connector', 'call', 'later', 'getOrder', '--param', 'id=1')
    expect(kept.code).toBe(0)
    expect(JSON.parse(kept.out).data).toMatchObject({
      status: 202,
      body: { queued: true },
      degraded: { by: 'queued', code: 'HTTP_STATUS' },
    })
    const shown = await treaty('connector', 'queue', 'later')
    expect(JSON.parse(shown.out).data).toMatchObject({
      waiting: [{ method: 'GET', path: '/orders/{id}', attempts: 0 }],
      putAside: [],
    })
    expect((await treaty('connector', 'queue', 'later', '--send')).code).toBe(6)

    server.script('/orders/1', hostile.json({ id: 1 }))
    const sent = await treaty('connector', 'queue', 'later', '--send')
    expect(sent.code).toBe(0)
    expect(JSON.parse(sent.out).data).toMatchObject({ drained: { sent: 1 }, waiting: [] })
    expect((await treaty('connector', 'queue', 'shop')).code).toBe(2)
    expect((await treaty('connector', 'queue', 'later', '--replay', 'x')).code).toBe(4)
  })

  it('leaves no call waiting where treaty start runs', async () => {
    server.script('/orders/2', hostile.answer({ status: 503 }))
    await treaty('connector', 'call', 'later', 'getOrder', '--param', 'id=2')
    server.script('/orders/2', hostile.json({ id: 2 }))
    const stopping = new AbortController()
    let seen = ''
    const { code, out } = await runCaptured(
      [...'start --port 0 --contracts pack:a2a-v1 --json'.split(' ')],
      {
        cwd,
        environment,
        stopping: stopping.signal,
        onWrite: (text) => {
          seen += text
          if (seen.includes('"kind":"calls"')) stopping.abort()
        },
      },
    )

    expect(code, seen).toBe(0)
    expect(parseLines(out)).toContainEqual(
      expect.objectContaining({ kind: 'calls', connector: 'later', sent: 1, waiting: 0 }),
    )
    const { data } = JSON.parse((await treaty('connector', 'queue', 'later')).out)
    expect(data.waiting).toEqual([])
  })

  it('shares a token between commands, so that the second asks for none', async () => {
    server.script(
      '/token',
      hostile.json({ access_token: 'CANARY-t', expires_in: 600, token_type: 'bearer' }),
    )
    server.script('/orders/2', hostile.json({ id: 2 }))
    for (let n = 0; n < 2; n += 1) {
      const { code } = await treaty('connector', 'call', 'tokens', 'getOrder', '--param', 'id=2')
      expect(code).toBe(0)
    }
    expect(server.requests.filter(({ url }) => url === '/token')).toHaveLength(1)
    expect(server.requests.at(-1)?.headers.authorization).toBe('Bearer CANARY-t')
  })

  it('tells whether neighbours answer', async () => {
    server.script('/', hostile.answer({ status: 404 }))
    const { code, out } = await treaty('connector', 'status', 'shop')

    expect(code).toBe(0)
    expect(JSON.parse(out).data.connectors).toMatchObject([
      { name: 'shop', reachable: true, status: 404, problem: null },
    ])
  })
})
