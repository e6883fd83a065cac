import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { parseDuration } from '../../core/duration.ts'
import type { Json } from '../../core/json.ts'
import { codeSource, createReport } from '../source/source.ts'
import { metaSchema } from './meta-schema.ts'
import { checkShape } from './shape.ts'

const full = `
treaty: 1
id: shop.orders
version: 2.3.0
status: active
purpose: Tells every service that an order was placed or cancelled.
design: docs/orders-design.md
owner: { team: orders, contact: orders@example.com }
pattern: { style: pub-sub, timing: async, initiative: push }
envelope: treaty
channels:
  orders: { address: shop.orders, key: orderId, ordering: per-key, retention: 14d, bindings: { kafka: { partitions: 12 } } }
events:
  order.placed:
    channel: orders
    purpose: Sent when a checkout has been paid.
    schema: ./order.placed.schema.json
    examples: ./examples/order.placed/*.json
    deprecated: { since: 2.2.0, sunset: 2027-03-31, use: order.closed }
commands:
  payment.capture: { channel: orders, schema: true, reply: {}, errors: { declined: ./declined.json }, timeout: 5s, handler: payments }
evolution:
  policy: evolvable
  mode: full-transitive
  upcast: [{ event: order.placed, from: 1.x, to: 2.x, jsonata: '$' }]
producers:
  order-service: { onInvalid: reject }
  other:
consumers:
  billing:
    kind: agent
    accepts: ^2.1.0
    since: 2.1.0
    events: { order.placed: { needs: [orderId, total.amount], handling: Creates one invoice. } }
    start: earliest
    idempotency: { key: id, window: 30d }
    retry: { attempts: 5, base: 1s, factor: 2, cap: 5m, jitter: full }
    deadLetter: { address: a.dlq, retention: 30d, owner: billing, onDead: next, onExpired: drop }
    sla: { processing: { p99: 30s }, lag: { max: PT2M } }
    pending: true
sla:
  delivery: at-least-once
  latency: { percentile: 99, within: 5s }
  availability: { target: 99.9%, window: 30d }
gate:
  block: [breaking-change, consumer-impact]
  waivers: [{ rule: breaking-change, at: x, reason: r, approvedBy: billing, expires: 2027-01-31 }]
reviews: [{ consumer: billing, by: ada, at: 2026-11-20, digest: 'sha256:${'a'.repeat(64)}' }]
`

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, logger: false })
const byAjv = ajv.compile(metaSchema)

function findings(value: Json) {
  const report = createReport(codeSource)
  checkShape(value, report)
  return report.findings
}

/** Every path of a value. */
function paths(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [path]
  const entries = Object.entries(value as Record<string, unknown>)
  return [path, ...entries.flatMap(([key, item]) => paths(item, [...path, key]))]
}

function change(value: unknown, path: readonly (string | number)[], to: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return to
  const copy = structuredClone(value) as Record<string | number, unknown>
  if (rest.length === 0 && to === undefined) delete copy[step]
  else copy[step] = change(copy[step], rest, to)
  return copy
}

describe('the meta-schema', () => {
  it('is what is published for editors', () => {
    const published = readFileSync(
      new URL('../../../contracts/treaty.schema.json', import.meta.url),
      'utf8',
    )
    expect(JSON.parse(published)).toEqual(JSON.parse(JSON.stringify(metaSchema)))
  })

  it('takes the whole format', () => {
    expect(findings(parse(full))).toEqual([])
    expect(byAjv(parse(full))).toBe(true)
  })

  it('says the same to editors (Ajv) and to the loader, whatever is changed in a contract', () => {
    const good = parse(full) as Json
    const places = paths(good).filter((path) => path.length > 0)
    const other = fc.oneof(
      fc.constantFrom(
        undefined,
        null,
        true,
        0,
        -1,
        1.5,
        101,
        '',
        'x',
        '5s',
        '1.0.0',
        '99%',
        '2027-02-30',
      ),
      fc.constantFrom([], {}, ['a'], { zzz: 1 }, 'per-key', 'exactly-once', '[...]', 'a b', '.a'),
    )
    fc.assert(
      fc.property(fc.constantFrom(...places), other, (path, to) => {
        const changed = change(good, path, to) as Json
        // `undefined` inside a list is no JSON.
        fc.pre(to !== undefined || typeof path.at(-1) === 'string')
        expect([path, to, findings(changed).length === 0]).toEqual([path, to, byAjv(changed)])
      }),
      { numRuns: 3000 },
    )
  })

  it('takes exactly the durations that can be read', () => {
    const pattern = new RegExp(metaSchema.$defs.duration?.pattern ?? '')
    const part = fc.constantFrom(
      '5',
      '1.5',
      's',
      'ms',
      'm',
      'min',
      'h',
      'd',
      'w',
      'P',
      'T',
      'D',
      'S',
      'M',
      'H',
      'W',
      '.',
      '-',
      ' ',
      'Y',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const text = parts.join('')
        expect([text, pattern.test(text)]).toEqual([text, parseDuration(text) !== undefined])
      }),
      { numRuns: 5000, examples: [[['P', '5', 'D', 'T', '5', 'S']], [['P']], [['P', 'T']]] },
    )
  })
})

describe('messages about the shape', () => {
  const message = (value: Json) => findings(value)[0]
  const good = parse(full) as Record<string, Json>

  it.each([
    ['an unknown key', { ...good, purpos: 'x' }, 'CONTRACT_KEY_UNKNOWN', 'unknown key `purpos`'],
    [
      'a number as version',
      { ...good, version: 1 },
      'CONTRACT_TYPE_WRONG',
      '`version` is `1`, expected a semantic version',
    ],
    [
      'a choice',
      { ...good, status: 'aktive' },
      'CONTRACT_VALUE_WRONG',
      '`status` is `aktive`, expected one of `draft`, `active`, `deprecated`',
    ],
    ['nothing', { ...good, id: null }, 'CONTRACT_TYPE_WRONG', '`id` is nothing, expected a name'],
    [
      'a forbidden name',
      { ...good, consumers: JSON.parse('{"constructor": {}}') as Json },
      'KEY_FORBIDDEN',
      'the name `constructor` is not allowed',
    ],
    [
      'a gate rule',
      { ...good, gate: { block: ['breaking-changes'] } },
      'GATE_RULE_UNKNOWN',
      '`gate.block.0` is `breaking-changes`',
    ],
    [
      'a broker',
      change(good, ['channels', 'orders', 'bindings'], { kafak: {} }) as Json,
      'CONTRACT_VALUE_WRONG',
      '`kafak` is no name for `channels.orders.bindings`, expected a broker',
    ],
  ])('%s', (_what, value, code, text) => {
    expect(message(value as Json)?.code).toBe(code)
    expect(message(value as Json)?.message).toContain(text)
  })

  it('suggests the nearest key, and does not also miss it', () => {
    const { purpose, ...rest } = good
    expect(findings({ ...rest, purpos: purpose as Json })).toMatchObject([
      { code: 'CONTRACT_KEY_UNKNOWN', hint: 'did you mean `purpose`?', pointer: '/purpos' },
    ])
  })

  it('asks to quote a number where a text is wanted', () => {
    expect(message({ ...good, version: 1 })?.hint).toBe('Quote it: `"1"`.')
  })

  it('explains that exactly-once does not exist', () => {
    expect(message({ ...good, sla: { delivery: 'exactly-once' } })).toMatchObject({
      code: 'DELIVERY_IMPOSSIBLE',
      pointer: '/sla/delivery',
      hint: expect.stringContaining('effect-once'),
    })
  })
})
