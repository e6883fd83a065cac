import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadContractsSync } from '../loader.ts'

const asyncapi = `asyncapi: 3.0.0
info: { title: Shop, version: 1.0.0 }
channels:
  orders:
    address: orders
    messages: { placed: { $ref: '#/components/messages/OrderPlaced' } }
components:
  messages:
    OrderPlaced:
      payload:
        type: object
        required: [orderId, total]
        properties: { orderId: { type: string }, total: { $ref: '#/components/schemas/Money' } }
    OrderShipped: { payload: { $ref: './parts/shipped.yaml#/shipped' } }
    OrderClosed:
      payload:
        schemaFormat: application/schema+json;version=draft-2020-12
        schema: { type: array, prefixItems: [{ type: string }] }
    OrderLost: { payload: { schemaFormat: application/vnd.apache.avro;version=1.9.0, schema: {} } }
    OrderRemote: { payload: { $ref: 'https://example.com/a.json' } }
  schemas:
    Money: { type: object, properties: { amount: { type: integer } } }
`

function load(schema: string) {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-asyncapi-'))
  const files = {
    'asyncapi.yaml': asyncapi,
    'parts/shipped.yaml': 'shipped: { type: object, properties: { orderId: { type: string } } }\n',
    'contract.yaml': `treaty: 1
id: shop
version: 1.0.0
status: draft
purpose: Says what became of an order.
envelope: none
channels: { orders: { address: orders } }
events:
  order.placed: { channel: orders, purpose: Sent when an order is paid., schema: '${schema}' }
`,
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const { contracts, findings } = loadContractsSync(join(folder, 'contract.yaml'), { root: folder })
  return {
    schema: contracts[0]?.events['order.placed']?.schema,
    codes: findings.filter(({ severity }) => severity === 'error').map(({ code }) => code),
  }
}

const money = { type: 'object', properties: { amount: { type: 'integer' } } }
const placed = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  required: ['orderId', 'total'],
  properties: { orderId: { type: 'string' }, total: { $ref: '#/definitions/Money' } },
  definitions: { Money: money },
}

describe('an AsyncAPI document as the source of a schema', () => {
  it.each([
    'asyncapi.yaml#/components/messages/OrderPlaced/payload',
    'asyncapi.yaml#/components/messages/OrderPlaced',
    'asyncapi.yaml#/channels/orders/messages/placed/payload',
  ])('gives the payload, self-contained, for %s', (reference) => {
    expect(load(reference)).toEqual({ schema: placed, codes: [] })
  })

  it('is read in the draft that schemaFormat names', () => {
    expect(load('asyncapi.yaml#/components/messages/OrderClosed/payload')).toEqual({
      schema: { type: 'array', prefixItems: [{ type: 'string' }] },
      codes: [],
    })
  })

  it('may refer to other files of the folder', () => {
    expect(load('asyncapi.yaml#/components/messages/OrderShipped/payload').schema).toMatchObject({
      properties: { orderId: { type: 'string' } },
    })
  })

  it.each([
    ['OrderLost/payload', 'IMPORT_FORMAT_UNSUPPORTED'],
    ['OrderRemote/payload', 'REF_REMOTE'],
    ['OrderNone/payload', 'REF_NOT_FOUND'],
  ])('is refused for %s with %s', (message, code) => {
    expect(load(`asyncapi.yaml#/components/messages/${message}`)).toEqual({
      schema: undefined,
      codes: [code],
    })
  })
})
