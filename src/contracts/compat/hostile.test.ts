import { describe, expect, test } from 'vitest'
import { isTreatyError } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { isSubset, type SubsetOptions } from './subset.ts'

const numbered = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))
const definitions = (count: number, make: (index: number) => JsonSchema): JsonSchema => ({
  $ref: '#/$defs/d0',
  $defs: Object.fromEntries(numbered(count, (index) => [`d${index}`, make(index)])),
})
const to = (index: number): JsonSchema => ({ $ref: `#/$defs/d${index}` })
const nested = (
  depth: number,
  leaf: JsonSchema,
  wrap: (inner: JsonSchema) => JsonSchema,
): JsonSchema => {
  let schema = leaf
  for (let level = 0; level < depth; level += 1) schema = wrap(schema)
  return schema
}
const text = (source: string): JsonSchema => ({ type: 'string', pattern: source })
const tagged = (count: number, type: string): JsonSchema => ({
  oneOf: numbered(count, (index) => ({
    type: 'object',
    required: ['kind'],
    properties: { kind: { const: `k${index}` }, [`v${index}`]: { type } },
  })),
})
const untagged = (count: number, type: string): JsonSchema => ({
  oneOf: numbered(count, (index) => ({
    type: 'object',
    required: [`v${index}`],
    properties: { [`v${index}`]: { type } },
  })),
})
const verdictOf = (a: JsonSchema, b: JsonSchema, options?: SubsetOptions) =>
  isSubset(a, b, options).verdict

/** Name → the pair, and the verdicts that are honest answers to it. */
const pairs: Readonly<Record<string, () => readonly [JsonSchema, JsonSchema, readonly string[]]>> =
  {
    '10,000 references in a row': () => [
      definitions(10_000, (at) => (at === 9_999 ? { type: 'integer' } : to(at + 1))),
      { type: 'number' },
      ['compatible'],
    ],
    '3,000 members inside each other': () => {
      const chain = (type: string) =>
        definitions(3_000, (at) => (at === 2_999 ? { type } : { properties: { n: to(at + 1) } }))
      return [chain('integer'), chain('number'), ['compatible', 'unknown']]
    },
    '5,000 schemas inside each other': () => {
      const wrap = (x: JsonSchema): JsonSchema => ({ properties: { x } })
      return [
        nested(5_000, { type: 'integer' }, wrap),
        nested(5_000, { type: 'number' }, wrap),
        ['compatible', 'unknown'],
      ]
    },
    'allOf 5,000 deep': () => {
      const wrap = (x: JsonSchema): JsonSchema => ({ allOf: [x] })
      return [
        nested(5_000, { type: 'integer' }, wrap),
        nested(5_000, { type: 'number' }, wrap),
        ['compatible', 'unknown'],
      ]
    },
    '500 tagged branches': () => [tagged(500, 'integer'), tagged(500, 'number'), ['compatible']],
    '500 branches without a tag': () => [
      untagged(500, 'integer'),
      untagged(500, 'number'),
      // { v0: 1, v1: 1.5 } matches one branch of integers and two of numbers.
      ['breaking', 'unknown'],
    ],
    'choices forty times over': () => {
      const choices = (type: string): JsonSchema => ({
        allOf: numbered(40, (at) => ({
          anyOf: ['a', 'b'].map((name) => ({
            required: [name + at],
            properties: { [name + at]: { type } },
          })),
        })),
      })
      return [choices('integer'), choices('number'), ['compatible']]
    },
    '200 unions that refer to each other': () => {
      const union = (type: string) =>
        definitions(200, (at) => ({
          anyOf: [
            { type },
            ...[1, 7, 13].map((k) => ({
              type: 'object',
              required: ['c'],
              properties: { c: to((at * k + 1) % 200) },
            })),
          ],
        }))
      return [union('integer'), union('number'), ['compatible', 'unknown']]
    },
    'nine pigeons in eight holes': () => {
      const hole = (pigeon: number, at: number) => `p${pigeon}h${at}`
      const somewhere = numbered(9, (pigeon) => ({
        anyOf: numbered(8, (at) => ({ required: [hole(pigeon, at)] })),
      }))
      const alone = numbered(8, (at) =>
        numbered(9, (i) =>
          numbered(i, (j) => ({ not: { required: [hole(i, at), hole(j, at)] } })),
        ).flat(),
      ).flat()
      return [{ type: 'object', allOf: [...somewhere, ...alone] }, false, ['compatible', 'unknown']]
    },
    'an expression with two million states': () => [
      text('^(a|b)*a(a|b){20}$'),
      text('^(a|b)*b(a|b){20}$'),
      ['breaking', 'unknown'],
    ],
    'repetitions inside repetitions': () => [
      text('^(((a{1,100}b){1,100})c){1,100}$'),
      text('^[abc]*$'),
      ['compatible', 'unknown'],
    ],
    'a pattern that backtracks exponentially': () => [
      { const: `${'a'.repeat(40)}!` },
      text('^(a+)+$'),
      ['breaking'],
    ],
    'a text of 100 million characters': () => [
      { type: 'string', minLength: 1e8 },
      { minLength: 10 },
      ['compatible'],
    ],
    'a long text with a beginning': () => [
      { type: 'string', minLength: 1e8 },
      text('^b'),
      ['breaking', 'unknown'],
    ],
    '100,000 values': () => {
      const values: Json[] = numbered(100_000, (at) => `v${at}`)
      return [{ enum: values }, { enum: [...values, 'more'] }, ['compatible']]
    },
    '20,000 objects as values': () => {
      const values: Json[] = numbered(20_000, (id) => ({ id }))
      return [{ enum: values }, { enum: [...values, 'more'] }, ['compatible', 'unknown']]
    },
    'steps of 1e-300': () => [
      { type: 'number', multipleOf: 1e-300 },
      { multipleOf: 1e-299 },
      ['breaking'],
    ],
    'a billion items': () => [
      { type: 'array', minItems: 1e9, items: { type: 'integer' } },
      { items: { type: 'number' } },
      ['compatible'],
    ],
    '300 different items out of 251': () => [
      {
        type: 'array',
        minItems: 300,
        uniqueItems: true,
        items: { type: 'integer', minimum: 0, maximum: 250 },
      },
      false,
      ['compatible', 'unknown'],
    ],
    'a million members': () => [
      { type: 'object', minProperties: 1e6 },
      { minProperties: 3 },
      ['compatible'],
    ],
    'a doubling tree of references': () => [
      definitions(40, (at) =>
        at === 39 ? { type: 'integer' } : { allOf: [to(at + 1), to(at + 1)] },
      ),
      { type: 'number' },
      ['compatible'],
    ],
    'a doubling tree that decides what is evaluated': () => {
      const tree = definitions(40, (at) =>
        at === 39 ? { properties: { a: {} } } : { anyOf: [to(at + 1), to(at + 1)] },
      )
      return [
        { ...(tree as object), type: 'object', unevaluatedProperties: false },
        { maxProperties: 1 },
        ['compatible', 'unknown'],
      ]
    },
    'every letter of the world': () => [
      text('^\\p{L}{1,63}$'),
      text('^\\p{L}{1,64}$'),
      ['compatible'],
    ],
  }

describe('hostile schemas end within their budget, without a wrong answer', () => {
  test.each(Object.entries(pairs))('%s', (_, make) => {
    const [a, b, honest] = make()
    expect(honest).toContain(verdictOf(a, b))
  })

  test('a schema that contains itself in place is unknown, with the reference named', () => {
    const verdict = isSubset(
      { $ref: '#/$defs/a', $defs: { a: { allOf: [{ $ref: '#/$defs/a' }] } } },
      { type: 'string' },
    )
    expect(verdict).toMatchObject({ verdict: 'unknown', keyword: '$ref' })
  })

  test('a spent budget and a cancelled question are unknown', () => {
    const signal = AbortSignal.abort()
    const [a, b] = [untagged(60, 'integer'), untagged(60, 'number')]
    expect(isSubset(a, b, { budgetMs: 0 })).toMatchObject({ verdict: 'unknown', keyword: 'budget' })
    expect(isSubset(a, b, { signal })).toMatchObject({
      verdict: 'unknown',
      reason: 'the question was cancelled',
    })
  })
})

/** The error of a question, as its code and the pointers of its findings. */
function refusal(
  a: JsonSchema,
  options?: SubsetOptions,
): { code: string; pointers: unknown[] } | undefined {
  try {
    isSubset(a, true, options)
    return undefined
  } catch (error) {
    if (!isTreatyError(error)) throw error
    return { code: error.code, pointers: error.findings.map(({ pointer }) => pointer) }
  }
}

describe('what is no schema is refused, all of it named', () => {
  test.each<[string, JsonSchema, unknown]>([
    [
      'a type that does not exist',
      { type: 'strin' },
      { code: 'SCHEMA_INVALID', pointers: ['/type'] },
    ],
    [
      'two mistakes',
      { minLength: -1, properties: { a: { required: 'b' } } },
      { code: 'SCHEMA_INVALID', pointers: ['/minLength', '/properties/a/required'] },
    ],
    [
      'a pattern that does not parse',
      { pattern: '(' },
      { code: 'SCHEMA_INVALID', pointers: ['/pattern'] },
    ],
    [
      'a remote reference',
      { $ref: 'http://example.com/x.json' },
      { code: 'REF_REMOTE', pointers: ['/$ref'] },
    ],
    [
      'a file reference',
      { properties: { a: { $ref: './x.json#/y' } } },
      { code: 'REF_REMOTE', pointers: ['/properties/a/$ref'] },
    ],
    [
      'a reference that leads nowhere',
      { $ref: '#/$defs/gone' },
      { code: 'REF_NOT_FOUND', pointers: ['/$ref'] },
    ],
    [
      'an anchor that is not there',
      { $ref: '#gone' },
      { code: 'REF_NOT_FOUND', pointers: ['/$ref'] },
    ],
  ])('%s', (_, schema, expected) => {
    expect(refusal(schema)).toEqual(expected)
  })

  test('a boolean schema is none in draft 04', () => {
    expect(refusal({ properties: { a: true } }, { draftA: '04' })).toEqual({
      code: 'SCHEMA_INVALID',
      pointers: ['/properties'],
    })
  })

  test('keywords of later drafts assert nothing in earlier ones', () => {
    expect(verdictOf({}, { if: true, else: false, const: 1 }, { draftB: '04' })).toBe('compatible')
    expect(verdictOf({}, { const: 1 }, { draftB: 'draft-06' })).toBe('breaking')
  })
})
