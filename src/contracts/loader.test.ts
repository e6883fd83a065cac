import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { errorCatalog } from '../core/errors.ts'
import { loadContracts, loadContractsSync } from './loader.ts'

const root = mkdtempSync(join(tmpdir(), 'treaty-loader-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let folders = 0

function folderWith(files: Readonly<Record<string, string | Uint8Array>>): string {
  folders += 1
  const folder = join(root, String(folders))
  mkdirSync(folder)
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

const orders = `treaty: 1
id: shop.orders
version: 1.0.0
purpose: Tells every service that an order was placed.
owner: { team: orders }
design: https://example.com/orders
channels:
  orders: { address: shop.orders, key: orderId }
events:
  order.placed:
    channel: orders
    purpose: Sent when a checkout has been paid.
    schema: ./order.json
    examples: ./examples/*.json
producers: { order-service: {} }
consumers:
  billing:
    accepts: ^1.0.0
    events: { order.placed: { needs: [orderId], handling: Creates one invoice. } }
    retry: {}
    deadLetter: {}
`
const schema = JSON.stringify(
  {
    type: 'object',
    required: ['orderId'],
    properties: { orderId: { type: 'string', format: 'uuid' }, note: { type: 'string' } },
  },
  null,
  2,
)
const id = '550e8400-e29b-41d4-a716-446655440000'
const good = {
  'orders.yaml': orders,
  'order.json': schema,
  'examples/one.json': JSON.stringify({ orderId: id }),
}
const errors = (folder: string) =>
  loadContractsSync(folder).findings.filter(({ severity }) => severity === 'error')

describe('loading', () => {
  it('gives the model with defaults filled in', async () => {
    const folder = folderWith(good)
    const { contracts, findings } = await loadContracts(folder)
    expect(findings).toEqual([])
    expect(contracts).toMatchObject([
      {
        id: 'shop.orders',
        status: 'active',
        envelope: 'treaty',
        pattern: { style: 'pub-sub', timing: 'async', initiative: 'push' },
        channels: { orders: { ordering: 'per-key', bindings: {} } },
        evolution: { policy: 'evolvable', mode: 'full-transitive', upcast: [] },
        events: { 'order.placed': { examples: [{ value: { orderId: id } }] } },
        consumers: {
          billing: {
            kind: 'service',
            start: 'earliest',
            pending: false,
            retry: { attempts: 5, baseMs: 1000, factor: 2, capMs: 300_000, jitter: 'full' },
            deadLetter: {
              address: 'shop.orders.billing.dlq',
              retentionMs: 2_592_000_000,
              onDead: 'next',
              onExpired: 'dead-letter',
            },
          },
        },
      },
    ])
    expect(contracts[0]?.channels.orders?.retentionMs).toBeUndefined()
    expect(contracts[0]?.file).toBe(join(folder, 'orders.yaml'))
  })

  it('reads one file, or a folder with everything below it but node_modules and dot folders', () => {
    const folder = folderWith({
      ...good,
      'deep/down/second.yml': orders
        .replaceAll('shop.orders', 'shop.two')
        .replaceAll('order.placed', 'two.placed')
        .replaceAll('./', '../../'),
      'node_modules/x/third.yaml': orders,
      '.git/fourth.yaml': orders,
      'compose.yaml': 'services: { web: { image: nginx } }',
    })
    expect(loadContractsSync(folder).contracts.map((contract) => contract.id)).toEqual([
      'shop.two',
      'shop.orders',
    ])
    expect(loadContractsSync(folder).findings).toEqual([])
    expect(loadContractsSync(join(folder, 'orders.yaml')).contracts).toHaveLength(1)
  })

  it('maps of the model find nothing that JavaScript objects inherit', () => {
    const { contracts } = loadContractsSync(folderWith(good))
    expect(contracts[0]?.events.constructor).toBeUndefined()
    expect(contracts[0]?.consumers.toString).toBeUndefined()
  })

  it('prints paths relative to the working directory when inside it', () => {
    const { contracts } = loadContractsSync('contracts/agent-platform')
    expect(contracts[0]?.file).toBe(join('contracts', 'agent-platform', 'agent-platform.yaml'))
  })
})

describe('a file that is no contract', () => {
  it.each([
    ['the only one', { 'a.yaml': 'services: {}' }, 'CONTRACT_UNMARKED'],
    [
      'one that looks like it',
      { ...good, 'b.yaml': 'id: b\nversion: 1.0.0\nchannels: {}\nevents: {}' },
      'CONTRACT_UNMARKED',
    ],
    ['an empty folder', {}, 'CONTRACT_NOT_FOUND'],
    ['an empty file', { 'a.yaml': '' }, 'CONTRACT_UNMARKED'],
    ['broken YAML with the mark', { 'a.yaml': 'treaty: 1\nid: [' }, 'YAML_SYNTAX'],
    ['broken YAML alone', { 'a.yaml': 'a: [' }, 'YAML_SYNTAX'],
    [
      'bytes that are not UTF-8',
      { 'a.yaml': Buffer.from([0x61, 0x3a, 0x0a, 0x20, 0xff, 0xfe]) },
      'FILE_NOT_UTF8',
    ],
  ])('%s is reported', (_what, files, code) => {
    expect(errors(folderWith(files)).map((finding) => finding.code)).toEqual([code])
  })

  it('beside a good one is a warning when it cannot be read, and silent when it is about something else', () => {
    const folder = folderWith({
      ...good,
      'chart.yaml': '{{ if }}\n- a: [',
      'values.yaml': 'replicas: 2',
    })
    const { contracts, findings } = loadContractsSync(folder)
    expect(contracts).toHaveLength(1)
    expect(findings).toMatchObject([{ severity: 'warning', file: join(folder, 'chart.yaml') }])
  })

  it('a path that is not there', () => {
    expect(errors(join(root, 'nope'))).toMatchObject([{ code: 'FILE_NOT_FOUND' }])
  })

  it('says where the bytes stop being UTF-8', () => {
    const folder = folderWith({
      'a.yaml': Buffer.concat([Buffer.from('a: 1\nb: ä�'), Buffer.from([0xc3, 0x28])]),
    })
    expect(errors(folder)).toMatchObject([{ code: 'FILE_NOT_UTF8', line: 2, column: 6 }])
  })

  it('100 MB are refused unread', () => {
    const folder = folderWith(good)
    truncateSync(join(folder, 'orders.yaml'), 100_000_000)
    const before = process.memoryUsage().rss
    expect(errors(folder)).toMatchObject([
      { code: 'FILE_TOO_LARGE', file: join(folder, 'orders.yaml') },
    ])
    expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000)
  })
})

describe('what is wrong is shown in the reader’s own lines', () => {
  it('with the caret below, and all of it', () => {
    const text = orders
      .replace('purpose: Tells', 'purpos: Tells')
      .replace('accepts: ^1.0.0', 'accepts: latest')
    const folder = folderWith({ ...good, 'orders.yaml': text })
    const file = join(folder, 'orders.yaml')
    expect(errors(folder)).toMatchObject([
      {
        code: 'CONTRACT_KEY_UNKNOWN',
        file,
        line: 4,
        column: 1,
        hint: 'did you mean `purpose`?',
        frame: [
          '  3 | version: 1.0.0',
          '> 4 | purpos: Tells every service that an order was placed.',
          '    | ^^^^^^',
          '  5 | owner: { team: orders }',
        ].join('\n'),
      },
      { code: 'VERSION_INVALID', file, line: 18, column: 14, consumer: 'billing' },
    ])
  })

  it('inside an example, at the value that breaks the schema', () => {
    const folder = folderWith({
      ...good,
      'examples/two.json': '{\n  "orderId": "no-uuid",\n  "extra": 1\n}',
    })
    const file = join(folder, 'examples', 'two.json')
    expect(errors(folder)).toMatchObject([
      {
        code: 'EXAMPLE_INVALID',
        file,
        line: 2,
        column: 14,
        pointer: '/orderId',
        event: 'order.placed',
      },
      { code: 'EXAMPLE_INVALID', file, line: 3, pointer: '/extra' },
    ])
  })

  it('inside a schema file', () => {
    const folder = folderWith({ ...good, 'order.json': schema.replace('"object"', '"objekt"') })
    expect(errors(folder)).toMatchObject([
      {
        code: 'SCHEMA_INVALID',
        file: join(folder, 'order.json'),
        line: 2,
        column: 11,
        pointer: '/type',
      },
    ])
  })

  it('inside a schema that stands in the contract', () => {
    const text = orders.replace(
      './order.json',
      '{ type: object, properties: { orderId: { type: strin } }, required: [orderId] }',
    )
    expect(errors(folderWith({ ...good, 'orders.yaml': text }))).toMatchObject([
      { code: 'SCHEMA_INVALID', line: 13, column: 60 },
    ])
  })

  it('for each contract that uses a broken file, though the file is reported once', () => {
    const second = orders
      .replaceAll('shop.orders', 'shop.two')
      .replaceAll('order.placed', 'two.placed')
    const folder = folderWith({ ...good, 'order.json': '{"type": 7}', 'two.yaml': second })
    expect(errors(folder).map(({ code, file }) => [code, file])).toEqual([
      ['SCHEMA_INVALID', join(folder, 'order.json')],
      ['SCHEMA_INVALID', join(folder, 'two.yaml')],
    ])
    expect(loadContractsSync(folder).contracts).toEqual([])
  })

  it('with examples in places and as YAML too', () => {
    const text = orders.replace(
      './examples/*.json',
      '[{ orderId: no-uuid }, ./examples/three.yaml]',
    )
    const folder = folderWith({
      ...good,
      'orders.yaml': text,
      'examples/three.yaml': `orderId: ${id}\nnote: 7\n`,
    })
    expect(errors(folder)).toMatchObject([
      { code: 'EXAMPLE_INVALID', file: join(folder, 'examples', 'three.yaml'), line: 2, column: 7 },
      {
        code: 'EXAMPLE_INVALID',
        file: join(folder, 'orders.yaml'),
        line: 14,
        column: 27,
        pointer: '/events/order.placed/examples/0/orderId',
      },
    ])
  })

  it.each([
    ['a pattern that matches nothing', 'examples: ./examples/*.json', 'examples: ./nope/*.json'],
    ['a file that is not there', 'examples: ./examples/*.json', 'examples: ./nope.json'],
  ])('for %s', (_what, from, to) => {
    const folder = folderWith({ ...good, 'orders.yaml': orders.replace(from, to) })
    expect(errors(folder)).toMatchObject([{ code: 'EXAMPLE_NOT_FOUND', line: 14 }])
  })

  it('when an example leads out of the project', () => {
    const text = orders.replace('./examples/*.json', '/etc/hostname')
    const folder = folderWith({ ...good, 'orders.yaml': text })
    expect(errors(folder)).toMatchObject([{ code: 'REF_OUTSIDE', line: 14 }])
  })
})

describe('several contracts', () => {
  it('of the same id and version are reported', () => {
    expect(errors(folderWith({ ...good, 'a.yaml': orders }))).toMatchObject([
      { code: 'CONTRACT_DUPLICATE', line: 3, message: expect.stringContaining('a.yaml') },
    ])
  })

  it('with one address, dead letter address or event name are reported', () => {
    const other = orders.replace('id: shop.orders', 'id: shop.other')
    const { findings } = loadContractsSync(folderWith({ ...good, 'other.yaml': other }))
    expect(findings.map(({ code, severity, line }) => [code, severity, line])).toEqual([
      ['ADDRESS_SHARED', 'error', 8],
      ['EVENT_AMBIGUOUS', 'warning', 10],
      ['DEAD_LETTER_COLLISION', 'error', 21],
    ])
  })

  it('two versions of one contract are fine', () => {
    const newer = orders.replace('version: 1.0.0', 'version: 1.1.0')
    expect(errors(folderWith({ ...good, 'v1.1.yaml': newer }))).toEqual([])
  })

  it('may share an address that both declare shared', () => {
    const shared = orders.replace('key: orderId }', 'key: orderId, shared: true }')
    const other = shared
      .replace('id: shop.orders', 'id: shop.other')
      .replaceAll('order.placed', 'other.placed')
      .replace('deadLetter: {}', 'deadLetter: { address: other.dlq }')
    expect(errors(folderWith({ ...good, 'orders.yaml': shared, 'other.yaml': other }))).toEqual([])
  })
})

describe('the catalogue', () => {
  it('has every code that this room reports', () => {
    const folder = import.meta.dirname
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.endsWith('.ts') && !/\.test/.test(name),
    )
    const used = files.flatMap((name) =>
      [
        ...readFileSync(join(folder, name), 'utf8').matchAll(
          /(?:code: |add\(\s*|problem\(|refused\(path, )'([A-Z][A-Z0-9]*_[A-Z0-9_]+)'/g,
        ),
      ].map(([, code]) => code),
    )
    expect(used.length).toBeGreaterThan(50)
    expect(used.filter((code) => !Object.hasOwn(errorCatalog, code ?? ''))).toEqual([])
  })
})

describe('examples that cannot be what is sent', () => {
  it('an ellipsis in an example is a finding, although its schema takes any text', async () => {
    const folder = folderWith({
      'orders.yaml': orders,
      'order.json': '{"type":"object","properties":{"orderId":{"type":"string"},"list":{}}}',
      'examples/a.json': '{\n  "orderId": "...",\n  "list": ["TBD", "", "[new]", "to be"]\n}',
    })

    const { findings, contracts } = await loadContracts(folder)

    expect(contracts).toHaveLength(1)
    expect(
      findings
        .filter(({ code }) => code === 'PLACEHOLDER')
        .map(({ line, pointer }) => [line, pointer]),
    ).toEqual([
      [2, '/orderId'],
      [3, '/list/0'],
    ])
  })

  it('a schema of 40 000 fields is reported with the rest, and not a stack overflow that ends the check', async () => {
    const properties = Object.fromEntries(
      Array.from({ length: 40_000 }, (_, at) => [`p${at}`, { type: 'string', pattern: '^a' }]),
    )
    const folder = folderWith({
      'orders.yaml': orders.replace('purpose: Tells', 'porpose: Tells'),
      'order.json': JSON.stringify({ type: 'object', properties: { ...properties, orderId: {} } }),
      'examples/a.json': '{"orderId": "o-1", "p1": "b"}',
    })

    const { findings } = await loadContracts(folder)

    const codes = findings.map(({ code }) => code)
    expect(codes).toContain('CONTRACT_KEY_UNKNOWN')
    expect(codes.some((code) => code === 'SCHEMA_TOO_LARGE' || code === 'EXAMPLE_INVALID')).toBe(
      true,
    )
  })
})
