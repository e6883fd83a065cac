import { escapePointer, isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { type References, readReferences } from '../schema/schema-references.ts'

/** A subschema that judges the value at some place, and where it stands in its schema. */
export interface SchemaPlace {
  /** RFC 6901, into the schema; after a reference it is that of the target. */
  readonly pointer: string
  readonly schema: JsonSchema
}

/** The way from the root of a schema to what judges one value. */
export interface SchemaTrail {
  /** From the root on, one for each step that could be made; the last judges the deepest value reached. */
  readonly places: readonly SchemaPlace[]
  /** False where the schema says nothing about the value itself. */
  readonly isComplete: boolean
}

type Step = (place: SchemaPlace) => SchemaPlace | undefined

/** Follows the path of a value through a self-contained schema: members, items, references, branches. */
export function trailOf(root: JsonSchema, path: readonly string[]): SchemaTrail {
  const references = typeof root === 'boolean' ? undefined : readReferences(root)
  const places: SchemaPlace[] = [{ pointer: '', schema: root }]
  for (const name of path) {
    const last = places.at(-1) as SchemaPlace
    const next = search(last, references, (place) => memberOf(place, name))
    if (next === undefined) return { places, isComplete: false }
    places.push(next)
  }
  return { places, isComplete: true }
}

/** The first place that judges the same value as `from` and has the keyword; else `from`. */
export function placeWith(root: JsonSchema, from: SchemaPlace, keyword: string): SchemaPlace {
  const references = typeof root === 'boolean' ? undefined : readReferences(root)
  const found = search(from, references, (place) =>
    isJsonObject(place.schema) && Object.hasOwn(place.schema, keyword) ? place : undefined,
  )
  return found ?? from
}

/** Tries the place, what it refers to, and its branches, nearest first. */
function search(
  from: SchemaPlace,
  references: References | undefined,
  step: Step,
): SchemaPlace | undefined {
  const seen = new Set<JsonSchema>()
  const todo = [from]
  for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
    const { schema, pointer } = next
    if (!isJsonObject(schema) || seen.has(schema)) continue
    seen.add(schema)
    const found = step(next)
    if (found !== undefined) return found
    if (typeof schema.$ref === 'string') {
      const target = references?.resolve(schema, schema.$ref)
      const at = /^#(\/.*)?$/.exec(schema.$ref)
      if (target !== undefined) todo.push({ pointer: at ? (at[1] ?? '') : pointer, schema: target })
    }
    for (const keyword of ['allOf', 'anyOf', 'oneOf']) {
      const branches = schema[keyword]
      if (!Array.isArray(branches)) continue
      for (const [at, branch] of branches.entries())
        todo.push({ pointer: `${pointer}/${keyword}/${at}`, schema: branch as JsonSchema })
    }
    for (const keyword of ['then', 'else']) {
      const branch = schema[keyword]
      if (branch !== undefined)
        todo.push({ pointer: `${pointer}/${keyword}`, schema: branch as JsonSchema })
    }
  }
  return undefined
}

function memberOf({ schema, pointer }: SchemaPlace, name: string): SchemaPlace | undefined {
  if (!isJsonObject(schema)) return undefined
  const at = (keyword: string, child: Json | undefined, ...rest: string[]) =>
    isJsonObject(child) || typeof child === 'boolean'
      ? { pointer: [pointer, keyword, ...rest.map(escapePointer)].join('/'), schema: child }
      : undefined
  const { properties, patternProperties, prefixItems, items } = schema
  if (isJsonObject(properties) && Object.hasOwn(properties, name))
    return at('properties', properties[name], name)
  if (isJsonObject(patternProperties)) {
    const pattern = Object.keys(patternProperties).find((each) => matches(each, name))
    if (pattern !== undefined) return at('patternProperties', patternProperties[pattern], pattern)
  }
  if (/^\d+$/.test(name)) {
    const tuple: Readonly<Record<string, Json | undefined>> = { prefixItems, items }
    for (const [keyword, list] of Object.entries(tuple)) {
      const item = Array.isArray(list) ? (list[Number(name)] as Json | undefined) : undefined
      if (item !== undefined) return at(keyword, item, name)
    }
    if (isJsonObject(items)) return at('items', items)
  }
  const rest = (['additionalProperties', 'unevaluatedProperties'] as const).find((keyword) =>
    isJsonObject(schema[keyword]),
  )
  return rest === undefined ? undefined : at(rest, schema[rest])
}

function matches(pattern: string, name: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(name)
  } catch {
    return false
  }
}

/** The subschema behind plain references, for descriptions. */
export function dereferenced(root: JsonSchema, schema: JsonSchema): JsonSchema {
  if (typeof root === 'boolean') return schema
  const references = readReferences(root)
  const seen = new Set<JsonObject>()
  let current = schema
  while (isJsonObject(current) && typeof current.$ref === 'string' && !seen.has(current)) {
    seen.add(current)
    current = references.resolve(current, current.$ref) ?? true
  }
  return current
}
