import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HostileServer, hostile, hostileServer } from '../testing/hostile-server.ts'
import { runCaptured } from './captured-run.ts'

const openapi = `
openapi: 3.1.0
info: { title: Shop, version: 1.0.0 }
paths:
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
    resilience:
      timeout: { attempt: 2s, total: 5s }
      retry: { attempts: 2, backoff: { base: 1ms, cap: 2ms } }
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
      { name: 'shop', operations: [{ name: 'getOrder', method: 'GET', path: '/orders/{id}' }] },
    ])
  })

  it('calls an operation with the credential of the configuration', async () => {
    server.script('/orders/7', hostile.json({ id: 7 }))
    const { code, out } = await treaty('connector', 'call', 'shop', 'getOrder', '--param', 'id=7')

    expect(code).toBe(0)
    expect(JSON.parse(out).data).toMatchObject({ status: 200, body: { id: 7 }, attempts: 1 })
    expect(server.requests.at(-1)?.headers['x-api-key']).toBe('CANARY-key')
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

  it('tells whether neighbours answer', async () => {
    server.script('/', hostile.answer({ status: 404 }))
    const { code, out } = await treaty('connector', 'status')

    expect(code).toBe(0)
    expect(JSON.parse(out).data.connectors).toMatchObject([
      { name: 'shop', reachable: true, status: 404, problem: null },
    ])
  })
})
