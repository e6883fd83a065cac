import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonSchema } from '../model.ts'
import { isMultipleOf } from './ajv-keywords.ts'
import { compileSchema } from './validator.ts'

const order: JsonSchema = {
  type: 'object',
  required: ['orderId', 'total'],
  properties: {
    orderId: { type: 'string', minLength: 1 },
    total: {
      type: 'object',
      required: ['amount'],
      additionalProperties: false,
      properties: { amount: { type: 'number' }, 'a/b~c': { type: 'string' } },
    },
    at: { type: 'string', format: 'date-time' },
  },
}
const deep = (levels: number): unknown =>
  JSON.parse(`${'{"next":'.repeat(levels)}null${'}'.repeat(levels)}`)

describe('compileSchema', () => {
  it('reports every error with its pointer, what was expected and what was found', () => {
    const value = {
      orderId: '',
      total: { amount: '1', 'a/b~c': 7, extra: 1 },
      at: '2025-02-30T00:00:00Z',
    }
    expect(
      compileSchema(order)
        .findings(value)
        .map(({ pointer, message }) => [pointer, message]),
    ).toEqual([
      ['/orderId', '/orderId must have at least 1 character, found ""'],
      ['/total/extra', '/total has the field "extra", which the schema does not name'],
      ['/total/amount', '/total/amount must be a number, found "1"'],
      ['/total/a~1b~0c', '/total/a~1b~0c must be a string, found 7'],
      ['/at', '/at must be of the format date-time, found "2025-02-30T00:00:00Z"'],
    ])
  })
  it('reports a missing field at the object that lacks it, by name', () => {
    expect(compileSchema(order).findings({ orderId: 'a' })).toEqual([
      {
        code: 'SCHEMA_MISMATCH',
        severity: 'error',
        pointer: '',
        message: 'the value lacks the required field "total"',
      },
    ])
    const nested = compileSchema(order).findings(
      { orderId: 'a', total: {} },
      { pointerPrefix: '/data' },
    )
    expect(nested).toMatchObject([
      { pointer: '/data/total', message: '/data/total lacks the required field "amount"' },
    ])
  })
  it('gives the same compiled schema for the same object and for equal content', () => {
    const compiled = compileSchema(order)
    expect(compileSchema(order)).toBe(compiled)
    expect(compileSchema(structuredClone(order))).toBe(compiled)
  })
  it('refuses what is no schema and what points outside itself', () => {
    expect(() => compileSchema({ type: 'strin' })).toThrow(
      expect.objectContaining({ code: 'SCHEMA_INVALID' }),
    )
    expect(() => compileSchema({ $ref: 'https://example.com/x.json' })).toThrow(
      expect.objectContaining({ code: 'SCHEMA_INVALID', hint: expect.stringContaining('$ref') }),
    )
    const loop: Record<string, unknown> = {}
    loop.not = loop
    expect(() => compileSchema(loop as JsonSchema)).toThrow(
      expect.objectContaining({ code: 'SCHEMA_INVALID' }),
    )
  })
  it('lets two schemas have the same $id', () => {
    const first = compileSchema({ $id: 'https://example.com/same', type: 'string' })
    const second = compileSchema({ $id: 'https://example.com/same', type: 'number' })
    expect([first.check('a'), second.check('a'), second.check(1)]).toEqual([true, false, true])
  })
})

describe('where Ajv alone departs from the specification', () => {
  const cases: [string, JsonSchema, unknown, boolean][] = [
    ['nullable is no keyword', { type: 'string', nullable: true }, null, false],
    ['0.3 is a multiple of 0.1', { multipleOf: 0.1 }, 0.3, true],
    ['0.35 is no multiple of 0.1', { multipleOf: 0.1 }, 0.35, false],
    ['an inherited name is not there', { required: ['constructor'] }, {}, false],
    ['__proto__ as a field is not there', JSON.parse('{"required":["__proto__"]}'), {}, false],
    ['an own field called toString is data', { enum: [{ toString: 1 }] }, { toString: 1 }, true],
    [
      'an own field called valueOf is data',
      { uniqueItems: true },
      [{ valueOf: 1 }, { valueOf: 1 }],
      false,
    ],
    [
      'draft-07 ignores what stands beside $ref',
      {
        $schema: 'http://json-schema.org/draft-07/schema#',
        definitions: { s: { type: 'string' } },
        $ref: '#/definitions/s',
        maxLength: 1,
      },
      'long',
      true,
    ],
    [
      '2020-12 does not',
      { $defs: { s: { type: 'string' } }, $ref: '#/$defs/s', maxLength: 1 },
      'long',
      false,
    ],
    ['length counts code points', { maxLength: 1 }, '😀', true],
    ['a pattern that needs no flag u', { pattern: '^\\a$' }, 'a', true],
    ['an unknown format is an annotation', { format: 'made-up' }, 'x', true],
    [
      'draft-07 does not know unevaluatedProperties',
      { $schema: 'http://json-schema.org/draft-07/schema#', unevaluatedProperties: false },
      { a: 1 },
      true,
    ],
    [
      'draft-04 reads exclusiveMaximum as a flag',
      { $schema: 'http://json-schema.org/draft-04/schema#', maximum: 3, exclusiveMaximum: true },
      3,
      false,
    ],
    [
      'draft-06 has const',
      { $schema: 'http://json-schema.org/draft-06/schema#', const: 1 },
      2,
      false,
    ],
    [
      '2019-09 has dependentRequired',
      { $schema: 'https://json-schema.org/draft/2019-09/schema', dependentRequired: { a: ['b'] } },
      { a: 1 },
      false,
    ],
  ]
  it.each(cases)('%s', (_name, schema, value, expected) => {
    expect(compileSchema(schema).check(value)).toBe(expected)
    expect(compileSchema(schema).findings(value).length === 0).toBe(expected)
  })
})

describe('hostile values', () => {
  const list = {
    $defs: { node: { type: ['object', 'null'], properties: { next: { $ref: '#/$defs/node' } } } },
    $ref: '#/$defs/node',
  }
  it('a value nested 100 000 deep is refused, not thrown at', () => {
    expect(compileSchema(list).check(deep(100))).toBe(true)
    expect(compileSchema(list).check(deep(100_000))).toBe(false)
    expect(compileSchema(list).findings(deep(100_000))).toMatchObject([
      { message: expect.stringContaining('deep') },
    ])
  })
  it('a recursive schema with patternProperties under contains does not throw in Ajv', () => {
    const schema = {
      $ref: '#/$defs/y',
      $defs: { y: { contains: { patternProperties: { '^a': true }, allOf: [{ $ref: '#' }] } } },
    }
    expect(compileSchema(schema).check([{ a: 1 }])).toBe(true)
  })
  it('a value that contains itself is refused', () => {
    const cycle: Record<string, unknown> = {}
    cycle.next = cycle
    expect(compileSchema(list).check(cycle)).toBe(false)
  })
  it('never throws, and findings agree with check', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const compiled = compileSchema(order)
        expect(compiled.findings(value).length === 0).toBe(compiled.check(value))
      }),
    )
  })
  it('a field called __proto__ is an extra field like any other', () => {
    const closed = compileSchema({
      type: 'object',
      properties: { a: {} },
      additionalProperties: false,
    })
    expect(closed.check(JSON.parse('{"a":1,"__proto__":{"b":1}}'))).toBe(false)
  })
})

describe('isMultipleOf', () => {
  it('agrees with integers scaled to decimals', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1e6, max: 1e6 }),
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 0, max: 6 }),
        (value, divisor, digits) => {
          const scale = (whole: number) => Number(`${whole}e-${digits}`)
          expect(isMultipleOf(scale(value), scale(divisor))).toBe(value % divisor === 0)
        },
      ),
    )
  })
})

describe('cross-field rules', () => {
  const tokens = {
    type: 'object',
    'x-treaty-rules': [
      { sum: ['a', 'b'], equals: 'total' },
      { differ: ['from', 'to'] },
      { listed: 'fields', beside: ['id'] },
    ],
  }
  it('are reported as RULE_VIOLATED where they are broken', () => {
    const value = {
      usage: { a: 1, b: 2, total: 4, from: 'x', to: 'x', fields: ['name', 'id'], id: 1 },
    }
    expect(
      compileSchema({ properties: { usage: tokens } })
        .findings(value)
        .map(({ code, pointer }) => `${code} ${pointer}`),
    ).toEqual([
      'RULE_VIOLATED /usage/total',
      'RULE_VIOLATED /usage/to',
      'RULE_VIOLATED /usage/fields/0',
      'RULE_VIOLATED /usage/fields/1',
    ])
  })
  it('hold where their fields are absent or null', () => {
    expect(compileSchema(tokens).check({ total: 3, from: 'x', fields: [] })).toBe(true)
    expect(compileSchema(tokens).check({ fields: ['name'], name: null })).toBe(true)
  })
  it('that nobody knows make the schema invalid', () => {
    expect(() => compileSchema({ 'x-treaty-rules': [{ product: ['a'] }] })).toThrow(
      expect.objectContaining({ code: 'SCHEMA_INVALID' }),
    )
  })
})

describe('alternatives', () => {
  const card = {
    type: 'object',
    required: ['kind', 'number'],
    properties: { kind: { const: 'card' }, number: { type: 'string' } },
  }
  const cash = {
    type: 'object',
    required: ['kind', 'amount'],
    properties: { kind: { const: 'cash' }, amount: { type: 'number' } },
  }
  const messages = (schema: JsonSchema, value: unknown) =>
    compileSchema(schema)
      .findings(value)
      .map(({ message }) => message)
  it('of another kind altogether are named in one finding', () => {
    expect(
      messages(
        { properties: { note: { anyOf: [{ type: 'string', minLength: 1 }, { type: 'null' }] } } },
        { note: 5 },
      ),
    ).toEqual(['/note must be a string or null, found 5'])
  })
  it('of the kind that was meant are the only ones to speak', () => {
    expect(messages({ anyOf: [{ type: 'string', minLength: 1 }, { type: 'null' }] }, '')).toEqual([
      'the value must have at least 1 character, found ""',
    ])
    expect(messages({ oneOf: [card, cash] }, { kind: 'cash', amount: 'much' })).toEqual([
      '/amount must be a number, found "much"',
    ])
  })
  it('behind references are told apart by a constant, at any depth', () => {
    const schema: JsonSchema = {
      properties: { pay: { oneOf: [{ $ref: '#/$defs/card' }, { $ref: '#/$defs/cash' }] } },
      required: ['id'],
      $defs: {
        card,
        cash: { ...cash, properties: { ...cash.properties, amount: { $ref: '#/$defs/amount' } } },
        amount: { type: 'number' },
      },
    }
    expect(messages(schema, { pay: { kind: 'cash', amount: 'much' } })).toEqual([
      'the value lacks the required field "id"',
      '/pay/amount must be a number, found "much"',
    ])
    expect(messages(schema, { id: 1, pay: { kind: 'gold' } }).at(-1)).toBe(
      '/pay must match one of the alternatives, found an object',
    )
  })
  it('that all match are counted', () => {
    expect(messages({ oneOf: [{ type: 'integer' }, { minimum: 0 }] }, 1)).toEqual([
      'the value must match exactly one of the alternatives, and matches 0 and 1',
    ])
  })
})

describe('uniqueItems', () => {
  const check = (schema: object, items: readonly unknown[]) =>
    compileSchema({ type: 'array', uniqueItems: true, ...schema }).check(items)
  const long = Array.from({ length: 20 }, (_, at) => `item ${at}`)

  it.each([
    [
      'strings that an object would inherit',
      { items: { type: 'string' } },
      ['__proto__', '__proto__'],
    ],
    [
      'equal objects with another order of keys',
      {},
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
    ],
    ['zero and minus zero', { items: { type: 'number' } }, [0, -0]],
    ['the last of many', {}, [...long, 'item 7']],
    ['objects among many', {}, [...long, { a: [1] }, { a: [1] }]],
  ])('finds %s', (_, schema, items) => {
    expect(check(schema, items)).toBe(false)
  })

  it.each([
    ['a number and its text', {}, [1, '1']],
    ['null and its text', {}, [null, 'null']],
    ['many', { items: { type: 'string' } }, long],
    ['keys such as valueOf', {}, [{ valueOf: 1 }, { valueOf: 2 }]],
  ])('lets pass %s', (_, schema, items) => {
    expect(check(schema, items)).toBe(true)
  })
})
