import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { acceptsPlainly } from './plain-accept.ts'
import { compileSchema } from './validator.ts'

const scalar = fc.constantFrom<Json>(
  null,
  true,
  0,
  1,
  -1,
  1.5,
  1e21,
  '',
  'a',
  'ab',
  '😀',
  '2025-02-30',
  '2025-02-03',
  'toString',
)
const name = fc.constantFrom('a', 'b', 'toString', 'constructor', '__proto__x')
const { value } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name, tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ) as fc.Arbitrary<Json>,
}))
const type = fc.constantFrom('null', 'boolean', 'integer', 'number', 'string', 'array', 'object')
const { schema } = fc.letrec<{ schema: JsonSchema }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<JsonSchema>(
      true,
      {},
      { type: 'string' },
      { enum: ['a', 1, null] },
      { const: 'a' },
      { not: {} },
    ),
    fc.record(
      {
        type: fc.oneof(type, fc.uniqueArray(type, { minLength: 1, maxLength: 3 })),
        properties: fc.dictionary(name, tie('schema'), { maxKeys: 3, noNullPrototype: true }),
        required: fc.uniqueArray(name, { maxLength: 2 }),
        additionalProperties: fc.oneof(fc.boolean(), tie('schema')),
        items: tie('schema'),
        minimum: fc.constantFrom(0, 1),
        maximum: fc.constantFrom(1, 1e21),
        minLength: fc.nat(2),
        maxLength: fc.nat(2),
        minItems: fc.nat(1),
        maxItems: fc.nat(2),
        format: fc.constantFrom('date', 'uuid'),
        pattern: fc.constantFrom('^a', '.'),
        uniqueItems: fc.constant(true),
        anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }),
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
  ) as fc.Arbitrary<JsonSchema>,
}))

describe('the quick yes', () => {
  it('is never said where the compiled schema says no', () => {
    let yes = 0
    fc.assert(
      fc.property(schema, value, (given, any) => {
        if (!acceptsPlainly(given, any)) return
        yes += 1
        expect([given, any, compileSchema(given).check(any)]).toEqual([given, any, true])
      }),
      { numRuns: 3000 },
    )
    expect(yes).toBeGreaterThan(300)
  })

  it('is said for an ordinary message', () => {
    const order = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      additionalProperties: false,
      required: ['id'],
      properties: {
        id: { type: 'string', format: 'uuid' },
        lines: { type: 'array', items: { type: 'integer' } },
      },
    }
    expect(
      acceptsPlainly(order, { id: '550e8400-e29b-41d4-a716-446655440000', lines: [1, 2] }),
    ).toBe(true)
    expect(acceptsPlainly(order, { id: 'x' })).toBe(false)
    expect(acceptsPlainly(order, { id: '550e8400-e29b-41d4-a716-446655440000', extra: 1 })).toBe(
      false,
    )
  })
})
