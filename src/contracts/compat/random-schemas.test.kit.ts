// biome-ignore-all lint/suspicious/noThenProperty: a keyword of JSON Schema, never awaited.
import type { Json, JsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import type { Draft } from './load/dialect.ts'

/** Repeatable choices: equal seeds, equal schemas (mulberry32). */
export class Choices {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A whole number from 0 up to, not including, `n`. */
  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % n
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  /** As many values as are asked for. */
  times<T>(count: number, make: () => T): T[] {
    return Array.from({ length: count }, make)
  }
}

// Few names, numbers and patterns, so that keywords meet each other.
const names = ['a', 'b', 'c', 'ab'] as const
const patterns = [
  '^a',
  'b$',
  '^[ab]$',
  'c',
  '^.$',
  '^(a|bc)+$',
  '^$',
  '^a?b*$',
  '(?=a).b',
  '^(?!a)',
] as const
const numbers = [0, 1, 2, 3, -1, 0.5, 1.5, 10, 0.1, -2.5] as const
const texts = ['', 'a', 'b', 'ab', 'abc', 'c', 'cc'] as const
const formats = ['date', 'ipv4', 'uuid', 'email', 'date-time', 'uri'] as const
const types = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'] as const

/** A random value, nested at most `depth` levels. */
export function randomValue(choices: Choices, depth = 2): Json {
  const kind = choices.below(depth > 0 ? 9 : 6)
  if (kind === 0) return null
  if (kind === 1) return choices.chance(50)
  if (kind <= 3) return choices.pick(numbers)
  if (kind <= 5) return choices.pick(texts)
  if (kind === 6) return choices.times(choices.below(4), () => randomValue(choices, depth - 1))
  return Object.fromEntries(
    choices.times(choices.below(4), () => [choices.pick(names), randomValue(choices, depth - 1)]),
  )
}

interface Making {
  readonly choices: Choices
  readonly draft: Draft
  /** References that may be used instead of a schema. */
  readonly references: readonly string[]
}

/** A random schema of a draft, nested at most `depth` levels. */
export function randomSchema(making: Making, depth: number): JsonSchema {
  const { choices, draft, references } = making
  if (references.length > 0 && choices.chance(20)) return { $ref: choices.pick(references) }
  if (depth <= 0) return leaf(making)
  const schema: Record<string, Json> = {}
  if (choices.chance(55))
    schema.type = choices.chance(75)
      ? choices.pick(types)
      : [...new Set(choices.times(2, () => choices.pick(types)))]
  const keywords = keywordsOf(making, depth)
  for (let count = 1 + choices.below(4); count > 0; count -= 1) {
    const [keyword, make] = choices.pick(keywords)
    schema[keyword] = make()
  }
  const inner = () => randomSchema(making, depth - 1)
  if ('if' in schema) {
    if (choices.chance(80)) schema.then = inner()
    if (choices.chance(60)) schema.else = inner()
  }
  if (('minContains' in schema || 'maxContains' in schema) && draft !== '04')
    schema.contains ??= inner()
  return schema
}

function leaf({ choices, draft }: Making): JsonSchema {
  switch (choices.below(6)) {
    case 0:
      return draft === '04' ? {} : choices.chance(50)
    case 1:
      return { type: choices.pick(types) }
    case 2:
      return { enum: choices.times(1 + choices.below(3), () => randomValue(choices, 1)) }
    case 3:
      return {}
    case 4:
      return { type: 'integer', minimum: choices.pick(numbers) }
    default:
      return { type: 'string', maxLength: choices.below(3) }
  }
}

type Maker = readonly [keyword: string, make: () => Json]

function keywordsOf(making: Making, depth: number): Maker[] {
  const { choices, draft } = making
  const inner = (): Json => randomSchema(making, depth - 1 - choices.below(2))
  const some = (count: number) => choices.times(count, inner)
  const named = (list: readonly string[], count: number) =>
    Object.fromEntries(choices.times(count, () => [choices.pick(list), inner()]))
  const all: Maker[] = [
    ['enum', () => choices.times(1 + choices.below(4), () => randomValue(choices))],
    ['multipleOf', () => choices.pick([1, 2, 0.5, 3, 0.1, 1.5])],
    ['minimum', () => choices.pick(numbers)],
    ['maximum', () => choices.pick(numbers)],
    ['minLength', () => choices.below(3)],
    ['maxLength', () => choices.below(4)],
    ['pattern', () => choices.pick(patterns)],
    ['format', () => choices.pick(formats)],
    ['minItems', () => choices.below(3)],
    ['maxItems', () => choices.below(4)],
    ['uniqueItems', () => choices.chance(80)],
    ['minProperties', () => choices.below(3)],
    ['maxProperties', () => choices.below(4)],
    [
      'required',
      () => [...new Set(choices.times(1 + choices.below(2), () => choices.pick(names)))],
    ],
    ['properties', () => named(names, 1 + choices.below(3))],
    ['properties', () => named(names, 1 + choices.below(3))],
    ['patternProperties', () => named(patterns, 1 + choices.below(2))],
    ['additionalProperties', () => (choices.chance(50) ? choices.chance(30) : inner())],
    ['allOf', () => some(2)],
    ['anyOf', () => some(2)],
    ['oneOf', () => some(2 + choices.below(2))],
    ['not', inner],
    [
      'dependencies',
      () => ({ [choices.pick(names)]: choices.chance(50) ? [choices.pick(names)] : inner() }),
    ],
  ]
  return [...all, ...laterKeywords(making, inner)].filter(
    ([keyword]) => draft !== '2020-12' || keyword !== 'additionalItems',
  )
}

function laterKeywords({ choices, draft }: Making, inner: () => Json): Maker[] {
  const found: Maker[] = []
  const some = (count: number) => choices.times(count, inner)
  if (draft === '2020-12')
    found.push(['prefixItems', () => some(1 + choices.below(2))], ['items', inner])
  else
    found.push(
      ['items', () => (choices.chance(50) ? inner() : some(1 + choices.below(2)))],
      ['additionalItems', () => (choices.chance(50) ? choices.chance(50) : inner())],
    )
  if (draft !== '04') {
    found.push(
      ['const', () => randomValue(choices)],
      ['contains', inner],
      ['propertyNames', () => (choices.chance(70) ? { pattern: choices.pick(patterns) } : inner())],
      ['exclusiveMinimum', () => choices.pick(numbers)],
    )
  }
  if (draft !== '04' && draft !== '06') found.push(['if', inner])
  if (draft === '2019-09' || draft === '2020-12') {
    found.push(
      ['dependentRequired', () => ({ [choices.pick(names)]: [choices.pick(names)] })],
      ['dependentSchemas', () => ({ [choices.pick(names)]: inner() })],
      ['minContains', () => choices.below(3)],
      ['maxContains', () => 1 + choices.below(2)],
      ['unevaluatedProperties', () => (choices.chance(70) ? false : inner())],
      ['unevaluatedItems', () => (choices.chance(70) ? false : inner())],
    )
  }
  return found
}

const definitionNames = ['w', 'x', 'y', 'z'] as const

/** A schema of four definitions that refer to each other and to themselves. */
export function randomRecursiveSchema(choices: Choices, draft: Draft): JsonObject {
  const keyword = draft.startsWith('20') ? '$defs' : 'definitions'
  const making = {
    choices,
    draft,
    references: definitionNames.map((name) => `#/${keyword}/${name}`),
  }
  const definitions = Object.fromEntries(
    definitionNames.map((name) => [name, randomSchema(making, 2)]),
  )
  return { [keyword]: definitions, allOf: [randomSchema(making, 2)] }
}

/** The schema with one place changed: a number moved, an entry left out, a keyword added. */
export function edited(choices: Choices, schema: JsonSchema, draft: Draft): JsonSchema {
  const box = { root: structuredClone(schema) as Json }
  const places: { holder: Record<string, Json>; key: string }[] = []
  const visit = (holder: Record<string, Json>) => {
    for (const key of Object.keys(holder)) {
      places.push({ holder, key })
      const part = holder[key]
      if (typeof part === 'object' && part !== null) visit(part as Record<string, Json>)
    }
  }
  visit(box)
  for (let attempt = 0; attempt < 8; attempt += 1) {
    const { holder, key } = choices.pick(places)
    if (change(choices, holder, key, draft)) break
  }
  return box.root as JsonSchema
}

const mapKeywords = new Set([
  'properties',
  'patternProperties',
  'dependencies',
  'dependentSchemas',
  'dependentRequired',
  '$defs',
  'definitions',
])
const flags = new Set(['additionalProperties', 'additionalItems', 'uniqueItems'])

function change(
  choices: Choices,
  holder: Record<string, Json>,
  key: string,
  draft: Draft,
): boolean {
  const value = holder[key] as Json
  if (key === 'pattern') holder[key] = choices.pick(patterns)
  else if (key === 'type') holder[key] = choices.pick(types)
  else if (typeof value === 'number' && key.startsWith('m'))
    holder[key] = Math.max(key === 'multipleOf' ? 1 : 0, Math.floor(value) + choices.pick([1, -1]))
  else if (typeof value === 'boolean' && (draft !== '04' || flags.has(key))) holder[key] = !value
  else if (Array.isArray(value) && value.length > 1)
    holder[key] = value.toSpliced(choices.below(value.length), 1)
  else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const keys = Object.keys(value)
    if (keys.length > 0 && choices.chance(60))
      delete (value as Record<string, Json>)[choices.pick(keys)]
    else if (!mapKeywords.has(key))
      Object.assign(value, randomSchema({ choices, draft, references: [] }, 1))
    else return false
  } else return false
  return true
}
