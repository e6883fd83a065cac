import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contractDigest } from '../evolve/digest.ts'
import { readContractText } from '../loader.ts'

const text = `treaty: 1
id: shop.orders
version: 1.4.0
purpose: Tells every service that an order was placed.
owner: { team: orders, contact: orders@example.com }
design: https://example.com/orders
channels:
  orders: { address: shop.orders, key: orderId, ordering: per-key, bindings: { kafka: {}, nats: {}, rabbitmq: {} } }
  payments: { address: shop.payments }
events:
  order.placed:
    channel: orders
    purpose: Sent when a checkout has been paid.
    schema:
      type: object
      required: [orderId, total]
      properties:
        orderId: { type: string }
        total: { $ref: '#/$defs/money' }
        note: { type: string }
      allOf: [{ properties: { coupon: { type: string } } }]
      $defs: { money: { type: object, properties: { amount: { type: integer } } } }
    examples: [{ orderId: o-1, total: { amount: 1 } }]
    deprecated: { since: 1.2.0, sunset: 2027-03-31, use: order.closed }
  order.closed:
    channel: orders
    purpose: Sent when an order is done with.
    schema: { type: object, required: [orderId], properties: { orderId: { type: integer } } }
    examples: [{ orderId: 7 }]
commands:
  payment.capture: { channel: payments, purpose: Takes the money., schema: { type: object }, reply: { type: object }, handler: payments, examples: [{}] }
evolution: { upcast: [{ event: order.placed, from: 1.x, to: '>=2 <3', jsonata: '$' }] }
producers:
  order-service: { events: [order.placed, payment.capture] }
consumers:
  billing:
    accepts: ^1.0.0
    since: 1.3.0
    events: { order.placed: { needs: [orderId, total.amount, coupon], handling: Creates one invoice. } }
    idempotency: { key: id, window: 30d }
    retry: { attempts: 3, base: 1s, factor: 2, cap: 5m, jitter: none }
    deadLetter: { address: shop.orders.billing.dlq, retention: 30d, owner: billing }
  audit:
    accepts: '>=1 <3'
    events: { order.closed: { needs: [], handling: Keeps a copy. } }
    idempotency: { key: data.orderId, window: 30d }
    retry: { attempts: 1 }
    deadLetter: { retention: 1d }
sla: { delivery: at-least-once, latency: { percentile: 99, within: 5s } }
gate: { waivers: [{ rule: breaking-change, reason: Nobody reads it., approvedBy: billing, expires: 2027-01-31 }] }
reviews: [{ consumer: billing, by: ada, at: 2026-11-20, digest: 'DIGEST' }]
`
const good = withDigest(text)

/** The text with the review's digest made the right one. */
function withDigest(source: string): string {
  const { contract } = readContractText(source.replace('DIGEST', `sha256:${'0'.repeat(64)}`))
  return source.replace('DIGEST', contract ? contractDigest(contract) : '')
}

const check = (text: string) => readContractText(text).findings

/** The line that a replacement changed, counted from 1. */
function changedLine(text: string): number {
  const lines = good.split('\n')
  return text.split('\n').findIndex((line, at) => line !== lines[at]) + 1
}

describe('a good contract', () => {
  it('has no findings at all', () => {
    expect(check(good)).toEqual([])
  })
})

describe('each rule is broken by one change, reported at its line', () => {
  const rows: readonly (readonly [
    what: string,
    from: string,
    to: string,
    code: string,
    hint?: string,
  ])[] = [
    [
      'an empty purpose',
      'purpose: Tells every service that an order was placed.',
      "purpose: ''",
      'PLACEHOLDER',
    ],
    ['an ellipsis', 'Sent when a checkout has been paid.', '...', 'PLACEHOLDER'],
    [
      'a bracketed prompt',
      'Sent when a checkout has been paid.',
      "'[What triggers this event and why]'",
      'PLACEHOLDER',
    ],
    ['TBD', 'Takes the money.', 'TBD', 'PLACEHOLDER'],
    ['a TODO inside', 'Creates one invoice.', "'Creates TODO'", 'PLACEHOLDER'],
    ['an angle bracket', 'Keeps a copy.', "'<how it handles it>'", 'PLACEHOLDER'],
    [
      'an unknown channel',
      'channel: payments,',
      'channel: payment,',
      'CHANNEL_UNKNOWN',
      'did you mean `payments`?',
    ],
    [
      'a key that no event has',
      'key: orderId',
      'key: ordrId',
      'KEY_NOT_IN_SCHEMA',
      'did you mean `orderId`?',
    ],
    ['a key that one event lacks', 'key: orderId', 'key: note', 'KEY_NOT_IN_SCHEMA'],
    ['a key that is an object', 'key: orderId', 'key: total', 'KEY_NOT_IN_SCHEMA'],
    ['order per key without a key', 'key: orderId, ', '', 'KEY_MISSING'],
    [
      'a need that is not there',
      'total.amount',
      'total.amonut',
      'NEEDS_NOT_IN_SCHEMA',
      'did you mean `total.amount`?',
    ],
    ['a need below a scalar', 'total.amount', 'orderId.length', 'NEEDS_NOT_IN_SCHEMA'],
    [
      'dead letters into a channel',
      'shop.orders.billing.dlq',
      'shop.payments',
      'DEAD_LETTER_COLLISION',
      'Write `shop.payments.billing.dlq`.',
    ],
    [
      'dead letters into the default of another',
      'shop.orders.billing.dlq',
      'shop.orders.audit.dlq',
      'DEAD_LETTER_COLLISION',
    ],
    ['a cap below the base', 'cap: 5m', 'cap: 500ms', 'RETRY_IMPOSSIBLE'],
    ['a base above the cap', 'base: 1s', 'base: 10m', 'RETRY_IMPOSSIBLE'],
    ['no attempts', 'attempts: 3', 'attempts: 0', 'RETRY_IMPOSSIBLE'],
    ['a factor below one', 'factor: 2', 'factor: 0.5', 'RETRY_IMPOSSIBLE'],
    [
      'a window that is too short',
      'window: 30d }\n    retry: { attempts: 3',
      'window: 29d }\n    retry: { attempts: 3',
      'WINDOW_TOO_SHORT',
      'Write `window: 30d` or more.',
    ],
    [
      'an idempotency key that is a field of the data',
      'key: id,',
      'key: orderId,',
      'KEY_NOT_IN_SCHEMA',
      'Write `data.orderId`.',
    ],
    [
      'an idempotency key that is not there',
      'key: data.orderId',
      'key: data.ordId',
      'KEY_NOT_IN_SCHEMA',
      'did you mean `orderId`?',
    ],
    [
      'synchronous pub-sub',
      'design: https://example.com/orders',
      'design: https://example.com/orders\npattern: { style: pub-sub, timing: sync }',
      'PATTERN_IMPOSSIBLE',
    ],
    [
      'a pulled fire-and-forget',
      'design: https://example.com/orders',
      'design: https://example.com/orders\npattern: { style: fire-and-forget, initiative: pull }',
      'PATTERN_IMPOSSIBLE',
    ],
    ['exactly-once', 'delivery: at-least-once', 'delivery: exactly_once', 'DELIVERY_IMPOSSIBLE'],
    [
      'effect-once by no mechanism',
      'delivery: at-least-once',
      'delivery: effect-once',
      'MECHANISM_MISSING',
    ],
    [
      'two channels on one address',
      'address: shop.payments',
      'address: shop.orders',
      'ADDRESS_SHARED',
    ],
    [
      'an address that Kafka refuses',
      'address: shop.orders,',
      'address: shop orders,',
      'ADDRESS_ILLEGAL',
    ],
    [
      'an address that NATS refuses',
      'address: shop.orders,',
      'address: shop..orders,',
      'ADDRESS_ILLEGAL',
    ],
    [
      'an address that RabbitMQ refuses',
      'address: shop.orders,',
      'address: amq.orders,',
      'ADDRESS_ILLEGAL',
    ],
    [
      'an address that is too long',
      'address: shop.orders,',
      `address: ${'x'.repeat(250)},`,
      'ADDRESS_ILLEGAL',
    ],
    ['an invalid example', 'orderId: o-1,', 'orderId: 7,', 'EXAMPLE_INVALID'],
    [
      'an example with an undeclared field',
      'orderId: 7 }]',
      'orderId: 7, extra: 1 }]',
      'EXAMPLE_INVALID',
    ],
    ['a day that does not exist', 'sunset: 2027-03-31', 'sunset: 2027-02-30', 'DATE_INVALID'],
    ['a date in another form', 'sunset: 2027-03-31', 'sunset: 31.3.2027', 'CONTRACT_VALUE_WRONG'],
    ['a range that is none', 'accepts: ^1.0.0', 'accepts: newest', 'VERSION_INVALID'],
    ['an upcast range that is none', 'from: 1.x', 'from: old', 'VERSION_INVALID'],
    ['a contract version that is none', 'version: 1.4.0', 'version: 1.4', 'CONTRACT_TYPE_WRONG'],
    ['an unknown gate rule', 'rule: breaking-change', 'rule: breaking', 'GATE_RULE_UNKNOWN'],
    [
      'a consumer of an unknown event',
      'events: { order.closed:',
      'events: { order.close:',
      'EVENT_UNDEFINED',
      'did you mean `order.closed`?',
    ],
    [
      'a producer of an unknown event',
      '[order.placed, payment.capture]',
      '[order.placed, payment.captured]',
      'EVENT_UNDEFINED',
    ],
    [
      'an upcast of an unknown event',
      'event: order.placed',
      'event: order.plaecd',
      'EVENT_UNDEFINED',
    ],
    [
      'a schema that admits no object',
      'schema: { type: object, required: [orderId], properties: { orderId: { type: integer } } }',
      'schema: { type: string }',
      'SCHEMA_ROOT',
    ],
    [
      'a broken reply schema',
      'reply: { type: object }',
      'reply: { type: objekt }',
      'SCHEMA_INVALID',
    ],
    ['a missing reply file', 'reply: { type: object }', 'reply: ./nope.json', 'SCHEMA_NOT_FOUND'],
    ['a command without handler', ' handler: payments,', '', 'CONTRACT_KEY_MISSING'],
    [
      'a command timeout of nothing',
      'handler: payments',
      'timeout: 0s, handler: payments',
      'CONTRACT_VALUE_WRONG',
    ],
    [
      'a command timeout that is no duration',
      'handler: payments',
      'timeout: soon, handler: payments',
      'CONTRACT_VALUE_WRONG',
    ],
  ]

  for (const [what, from, to, code, hint] of rows) {
    it(what, () => {
      const text = good.replace(from, to)
      expect(text).not.toBe(good)
      const errors = check(text).filter(({ severity }) => severity === 'error')
      const wanted = { code, line: changedLine(text), ...(hint === undefined ? {} : { hint }) }
      expect(errors).toContainEqual(expect.objectContaining(wanted))
    })
  }

  it.each([
    ['no producers', /producers:\n.*\n/, '', 'CONTRACT_KEY_MISSING'],
    [
      'no consumers and no commands',
      /commands:\n.*\n([\s\S]*)consumers:[\s\S]*?\nsla/,
      '$1sla',
      'CONTRACT_KEY_MISSING',
    ],
    [
      'no events and no commands',
      /events:[\s\S]*?\nevolution/,
      'evolution',
      'CONTRACT_KEY_MISSING',
    ],
  ])('%s', (_what, from, to, code) => {
    const errors = check(good.replace(from, to)).filter(({ severity }) => severity === 'error')
    expect(errors.map((finding) => finding.code)).toContain(code)
  })
})

describe('what is worth a second look is a warning', () => {
  it.each([
    [
      'a range that leaves out the version',
      'accepts: ^1.0.0',
      'accepts: ^2.0.0',
      'RANGE_EXCLUDES_VERSION',
    ],
    [
      'a consumer written against a later version',
      'since: 1.3.0',
      'since: 1.5.0',
      'VERSION_INVALID',
    ],
    ['a deprecation in a later version', 'since: 1.2.0', 'since: 2.0.0', 'VERSION_INVALID'],
    ['a replacement that is not there', 'use: order.closed', 'use: order.done', 'EVENT_UNDEFINED'],
    ['a producer that consumes', '  order-service: {', '  billing: {', 'PRODUCER_CONSUMES'],
    [
      'a design that is not there',
      'design: https://example.com/orders',
      'design: docs/nope.md',
      'DESIGN_UNRESOLVED',
    ],
    [
      'a consumer that says nothing of its handling',
      ', handling: Keeps a copy.',
      '',
      'HANDLING_MISSING',
    ],
    [
      'a key that may be absent',
      'required: [orderId], properties: { orderId: { type: integer } }',
      'properties: { orderId: { type: integer } }',
      'KEY_OPTIONAL',
    ],
    [
      'a required field that is not declared',
      'required: [orderId, total]',
      'required: [orderId, total, totl]',
      'REQUIRED_UNDECLARED',
    ],
    [
      'blocking without order',
      'deadLetter: { address: shop.orders.billing.dlq,',
      'deadLetter: { onDead: block, address: shop.orders.billing.dlq,',
      'ORDER_CONTRADICTED',
    ],
    [
      'retrying what is sent once',
      'delivery: at-least-once',
      'delivery: at-most-once',
      'RETRY_IMPOSSIBLE',
    ],
    [
      'a review by a stranger',
      'consumer: billing, by',
      'consumer: biling, by',
      'CONTRACT_VALUE_WRONG',
    ],
  ])('%s', (what, from, to, code) => {
    let text = good.replace(from, to)
    if (what === 'blocking without order')
      text = text.replace('key: orderId, ordering: per-key', 'ordering: none')
    if (what === 'a required field that is not declared')
      text = text.replace(/ {4}examples: \[\{ orderId: o-1.*\n/, '')
    const found = check(text)
    expect(found.filter(({ severity }) => severity === 'error')).toEqual([])
    expect(found.map((finding) => finding.code)).toContain(code)
  })

  it('a review of other content', () => {
    const found = check(good.replace('Creates one invoice.', 'Creates two invoices.'))
    expect(found).toMatchObject([
      { code: 'REVIEW_VOID', severity: 'warning', hint: expect.stringContaining('sha256:') },
    ])
  })

  it('no owner and no design', () => {
    const text = good.replace(/owner: \{ team.*\n/, '').replace(/design: .*\n/, '')
    const codes = check(text).map(({ code }) => code)
    expect(codes).toEqual(['OWNER_MISSING', 'DESIGN_UNRESOLVED', 'REVIEW_VOID'])
  })

  it('a draft may still lack producers and consumers', () => {
    const text = good
      .replace('purpose: Tells', 'status: draft\npurpose: Tells')
      .replace(/producers:\n.*\n/, '')
    expect(check(text)).toMatchObject([
      { code: 'CONTRACT_KEY_MISSING', severity: 'warning' },
      { code: 'REVIEW_VOID', severity: 'warning' },
    ])
  })
})

describe('several mistakes', () => {
  it('are all reported, in the order of their lines', () => {
    const text = good
      .replace('Takes the money.', 'TBD')
      .replace('accepts: ^1.0.0', 'accepts: newest')
      .replace('cap: 5m', 'cap: 500ms')
      .replace(
        'channel: orders\n    purpose: Sent when an',
        'channel: order\n    purpose: Sent when an',
      )
    const found = check(text).filter(({ severity }) => severity === 'error')
    expect(found.map(({ code }) => code)).toEqual([
      'CHANNEL_UNKNOWN',
      'PLACEHOLDER',
      'VERSION_INVALID',
      'RETRY_IMPOSSIBLE',
    ])
    expect(found.map(({ line }) => line)).toEqual(
      [...found.map(({ line }) => line)].sort((a, b) => Number(a) - Number(b)),
    )
    for (const finding of found) expect(finding.frame).toContain('^')
  })
})

describe('whatever is done to the text', () => {
  const bits = [
    '{',
    '}',
    '[',
    ']',
    ':',
    '\n',
    ' ',
    '- ',
    '"',
    '&a ',
    '*a',
    '<<: ',
    '#',
    '!!str ',
    'null',
    '1',
    '__proto__',
    'toString',
    '$ref: "#"',
    '|',
    '%',
    '\t',
    '\u0000',
    '.nan',
    '~',
  ]
  const edit = fc.record({
    at: fc.nat(good.length),
    drop: fc.nat(12),
    put: fc.constantFrom(...bits),
  })

  it('reading never throws, and what is refused has a code, a message and a place', () => {
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let text = good
        for (const { at, drop, put } of edits)
          text = text.slice(0, at) + put + text.slice(at + drop)
        const { contract, findings } = readContractText(text)
        const errors = findings.filter(({ severity }) => severity === 'error')
        expect(contract !== undefined || errors.length > 0).toBe(true)
        for (const finding of errors) {
          expect(finding).toMatchObject({
            code: expect.any(String),
            message: expect.any(String),
            line: expect.any(Number),
            frame: expect.stringContaining('^'),
          })
        }
      }),
      { numRuns: 400 },
    )
  })

  it('a review that is no map breaks nothing: seen as a crash of the date check', () => {
    const codes = check(good.replace(/reviews: .*/, 'reviews: [1]')).map(({ code }) => code)
    expect(codes).toEqual(['CONTRACT_TYPE_WRONG'])
  })
})
