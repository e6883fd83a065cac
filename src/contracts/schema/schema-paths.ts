import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject, parsePointer } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'

/** What a schema says about the field at a dotted path. */
export interface FieldFacts {
  /** Subschemas that describe the field; empty where an open schema leaves it undescribed. */
  readonly schemas: readonly JsonSchema[]
  /** True when every object that satisfies the schema has the field. */
  readonly isRequired: boolean
}

interface Step {
  readonly schemas: JsonSchema[]
  readonly isRequired: boolean
}

function localReference(root: JsonSchema, reference: string): JsonSchema | undefined {
  const path = parsePointer(decodeURIComponent(reference.replace(/^#/, '')))
  let current: Json | undefined = root as Json
  for (const step of path ?? []) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) {
      return undefined
    }
    current = (current as Record<string, Json>)[step]
  }
  return path === undefined ? undefined : (current as JsonSchema)
}

function schemasOf(value: Json | undefined): JsonSchema[] {
  return Array.isArray(value) ? (value as JsonSchema[]) : []
}

/** The schema itself and everything that judges the same value, with whether it always applies. */
function flatten(root: JsonSchema, schema: JsonSchema): { schema: JsonSchema; always: boolean }[] {
  const found: { schema: JsonSchema; always: boolean }[] = []
  const seen = new Set<JsonSchema>()
  const visit = (current: JsonSchema | undefined, always: boolean) => {
    if (current === undefined || seen.has(current)) return
    if (typeof current === 'object') seen.add(current)
    found.push({ schema: current, always })
    if (!isJsonObject(current)) return
    if (typeof current.$ref === 'string') visit(localReference(root, current.$ref), always)
    for (const part of schemasOf(current.allOf)) visit(part, always)
    for (const keyword of ['anyOf', 'oneOf']) {
      const parts = schemasOf(current[keyword])
      for (const part of parts) visit(part, always && parts.length === 1)
    }
    for (const keyword of ['then', 'else']) visit(current[keyword] as JsonSchema | undefined, false)
    const dependent = current.dependentSchemas
    if (isJsonObject(dependent)) {
      for (const part of Object.values(dependent)) visit(part as JsonSchema, false)
    }
  }
  visit(schema, true)
  return found
}

function childSchemas(schema: JsonObject, name: string): { child?: JsonSchema; isOpen: boolean } {
  const { properties, patternProperties, additionalProperties, items, prefixItems } = schema
  if (isJsonObject(properties) && Object.hasOwn(properties, name)) {
    return { child: properties[name] as JsonSchema, isOpen: false }
  }
  if (isJsonObject(patternProperties)) {
    for (const [pattern, child] of Object.entries(patternProperties)) {
      if (matches(pattern, name)) return { child: child as JsonSchema, isOpen: false }
    }
  }
  if (isJsonObject(additionalProperties)) return { child: additionalProperties, isOpen: false }
  if (isIndex(name)) {
    const listed = [prefixItems, items].find((list) => Array.isArray(list)) as Json[] | undefined
    const child = listed?.[Number(name)] ?? (Array.isArray(items) ? undefined : items)
    if (child !== undefined) return { child: child as JsonSchema, isOpen: false }
  }
  const describes = [
    'properties',
    'patternProperties',
    'additionalProperties',
    'unevaluatedProperties',
  ]
  return { isOpen: describes.every((keyword) => schema[keyword] === undefined) }
}

function matches(pattern: string, name: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(name)
  } catch {
    return false
  }
}

/** True when no value of the schema's types has a field of this name; only a list has `0` and `*`. */
function cannotHave(schema: JsonObject, name: string): boolean {
  const types = [schema.type ?? []].flat()
  if (types.length === 0 || types.includes('object')) return false
  return !(types.includes('array') && isIndex(name))
}

function isIndex(name: string): boolean {
  return /^(?:\d+|\*)$/.test(name)
}

function enter(root: JsonSchema, schema: JsonSchema, name: string): Step | undefined {
  const parts = flatten(root, schema)
  const schemas: JsonSchema[] = []
  let isRequired = false
  let isOpen = parts.some((part) => part.schema === true)
  let describes = false
  for (const { schema: part, always } of parts) {
    if (!isJsonObject(part)) continue
    const required = part.required
    if (always && Array.isArray(required) && required.includes(name)) isRequired = true
    const { child, isOpen: isPartOpen } = childSchemas(part, name)
    if (child !== undefined && child !== false) schemas.push(child)
    if (!isPartOpen || cannotHave(part, name)) describes = true
  }
  // A schema that says nothing about any field may mean every field.
  isOpen ||= !describes
  if (schemas.length === 0 && !isOpen) return undefined
  return { schemas: schemas.length > 0 ? schemas : [true], isRequired }
}

/**
 * Looks up a dotted path in a self-contained schema, through local references, `allOf`, `anyOf`, `oneOf` and
 * conditionals; a digit or `*` steps into a list. Undefined when the schema declares no such field: in an open
 * schema too, as long as it declares any field at all.
 */
export function fieldAt(schema: JsonSchema, path: string): FieldFacts | undefined {
  let current: JsonSchema[] = [schema]
  let isRequired = true
  for (const name of path.split('.')) {
    const steps = current.flatMap((each) => enter(schema, each, name) ?? [])
    if (steps.length === 0) return undefined
    isRequired &&= steps.some((step) => step.isRequired)
    current = steps.flatMap((step) => step.schemas)
  }
  return { schemas: current, isRequired }
}

/** Names of the fields that a schema declares at its top, for suggestions. */
export function fieldNames(schema: JsonSchema, path: string): string[] {
  const parents = path === '' ? [schema] : (fieldAt(schema, path)?.schemas ?? [])
  const names = parents.flatMap((parent) =>
    flatten(schema, parent).flatMap(({ schema: part }) =>
      isJsonObject(part) && isJsonObject(part.properties) ? Object.keys(part.properties) : [],
    ),
  )
  return [...new Set(names)]
}

/** JSON types that a value of this schema can have, as far as `type` keywords that always apply tell. */
export function possibleTypes(root: JsonSchema, schema: JsonSchema): string[] | undefined {
  let types: string[] | undefined
  for (const { schema: part, always } of flatten(root, schema)) {
    if (!always || !isJsonObject(part) || part.type === undefined) continue
    const own = [part.type].flat().map(String)
    types = types ? types.filter((type) => own.includes(type)) : own
  }
  return types
}

/** Fields that the top of a schema requires and declares nowhere. */
export function undeclaredRequired(schema: JsonSchema): string[] {
  if (
    !isJsonObject(schema) ||
    !isJsonObject(schema.properties) ||
    !Array.isArray(schema.required)
  ) {
    return []
  }
  return (schema.required as readonly Json[]).filter(
    (name): name is string =>
      typeof name === 'string' && fieldAt(schema, escapeDots(name)) === undefined,
  )
}

/** A name with dots cannot be a path; it is left to the schema itself. */
function escapeDots(name: string): string {
  return name.includes('.') ? name.slice(0, name.indexOf('.')) : name
}
