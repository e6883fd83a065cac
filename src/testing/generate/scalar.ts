import { isDeepStrictEqual } from 'node:util'
import type { Json, JsonObject } from '../../core/json.ts'
import { Impossible } from './conjuncts.ts'
import type { Dice } from './dice.ts'
import { formatText, plainText } from './format-text.ts'
import { compilePattern, textMatching } from './pattern-text.ts'

export type JsonType = 'null' | 'boolean' | 'integer' | 'number' | 'string' | 'array' | 'object'
const allTypes: readonly JsonType[] = [
  'string',
  'integer',
  'number',
  'boolean',
  'object',
  'array',
  'null',
]

/** Numbers that a keyword has in the schemas. */
export function numbersOf(schemas: readonly JsonObject[], keyword: string): number[] {
  return schemas
    .map((schema) => schema[keyword])
    .filter((value): value is number => typeof value === 'number')
}
export function textsOf(schemas: readonly JsonObject[], keyword: string): string[] {
  return schemas
    .map((schema) => schema[keyword])
    .filter((value): value is string => typeof value === 'string')
}

export function typeOf(value: Json): JsonType {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value as JsonType
}

/** The types that every schema allows. */
export function allowedTypes(schemas: readonly JsonObject[]): JsonType[] {
  let allowed = [...allTypes]
  for (const { type } of schemas) {
    if (type === undefined) continue
    const named = (Array.isArray(type) ? type : [type]) as JsonType[]
    allowed = allowed.filter(
      (each) => named.includes(each) || (each === 'integer' && named.includes('number')),
    )
  }
  return allowed
}

const keywordsOfType: readonly (readonly [JsonType, readonly string[]])[] = [
  ['object', ['properties', 'required', 'patternProperties', 'minProperties', 'propertyNames']],
  ['array', ['items', 'prefixItems', 'contains', 'minItems', 'uniqueItems']],
  ['string', ['pattern', 'minLength', 'maxLength', 'format']],
  ['number', ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf']],
]

/** The type that the keywords speak of, where no `type` says it. */
export function chooseType(
  schemas: readonly JsonObject[],
  luck: Dice,
  isDeep: boolean,
): JsonType | undefined {
  const allowed = allowedTypes(schemas)
  if (schemas.every((schema) => schema.type === undefined)) {
    const spoken = keywordsOfType.find(([, keywords]) =>
      schemas.some((schema) => keywords.some((keyword) => schema[keyword] !== undefined)),
    )
    return spoken?.[0] ?? luck.pick(['string', 'integer', 'boolean'] as const)
  }
  if (isDeep) {
    const flat = allowed.filter((each) => each !== 'object' && each !== 'array')
    if (flat.length > 0) return luck.pick(flat)
  }
  const isAnyNumber = allowed.includes('number')
  const present = allowed.filter((each) => each !== 'null' && !(isAnyNumber && each === 'integer'))
  // A field that may be null is null now and then: that is what breaks handlers.
  if (present.length > 0 && (!allowed.includes('null') || luck.chance(0.85))) {
    return luck.pick(present)
  }
  return allowed.includes('null') ? 'null' : undefined
}

/** Values of `const` and `enum` that every schema has; undefined where none of them names any. */
export function namedValues(schemas: readonly JsonObject[]): readonly Json[] | undefined {
  let values: readonly Json[] | undefined
  for (const schema of schemas) {
    const own = schema.const !== undefined ? [schema.const] : schema.enum
    if (!Array.isArray(own)) continue
    values = (values ?? own).filter((value) => own.some((each) => isDeepStrictEqual(each, value)))
  }
  const types = allowedTypes(schemas)
  return values?.filter((value) => types.includes(typeOf(value)))
}

export interface NumberBounds {
  readonly min: number
  readonly max: number
  readonly step: number
}

function exclusive(schemas: readonly JsonObject[], side: 'Minimum' | 'Maximum'): number[] {
  const inclusive = side.toLowerCase()
  return schemas.flatMap((schema) => {
    const bound = schema[`exclusive${side}`]
    if (typeof bound === 'number') return [bound]
    // Draft 04: a flag beside the bound.
    return bound === true && typeof schema[inclusive] === 'number' ? [schema[inclusive]] : []
  })
}

const decimalsOf = (value: number): number => {
  const text = String(value)
  const exponent = /e-(\d+)$/.exec(text)
  if (exponent) return Number(exponent[1])
  return text.split('.')[1]?.length ?? 0
}

/** A distance between numbers that leaves some between bounds that are close together. */
function freeStep(lowest: number, highest: number): number {
  const width = highest - lowest
  if (!Number.isFinite(width) || width >= 1 || width <= 0) return 0.01
  return 10 ** (Math.floor(Math.log10(width)) - 2)
}

/** The smallest and largest number that the schemas allow and the distance between two. */
export function numberBounds(schemas: readonly JsonObject[], isInteger: boolean): NumberBounds {
  const above = exclusive(schemas, 'Minimum')
  const below = exclusive(schemas, 'Maximum')
  const least = Math.max(...numbersOf(schemas, 'minimum'), ...above)
  const most = Math.min(...numbersOf(schemas, 'maximum'), ...below)
  const multiple = Math.max(0, ...numbersOf(schemas, 'multipleOf'))
  const free = multiple || freeStep(least, most)
  const step = isInteger && !Number.isInteger(multiple || 0.5) ? 1 : free
  return {
    min: above.includes(least) ? least + step : least,
    max: below.includes(most) ? most - step : most,
    step,
  }
}

/** A multiple of `step` near `value`, written with as many decimals as the step has. */
export function onStep(value: number, step: number, round: (value: number) => number): number {
  const decimals = Math.min(15, decimalsOf(step))
  return Number((round(Number((value / step).toPrecision(15))) * step).toFixed(decimals))
}

export function makeNumber(
  schemas: readonly JsonObject[],
  options: { isInteger: boolean; luck: Dice; pointer: string },
): number {
  const { isInteger, luck, pointer } = options
  const { min, max, step } = numberBounds(schemas, isInteger)
  // Between open bounds: numbers as people see them.
  const from = Number.isFinite(min) ? min : Number.isFinite(max) ? Math.min(0, max - 1000) : 0
  const to = Number.isFinite(max) ? max : Math.max(from, 0) + 1000 * Math.max(1, step)
  const lowest = onStep(from, step, Math.ceil)
  const highest = onStep(to, step, Math.floor)
  if (lowest > highest) {
    // Two numbers closer together than the usual step: take the middle.
    if (from <= to && !isInteger) return (from + to) / 2
    throw new Impossible(pointer, `no number lies between ${min} and ${max}`)
  }
  const value = onStep(lowest + luck.random() * (highest - lowest), step, Math.round)
  return Math.min(highest, Math.max(lowest, value))
}

export interface LengthBounds {
  readonly min: number
  readonly max: number
}
export function lengthBounds(schemas: readonly JsonObject[]): LengthBounds {
  return {
    min: Math.max(0, ...numbersOf(schemas, 'minLength')),
    max: Math.min(...numbersOf(schemas, 'maxLength')),
  }
}

/** Cuts and fills a text to the wanted length, counted in code points. */
export function fitLength(text: string, { min, max }: LengthBounds): string {
  const points = [...text]
  if (points.length > max)
    return points.slice(0, max).join('').trimEnd().padEnd(Math.min(min, max), 'x')
  return points.length < min ? text + 'x'.repeat(min - points.length) : text
}

export function makeText(
  schemas: readonly JsonObject[],
  options: { luck: Dice; pointer: string; field?: string; example?: unknown },
): string {
  const { luck, pointer, field, example } = options
  const bounds = lengthBounds(schemas)
  if (bounds.min > bounds.max) throw new Impossible(pointer, 'no text is that long and that short')
  const patterns = textsOf(schemas, 'pattern')
  const [format] = textsOf(schemas, 'format')
  const formatted = format === undefined ? undefined : formatText(format, luck)
  const plain = fitLength(formatted ?? plainText(luck, field, example), bounds)
  if (formatted !== undefined && patterns.length === 0) return formatted
  if (patterns.length > 0) {
    // What reads well is taken where it happens to match.
    if (patterns.every((each) => compilePattern(each)?.test(plain))) return plain
    const text = textMatching(patterns, bounds, luck)
    if (text === undefined) {
      throw new Impossible(pointer, `no text was found that matches ${patterns.join(' and ')}`)
    }
    return text
  }
  return plain
}
