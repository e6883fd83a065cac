// biome-ignore-all lint/suspicious/noThenProperty: a keyword of JSON Schema, never awaited.
import { describe, expect, test } from 'vitest'
import type { Json } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { Budget } from './decide/budget.ts'
import { Evaluator } from './evaluate.ts'
import type { Draft } from './load/dialect.ts'
import { loadSchema } from './load/references.ts'
import { isSubset } from './subset.ts'

function accepts(schema: JsonSchema, value: Json, draft: Draft = '2020-12'): boolean {
  return new Evaluator(
    loadSchema(schema, draft),
    new Budget({ budgetMs: 60_000, ticks: 1e9 }),
  ).accepts(value)
}

const tree = (strict: boolean): JsonSchema => ({
  $id: 'https://example.com/root',
  $ref: strict ? 'strict' : 'tree',
  $defs: {
    tree: {
      $id: 'tree',
      $dynamicAnchor: 'node',
      type: 'object',
      properties: { children: { items: { $dynamicRef: '#node' } } },
    },
    strict: { $id: 'strict', $dynamicAnchor: 'node', $ref: 'tree', unevaluatedProperties: false },
  },
})
const recursive = (outer: boolean): JsonSchema => ({
  $id: 'https://example.com/outer',
  $recursiveAnchor: outer,
  anyOf: [{ type: 'integer' }, { $ref: 'inner' }],
  $defs: {
    inner: {
      $id: 'inner',
      $recursiveAnchor: true,
      type: 'object',
      additionalProperties: { $recursiveRef: '#' },
    },
  },
})

type Case = readonly [
  name: string,
  schema: JsonSchema,
  good: readonly Json[],
  bad: readonly Json[],
  draft?: Draft,
]

const cases: readonly Case[] = [
  [
    '$ref hides its siblings up to draft-07',
    { $ref: '#/definitions/s', maxLength: 1, definitions: { s: { type: 'string' } } },
    ['abc'],
    [1],
    '07',
  ],
  [
    '$ref stands beside its siblings from 2019-09',
    { $ref: '#/$defs/s', maxLength: 1, $defs: { s: { type: 'string' } } },
    ['a'],
    ['abc', 1],
    '2019-09',
  ],
  [
    '$dynamicRef goes to the outermost anchor',
    tree(true),
    [{ children: [{ children: [] }] }],
    [{ children: [{ daat: 1 }] }],
  ],
  [
    '$dynamicRef stays where nothing outer has the anchor',
    tree(false),
    [{ children: [{ daat: 1 }] }],
    [{ children: [1] }],
  ],
  [
    '$recursiveRef goes out only through recursive anchors',
    recursive(true),
    [{ a: 1 }, { a: { b: 2 } }],
    [{ a: 'x' }],
    '2019-09',
  ],
  [
    '$recursiveRef stays inside without an outer anchor',
    recursive(false),
    [{ a: {} }],
    [{ a: 1 }],
    '2019-09',
  ],
  [
    'an identifier inside enum is data',
    { enum: [{ $id: 'https://example.com/x', $ref: '#/gone' }] },
    [{ $id: 'https://example.com/x', $ref: '#/gone' }],
    [{}],
  ],
  [
    'an embedded resource resolves against its own identifier',
    {
      $id: 'https://example.com/a/root',
      items: { $id: 'b/inner', $ref: '#/$defs/x', $defs: { x: { type: 'null' } } },
    },
    [[null]],
    [[1]],
  ],
  ['decimals are exact', { multipleOf: 0.01 }, [0.07, 19.99, 1.1], [0.075]],
  ['1.0 is an integer in draft 04 too', { type: 'integer' }, [1.0, -0], [1.5], '04'],
  [
    'inherited names are no members',
    { required: ['toString'], properties: { constructor: { type: 'number' } } },
    [{ toString: 1 }],
    [{}],
  ],
  [
    '__proto__ is a member like any other',
    { properties: JSON.parse('{"__proto__":{"type":"number"}}') },
    [JSON.parse('{"__proto__":1}')],
    [JSON.parse('{"__proto__":"x"}')],
  ],
  [
    'equality knows no order of members, and no own toString',
    { const: { a: 1, toString: 2 } },
    [{ toString: 2, a: 1 }],
    [{ a: 1 }],
  ],
  ['lengths count code points', { maxLength: 2, minLength: 2 }, ['😀é'], ['😀']],
  [
    'contains beside a tuple is asked for an empty list too',
    { items: [{}], contains: {} },
    [[1]],
    [[]],
    '07',
  ],
  [
    'minContains 0 asks for nothing, and still evaluates',
    { contains: { const: 1 }, minContains: 0, unevaluatedItems: false },
    [[], [1]],
    [[2]],
  ],
  [
    'contains evaluates nothing in 2019-09',
    { contains: { const: 1 }, unevaluatedItems: false },
    [],
    [[1]],
    '2019-09',
  ],
  [
    'a failed branch evaluates nothing',
    {
      anyOf: [{ properties: { a: { const: 1 } } }, { properties: { b: {} } }],
      unevaluatedProperties: false,
    },
    [{ a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    [{ a: 2 }],
  ],
  [
    'not evaluates nothing',
    { not: { not: { properties: { a: {} } } }, unevaluatedProperties: false },
    [{}],
    [{ a: 1 }],
  ],
  [
    'if evaluates without then',
    { if: { properties: { a: { const: 1 } }, required: ['a'] }, unevaluatedProperties: false },
    [{ a: 1 }],
    [{ a: 2 }],
  ],
  ['formats are asserted', { format: 'ipv4' }, ['192.0.2.1', 4], ['192.0.2.256']],
  ['an unknown format is a remark', { format: 'colour' }, ['no colour'], []],
  ['nullable is no keyword', { type: 'string', nullable: true } as JsonSchema, ['a'], [null]],
  [
    'dependencies are asserted in 2020-12 too',
    { dependencies: { a: ['b'] } },
    [{ a: 1, b: 2 }, {}],
    [{ a: 1 }],
  ],
]

const named = cases.map((one) => [one[0], one] as const)

describe('the evaluator follows the specification of each draft', () => {
  test.each(named)('%s', (_, [, schema, good, bad, draft = '2020-12']) => {
    for (const value of good)
      expect(accepts(schema, value, draft), JSON.stringify(value)).toBe(true)
    for (const value of bad)
      expect(accepts(schema, value, draft), JSON.stringify(value)).toBe(false)
  })

  test.each(named)('and the prover agrees: %s', (_, [, schema, good, bad, draft = '2020-12']) => {
    const drafts = { draftA: draft, draftB: draft }
    for (const value of good)
      expect(isSubset({ enum: [value] }, schema, drafts).verdict).toBe('compatible')
    // Where the validator of the runtime cannot follow, the answer is unknown, and never compatible.
    for (const value of bad)
      expect(isSubset({ enum: [value] }, schema, drafts).verdict).not.toBe('compatible')
  })
})
