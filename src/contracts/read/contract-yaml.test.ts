import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defineContract } from '../define.ts'
import { loadContractsSync, readContractText } from '../loader.ts'
import type { Contract, JsonSchema } from '../model.ts'
import { parseRenderedContract, renderContract } from '../write/render-markdown.ts'
import { contractToSource, contractToYaml } from './contract-yaml.ts'

/** A contract without the names of files, which a rendering does not carry. */
function withoutFiles(contract: Contract | undefined): unknown {
  const drop = (key: string, value: unknown) =>
    key === 'file' || key === 'schemaFile' ? undefined : value
  return JSON.parse(JSON.stringify(contract ?? null, drop))
}

const name = fc
  .stringMatching(/^[a-z][a-z0-9.-]{0,8}$/)
  .filter((text) => !['constructor', 'prototype'].includes(text))
const names = (count: number) => fc.uniqueArray(name, { minLength: 1, maxLength: count })
const sentence = fc.stringMatching(/^[A-Z][a-z|*`<>"'#: -]{3,40}z$/)
const durationMs = fc.oneof(
  fc.integer({ min: 1, max: 5000 }),
  fc.integer({ min: 1, max: 400 }).map((days) => days * 86_400_000),
)
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const schema: fc.Arbitrary<JsonSchema> = fc.constantFrom<JsonSchema>(
  { type: 'object', required: ['k'], properties: { k: { type: 'string' }, n: { $ref: '#' } } },
  {
    type: 'object',
    properties: { k: { $ref: '#/$defs/a' } },
    $defs: { a: { enum: ['1.0', '', 'yes', '~', '2020-01-01'] } },
  },
  {
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'object',
    properties: { k: { $ref: '#/definitions/b~1c' } },
    definitions: { 'b/c': { type: 'string', pattern: '^\\d+$' } },
  },
  { type: 'object', properties: { constructor: { type: 'string' }, k: { const: null } } },
)

const present = <T extends object>(record: T) =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined))
const table = <T>(keys: readonly string[], make: (key: string) => T) =>
  Object.fromEntries(keys.map((key) => [key, make(key)]))

const anyContract = fc
  .record({
    channels: names(3),
    events: names(3),
    commands: fc.uniqueArray(name, { maxLength: 2 }),
    consumers: names(3),
    producers: names(2),
    text: sentence,
    schema,
    ms: fc.tuple(durationMs, durationMs, durationMs),
    retentionMs: optional(durationMs),
    kind: fc.constantFrom('service', 'agent'),
    flag: fc.boolean(),
    envelope: fc.constantFrom(
      'treaty',
      'integration',
      'cloudevents-structured',
      'cloudevents-binary',
      'none',
    ),
    delivery: optional(fc.constantFrom('at-least-once', 'at-most-once', 'effect-once')),
    needsSchema: optional(schema),
    sla: optional(fc.constant({ processing: { p99Ms: 30_000, p50Ms: 10 }, lag: { maxMs: 1000 } })),
    target: fc.constantFrom(99.9, 99.99, 50, 100),
    examples: fc.array(
      fc.constantFrom({ k: '1.0' }, { k: '' }, {}, { '<<': { a: 1 } }, { k: 'a: b #c\n```\nd' }),
      { maxLength: 2 },
    ),
  })
  .map((given) => {
    const [channel = ''] = given.channels
    const [ms1, ms2, ms3] = given.ms
    const examples = given.examples.map((value) => ({ value }))
    const deprecated = given.flag
      ? { since: '1.0.0', sunset: '2030-01-31', use: given.events[0] }
      : undefined
    const message = (key: string) => ({
      name: key,
      channel,
      purpose: given.text,
      schema: given.schema,
      examples,
    })
    return {
      id: 'any.contract',
      version: '1.2.3',
      status: given.flag ? 'draft' : 'deprecated',
      purpose: given.text,
      ...(given.flag
        ? { design: 'https://example.com/d', owner: { team: 't', contact: given.text } }
        : {}),
      pattern: {
        style: 'request-reply',
        timing: given.flag ? 'sync' : 'async',
        initiative: 'pull',
      },
      envelope: given.envelope,
      channels: table(given.channels, (key) =>
        present({
          name: key,
          address: `at.${key}`,
          key: given.flag ? 'k' : undefined,
          ordering: given.flag ? 'per-key' : 'per-channel',
          retentionMs: given.retentionMs,
          shared: given.flag ? true : undefined,
          bindings: given.flag ? { kafka: { partitions: 3 } } : {},
        }),
      ),
      events: table(given.events, (key) => present({ ...message(key), deprecated })),
      commands: table(given.commands, (key) =>
        present({
          ...message(key),
          reply: given.flag ? given.schema : undefined,
          errors: given.flag ? { bad: given.schema } : {},
          timeoutMs: ms1 + 1,
          handler: 'h',
        }),
      ),
      evolution: {
        policy: 'strict',
        mode: 'backward',
        upcast: given.flag
          ? [{ event: given.events[0], from: '1.x', to: '2.x', jsonata: '$merge([$, {"a": 1}])' }]
          : [],
      },
      producers: table(given.producers, (key) =>
        present({
          name: key,
          onInvalid: 'dead-letter',
          events: given.flag ? given.events : undefined,
        }),
      ),
      consumers: table(given.consumers, (key) =>
        present({
          name: key,
          kind: given.kind,
          accepts: '>=1 <3',
          since: given.flag ? '1.0.0' : undefined,
          events: table(given.events, () =>
            present({
              needs: given.needsSchema === undefined ? ['k'] : [],
              needsSchema: given.needsSchema,
              handling: given.text,
            }),
          ),
          start: given.flag ? 'latest' : 'earliest',
          idempotency: given.flag ? { key: 'data.k', windowMs: ms2 } : undefined,
          retry: { attempts: 3, baseMs: ms1, factor: 1.5, capMs: ms1 + ms2, jitter: 'none' },
          deadLetter: present({
            address: `dead.${key}`,
            retentionMs: ms3,
            owner: given.flag ? 'me' : undefined,
            onDead: 'block',
            onExpired: 'drop',
          }),
          sla: given.sla,
          pending: given.flag,
        }),
      ),
      sla: present({
        delivery: given.delivery,
        mechanism: given.flag ? 'inbox' : undefined,
        latency: given.flag ? { percentile: 99.9, withinMs: ms1 } : undefined,
        availability: { target: given.target, windowMs: ms3 },
      }),
      gate: {
        block: given.flag ? [] : ['breaking-change'],
        waivers: given.flag
          ? [
              {
                rule: 'breaking-change',
                reason: given.text,
                approvedBy: 'x',
                expires: '2030-01-01',
              },
            ]
          : [],
      },
      reviews: given.flag
        ? [
            {
              consumer: given.consumers[0],
              by: 'ada',
              at: '2026-01-01',
              digest: `sha256:${'0'.repeat(64)}`,
            },
          ]
        : [],
    } as unknown as Contract
  })

describe('a contract written out and read again is the same contract', () => {
  it('as YAML', () => {
    fc.assert(
      fc.property(anyContract, (contract) => {
        const { contract: again, findings } = readContractText(contractToYaml(contract))
        expect(findings.filter(({ code }) => !isAboutContent(code))).toEqual([])
        expect(withoutFiles(again)).toEqual(withoutFiles(contract))
      }),
    )
  })

  it('as Markdown, whatever its texts contain', () => {
    fc.assert(
      fc.property(anyContract, (contract) => {
        expect(withoutFiles(parseRenderedContract(renderContract(contract)).contract)).toEqual(
          withoutFiles(contract),
        )
      }),
    )
  })

  it('for the packs that are shipped', () => {
    const { contracts } = loadContractsSync('contracts/agent-platform')
    expect(contracts.length).toBeGreaterThan(0)
    for (const contract of contracts) {
      expect(withoutFiles(parseRenderedContract(renderContract(contract)).contract)).toEqual(
        withoutFiles(contract),
      )
    }
  })
})

/** Rules about what the contract says; the generated ones break some of them, and are read all the same. */
function isAboutContent(code: string): boolean {
  return !/^(?:YAML|CONTRACT|SCHEMA_INVALID|REF|KEY_FORBIDDEN)/.test(code)
}

describe('the Markdown', () => {
  const contract = readContractText(`treaty: 1
id: shop.orders
version: 1.0.0
purpose: Tells <b>everyone</b> that an order was placed | cancelled.
envelope: integration
channels: { orders: { address: shop.orders } }
events:
  OrderPlaced:
    channel: orders
    purpose: Sent when a checkout has been paid.
    schema: { type: object, properties: { next: { $ref: '#' }, orderId: { type: string } } }
    examples: [{ orderId: o-1 }]
commands: { pay: { channel: orders, schema: { type: object }, reply: { type: object }, errors: { declined: { type: object } }, handler: payments } }
producers: { order-service: {} }
consumers: { billing: { accepts: ^1, events: { OrderPlaced: { needs: [orderId], handling: Creates one invoice. } } } }
`).contract as Contract
  const markdown = renderContract(contract)

  it('has the seven sections of seed 000, in order', () => {
    const headings = [...markdown.matchAll(/^## (.+)$/gm)].map(([, title]) => title)
    expect(headings).toEqual([
      'Overview',
      'Event/Message Definitions',
      'Versioning Strategy',
      'Consumer Contracts',
      'Error Handling',
      'SLAs',
      'Quality Gate',
      'Machine-readable form',
    ])
  })

  it('has purpose, topic, schema and example for each event', () => {
    const section = markdown.slice(
      markdown.indexOf('### `OrderPlaced`'),
      markdown.indexOf('### `pay`'),
    )
    const parts = [
      '**Purpose:** Sent when',
      '**Topic/Queue:** `shop.orders`',
      '**Schema:**',
      '**Example:**',
    ]
    expect(parts.map((part) => section.includes(part))).toEqual([true, true, true, true])
  })

  it('shows the whole envelope of seed 000, with an example that satisfies it', async () => {
    const { compileSchema } = await import('../schema/validator.ts')
    const section = markdown.slice(markdown.indexOf('### `OrderPlaced`'))
    const [schemaText = '', exampleText = ''] = [
      ...section.matchAll(/```json\n([\s\S]*?)\n```/g),
    ].map(([, text]) => text)
    const envelope = JSON.parse(schemaText) as Record<string, unknown>
    expect(envelope.$schema).toBe('http://json-schema.org/draft-07/schema#')
    expect(envelope.required).toEqual(['eventId', 'eventType', 'timestamp', 'version', 'payload'])
    const example = JSON.parse(exampleText) as Record<string, unknown>
    const { check } = compileSchema(envelope as JsonSchema)
    expect(check(example)).toBe(true)
    expect(check({ ...example, eventType: 'Other' })).toBe(false)
    expect(check({ ...example, eventId: '...' })).toBe(false)
    expect(check({ ...example, version: '' })).toBe(false)
    expect(check({ ...example, payload: { next: { orderId: 7 } } })).toBe(false)
  })

  it('escapes what Markdown and HTML would read', () => {
    expect(markdown).toContain(
      'Tells &lt;b>everyone&lt;/b> that an order was placed \\| cancelled.',
    )
  })

  it('text without a contract at its end is a finding', () => {
    expect(parseRenderedContract('# Hello\n')).toMatchObject({
      findings: [{ code: 'CONTRACT_UNMARKED' }],
    })
  })
})

it('keeps the $id of a schema, by which registries find it', () => {
  const contract = defineContract({
    id: 'shop.orders',
    version: '1.0.0',
    purpose: 'Tells every service that an order was placed.',
    channels: { orders: { address: 'shop.orders' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when a checkout has been paid.',
        schema: { $id: 'https://shop.example/order.json', type: 'object' },
      },
    },
    producers: { shop: {} },
    consumers: { billing: { accepts: '^1.0.0', events: { 'order.placed': {} } } },
  } as never)
  const again = defineContract(contractToSource(contract) as never)

  expect(contract.events['order.placed']?.schemaId).toBe('https://shop.example/order.json')
  const { contract: parsed } = parseRenderedContract(renderContract(contract))
  expect(parsed?.events['order.placed']?.schemaId).toBe('https://shop.example/order.json')
  expect(again.events['order.placed']).toEqual(contract.events['order.placed'])
})
