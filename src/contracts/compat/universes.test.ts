import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Json, JsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { Budget } from './decide/budget.ts'
import { Evaluator } from './evaluate.ts'
import { loadSchema } from './load/references.ts'
import { Choices } from './random-schemas.test.kit.ts'
import { isSubset } from './subset.ts'

// Every value of a small universe against every proof: what random values hardly ever hit.

type Maker = (choices: Choices, depth: number) => JsonSchema

function grown<T>(first: T, most: number, longer: (value: T) => T[]): T[] {
  const values = [first]
  for (let at = 0; values.length < most; at += 1) values.push(...longer(values[at] as T))
  return values
}

const names = ['a', 'b', 'ab', 'ba', 'aa', 'c', '-'] as const
const scalars: readonly Json[] = [0, 1, 'x', null]
const decimals = Array.from({ length: 61 }, (_, at) => Number(((at - 30) / 10).toFixed(1)))
const quarters = Array.from({ length: 49 }, (_, at) => (at - 24) / 4)
const numbers = [...decimals, ...quarters, ...Array.from({ length: 40 }, (_, at) => at * 7 - 140)]
const words = grown('', 1_365, (word) => [...'ab-1'].map((letter) => word + letter))
const arrays = grown<Json[]>([], 1_500, (items) =>
  [...scalars, 2, []].map((item) => [...items, item]),
)
const objects: Json[] = [
  {},
  ...names.flatMap((name) => scalars.map((value) => ({ [name]: value }))),
  ...names.flatMap((one) =>
    names
      .filter((other) => other > one)
      .flatMap((other) => scalars.flatMap((x) => scalars.map((y) => ({ [one]: x, [other]: y })))),
  ),
]

/** Adds negation, conjunction and union to the plain keywords of one type. */
function combined(plain: (choices: Choices) => JsonSchema): Maker {
  const make: Maker = (choices, depth) => {
    const kind = choices.below(depth > 0 ? 8 : 4)
    const part = () => make(choices, depth - 1)
    if (kind < 4) return plain(choices)
    if (kind === 4) return { not: part() }
    if (kind === 5) return { allOf: [part(), part()] }
    return { [kind === 6 ? 'anyOf' : 'oneOf']: [part(), part()] }
  }
  return make
}

const patterns = [
  '^a',
  'b$',
  'ab',
  '^(a|b)*$',
  '-',
  '^[^-]*$',
  '1',
  '^.{2,4}$',
  '(?=.*a)(?=.*b)',
  '^(?!.*-)',
  '\\bb',
  'a(?!b)',
  '(?<!a)b',
  '^(ab)+$',
  'a.?b',
  '^$',
  '\\d$',
  '^((a|1)b?)+$',
] as const
const keyPatterns = ['^a', 'b$', '^.$', '^[ab]', 'a', '^(a|b)+$', '-', '^[^-]*$'] as const
const some = (choices: Choices): JsonSchema =>
  choices.pick<JsonSchema>([
    { type: 'integer' },
    { const: 0 },
    { type: 'string' },
    { enum: [0, 'x'] },
    { type: ['integer', 'null'] },
    {},
    false,
    { minimum: 1 },
  ])

const text = combined((choices) =>
  choices.pick<JsonSchema>([
    { pattern: choices.pick(patterns) },
    { pattern: choices.pick(patterns) },
    { minLength: choices.below(5) },
    { maxLength: choices.below(5) },
    { enum: [choices.pick(words), choices.pick(words)] },
  ]),
)
const number = combined((choices) => {
  const value = choices.pick(numbers)
  return choices.pick<JsonSchema>([
    { minimum: value },
    { exclusiveMinimum: value },
    { maximum: value },
    { exclusiveMaximum: value },
    { multipleOf: choices.pick([1, 2, 3, 0.5, 0.25, 0.1, 1.5, 0.7, 5]) },
    { type: 'integer' },
    { enum: [value, choices.pick(numbers)] },
  ])
})
const object = combined((choices) => {
  const name = choices.pick(names)
  return choices.pick<JsonSchema>([
    { required: [name] },
    { properties: { [name]: some(choices), [choices.pick(names)]: some(choices) } },
    {
      patternProperties: { [choices.pick(keyPatterns)]: some(choices) },
      additionalProperties: some(choices),
    },
    {
      patternProperties: {
        [choices.pick(keyPatterns)]: some(choices),
        [choices.pick(keyPatterns)]: some(choices),
      },
    },
    { properties: { [name]: some(choices) }, additionalProperties: some(choices) },
    { propertyNames: { pattern: choices.pick(keyPatterns) } },
    { minProperties: choices.below(3) },
    { maxProperties: choices.below(3) },
    { dependentRequired: { [name]: [choices.pick(names)] } },
    {
      anyOf: [{ properties: { [name]: some(choices) } }, { required: [choices.pick(names)] }],
      unevaluatedProperties: some(choices),
    },
  ])
})
const array = combined((choices) =>
  choices.pick<JsonSchema>([
    { minItems: choices.below(4) },
    { maxItems: choices.below(4) },
    { items: some(choices) },
    { prefixItems: [some(choices), some(choices)] },
    { prefixItems: [some(choices)], items: some(choices) },
    { contains: some(choices) },
    { contains: some(choices), minContains: choices.below(3), maxContains: 1 + choices.below(2) },
    { uniqueItems: true },
    {
      anyOf: [{ prefixItems: [some(choices)] }, { minItems: choices.below(3) }],
      unevaluatedItems: some(choices),
    },
  ]),
)

const evaluatorOf = (schema: JsonSchema) =>
  new Evaluator(loadSchema(schema), new Budget({ budgetMs: 60_000, ticks: 1e12 }))

/** A value of the universe that the first schema accepts and the second refuses. */
function between(a: JsonSchema, b: JsonSchema, universe: readonly Json[]): Json | undefined {
  const [left, right] = [evaluatorOf(a), evaluatorOf(b)]
  return universe.find((value) => left.accepts(value) && !right.accepts(value))
}

describe('no value of a small universe refutes a proof', () => {
  test.each<[string, Maker, readonly Json[]]>([
    ['string', text, words],
    ['number', number, numbers],
    ['object', object, objects],
    ['array', array, arrays],
  ])('%s', (type, make, universe) => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const choices = new Choices(seed)
        const a: JsonSchema = { allOf: [{ type }, make(choices, 3)] }
        const b = make(choices, 3)
        const { verdict } = isSubset(a, b)
        if (verdict === 'compatible') expect(between(a, b, universe)).toBeUndefined()
      }),
      { numRuns: 120 },
    )
  })
})

/** Values of depth three over two scalars, a text, members x and y, and lists. */
function nestedValues(): Json[] {
  let values: Json[] = [0, 1, 'q']
  for (const width of [3, 24]) {
    const base = values.slice(0, width)
    const pairs = base.flatMap((one) =>
      base.slice(0, 8).flatMap((other): Json[] => [{ x: one, y: other }, [one, other]]),
    )
    values = [
      ...values,
      {},
      [],
      ...base.flatMap((one): Json[] => [{ x: one }, { y: one }, [one]]),
      ...pairs,
    ]
  }
  return [...values, ...values.flatMap((value): Json[] => [{ x: value }, { y: value }])]
}

const definitions = ['p', 'q', 'r', 's'] as const
const leaves: readonly JsonSchema[] = [
  { type: 'integer' },
  { const: 0 },
  { const: 1 },
  { type: 'string' },
  false,
  true,
  { enum: [0, 'q'] },
]

const recursive: Maker = (choices, depth) => {
  const below = (): JsonSchema =>
    choices.chance(65) ? { $ref: `#/$defs/${choices.pick(definitions)}` } : choices.pick(leaves)
  const part = () => recursive(choices, depth - 1)
  switch (choices.below(depth > 0 ? 9 : 5)) {
    case 0:
      return {
        type: 'object',
        required: [choices.pick(['x', 'y'])],
        properties: { x: below(), y: below() },
        additionalProperties: choices.chance(50),
      }
    case 1:
      return { type: 'object', required: ['x', 'y'], properties: { x: below(), y: below() } }
    case 2:
      return {
        type: 'array',
        items: below(),
        minItems: choices.below(2),
        uniqueItems: choices.chance(30),
      }
    case 3:
      return {
        type: 'array',
        prefixItems: [below(), below()],
        minItems: 1 + choices.below(2),
        items: false,
      }
    case 4:
      return choices.pick(leaves)
    case 5:
      return { oneOf: [part(), part()] }
    case 6:
      return { allOf: [part(), { not: part() }] }
    default:
      return { anyOf: [part(), part()] }
  }
}

test('no nested value refutes a proof about recursive schemas, and none of those is unknown', () => {
  const universe = nestedValues()
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const choices = new Choices(seed)
      const all = (): JsonObject =>
        Object.fromEntries(definitions.map((name) => [name, recursive(choices, 2)]))
      const before = all()
      const after = choices.chance(60)
        ? { ...before, [choices.pick(definitions)]: recursive(choices, 2) }
        : all()
      const rooted = ($defs: JsonObject): JsonSchema => ({ $defs, allOf: [recursive(choices, 1)] })
      const [a, b] = [rooted(before), rooted(after)]
      for (const other of [b, false]) {
        const { verdict } = isSubset(a, other)
        expect(verdict).not.toBe('unknown')
        if (verdict === 'compatible') expect(between(a, other, universe)).toBeUndefined()
      }
    }),
    { numRuns: 120 },
  )
})
