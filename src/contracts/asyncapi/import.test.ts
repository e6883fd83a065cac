import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readContractText } from '../loader.ts'
import { contractToSource } from '../read/contract-yaml.ts'
import { exportAsyncApi } from './export.ts'
import { importAsyncApi } from './import.ts'
import { importConfluent } from './import-confluent.ts'
import { importJsonSchema } from './import-json-schema.ts'

/** The files in a folder of their own; the path of the first. */
function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-import-'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return join(folder, Object.keys(files)[0] ?? '')
}

const errorsOf = (findings: readonly { severity: string; code: string; message: string }[]) =>
  findings
    .filter(({ severity }) => severity === 'error')
    .map(({ code, message }) => `${code} ${message}`)
const lossesOf = (findings: readonly { code: string; message: string }[]) =>
  findings.filter(({ code }) => code === 'IMPORT_NOT_CARRIED').map(({ message }) => message)

const hard = readFileSync(
  join(import.meta.dirname, '../../../test/fixtures/asyncapi/odd-names.yaml'),
  'utf8',
)

describe('an export of a contract in which everything is hard', () => {
  const { contract, findings } = readContractText(hard)
  if (contract === undefined) throw new Error(JSON.stringify(errorsOf(findings)))

  it('is imported as it was', () => {
    const file = folderOf({ 'asyncapi.json': JSON.stringify(exportAsyncApi(contract)) })
    const { contract: again } = importAsyncApi(file)

    expect(again && contractToSource(again)).toEqual(contractToSource(contract))
  })

  it('of one application names that application alone, and importing it says so', () => {
    const document = exportAsyncApi(contract, { application: 'bird/one' })
    const { contract: again, findings: found } = importAsyncApi(
      folderOf({ 'asyncapi.json': JSON.stringify(document) }),
    )

    expect(Object.keys(again?.events ?? {})).toEqual(['node/changed'])
    expect(Object.keys(again?.producers ?? {})).toEqual([])
    expect(lossesOf(found)).toEqual([
      'the document describes `bird/one` alone; the other parties of the contract are not in it',
    ])
  })

  it('is refused for an application that the contract does not name', () => {
    expect(() => exportAsyncApi(contract, { application: 'bird' })).toThrow(
      expect.objectContaining({ code: 'APPLICATION_UNKNOWN' }),
    )
  })
})

const version3 = `asyncapi: 3.0.0
info: { title: Street Lights, version: '1.2' }
servers: { production: { host: 'broker:9092', protocol: kafka } }
channels:
  measured:
    address: lights.{id}.measured
    parameters: { id: { description: Id of the light. } }
    messages: { lightMeasured: { $ref: './messages.yaml#/measured' } }
    bindings: { kafka: { partitions: 4, bindingVersion: 0.5.0 }, mqtt: {} }
  turn:
    address: null
    messages:
      turnOn: { payload: { type: object, properties: { lumens: { type: integer } } } }
      turned: { payload: { type: object, properties: { at: { type: string } } } }
      failed: { payload: { schemaFormat: application/vnd.apache.avro;version=1.9.0, schema: {} } }
operations:
  receiveMeasured: { action: receive, channel: { $ref: '#/channels/measured' } }
  onTurn:
    action: receive
    channel: { $ref: '#/channels/turn' }
    messages: [{ $ref: '#/channels/turn/messages/turnOn' }]
    reply: { channel: { $ref: '#/channels/turn' }, messages: [{ $ref: '#/channels/turn/messages/turned' }] }
`
const messages = `measured:
  name: light.measured
  summary: A light was measured.
  traits: [{ headers: { type: object }, contentType: application/json }]
  payload: { $ref: './schemas/light.json' }
  examples: [{ payload: { lumens: 3 } }]
`

describe('an AsyncAPI document of others', () => {
  const light = JSON.stringify({
    type: 'object',
    properties: { lumens: { $ref: '#/definitions/n' } },
    definitions: { n: { type: 'integer' } },
  })
  const imported = importAsyncApi(
    folderOf({ 'asyncapi.yaml': version3, 'messages.yaml': messages, 'schemas/light.json': light }),
  )

  it('gives events, commands and the application, over several files', () => {
    const { contract } = imported

    expect(contract).toMatchObject({
      id: 'street-lights',
      version: '1.2.0',
      status: 'draft',
      envelope: 'none',
      channels: {
        measured: { address: 'lights.{id}.measured', bindings: { kafka: { partitions: 4 } } },
      },
      events: {
        'light.measured': {
          purpose: 'A light was measured.',
          schema: { properties: { lumens: { $ref: '#/definitions/n' } } },
          examples: [{ value: { lumens: 3 } }],
        },
      },
      commands: { turnOn: { handler: 'Street-Lights', reply: { properties: { at: {} } } } },
      consumers: { 'Street-Lights': { accepts: '^1.2.0', events: { 'light.measured': {} } } },
    })
    expect(Object.keys(contract?.events ?? {})).toEqual(['light.measured'])
  })

  it('says what it could not carry over, each with its place', () => {
    expect(lossesOf(imported.findings)).toEqual([
      'the parameters of the address of `measured` are kept as text only',
      'the binding `mqtt` has no counterpart among the brokers of contracts',
      'the channel `turn` has no address; its name stands in',
      'of the message `lightMeasured` these are not carried over: headers',
      '`servers` of the document have no place in a contract',
      'the version `1.2` is no semantic version; 1.2.0 stands in',
    ])
    expect(errorsOf(imported.findings).filter((text) => !text.startsWith('ADDRESS_'))).toEqual([
      'IMPORT_FORMAT_UNSUPPORTED the schema is in the format `application/vnd.apache.avro;version=1.9.0`, which is no JSON Schema',
    ])
    const at = imported.findings.find(({ code }) => code === 'IMPORT_FORMAT_UNSUPPORTED')
    expect(at).toMatchObject({ line: 15, pointer: '/channels/turn/messages/failed/payload' })
  })

  it.each([
    ['https://example.com/m.yaml', 'REF_REMOTE'],
    ['../outside.yaml', 'REF_OUTSIDE'],
    ['./none.yaml', 'SCHEMA_NOT_FOUND'],
    ['#/channels/a/messages/m', 'REF_CYCLE'],
  ])('that refers to %s is refused with %s', (reference, code) => {
    const text = `asyncapi: 3.0.0\ninfo: { title: A, version: 1.0.0 }\nchannels: { a: { messages: { m: { $ref: '${reference}' } } } }\n`
    const file = folderOf({ 'inner/asyncapi.yaml': text, 'outside.yaml': 'a: 1\n' })

    expect(importAsyncApi(file).findings.map((finding) => finding.code)).toContain(code)
  })

  it.each([
    'openapi: 3.1.0\n',
    'asyncapi: 1.2.0\n',
    '[]\n',
    'asyncapi: 3.0.0\nchannels: 7\noperations: [1]\n',
    '{',
  ])('that is none is refused without a throw: %j', (text) => {
    const { findings } = importAsyncApi(folderOf({ 'asyncapi.yaml': text }))
    expect(errorsOf(findings).length).toBeGreaterThan(0)
  })

  it('of version 2 sends what others subscribe to', () => {
    const text = `asyncapi: 2.6.0
info: { title: shop, version: 1.0.0 }
channels:
  orders/placed: { subscribe: { operationId: placed, message: { $ref: '#/components/messages/OrderPlaced' } } }
  orders/paid: { publish: { message: { oneOf: [{ $ref: '#/components/messages/Paid' }, { name: refunded, payload: { type: object } }] } } }
components:
  messages:
    OrderPlaced: { summary: Paid for., schemaFormat: 'application/schema+json;version=draft-07', payload: { type: object, required: [id] } }
    Paid: { payload: { type: object } }
`
    const { contract, findings } = importAsyncApi(folderOf({ 'asyncapi.yaml': text }))

    expect(errorsOf(findings)).toEqual([])
    expect(contract).toMatchObject({
      channels: { 'orders/placed': { address: 'orders/placed' } },
      events: {
        OrderPlaced: { channel: 'orders/placed', schema: { required: ['id'] } },
        Paid: {},
        refunded: {},
      },
      producers: { shop: { events: ['OrderPlaced'] } },
      consumers: { shop: { events: { Paid: {}, refunded: {} } } },
    })
  })
})

describe('subjects of a registry', () => {
  const json = (schema: unknown) => ({ schemaType: 'JSON', schema: JSON.stringify(schema) })
  const dump = {
    compatibilityLevel: 'FULL_TRANSITIVE',
    subjects: [
      { subject: 'orders-value', version: 1, ...json({ type: 'object' }) },
      {
        subject: 'orders-value',
        version: 2,
        ...json({ type: 'object', properties: { by: { $ref: 'user.json' } } }),
        references: [{ name: 'user.json', subject: 'user', version: 1 }],
      },
      { subject: 'orders-key', version: 1, ...json({ type: 'string' }) },
      {
        subject: 'user',
        version: 1,
        ...json({ type: 'object', properties: { name: { type: 'string' } } }),
      },
      { subject: 'old-value', version: 1, schema: '"string"' },
    ],
  }

  it('give one event each with the latest version, references among its definitions', () => {
    const { contract, findings } = importConfluent(dump, { id: 'shop' })

    expect(contract).toMatchObject({
      id: 'shop',
      evolution: { policy: 'confluent-strict', mode: 'full-transitive' },
      events: { orders: { channel: 'orders' } },
    })
    const schema = JSON.stringify(contract?.events.orders?.schema)
    expect(schema).toContain('"name":{"type":"string"}')
    expect(schema).not.toContain('"$ref":"user.json"')
    expect(Object.keys(contract?.events ?? {})).toEqual(['orders'])
    expect(lossesOf(findings).slice(0, 2)).toEqual([
      'of `orders-value` only version 2 of 2 is carried over',
      '`orders-key` describes keys, and contracts name the field of the key instead',
    ])
    expect(errorsOf(findings)).toEqual([
      'IMPORT_FORMAT_UNSUPPORTED `old-value` is in AVRO, which is no JSON Schema',
    ])
  })

  it.each([[7], [{ subjects: 1 }], [[{ subject: 'a' }]]])(
    'are refused when they are %j',
    (value) => {
      expect(
        importConfluent(value as never, { id: 'x' }).findings.map(({ code }) => code),
      ).toContain('CONFLUENT_DUMP_INVALID')
    },
  )
})

describe('a JSON Schema file', () => {
  it('gives a draft with one event, in its own draft, with its examples', () => {
    const file = folderOf({
      'order.placed.schema.json': JSON.stringify({
        $schema: 'http://json-schema.org/draft-07/schema#',
        description: 'An order was placed.',
        type: 'object',
        examples: [{ id: 1 }],
      }),
    })

    expect(importJsonSchema(file).contract).toMatchObject({
      id: 'order.placed',
      status: 'draft',
      events: {
        'order.placed': {
          purpose: 'An order was placed.',
          schema: { $schema: 'http://json-schema.org/draft-07/schema#' },
          examples: [{ value: { id: 1 } }],
        },
      },
    })
  })

  it('that is not there is a finding', () => {
    expect(importJsonSchema('/nowhere/x.json').findings).toMatchObject([{ code: 'FILE_NOT_FOUND' }])
  })
})
