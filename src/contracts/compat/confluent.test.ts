import { describe, expect, it } from 'vitest'
import type { JsonSchema } from '../model.ts'
import { compareSchemas } from './compare-schemas.ts'
import { confluentDifferences, harmfulDifferences } from './confluent.ts'
import { isHarmless, namedRules } from './confluent-rules.ts'
import { largestMatching } from './confluent-unions.ts'

const text = { type: 'string' } as const
const object = (properties: object, more: object = {}) =>
  ({ type: 'object', properties, ...more }) as JsonSchema
const closed = { additionalProperties: false }
const partial = { additionalProperties: text }
const list = (more: object) => ({ type: 'array', ...more }) as JsonSchema

type Outcome = 'ok' | 'break'
type Row = readonly [
  change: string,
  original: JsonSchema,
  update: JsonSchema,
  strict: Outcome,
  lenient: Outcome,
  rule?: string,
]

/** The documented table, row by row. */
const rows: Row[] = [
  [
    'optional property, open',
    object({}),
    object({ a: text }),
    'break',
    'ok',
    'PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL',
  ],
  [
    'required property without default, open',
    object({}),
    object({ a: text }, { required: ['a'] }),
    'break',
    'break',
  ],
  [
    'required property with default, open',
    object({}),
    object({ a: { ...text, default: '' } }, { required: ['a'] }),
    'break',
    'ok',
  ],
  [
    'property whose schema is {}, open',
    object({}),
    object({ a: {} }),
    'ok',
    'ok',
    'PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL',
  ],
  ['property whose schema is true, open', object({}), object({ a: true }), 'ok', 'ok'],
  [
    'optional property, closed',
    object({}, closed),
    object({ a: text }, closed),
    'ok',
    'ok',
    'OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL',
  ],
  ['optional property, covered', object({}, partial), object({ a: text }, partial), 'ok', 'ok'],
  [
    'optional property, not covered',
    object({}, partial),
    object({ a: { type: 'integer' } }, partial),
    'break',
    'ok',
    'PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  ],
  [
    'required property, closed',
    object({}, closed),
    object({ a: text }, { ...closed, required: ['a'] }),
    'break',
    'break',
    'REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL',
  ],
  [
    'required property with default, closed',
    object({}, closed),
    object({ a: { ...text, default: '' } }, { ...closed, required: ['a'] }),
    'ok',
    'ok',
  ],
  [
    'closed by unevaluatedProperties',
    object({}, { unevaluatedProperties: false }),
    object({ a: text }, { unevaluatedProperties: false }),
    'ok',
    'ok',
  ],
  [
    'property removed, open',
    object({ a: text }),
    object({}),
    'ok',
    'ok',
    'PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL',
  ],
  [
    'property removed, closed',
    object({ a: text }, closed),
    object({}, closed),
    'break',
    'ok',
    'PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL',
  ],
  [
    'property that was false removed, closed',
    object({ a: false }, closed),
    object({}, closed),
    'ok',
    'ok',
  ],
  ['property removed, covered', object({ a: text }, partial), object({}, partial), 'ok', 'ok'],
  [
    'property removed, not covered',
    object({ a: { type: 'integer' } }, partial),
    object({}, partial),
    'break',
    'ok',
  ],
  [
    'property removed, covered by a pattern',
    object({ ab: text }, { patternProperties: { '^a': text }, ...closed }),
    object({}, { patternProperties: { '^a': text }, ...closed }),
    'ok',
    'ok',
  ],
  [
    'additionalProperties true → false',
    object({}),
    object({}, closed),
    'break',
    'ok',
    'ADDITIONAL_PROPERTIES_REMOVED',
  ],
  [
    'additionalProperties narrowed',
    object({}),
    object({}, partial),
    'break',
    'ok',
    'ADDITIONAL_PROPERTIES_NARROWED',
  ],
  [
    'additionalProperties false → true',
    object({}, closed),
    object({}),
    'ok',
    'ok',
    'ADDITIONAL_PROPERTIES_ADDED',
  ],
  [
    'additionalProperties widened',
    object({}, partial),
    object({}),
    'ok',
    'ok',
    'ADDITIONAL_PROPERTIES_EXTENDED',
  ],
  [
    'property becomes required',
    object({ a: text }),
    object({ a: text }, { required: ['a'] }),
    'break',
    'break',
    'REQUIRED_ATTRIBUTE_ADDED',
  ],
  [
    'property becomes required, with default',
    object({ a: text }),
    object({ a: { ...text, default: '' } }, { required: ['a'] }),
    'ok',
    'ok',
    'REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED',
  ],
  [
    'property becomes optional',
    object({ a: text }, { required: ['a'] }),
    object({ a: text }),
    'ok',
    'ok',
    'REQUIRED_ATTRIBUTE_REMOVED',
  ],
  ['required and declared nowhere', object({}), object({}, { required: ['a'] }), 'ok', 'ok'],
  [
    'maxLength loosened',
    { ...text, maxLength: 2 },
    { ...text, maxLength: 3 },
    'ok',
    'ok',
    'MAX_LENGTH_INCREASED',
  ],
  [
    'maxLength tightened',
    { ...text, maxLength: 3 },
    { ...text, maxLength: 2 },
    'break',
    'break',
    'MAX_LENGTH_DECREASED',
  ],
  ['maxLength added', text, { ...text, maxLength: 2 }, 'break', 'break', 'MAX_LENGTH_ADDED'],
  ['maxLength removed', { ...text, maxLength: 2 }, text, 'ok', 'ok', 'MAX_LENGTH_REMOVED'],
  [
    'minimum loosened',
    { type: 'number', minimum: 2 },
    { type: 'number', minimum: 1 },
    'ok',
    'ok',
    'MINIMUM_DECREASED',
  ],
  [
    'minimum tightened',
    { type: 'number', minimum: 1 },
    { type: 'number', minimum: 2 },
    'break',
    'break',
    'MINIMUM_INCREASED',
  ],
  [
    'exclusiveMinimum tightened',
    { type: 'number', exclusiveMinimum: 1 },
    { type: 'number', exclusiveMinimum: 2 },
    'break',
    'break',
  ],
  [
    'exclusiveMaximum loosened',
    { type: 'number', exclusiveMaximum: 1 },
    { type: 'number', exclusiveMaximum: 2 },
    'ok',
    'ok',
  ],
  ['minItems added', list({}), list({ minItems: 1 }), 'break', 'break', 'MIN_ITEMS_ADDED'],
  [
    'maxProperties loosened',
    object({}, { maxProperties: 1 }),
    object({}, { maxProperties: 2 }),
    'ok',
    'ok',
  ],
  ['pattern removed', { ...text, pattern: 'a' }, text, 'ok', 'ok', 'PATTERN_REMOVED'],
  ['pattern added', text, { ...text, pattern: 'a' }, 'break', 'break', 'PATTERN_ADDED'],
  [
    'pattern changed, though wider',
    { ...text, pattern: '^a$' },
    { ...text, pattern: '^a' },
    'break',
    'break',
    'PATTERN_CHANGED',
  ],
  [
    'multipleOf: the new divides the old',
    { type: 'number', multipleOf: 4 },
    { type: 'number', multipleOf: 2 },
    'ok',
    'ok',
    'MULTIPLE_OF_REDUCED',
  ],
  [
    'multipleOf: the old divides the new',
    { type: 'number', multipleOf: 2 },
    { type: 'number', multipleOf: 4 },
    'break',
    'break',
    'MULTIPLE_OF_EXPANDED',
  ],
  [
    'multipleOf: neither',
    { type: 'number', multipleOf: 2 },
    { type: 'number', multipleOf: 3 },
    'break',
    'break',
    'MULTIPLE_OF_CHANGED',
  ],
  [
    'multipleOf in decimals',
    { type: 'number', multipleOf: 0.3 },
    { type: 'number', multipleOf: 0.1 },
    'ok',
    'ok',
  ],
  [
    'multipleOf zero',
    { type: 'number', multipleOf: 2 },
    { type: 'number', multipleOf: 0 },
    'ok',
    'ok',
  ],
  ['integer → number', { type: 'integer' }, { type: 'number' }, 'ok', 'ok', 'TYPE_EXTENDED'],
  ['number → integer', { type: 'number' }, { type: 'integer' }, 'break', 'break', 'TYPE_NARROWED'],
  ['string → integer', text, { type: 'integer' }, 'break', 'break', 'TYPE_CHANGED'],
  ['enum superset', { enum: ['a'] }, { enum: ['a', 'b'] }, 'ok', 'ok', 'ENUM_ARRAY_EXTENDED'],
  ['enum subset', { enum: ['a', 'b'] }, { enum: ['a'] }, 'break', 'break', 'ENUM_ARRAY_NARROWED'],
  [
    'enum otherwise',
    { enum: ['a', 'b'] },
    { enum: ['b', 'c'] },
    'break',
    'break',
    'ENUM_ARRAY_CHANGED',
  ],
  ['const changed', { const: 'a' }, { const: 'b' }, 'break', 'break'],
  [
    'tuple item added, open',
    list({ prefixItems: [text] }),
    list({ prefixItems: [text, text] }),
    'break',
    'ok',
    'ITEM_ADDED_TO_OPEN_CONTENT_MODEL',
  ],
  [
    'tuple item added, closed',
    list({ prefixItems: [text], items: false }),
    list({ prefixItems: [text, text], items: false }),
    'ok',
    'ok',
  ],
  [
    'tuple item removed, closed',
    list({ prefixItems: [text, text], items: false }),
    list({ prefixItems: [text], items: false }),
    'break',
    'ok',
  ],
  ['tuple item removed, open', list({ items: [text, text] }), list({ items: [text] }), 'ok', 'ok'],
  [
    'additionalItems true → false',
    list({ items: [text] }),
    list({ items: [text], additionalItems: false }),
    'break',
    'ok',
    'ADDITIONAL_ITEMS_REMOVED',
  ],
  [
    'items narrowed',
    list({ items: { type: 'number' } }),
    list({ items: { type: 'integer' } }),
    'break',
    'break',
  ],
  ['uniqueItems added', list({}), list({ uniqueItems: true }), 'break', 'break'],
  [
    'not narrowed',
    { not: { type: 'number' } },
    { not: { type: 'integer' } },
    'ok',
    'ok',
    'NOT_TYPE_NARROWED',
  ],
  [
    'not extended',
    { not: { type: 'integer' } },
    { not: { type: 'number' } },
    'break',
    'break',
    'NOT_TYPE_EXTENDED',
  ],
  [
    'allOf with fewer',
    { allOf: [text, { minLength: 1 }] },
    { allOf: [text] },
    'ok',
    'ok',
    'PRODUCT_TYPE_NARROWED',
  ],
  [
    'allOf with more',
    { allOf: [text] },
    { allOf: [text, { minLength: 1 }] },
    'break',
    'break',
    'PRODUCT_TYPE_EXTENDED',
  ],
  [
    'oneOf with more',
    { oneOf: [text] },
    { oneOf: [text, { type: 'integer' }] },
    'ok',
    'ok',
    'SUM_TYPE_EXTENDED',
  ],
  [
    'oneOf with an overlapping one more: unsound, and documented',
    { oneOf: [{ type: 'integer' }] },
    { oneOf: [{ type: 'integer' }, { type: 'number' }] },
    'ok',
    'ok',
  ],
  [
    'anyOf with fewer',
    { anyOf: [text, { type: 'integer' }] },
    { anyOf: [text] },
    'break',
    'break',
    'SUM_TYPE_NARROWED',
  ],
  [
    'anyOf in another order',
    { anyOf: [text, { type: 'integer' }] },
    { anyOf: [{ type: 'integer' }, text] },
    'ok',
    'ok',
  ],
  [
    'a branch must be given away for the matching',
    { anyOf: [{ type: 'integer' }, { type: 'number' }] },
    { anyOf: [{ type: 'number' }, { type: 'integer' }] },
    'ok',
    'ok',
  ],
  [
    'a union with one branch that fits',
    text,
    { anyOf: [{ type: 'integer' }, text] },
    'ok',
    'ok',
    'SUM_TYPE_EXTENDED',
  ],
  ['a union with none', text, { anyOf: [{ type: 'integer' }, { type: 'null' }] }, 'break', 'break'],
  ['types as a list, more', text, { type: ['string', 'null'] }, 'ok', 'ok'],
  ['types as a list, fewer', { type: ['string', 'null'] }, text, 'break', 'break'],
  ['anything → {}', text, {}, 'ok', 'ok'],
  ['anything → true', text, true, 'ok', 'ok'],
  ['false → anything', false, text, 'ok', 'ok'],
  ['{} → something', {}, text, 'break', 'break'],
  ['if is not looked at', text, { ...text, if: { minLength: 1 }, else: false }, 'ok', 'ok'],
  ['format is not looked at', text, { ...text, format: 'uuid' }, 'ok', 'ok'],
  [
    'propertyNames is not looked at',
    object({}),
    object({}, { propertyNames: { maxLength: 1 } }),
    'ok',
    'ok',
  ],
  [
    'dependent names added',
    object({}),
    object({}, { dependentRequired: { a: ['b'] } }),
    'break',
    'break',
    'DEPENDENCY_ARRAY_ADDED',
  ],
  [
    'dependent names removed',
    object({}, { dependencies: { a: ['b'] } }),
    object({}),
    'ok',
    'ok',
    'DEPENDENCY_ARRAY_REMOVED',
  ],
]

describe('the documented rules', () => {
  it.each(rows)('%s', (_change, original, update, strict, lenient, rule) => {
    const outcome = (policy: 'confluent-strict' | 'confluent-lenient') =>
      harmfulDifferences(original as JsonSchema, update as JsonSchema, policy).length === 0
        ? 'ok'
        : 'break'

    expect({
      strict: outcome('confluent-strict'),
      lenient: outcome('confluent-lenient'),
    }).toEqual({ strict, lenient })
    const rules = confluentDifferences(original as JsonSchema, update as JsonSchema).map(
      (difference) => difference.rule,
    )
    if (rule !== undefined) expect(rules).toContain(rule)
  })

  it('are lenient where they are strict at most', () => {
    const inverted = namedRules.filter(
      (rule) => isHarmless(rule, 'confluent-strict') && !isHarmless(rule, 'confluent-lenient'),
    )

    expect(inverted).toEqual([])
  })
})

describe('the comparison', () => {
  it('names the place in the later schema', () => {
    const deep = (schema: object) => object({ total: object({ amount: schema }) })

    expect(harmfulDifferences(deep({ type: 'integer' }), deep(text), 'confluent-strict')).toEqual([
      { rule: 'TYPE_CHANGED', pointer: '/properties/total/properties/amount/type' },
    ])
  })

  it('ends on schemas that refer to themselves', () => {
    const tree = (type: string) => ({
      $ref: '#/$defs/node',
      $defs: { node: object({ value: { type }, next: { $ref: '#/$defs/node' } }) },
    })

    expect(harmfulDifferences(tree('integer'), tree('number'), 'confluent-strict')).toEqual([])
    expect(harmfulDifferences(tree('number'), tree('integer'), 'confluent-strict')).toHaveLength(1)
  })

  it('stays quick on recursive unions, where each branch leads to the whole', () => {
    const branches = Array.from({ length: 12 }, (_, at) =>
      object({ [`k${at}`]: { $ref: '#/$defs/any' }, other: { $ref: '#/$defs/any' } }),
    )
    const union = { $ref: '#/$defs/any', $defs: { any: { oneOf: branches } } } as JsonSchema
    const wider = structuredClone(union)

    expect(harmfulDifferences(union, wider, 'confluent-strict')).toEqual([])
  })

  it('shows the witness of the prover where it sees the break too', () => {
    const { backward } = compareSchemas(
      { type: 'number' },
      { type: 'integer' },
      {
        policy: 'confluent-strict',
      },
    )

    expect(backward).toMatchObject({ verdict: 'breaking', rule: 'TYPE_NARROWED' })
    expect(backward).toHaveProperty('witness')
  })

  it('says so where no message shows what the rules refuse', () => {
    const wider = compareSchemas(
      { type: 'string', pattern: '^a$' },
      { type: 'string', pattern: '^a' },
      { policy: 'confluent-strict', mode: 'backward' },
    )

    expect(wider.backward).toMatchObject({
      verdict: 'breaking',
      reason: expect.stringContaining('PATTERN_CHANGED, though no message shows it'),
    })
  })
})

describe('a largest matching', () => {
  it('gives a partner away when another can only have this one', () => {
    const fits = (a: string, b: string) => a.includes(b)

    expect(largestMatching(['xy', 'x'], ['x', 'y'], fits)).toBe(2)
    expect(largestMatching(['x', 'x'], ['x', 'y'], fits)).toBe(1)
  })
})
