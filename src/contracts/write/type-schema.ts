import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'

/** Keywords that types can express. What is not listed here never reaches the generator. */
const kept = new Set(['const', 'deprecated', 'enum', 'required', 'type'])

/** A text that cannot end the comment that it becomes. */
export function commentText(text: string): string {
  return text.replaceAll('*/', '*\\/').trim()
}

function list(value: Json | undefined): readonly JsonSchema[] | undefined {
  return Array.isArray(value) && value.length > 0 ? (value as readonly JsonSchema[]) : undefined
}

/**
 * A schema as the type generator needs it: only what types can say, objects closed as the producer's view closes
 * them, tuples in the older notation, references renamed by `rename`.
 */
export function toTypeSchema(schema: JsonSchema, rename: (name: string) => string): JsonObject {
  if (typeof schema === 'boolean') return schema ? {} : { not: {} }
  const convert = (value: JsonSchema) => toTypeSchema(value, rename)
  if (typeof schema.$ref === 'string') return { $ref: reference(schema.$ref, rename) }
  const result: Record<string, Json> = {}
  for (const [keyword, value] of Object.entries(schema)) {
    if (kept.has(keyword) && value !== undefined) result[keyword] = value
  }
  if (typeof schema.description === 'string') result.description = commentText(schema.description)
  for (const keyword of ['allOf', 'anyOf', 'oneOf'] as const) {
    const parts = list(schema[keyword])
    if (parts) result[keyword] = parts.map(convert)
  }
  addItems(result, schema, convert)
  addProperties(result, schema, convert)
  return result
}

function reference(ref: string, rename: (name: string) => string): string {
  if (ref === '#') return `#/definitions/${rename('')}`
  const name = decodeURIComponent(ref.replace(/^#\/(?:\$defs|definitions)\//, ''))
  return `#/definitions/${rename(name.replaceAll('~1', '/').replaceAll('~0', '~'))}`
}

type Convert = (value: JsonSchema) => JsonObject

function addItems(result: Record<string, Json>, schema: JsonObject, convert: Convert): void {
  const tuple = list(schema.prefixItems) ?? list(schema.items)
  const rest = schema.prefixItems === undefined ? schema.additionalItems : schema.items
  if (tuple) {
    result.items = tuple.map(convert)
    result.additionalItems =
      rest === false ? false : rest === undefined ? true : convert(rest as JsonSchema)
    // Without these every item of a tuple would be optional.
    result.minItems = tuple.length
    if (rest === false) result.maxItems = tuple.length
  } else if (schema.items !== undefined && !Array.isArray(schema.items)) {
    result.items = convert(schema.items as JsonSchema)
  }
}

function addProperties(result: Record<string, Json>, schema: JsonObject, convert: Convert): void {
  const { properties, patternProperties, additionalProperties } = schema
  const declared = isJsonObject(properties) ? Object.entries(properties) : []
  if (declared.length > 0) {
    result.properties = Object.fromEntries(
      declared.map(([name, value]) => [name, convert(value as JsonSchema)]),
    )
  }
  const patterns = isJsonObject(patternProperties) ? Object.values(patternProperties) : []
  if (declared.length > 0) {
    // An index signature of a narrower type would contradict the declared fields.
    const isOpen = patterns.length > 0 || (additionalProperties ?? false) !== false
    result.additionalProperties = isOpen
  } else if (isJsonObject(additionalProperties)) {
    result.additionalProperties = convert(additionalProperties)
  } else if (patterns.length === 1 && additionalProperties === false) {
    result.additionalProperties = convert(patterns[0] as JsonSchema)
  } else if (mayBeObject(schema)) {
    result.additionalProperties = additionalProperties !== false || patterns.length > 0
  }
}

function mayBeObject(schema: JsonObject): boolean {
  return [schema.type ?? []].flat().includes('object')
}
