import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { type References, readReferences } from '../schema/schema-references.ts'
import { arrayDifferences } from './confluent-arrays.ts'
import type { ConfluentDifference, Differ } from './confluent-difference.ts'
import { isEmptySchema } from './confluent-difference.ts'
import { objectDifferences } from './confluent-objects.ts'
import type { Bound } from './confluent-rules.ts'
import { isHarmless } from './confluent-rules.ts'
import { combinedDifferences } from './confluent-unions.ts'
import type { RulePolicy } from './policies.ts'
import { fromNumber, isMultiple } from './rational.ts'

/**
 * How `update` differs from `original`, by the rules that Confluent's registry documents: sound or not, they decide what
 * that registry accepts. `update` must read what `original` wrote; swap them for `FORWARD`. What the rules do not look at
 * (`if`, `contains`, `propertyNames`, `format`, values of `patternProperties`) is no difference. Recursion ends where a
 * pair is met again.
 */
export function confluentDifferences(
  original: JsonSchema,
  update: JsonSchema,
  policy: RulePolicy = 'confluent-strict',
): ConfluentDifference[] {
  return new SchemaDiffer(original, update, policy).compare(original, update, '')
}

/** The differences that the policy refuses. */
export function harmfulDifferences(
  original: JsonSchema,
  update: JsonSchema,
  policy: RulePolicy,
): ConfluentDifference[] {
  return confluentDifferences(original, update, policy).filter(
    ({ rule }) => !isHarmless(rule, policy),
  )
}

class SchemaDiffer implements Differ {
  readonly #policy: RulePolicy
  readonly #references: readonly [References | undefined, References | undefined]
  readonly #known = new Map<JsonSchema, Map<JsonSchema, ConfluentDifference[]>>()

  constructor(original: JsonSchema, update: JsonSchema, policy: RulePolicy) {
    this.#policy = policy
    const read = (schema: JsonSchema) => (isJsonObject(schema) ? readReferences(schema) : undefined)
    this.#references = [read(original), read(update)]
  }

  compare(original: JsonSchema, update: JsonSchema, pointer: string): ConfluentDifference[] {
    const [old, now] = [this.#resolve(original, 0), this.#resolve(update, 1)]
    const known = this.#known.get(old)?.get(now)
    if (known !== undefined) return known
    const found: ConfluentDifference[] = []
    const isComparable = isJsonObject(old) && isJsonObject(now)
    if (isComparable) this.#remember(old, now, found)
    found.push(...this.#differences(old, now, pointer))
    return found
  }

  isCompatible(original: JsonSchema, update: JsonSchema): boolean {
    return this.compare(original, update, '').every(({ rule }) => isHarmless(rule, this.#policy))
  }

  #remember(old: JsonSchema, now: JsonSchema, found: ConfluentDifference[]): void {
    const ofOld = this.#known.get(old) ?? new Map<JsonSchema, ConfluentDifference[]>()
    this.#known.set(old, ofOld.set(now, found))
  }

  #resolve(schema: JsonSchema, side: 0 | 1): JsonSchema {
    let current = schema
    const seen = new Set<JsonSchema>()
    while (isJsonObject(current) && typeof current.$ref === 'string' && !seen.has(current)) {
      seen.add(current)
      current = this.#references[side]?.resolve(current, current.$ref) ?? true
    }
    return current
  }

  #differences(old: JsonSchema, now: JsonSchema, pointer: string): ConfluentDifference[] {
    if (isEmptySchema(now)) return isEmptySchema(old) ? [] : [{ rule: 'TYPE_EXTENDED', pointer }]
    if (old === false) return now === false ? [] : [{ rule: 'TYPE_EXTENDED', pointer }]
    if (isEmptySchema(old) || now === false) return [{ rule: 'TYPE_NARROWED', pointer }]
    if (!isJsonObject(old) || !isJsonObject(now)) return []
    const combined = combinedDifferences(this, old, now, pointer)
    if (combined !== undefined) return combined
    return [
      ...enumDifferences(old, now, pointer),
      ...typeDifferences(old, now, pointer),
      ...boundDifferences(old, now, pointer),
      ...multipleDifferences(old, now, pointer),
      ...patternDifferences(old, now, pointer),
      ...this.#notDifferences(old, now, pointer),
      ...objectDifferences(this, old, now, pointer),
      ...arrayDifferences(this, old, now, pointer),
    ]
  }

  #notDifferences(old: JsonObject, now: JsonObject, pointer: string): ConfluentDifference[] {
    const [was, is] = [old.not, now.not] as (JsonSchema | undefined)[]
    const at = `${pointer}/not`
    if (is === undefined)
      return was === undefined ? [] : [{ rule: 'NOT_TYPE_NARROWED', pointer: at }]
    if (was === undefined) return [{ rule: 'NOT_TYPE_EXTENDED', pointer: at }]
    // What is forbidden may only shrink, so the sides are swapped.
    const swapped = new SchemaDiffer(now, old, this.#policy)
    const isFine = swapped.isCompatible(is, was)
    const isSame = JSON.stringify(is) === JSON.stringify(was)
    if (isSame) return []
    return [{ rule: isFine ? 'NOT_TYPE_NARROWED' : 'NOT_TYPE_EXTENDED', pointer: at }]
  }
}

function valuesOf(schema: JsonObject): readonly string[] | undefined {
  if (schema.const !== undefined) return [JSON.stringify(schema.const)]
  if (!Array.isArray(schema.enum)) return undefined
  return (schema.enum as readonly Json[]).map((value) => JSON.stringify(value))
}

function enumDifferences(old: JsonObject, now: JsonObject, pointer: string): ConfluentDifference[] {
  const [was, is] = [valuesOf(old), valuesOf(now)]
  const at = `${pointer}/${now.const === undefined ? 'enum' : 'const'}`
  if (is === undefined)
    return was === undefined ? [] : [{ rule: 'ENUM_ARRAY_EXTENDED', pointer: at }]
  if (was === undefined) return [{ rule: 'ENUM_ARRAY_NARROWED', pointer: at }]
  const isGrown = was.every((value) => is.includes(value))
  const isShrunk = is.every((value) => was.includes(value))
  if (isGrown && isShrunk) return []
  if (isGrown) return [{ rule: 'ENUM_ARRAY_EXTENDED', pointer: at }]
  return [{ rule: isShrunk ? 'ENUM_ARRAY_NARROWED' : 'ENUM_ARRAY_CHANGED', pointer: at }]
}

function typeDifferences(old: JsonObject, now: JsonObject, pointer: string): ConfluentDifference[] {
  const [was, is] = [old.type, now.type]
  const at = `${pointer}/type`
  if (was === is) return []
  if (is === undefined) return [{ rule: 'TYPE_EXTENDED', pointer: at }]
  if (was === undefined) return [{ rule: 'TYPE_NARROWED', pointer: at }]
  if (was === 'integer' && is === 'number') return [{ rule: 'TYPE_EXTENDED', pointer: at }]
  if (was === 'number' && is === 'integer') return [{ rule: 'TYPE_NARROWED', pointer: at }]
  return [{ rule: 'TYPE_CHANGED', pointer: at }]
}

const boundKeywords: Readonly<Record<string, Bound>> = {
  maxLength: 'MAX_LENGTH',
  minLength: 'MIN_LENGTH',
  maximum: 'MAXIMUM',
  minimum: 'MINIMUM',
  exclusiveMaximum: 'EXCLUSIVE_MAXIMUM',
  exclusiveMinimum: 'EXCLUSIVE_MINIMUM',
  maxProperties: 'MAX_PROPERTIES',
  minProperties: 'MIN_PROPERTIES',
  maxItems: 'MAX_ITEMS',
  minItems: 'MIN_ITEMS',
  maxContains: 'MAX_CONTAINS',
  minContains: 'MIN_CONTAINS',
}

function boundDifferences(
  old: JsonObject,
  now: JsonObject,
  pointer: string,
): ConfluentDifference[] {
  return Object.entries(boundKeywords).flatMap(([keyword, name]): ConfluentDifference[] => {
    const [was, is] = [old[keyword], now[keyword]].map((value) =>
      typeof value === 'boolean' ? Number(value) : value,
    )
    const at = `${pointer}/${keyword}`
    if (typeof is !== 'number')
      return typeof was === 'number' ? [{ rule: `${name}_REMOVED`, pointer: at }] : []
    if (typeof was !== 'number') return [{ rule: `${name}_ADDED`, pointer: at }]
    if (was === is) return []
    return [{ rule: `${name}_${is > was ? 'INCREASED' : 'DECREASED'}`, pointer: at }]
  })
}

function multipleDifferences(
  old: JsonObject,
  now: JsonObject,
  pointer: string,
): ConfluentDifference[] {
  const [was, is] = [old.multipleOf, now.multipleOf]
  const at = `${pointer}/multipleOf`
  if (typeof is !== 'number' || is <= 0)
    return typeof was === 'number' ? [{ rule: 'MULTIPLE_OF_REMOVED', pointer: at }] : []
  if (typeof was !== 'number' || was <= 0) return [{ rule: 'MULTIPLE_OF_ADDED', pointer: at }]
  if (was === is) return []
  if (isMultiple(fromNumber(was), fromNumber(is)))
    return [{ rule: 'MULTIPLE_OF_REDUCED', pointer: at }]
  if (isMultiple(fromNumber(is), fromNumber(was)))
    return [{ rule: 'MULTIPLE_OF_EXPANDED', pointer: at }]
  return [{ rule: 'MULTIPLE_OF_CHANGED', pointer: at }]
}

function patternDifferences(
  old: JsonObject,
  now: JsonObject,
  pointer: string,
): ConfluentDifference[] {
  const [was, is] = [old.pattern, now.pattern]
  const at = `${pointer}/pattern`
  if (was === is) return []
  if (is === undefined) return [{ rule: 'PATTERN_REMOVED', pointer: at }]
  return [{ rule: was === undefined ? 'PATTERN_ADDED' : 'PATTERN_CHANGED', pointer: at }]
}
