import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import { matches } from './automata/match.ts'
import type { Budget } from './decide/budget.ts'
import { standardFormats } from './formats/standard.ts'
import {
  canonicalText,
  codePoints,
  isScalar,
  members,
  own,
  pointerToken,
  sameJson,
  scalarKey,
} from './formula/canonical.ts'
import { refHidesSiblings, shapesOf } from './load/dialect.ts'
import { childPlace, resolveReference } from './load/references.ts'
import type { Document, Place, Resource } from './load/resources.ts'
import { compare, fromNumber, isMultiple } from './rational.ts'

/** Anchor → the outermost resource of the dynamic scope that declares it. */
export type Scope = ReadonlyMap<string, Place>

/** What one schema says of one value, with what it evaluated (annotations of 2019-09 and later). */
export interface Outcome {
  readonly valid: boolean
  /** The first keyword that refuses the value. */
  readonly keyword?: string
  /** Names of evaluated members. */
  readonly names?: ReadonlySet<string> | undefined
  /** Indices of evaluated items. */
  readonly items?: ReadonlySet<number> | undefined
}

interface Call {
  readonly place: Place
  readonly schema: JsonObject
  readonly value: Json
  readonly scope: Scope
  readonly evaluated: { names: Set<string>; items: Set<number> }
}

/**
 * A validator that follows the specification of each draft to the letter and shares nothing with
 * the prover but the loader: the second opinion on every witness. Formats are asserted.
 */
export class Evaluator {
  readonly #document: Document
  readonly #budget: Budget
  readonly #active = new Map<Json, Set<string>>()
  readonly #cache = new Map<Json, Map<string, Outcome>>()

  constructor(document: Document, budget: Budget) {
    this.#document = document
    this.#budget = budget
  }

  /** True when the document's root schema accepts the value. */
  accepts(value: Json): boolean {
    return this.evaluate(
      this.#document.root,
      value,
      enterScope(new Map(), this.#document.root.resource),
    ).valid
  }

  /** Evaluates one subschema. `scope` is the dynamic scope, its resource included. */
  evaluate(place: Place, value: Json, scope: Scope): Outcome {
    this.#budget.tick()
    const { schema } = place
    if (typeof schema === 'boolean') return { valid: schema }
    const key = `${place.resource.uri} ${place.pointer} ${scopeKey(scope)}`
    const results = this.#resultsOf(value)
    const known = results.get(key)
    if (known !== undefined) return known
    const active = this.#active.get(value) ?? new Set()
    // A schema that applies itself to the same value says nothing new.
    if (active.has(key)) return { valid: true }
    this.#active.set(value, active.add(key))
    const outcome = this.#apply(newCall(place, schema, value, scope))
    active.delete(key)
    results.set(key, outcome)
    return outcome
  }

  /** What the keywords before `until` evaluate of the value: names of members, indices of items. */
  evaluatedBefore(place: Place, value: Json, scope: Scope, until: string): Call['evaluated'] {
    const { schema } = place
    if (typeof schema === 'boolean') return { names: new Set(), items: new Set() }
    const call = newCall(place, schema, value, scope)
    const shapes = shapesOf(place.resource.draft)
    for (const keyword of order) {
      if (keyword === until) break
      const argument = own(schema, keyword)
      if (argument !== undefined && shapes.has(keyword)) this.#holds(call, keyword, argument)
    }
    return call.evaluated
  }

  #resultsOf(value: Json): Map<string, Outcome> {
    const known = this.#cache.get(value)
    if (known !== undefined) return known
    const fresh = new Map<string, Outcome>()
    this.#cache.set(value, fresh)
    return fresh
  }

  #apply(call: Call): Outcome {
    const { schema, place } = call
    const { draft } = place.resource
    if (refHidesSiblings(draft) && typeof schema.$ref === 'string')
      return { ...this.#reference(call, schema.$ref), keyword: '$ref' }
    const shapes = shapesOf(draft)
    for (const keyword of order) {
      const value = own(schema, keyword)
      if (value === undefined || !shapes.has(keyword)) continue
      if (!this.#holds(call, keyword, value)) return { valid: false, keyword }
    }
    return { valid: true, names: call.evaluated.names, items: call.evaluated.items }
  }

  #reference(call: Call, reference: string): Outcome {
    const target = resolveReference(call.place.resource, reference)
    if ('problem' in target) return { valid: true }
    return this.evaluate(target.place, call.value, enterScope(call.scope, target.place.resource))
  }

  /** True when one keyword accepts the value; collects what it evaluated. */
  #holds(call: Call, keyword: string, argument: Json): boolean {
    const { value } = call
    const simple = assertions[keyword]
    if (simple !== undefined) return simple(argument, value, call.schema)
    if (inPlace.has(keyword)) return this.#inPlace(call, keyword, argument)
    if (Array.isArray(value)) return this.#array(call, keyword, argument, value)
    return isJsonObject(value) ? this.#object(call, keyword, argument, value) : true
  }

  #child(call: Call, path: string, schema: Json, value: Json): Outcome {
    const place = childPlace(call.place, path, schema)
    const scope =
      place.resource === call.place.resource ? call.scope : enterScope(call.scope, place.resource)
    return this.evaluate(place, value, scope)
  }

  /** Applies a subschema to the value itself and keeps what it evaluated. */
  #same(call: Call, path: string, schema: Json): boolean {
    return keep(call, this.#child(call, path, schema, call.value))
  }

  #inPlace(call: Call, keyword: string, argument: Json): boolean {
    const parts = Array.isArray(argument) ? (argument as readonly Json[]) : []
    const passed = () =>
      parts.filter((part, index) => this.#same(call, `/${keyword}/${index}`, part)).length
    switch (keyword) {
      case '$ref':
        return keep(call, this.#reference(call, argument as string))
      case '$dynamicRef':
      case '$recursiveRef':
        return keep(call, this.#dynamic(call, argument as string))
      case 'allOf':
        return passed() === parts.length
      case 'anyOf':
        return passed() > 0
      case 'oneOf':
        return passed() === 1
      case 'not':
        return !this.#child(call, '/not', argument, call.value).valid
      case 'if':
        return this.#conditional(call, argument)
      default:
        return this.#dependent(call, keyword, argument as JsonObject)
    }
  }

  #conditional(call: Call, condition: Json): boolean {
    const branch = this.#same(call, '/if', condition) ? 'then' : 'else'
    const schema = own(call.schema, branch)
    return schema === undefined || this.#same(call, `/${branch}`, schema)
  }

  #dependent(call: Call, keyword: string, argument: JsonObject): boolean {
    const { value } = call
    if (!isJsonObject(value)) return true
    return members(argument).every(([key, part]) => {
      if (own(value, key) === undefined) return true
      if (Array.isArray(part)) return part.every((name) => own(value, name as string) !== undefined)
      return this.#same(call, `/${keyword}/${pointerToken(key)}`, part)
    })
  }

  #dynamic(call: Call, reference: string): Outcome {
    const target = resolveReference(call.place.resource, reference)
    if ('problem' in target) return { valid: true }
    const place = dynamicTarget(target, call.scope)
    return this.evaluate(place, call.value, enterScope(call.scope, place.resource))
  }

  #array(call: Call, keyword: string, argument: Json, value: readonly Json[]): boolean {
    const each = (from: number, path: string, schema: Json): boolean =>
      value.every(
        (item, index) =>
          index < from || (mark(call, index) && this.#child(call, path, schema, item).valid),
      )
    switch (keyword) {
      case 'prefixItems':
        return this.#tuple(call, keyword, argument as readonly Json[], value)
      case 'items':
        if (Array.isArray(argument)) return this.#tuple(call, keyword, argument, value)
        return each(lengthOf(own(call.schema, 'prefixItems'), call), '/items', argument)
      case 'additionalItems': {
        const items = own(call.schema, 'items')
        return Array.isArray(items) ? each(items.length, '/additionalItems', argument) : true
      }
      case 'contains':
        return this.#contains(call, argument, value)
      case 'unevaluatedItems': {
        const done = new Set(call.evaluated.items)
        return value.every(
          (item, index) =>
            done.has(index) ||
            (mark(call, index) && this.#child(call, '/unevaluatedItems', argument, item).valid),
        )
      }
      default:
        return true
    }
  }

  #tuple(call: Call, keyword: string, parts: readonly Json[], value: readonly Json[]): boolean {
    return parts.every(
      (part, index) =>
        index >= value.length ||
        (mark(call, index) &&
          this.#child(call, `/${keyword}/${index}`, part, value[index] as Json).valid),
    )
  }

  #contains(call: Call, schema: Json, value: readonly Json[]): boolean {
    const shapes = shapesOf(call.place.resource.draft)
    const limit = (name: string, otherwise: number) =>
      shapes.has(name) ? ((own(call.schema, name) as number | undefined) ?? otherwise) : otherwise
    const found = value.flatMap((item, index) =>
      this.#child(call, '/contains', schema, item).valid ? [index] : [],
    )
    if (call.place.resource.draft === '2020-12') for (const index of found) mark(call, index)
    return (
      found.length >= limit('minContains', 1) &&
      found.length <= limit('maxContains', Number.POSITIVE_INFINITY)
    )
  }

  #object(call: Call, keyword: string, argument: Json, value: JsonObject): boolean {
    const check = (key: string, path: string, schema: Json): boolean => {
      call.evaluated.names.add(key)
      return this.#child(call, path, schema, own(value, key) as Json).valid
    }
    switch (keyword) {
      case 'properties':
        return members(argument as JsonObject).every(
          ([key, part]) =>
            own(value, key) === undefined || check(key, `/properties/${pointerToken(key)}`, part),
        )
      case 'patternProperties':
        return members(argument as JsonObject).every(([source, part]) =>
          members(value).every(
            ([key]) =>
              !matches(source, key) ||
              check(key, `/patternProperties/${pointerToken(source)}`, part),
          ),
        )
      case 'additionalProperties':
        return members(value).every(
          ([key]) => isDeclared(call.schema, key) || check(key, '/additionalProperties', argument),
        )
      case 'propertyNames':
        return members(value).every(
          ([key]) => this.#child(call, '/propertyNames', argument, key).valid,
        )
      case 'unevaluatedProperties': {
        const done = new Set(call.evaluated.names)
        return members(value).every(
          ([key]) => done.has(key) || check(key, '/unevaluatedProperties', argument),
        )
      }
      default:
        return true
    }
  }
}

function newCall(place: Place, schema: JsonObject, value: Json, scope: Scope): Call {
  return { place, schema, value, scope, evaluated: { names: new Set(), items: new Set() } }
}

/** True when `properties` or `patternProperties` of the same schema object speaks of the key. */
export function isDeclared(schema: JsonObject, key: string): boolean {
  const properties = own(schema, 'properties')
  if (isJsonObject(properties) && own(properties, key) !== undefined) return true
  const patterns = own(schema, 'patternProperties')
  return isJsonObject(patterns) && Object.keys(patterns).some((source) => matches(source, key))
}

function lengthOf(parts: Json | undefined, call: Call): number {
  return Array.isArray(parts) && shapesOf(call.place.resource.draft).has('prefixItems')
    ? parts.length
    : 0
}

function mark(call: Call, index: number): true {
  call.evaluated.items.add(index)
  return true
}

function keep(call: Call, outcome: Outcome): boolean {
  if (!outcome.valid) return false
  for (const name of outcome.names ?? []) call.evaluated.names.add(name)
  for (const index of outcome.items ?? []) call.evaluated.items.add(index)
  return true
}

/** The scope after entering a resource: its dynamic anchors count unless an outer one has them. */
export function enterScope(scope: Scope, resource: Resource): Scope {
  let next: Map<string, Place> | undefined
  for (const [name, place] of resource.dynamicAnchors) {
    if (!scope.has(name)) next = (next ?? new Map(scope)).set(name, place)
  }
  return next ?? scope
}

/** A text that is equal for equal scopes. */
export function scopeKey(scope: Scope): string {
  if (scope.size === 0) return ''
  return [...scope]
    .map(([name, place]) => `${name}=${place.resource.uri}#${place.pointer}`)
    .sort()
    .join(' ')
}

/**
 * Where `$dynamicRef` or `$recursiveRef` leads: into the dynamic scope only if what it resolves to
 * at first bears that dynamic anchor itself (core specification 2020-12, section 8.2.3.2).
 */
export function dynamicTarget(
  target: { place: Place; anchor: string | undefined },
  scope: Scope,
): Place {
  const { place, anchor } = target
  const recursive =
    anchor === undefined && place.resource.dynamicAnchors.get('')?.pointer === place.pointer
  const name = recursive ? '' : anchor
  if (name === undefined || place.resource.dynamicAnchors.get(name)?.pointer !== place.pointer)
    return place
  return scope.get(name) ?? place
}

// Cheap assertions first, then applicators; unevaluated* last, since they read the others' results.
const order = [
  'type',
  'enum',
  'const',
  'multipleOf',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'minLength',
  'maxLength',
  'pattern',
  'format',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'required',
  'dependentRequired',
  '$ref',
  '$dynamicRef',
  '$recursiveRef',
  'properties',
  'patternProperties',
  'additionalProperties',
  'propertyNames',
  'prefixItems',
  'items',
  'additionalItems',
  'contains',
  'dependencies',
  'dependentSchemas',
  'allOf',
  'anyOf',
  'oneOf',
  'not',
  'if',
  'unevaluatedItems',
  'unevaluatedProperties',
] as const

/** Keywords in the order in which they are asked. */
export const evaluationOrder: readonly string[] = order

const inPlace: ReadonlySet<string> = new Set([
  '$ref',
  '$dynamicRef',
  '$recursiveRef',
  'allOf',
  'anyOf',
  'oneOf',
  'not',
  'if',
  'dependencies',
  'dependentSchemas',
])

const number =
  (test: (value: number, limit: number) => boolean) =>
  (argument: Json, value: Json): boolean =>
    typeof value !== 'number' || typeof argument !== 'number' || test(value, argument)
const size =
  (sizeOf: (value: Json) => number | undefined, test: (size: number, limit: number) => boolean) =>
  (argument: Json, value: Json): boolean => {
    const found = sizeOf(value)
    return found === undefined || test(found, argument as number)
  }
const textLength = (value: Json) => (typeof value === 'string' ? codePoints(value) : undefined)
const itemCount = (value: Json) => (Array.isArray(value) ? value.length : undefined)
const memberCount = (value: Json) => (isJsonObject(value) ? members(value).length : undefined)
const atLeast = (found: number, limit: number) => found >= limit
const atMost = (found: number, limit: number) => found <= limit

const assertions: Readonly<
  Record<string, (argument: Json, value: Json, schema: JsonObject) => boolean>
> = {
  type: (argument, value) =>
    (Array.isArray(argument) ? argument : [argument]).some((name) =>
      hasType(value, name as string),
    ),
  enum: (argument, value) =>
    (argument as readonly Json[]).some((option) => sameJson(option, value)),
  const: (argument, value) => sameJson(argument, value),
  multipleOf: number((value, step) => isMultiple(fromNumber(value), fromNumber(step))),
  minimum: (argument, value, schema) =>
    number((found, limit) => (schema.exclusiveMinimum === true ? found > limit : found >= limit))(
      argument,
      value,
    ),
  maximum: (argument, value, schema) =>
    number((found, limit) => (schema.exclusiveMaximum === true ? found < limit : found <= limit))(
      argument,
      value,
    ),
  exclusiveMinimum: number((value, limit) => compare(fromNumber(value), fromNumber(limit)) > 0),
  exclusiveMaximum: number((value, limit) => compare(fromNumber(value), fromNumber(limit)) < 0),
  minLength: size(textLength, atLeast),
  maxLength: size(textLength, atMost),
  minItems: size(itemCount, atLeast),
  maxItems: size(itemCount, atMost),
  minProperties: size(memberCount, atLeast),
  maxProperties: size(memberCount, atMost),
  pattern: (argument, value) => typeof value !== 'string' || matches(argument as string, value),
  format: (argument, value) =>
    typeof value !== 'string' || (standardFormats.get(argument as string)?.test(value) ?? true),
  uniqueItems: (argument, value) => argument !== true || !Array.isArray(value) || isDistinct(value),
  required: (argument, value) =>
    !isJsonObject(value) ||
    (argument as readonly string[]).every((name) => own(value, name) !== undefined),
  dependentRequired: (argument, value) =>
    !isJsonObject(value) ||
    members(argument as JsonObject).every(
      ([key, names]) =>
        own(value, key) === undefined ||
        (names as readonly string[]).every((name) => own(value, name) !== undefined),
    ),
}

/** True when no two items are equal as JSON. */
export function isDistinct(items: readonly Json[]): boolean {
  return (
    new Set(items.map((item) => (isScalar(item) ? scalarKey(item) : canonicalText(item)))).size ===
    items.length
  )
}

function hasType(value: Json, name: string): boolean {
  switch (name) {
    case 'null':
      return value === null
    case 'integer':
      return typeof value === 'number' && Number.isInteger(value)
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isJsonObject(value)
    default:
      return typeof value === name
  }
}
