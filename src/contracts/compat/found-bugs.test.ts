// biome-ignore-all lint/suspicious/noThenProperty: a keyword of JSON Schema, never awaited.
import { describe, expect, test } from 'vitest'
import type { JsonSchema } from '../model.ts'
import { isSubset } from './subset.ts'

const verdictOf = (a: JsonSchema, b: JsonSchema) => isSubset(a, b).verdict

describe('bugs that were found stay away', () => {
  test('a break is missed where one member must meet what two branches ask of names', () => {
    const open = { patternProperties: { '^[^-]*$': {} }, additionalProperties: { type: 'string' } }
    expect(
      verdictOf(
        { type: 'object', maxProperties: 1 },
        { anyOf: [{ propertyNames: { pattern: 'b$' } }, open] },
      ),
    ).toBe('breaking')
  })

  test('a clause that is disjoint only because of itself is dropped', () => {
    expect(verdictOf({ const: 1 }, { if: { const: 1 }, then: { type: 'string' } })).toBe('breaking')
  })

  test('a result that leans on an assumption outlives it', () => {
    const recursive: JsonSchema = {
      $defs: {
        x: {
          anyOf: [
            { type: 'object', required: ['y'], properties: { y: { $ref: '#/$defs/y' } } },
            { type: 'integer' },
          ],
        },
        y: { type: 'object', required: ['x'], properties: { x: { $ref: '#/$defs/x' } } },
      },
      type: 'array',
      prefixItems: [{ $ref: '#/$defs/x' }, { $ref: '#/$defs/y' }],
      minItems: 2,
    }
    expect(isSubset(recursive, false)).toMatchObject({
      verdict: 'breaking',
      witness: [0, { x: 0 }],
    })
  })

  test('a value that requires itself for ever is taken for a value', () => {
    const endless: JsonSchema = {
      $defs: { n: { type: 'object', required: ['n'], properties: { n: { $ref: '#/$defs/n' } } } },
      $ref: '#/$defs/n',
    }
    expect(verdictOf(endless, false)).toBe('compatible')
  })

  test('lower bounds on the same items are added up', () => {
    const twice: JsonSchema = {
      type: 'array',
      allOf: [{ contains: { type: 'integer' } }, { contains: { type: 'integer' }, minContains: 2 }],
    }
    expect(isSubset(twice, { type: 'array', minItems: 3 })).toMatchObject({
      verdict: 'breaking',
      witness: [0, 0],
    })
  })

  test('a oneOf branch that is there twice is counted once', () => {
    expect(
      verdictOf(
        { oneOf: [{ type: 'string' }, { type: 'string' }, { type: 'object' }] },
        { type: 'object' },
      ),
    ).toBe('compatible')
  })

  test('one member too many is added to reach the least number', () => {
    expect(
      verdictOf(
        { type: 'object', minProperties: 1, properties: { b: { type: 'null' }, a: false } },
        { minProperties: 2 },
      ),
    ).toBe('breaking')
  })

  test('dependentSchemas counts for what is no object', () => {
    const schema: JsonSchema = {
      unevaluatedItems: { type: 'null' },
      dependentSchemas: { ab: { contains: { const: 1 } } },
    }
    expect(verdictOf({ const: [1] }, schema)).toBe('breaking')
  })
})

describe('what a break looks like', () => {
  test('the place is that of the branch that was meant', () => {
    const event = (type: string): JsonSchema => ({
      oneOf: ['a', 'b'].map((kind) => ({
        type: 'object',
        required: ['kind', 'value'],
        properties: { kind: { const: kind }, value: { type } },
      })),
    })
    expect(isSubset(event('number'), event('integer'))).toEqual({
      verdict: 'breaking',
      witness: { kind: 'a', value: 0.5 },
      schemaPointer: '/oneOf/0/properties/value/type',
      instancePointer: '/value',
      reason: '/value is number, must be integer',
    })
  })

  test('examples of the author make it realistic', () => {
    const order = (required: string[]): JsonSchema => ({
      type: 'object',
      required,
      properties: {
        orderId: { type: 'string', examples: ['ord_1042'] },
        currency: { type: 'string', pattern: '^[A-Z]{3}$', default: 'EUR' },
      },
    })
    expect(
      isSubset(order(['orderId', 'currency']), order(['orderId', 'currency', 'total'])),
    ).toMatchObject({
      witness: { orderId: 'ord_1042', currency: 'EUR' },
      schemaPointer: '/required',
      reason: 'the value lacks "total"',
    })
  })

  test('a reference is followed to where the keyword stands', () => {
    const list = (type: string): JsonSchema => ({
      $ref: '#/$defs/l',
      $defs: { l: { type: 'object', properties: { v: { type }, next: { $ref: '#/$defs/l' } } } },
    })
    expect(isSubset(list('number'), list('integer'))).toMatchObject({
      schemaPointer: '/$defs/l/properties/v/type',
      instancePointer: '/v',
    })
  })

  test('two branches of oneOf that hold at once are both named', () => {
    expect(
      isSubset({ type: 'integer' }, { oneOf: [{ type: 'integer' }, { type: 'number' }] }),
    ).toMatchObject({
      schemaPointer: '/oneOf',
      reason: 'the value satisfies branches 0 and 1 of oneOf at once',
    })
  })

  test('what is not decided names keyword, place and reason', () => {
    expect(
      isSubset(
        {
          type: 'object',
          properties: { a: { type: 'string', pattern: '^(?:(?:a{1,99}){1,99}b){1,99}$' } },
          required: ['a'],
        },
        { properties: { a: { pattern: '^[ab]+$' } } },
      ),
    ).toEqual({
      verdict: 'unknown',
      keyword: 'pattern',
      schemaPointer: '/properties/a/pattern',
      reason: 'the expressions are too large for the budget of automata',
    })
  })
})
