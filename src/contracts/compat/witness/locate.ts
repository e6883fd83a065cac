import { isJsonObject, type Json, type JsonObject } from '../../../core/json.ts'
import { matches } from '../automata/match.ts'
import { dynamicTarget, type Evaluator, enterScope, isDeclared, type Scope } from '../evaluate.ts'
import { members, own, pointerToken } from '../formula/canonical.ts'
import { childPlace, resolveReference } from '../load/references.ts'
import type { Place } from '../load/resources.ts'

/** The place where a schema refuses a value. */
export interface Location {
  readonly place: Place
  /** The keyword that refuses; undefined where the schema is `false`. */
  readonly keyword: string | undefined
  /** The keyword's own value. */
  readonly argument: Json
  /** Into the value, as reference tokens. */
  readonly path: readonly (string | number)[]
  readonly value: Json
  /** Branches of `oneOf` that hold together. */
  readonly matched?: readonly number[]
}

interface Visit {
  readonly place: Place
  readonly scope: Scope
  readonly value: Json
  readonly path: readonly (string | number)[]
}

const depthMax = 500

/** The deepest keyword that refuses the value; undefined when it is accepted. */
export function locate(evaluator: Evaluator, root: Place, value: Json): Location | undefined {
  return descend(
    evaluator,
    { place: root, scope: enterScope(new Map(), root.resource), value, path: [] },
    0,
  )
}

function descend(evaluator: Evaluator, visit: Visit, depth: number): Location | undefined {
  const { place, scope, value, path } = visit
  const { schema } = place
  if (typeof schema === 'boolean')
    return schema ? undefined : { place, keyword: undefined, argument: false, path, value }
  const outcome = evaluator.evaluate(place, value, scope)
  if (outcome.valid) return undefined
  const keyword = outcome.keyword ?? '$ref'
  const argument = own(schema, keyword) as Json
  const here: Location = { place, keyword, argument, path, value }
  if (depth > depthMax) return here
  for (const next of below(evaluator, visit, keyword, argument)) {
    const found = descend(evaluator, next, depth + 1)
    if (found !== undefined) return found
  }
  return union(evaluator, visit, { keyword, argument, depth }) ?? here
}

/** The parts of the value that a keyword hands to a subschema: all of them must be accepted. */
function below(evaluator: Evaluator, visit: Visit, keyword: string, argument: Json): Visit[] {
  const { value } = visit
  const same = (path: string, schema: Json): Visit => child(visit, path, schema, [])
  switch (keyword) {
    case '$ref':
    case '$dynamicRef':
    case '$recursiveRef':
      return referenced(visit, keyword, argument as string)
    case 'allOf':
      return (argument as readonly Json[]).map((part, index) => same(`/allOf/${index}`, part))
    case 'if': {
      const holds = evaluator.evaluate(
        childPlace(visit.place, '/if', argument),
        value,
        visit.scope,
      ).valid
      const branch = holds ? 'then' : 'else'
      const schema = own(visit.place.schema as JsonObject, branch)
      return schema === undefined ? [] : [same(`/${branch}`, schema)]
    }
    case 'dependentSchemas':
    case 'dependencies':
      return members(argument as JsonObject)
        .filter(
          ([key, part]) =>
            !Array.isArray(part) && isJsonObject(value) && own(value, key) !== undefined,
        )
        .map(([key, part]) => same(`/${keyword}/${pointerToken(key)}`, part))
    default:
      if (Array.isArray(value)) return items(evaluator, visit, keyword, argument)
      return isJsonObject(value) ? properties(evaluator, visit, keyword, argument) : []
  }
}

function child(
  visit: Visit,
  path: string,
  schema: Json,
  tokens: readonly (string | number)[],
): Visit {
  const place = childPlace(visit.place, path, schema)
  let value = visit.value
  for (const token of tokens) value = (value as Record<string | number, Json>)[token] as Json
  return {
    place,
    scope: enterScope(visit.scope, place.resource),
    value,
    path: [...visit.path, ...tokens],
  }
}

function referenced(visit: Visit, keyword: string, reference: string): Visit[] {
  const target = resolveReference(visit.place.resource, reference)
  if ('problem' in target) return []
  const place = keyword === '$ref' ? target.place : dynamicTarget(target, visit.scope)
  return [{ ...visit, place, scope: enterScope(visit.scope, place.resource) }]
}

function items(evaluator: Evaluator, visit: Visit, keyword: string, argument: Json): Visit[] {
  const value = visit.value as readonly Json[]
  const schema = visit.place.schema as JsonObject
  const each = (from: number): Visit[] =>
    value.map((_, index) => child(visit, `/${keyword}`, argument, [index])).slice(from)
  const tuple = (parts: readonly Json[]): Visit[] =>
    parts
      .slice(0, value.length)
      .map((part, index) => child(visit, `/${keyword}/${index}`, part, [index]))
  switch (keyword) {
    case 'prefixItems':
      return tuple(argument as readonly Json[])
    case 'items':
      return Array.isArray(argument)
        ? tuple(argument)
        : each(listLength(own(schema, 'prefixItems')))
    case 'additionalItems':
      return each(listLength(own(schema, 'items')))
    case 'unevaluatedItems': {
      const done = evaluator.evaluatedBefore(visit.place, value, visit.scope, keyword).items
      return each(0).filter((_, index) => !done.has(index))
    }
    default:
      return []
  }
}

const listLength = (parts: Json | undefined): number => (Array.isArray(parts) ? parts.length : 0)

function properties(evaluator: Evaluator, visit: Visit, keyword: string, argument: Json): Visit[] {
  const value = visit.value as JsonObject
  const schema = visit.place.schema as JsonObject
  const keys = members(value).map(([key]) => key)
  switch (keyword) {
    case 'properties':
      return members(argument as JsonObject)
        .filter(([key]) => own(value, key) !== undefined)
        .map(([key, part]) => child(visit, `/properties/${pointerToken(key)}`, part, [key]))
    case 'patternProperties':
      return members(argument as JsonObject).flatMap(([source, part]) =>
        keys
          .filter((key) => matches(source, key))
          .map((key) => child(visit, `/patternProperties/${pointerToken(source)}`, part, [key])),
      )
    case 'additionalProperties':
      return keys
        .filter((key) => !isDeclared(schema, key))
        .map((key) => child(visit, '/additionalProperties', argument, [key]))
    case 'unevaluatedProperties': {
      const done = evaluator.evaluatedBefore(visit.place, value, visit.scope, keyword).names
      return keys
        .filter((key) => !done.has(key))
        .map((key) => child(visit, '/unevaluatedProperties', argument, [key]))
    }
    default:
      return []
  }
}

/**
 * Inside a union the branch that was meant: the one whose discriminating members fit. Undefined
 * when no branch stands out, or when two hold at once.
 */
function union(
  evaluator: Evaluator,
  visit: Visit,
  { keyword, argument, depth }: { keyword: string; argument: Json; depth: number },
): Location | undefined {
  if (keyword !== 'anyOf' && keyword !== 'oneOf') return undefined
  const parts = argument as readonly Json[]
  if (parts.length > 1000) return undefined
  const found = parts.map((part, index) =>
    descend(evaluator, child(visit, `/${keyword}/${index}`, part, []), depth + 1),
  )
  if (found.includes(undefined)) {
    const matched = found.flatMap((location, index) => (location === undefined ? [index] : []))
    return { place: visit.place, keyword, argument, path: visit.path, value: visit.value, matched }
  }
  const scored = (found as Location[]).map((location) => ({
    location,
    score: nearness(location, visit.path.length),
  }))
  const best = Math.max(...scored.map(({ score }) => score))
  const nearest = scored.filter(({ score }) => score === best)
  return best > 0 && nearest.length === 1 ? nearest[0]?.location : undefined
}

/** How near a branch was: 0 another type of value, 1 another discriminator, more the deeper it got. */
function nearness({ keyword, path }: Location, from: number): number {
  const depth = path.length - from
  if (depth === 0)
    return keyword === 'type' || keyword === 'enum' || keyword === 'const' || keyword === undefined
      ? 0
      : 2
  return depth === 1 && (keyword === 'const' || keyword === 'enum') ? 1 : 2 + depth
}

/** A pointer into the schema that was asked about; with its URI where another document refuses. */
export function schemaPointer(
  { place, keyword }: Pick<Location, 'place' | 'keyword'>,
  root: Place,
): string {
  const pointer =
    keyword === undefined ? place.pointer : `${place.pointer}/${pointerToken(keyword)}`
  return place.resource.document === root.resource.document
    ? pointer
    : `${place.resource.uri}#${pointer}`
}
