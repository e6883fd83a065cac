import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Json } from '../../core/json.ts'
import { defineContract } from '../define.ts'
import { loadContractsSync } from '../loader.ts'
import type { Contract, JsonSchema } from '../model.ts'
import { compareContracts } from './compare-contracts.ts'

const integer = { type: 'integer' }
const text = { type: 'string' }
const order = (more: object = {}, required: readonly string[] = ['orderId', 'total']) => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties: {
    orderId: { type: 'string', minLength: 1 },
    total: { type: 'object', required: ['amount'], properties: { amount: integer } },
    note: text,
    ...more,
  },
})

interface Parts {
  readonly version?: string
  readonly schema?: object
  readonly examples?: readonly Json[]
  readonly consumers?: object
  readonly commands?: object
  readonly evolution?: object
  readonly more?: object
}

function contract(parts: Parts = {}): Contract {
  const { version = '1.0.0', schema = order(), examples = [], consumers, commands } = parts
  return defineContract({
    id: 'shop.orders',
    version,
    status: 'draft',
    purpose: 'Tells that an order was placed.',
    owner: { team: 'orders' },
    channels: { orders: { address: 'shop.orders' }, asks: { address: 'shop.asks' } },
    events: { 'order.placed': { channel: 'orders', purpose: 'Sent when paid.', schema, examples } },
    ...(commands === undefined ? {} : { commands }),
    producers: { shop: {} },
    consumers: consumers ?? { billing: needing(['orderId', 'total.amount']) },
    evolution: { policy: 'evolvable', mode: 'full-transitive', ...parts.evolution },
    ...parts.more,
  } as never)
}
const needing = (needs: readonly string[] | object, more: object = {}) => ({
  accepts: '^1.0.0',
  since: '1.0.0',
  events: { 'order.placed': { needs, handling: 'Creates one invoice.' } },
  ...more,
})
const errors = (verdict: ReturnType<typeof compareContracts>) =>
  verdict.findings.filter(({ severity }) => severity === 'error')

describe('a change', () => {
  const changes: [string, Parts, string, string][] = [
    ['nothing', {}, 'compatible', 'none'],
    ['a title', { schema: { ...order(), title: 'Order' } }, 'compatible', 'patch'],
    [
      'the same set of messages in other words',
      { schema: order({ note: { type: ['string'] } }) },
      'compatible',
      'patch',
    ],
    ['an optional field', { schema: order({ channel: text }) }, 'compatible', 'minor'],
    [
      'a required field',
      { schema: order({ channel: text }, ['orderId', 'total', 'channel']) },
      'breaking',
      'major',
    ],
    ['a field that is gone', { schema: order({ note: undefined }) }, 'compatible', 'minor'],
    ['another type', { schema: order({ note: integer }) }, 'breaking', 'major'],
    [
      'a purpose',
      { more: { purpose: 'Tells that somebody bought something.' } },
      'compatible',
      'patch',
    ],
  ]
  it.each(changes)('of %s: %s', (_what, parts, verdict, bump) => {
    const found = compareContracts(contract(), contract(parts))

    expect({ verdict: found.verdict, bump: found.bump }).toEqual({ verdict, bump })
  })

  it('asks for the least legal next version', () => {
    const next = (schema: object) => compareContracts(contract(), contract({ schema })).nextVersion

    expect([next(order()), next({ ...order(), title: 'x' })]).toEqual(['1.0.0', '1.0.1'])
    expect(next(order({ channel: text }))).toBe('1.1.0')
    expect(next(order({ note: integer }))).toBe('2.0.0')
  })

  it('that asks for more than was raised is a warning, and none once it was', () => {
    const codes = (version: string) =>
      compareContracts(contract(), contract({ version, schema: order({ channel: text }) })).findings

    expect(codes('1.0.1')).toMatchObject([{ code: 'VERSION_TOO_LOW', severity: 'warning' }])
    expect(codes('1.1.0')).toEqual([])
  })

  it('that the prover cannot decide is unknown, never compatible', () => {
    const schema = order({ note: { type: 'string', pattern: '(?=.*a)(?=.*b)(?!.*(\\w)\\1).{4,}' } })
    const found = compareContracts(contract(), contract({ schema }), { budgetMs: 0 })

    expect(found.verdict).not.toBe('compatible')
    if (found.verdict === 'unknown') expect(found.nextVersion).toBeUndefined()
  })

  it('of cross-field rules is unknown, since rules are not proved', () => {
    const rules = [{ sum: ['a', 'b'], equals: 'c' }]
    const sums = { type: 'object', properties: { a: integer, b: integer, c: integer } }
    const [before, after] = [sums, { ...sums, 'x-treaty-rules': rules }].map((schema) =>
      contract({ schema, consumers: {} }),
    ) as [Contract, Contract]

    expect(compareContracts(before, after).verdict).toBe('unknown')
    expect(compareContracts(after, after).verdict).toBe('compatible')
    expect(
      compareContracts(
        after,
        contract({ schema: { ...sums, 'x-treaty-rules': rules, title: 'x' }, consumers: {} }),
      ).verdict,
    ).toBe('compatible')
  })
})

describe('direction and mode', () => {
  const stricter = contract({ schema: order({ note: { type: 'string', maxLength: 3 } }) })
  const looser = contract({ schema: order({ note: {} }) })

  it.each([
    ['backward', 'stricter', 'breaking'],
    ['backward', 'looser', 'compatible'],
    ['forward', 'stricter', 'compatible'],
    ['forward', 'looser', 'breaking'],
    ['full', 'stricter', 'breaking'],
    ['full', 'looser', 'breaking'],
    ['none', 'stricter', 'compatible'],
  ] as const)('%s: a %s schema is %s', (mode, which, verdict) => {
    const after = which === 'stricter' ? stricter : looser

    expect(compareContracts(contract(), after, { mode }).verdict).toBe(verdict)
  })

  it('counts all earlier versions of the same major when transitive, else the latest', () => {
    const history = [
      contract({ version: '1.0.0', schema: order({ note: integer }) }),
      contract({ version: '1.1.0', schema: order({ note: {} }) }),
      contract({ version: '1.2.0', schema: order() }),
    ]
    const after = contract({ version: '1.3.0', schema: order({ channel: text }) })
    const against = (mode: string) =>
      compareContracts(history, after, { mode }).messages['order.placed']?.breaks.map(
        (each) => each.against,
      )

    expect(against('forward')).toEqual([])
    expect(against('forward-transitive')).toEqual(['1.0.0'])
  })

  it('of a command is that of its callers, of its reply that of its readers', () => {
    const command = (schema: object, reply: object) => ({
      'payment.capture': { channel: 'asks', handler: 'payments', schema, reply },
    })
    const has = (properties: object, required: readonly string[] = []) => ({
      type: 'object',
      properties,
      required,
    })
    const before = contract({
      commands: command(has({ a: text }, ['a']), has({ ok: text }, ['ok'])),
    })
    const verdictOn = (schema: object, reply: object) =>
      compareContracts(before, contract({ commands: command(schema, reply) })).messages[
        'payment.capture'
      ]?.breaks.map(({ part, direction }) => `${part} ${direction}`)

    expect(verdictOn(has({ a: text }), has({ ok: text }, ['ok']))).toEqual([])
    expect(verdictOn(has({ a: text, b: text }, ['a', 'b']), has({ ok: text }, ['ok']))).toEqual([
      'data backward',
    ])
    expect(verdictOn(has({ a: text }, ['a']), has({ ok: text }))).toEqual(['reply forward'])
    expect(verdictOn(has({ a: text }, ['a']), has({ ok: text, at: text }, ['ok', 'at']))).toEqual(
      [],
    )
  })
})

describe('a change of policy', () => {
  const open = { type: 'object', properties: { note: text } }
  const run = (before: string, after: string, schema: object = open) =>
    compareContracts(
      contract({ schema: open, consumers: {}, evolution: { policy: before } }),
      contract({ schema, consumers: {}, evolution: { policy: after } }),
    ).verdict

  it('counts: a strict producer of an open schema may send what closed ones could not', () => {
    const withoutNote = { type: 'object', properties: { other: text } }

    expect(run('evolvable', 'evolvable', withoutNote)).toBe('compatible')
    expect(run('evolvable', 'strict', withoutNote)).toBe('breaking')
  })

  it('is no break by itself', () => {
    expect([run('evolvable', 'strict'), run('strict', 'evolvable')]).toEqual([
      'compatible',
      'compatible',
    ])
  })
})

describe('what is no schema', () => {
  it.each([
    [
      'an event that is gone',
      { events: { 'order.closed': { channel: 'orders', purpose: 'x y', schema: true } } },
      '`order.placed` is gone',
    ],
    [
      'another address',
      { channels: { orders: { address: 'shop.elsewhere' } } },
      'the address of its channel changed',
    ],
    [
      'another key',
      { channels: { orders: { address: 'shop.orders', key: 'orderId' } } },
      'the key of its channel changed',
    ],
    ['another envelope', { envelope: 'integration' }, 'the envelope changed'],
  ])('breaks too: %s', (_what, more, message) => {
    const consumers = {}
    const found = compareContracts(contract({ consumers }), contract({ consumers, more }))

    expect(found.verdict).toBe('breaking')
    expect(found.findings[0]?.message).toContain(message)
  })

  it('is a minor change where something is new', () => {
    const commands = { ask: { channel: 'asks', handler: 'x', schema: true } }

    expect(compareContracts(contract(), contract({ commands })).bump).toBe('minor')
  })
})

describe('a new major version', () => {
  it('declares its breaks: they are told, and stop nothing', () => {
    const consumers = { billing: needing(['orderId'], { accepts: '>=1 <3' }) }
    const after = contract({ version: '2.0.0', schema: order({ note: integer }), consumers })
    const found = compareContracts(contract(), after)

    expect(found.isMajor).toBe(true)
    expect(errors(found)).toEqual([])
    expect(found.findings.map(({ code, severity }) => `${severity} ${code}`)).toContain(
      'warning BREAKING_CHANGE',
    )
  })

  it('hurts the consumers that do not accept it', () => {
    const after = contract({ version: '2.0.0' })

    expect(errors(compareContracts(contract(), after))).toMatchObject([
      { code: 'CONSUMER_BROKEN', consumer: 'billing', message: expect.stringContaining('^1.0.0') },
    ])
  })
})

describe('consumers', () => {
  const impact = (schema: object, consumer: object, more: Parts = {}) => {
    const consumers = { billing: consumer }
    const found = compareContracts(
      contract({ consumers }),
      contract({ schema, consumers, ...more }),
    )
    return found.consumers.billing
  }

  it('are named with a message that proves it when a need is broken', () => {
    const found = impact(
      order({ total: { type: 'object', properties: { amount: text } } }),
      needing(['total.amount']),
    )

    expect(found).toMatchObject({ verdict: 'breaking', events: [{ needs: ['total.amount'] }] })
    expect(found?.events[0]?.witness).toHaveProperty('total')
  })

  it('are left out of changes to what they do not need', () => {
    expect(impact(order({ note: integer }), needing(['orderId']))?.verdict).toBe('compatible')
  })

  it('that say nothing need everything', () => {
    expect(impact(order({ note: integer }), needing([]))?.verdict).toBe('breaking')
  })

  it('that say nothing rely on what the mode promises', () => {
    const consumers = { billing: needing([]) }
    const after = contract({ consumers, schema: order({ note: {} }) })
    const verdict = (mode: string) =>
      compareContracts(contract({ consumers }), after, { mode }).consumers.billing?.verdict

    expect([verdict('forward'), verdict('backward')]).toEqual(['breaking', 'compatible'])
  })

  it('may say it with a schema', () => {
    const needs = { type: 'object', required: ['total'], properties: { total: { type: 'object' } } }

    expect(impact(order({ note: integer }), needing(needs))?.verdict).toBe('compatible')
    expect(impact(order({}, ['orderId']), needing(needs))?.verdict).toBe('breaking')
  })

  it('are judged by the version that their entry was written against', () => {
    const history = [
      contract({ version: '1.0.0', schema: order({ note: { type: 'string', maxLength: 9 } }) }),
      contract({ version: '1.1.0' }),
    ]
    const found = (since: string) =>
      compareContracts(
        history,
        contract({
          version: '1.2.0',
          schema: order({ x: text }),
          consumers: { billing: needing(['note'], { since }) },
        }),
        { mode: 'none' },
      ).consumers.billing?.verdict

    expect(found('1.0.0')).toBe('breaking')
    expect(found('1.1.0')).toBe('compatible')
  })

  it('that are pending are told and stop nothing', () => {
    const consumers = { billing: needing(['note'], { pending: true }) }
    const found = compareContracts(
      contract({ consumers }),
      contract({ consumers, schema: order({ note: integer }) }),
      { mode: 'none' },
    )

    expect(found.findings).toContainEqual(
      expect.objectContaining({ consumer: 'billing', severity: 'info' }),
    )
    expect(errors(found)).toEqual([])
  })

  it('of an event that is gone are named', () => {
    const more = {
      events: { other: { channel: 'orders', purpose: 'x y', schema: true } },
      consumers: {},
    }
    const found = compareContracts(contract(), contract({ more }))

    expect(errors(found)).toContainEqual(expect.objectContaining({ consumer: 'billing' }))
  })
})

describe('the witness', () => {
  it('is an example where one shows the break, else an example with the broken part alone exchanged', () => {
    const example = { orderId: 'A-17', total: { amount: 1990 }, note: 'gift' }
    const before = contract({ examples: [example] })
    const witness = (schema: object) =>
      compareContracts(before, contract({ schema })).messages['order.placed']?.breaks.map(
        (each) => each.witness,
      )

    expect(witness(order({ note: integer }))).toEqual([
      { ...example, note: expect.any(Number) },
      example,
    ])
    expect(witness(order({}, ['orderId']))).toEqual([{ orderId: 'A-17', note: 'gift' }])
  })
})

describe('findings', () => {
  it('point at the line of the schema file that changed', () => {
    const folder = mkdtempSync(join(tmpdir(), 'treaty-compare-'))
    const write = (schema: JsonSchema | object) =>
      writeFileSync(join(folder, 'placed.json'), JSON.stringify(schema, null, 2))
    writeFileSync(
      join(folder, 'orders.yaml'),
      `treaty: 1
id: shop.orders
version: 1.0.0
purpose: Tells that an order was placed.
owner: { team: orders }
channels: { orders: { address: shop.orders } }
events: { order.placed: { channel: orders, purpose: Sent when paid., schema: ./placed.json } }
producers: { shop: {} }
consumers: { billing: { accepts: ^1.0.0, since: 1.0.0, events: { order.placed: { needs: [total.amount], handling: Bills. } } } }
`,
    )
    const load = () => loadContractsSync(folder, { root: folder }).contracts[0] as Contract
    write(order())
    const before = load()
    write(order({ total: { type: 'object', required: ['amount'], properties: { amount: text } } }))
    const found = errors(compareContracts(before, load()))

    expect(found.map(({ code }) => code)).toEqual([
      'BREAKING_CHANGE',
      'BREAKING_CHANGE',
      'CONSUMER_BROKEN',
    ])
    for (const finding of found) {
      expect(finding).toMatchObject({
        file: join(folder, 'placed.json'),
        pointer: '/properties/total/properties/amount/type',
        message: expect.stringContaining('total.amount: integer → string'),
      })
      expect(finding.frame).toContain('> ')
    }
  })
})
