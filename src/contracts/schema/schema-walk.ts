import type { JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'

/** Keywords whose value is one schema. */
const schemaKeywords = new Set([
  'additionalItems',
  'additionalProperties',
  'contains',
  'contentSchema',
  'else',
  'if',
  'not',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
])
/** Keywords whose value is a list of schemas. */
const schemaListKeywords = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
/** Keywords whose value names schemas; `dependencies` also holds lists of names. */
const schemaMapKeywords = new Set([
  '$defs',
  'definitions',
  'dependencies',
  'dependentSchemas',
  'patternProperties',
  'properties',
])

/** Calls `visit` for each direct subschema that is an object, with the path that leads to it. */
export function eachSubschema(
  schema: JsonObject,
  visit: (subschema: JsonObject, path: readonly string[]) => void,
): void {
  const take = (value: unknown, path: readonly string[]) => {
    if (isJsonObject(value)) visit(value, path)
  }
  for (const [keyword, value] of Object.entries(schema)) {
    if (schemaKeywords.has(keyword)) take(value, [keyword])
    else if (keyword === 'items' && !Array.isArray(value)) take(value, [keyword])
    else if (schemaListKeywords.has(keyword) || keyword === 'items') {
      if (!Array.isArray(value)) continue
      for (const [at, item] of value.entries()) take(item, [keyword, String(at)])
    } else if (schemaMapKeywords.has(keyword) && isJsonObject(value)) {
      for (const [name, item] of Object.entries(value)) take(item, [keyword, name])
    }
  }
}

/** A copy of the schema whose direct subschemas are what `change` makes of them. */
export function mapSubschemas(
  schema: JsonObject,
  change: (subschema: JsonObject, keyword: string) => JsonObject | boolean,
): Record<string, unknown> {
  const changed = (value: unknown, keyword: string) =>
    isJsonObject(value) ? change(value, keyword) : value
  const copy: Record<string, unknown> = {}
  for (const [keyword, value] of Object.entries(schema)) {
    if (Array.isArray(value) && (schemaListKeywords.has(keyword) || keyword === 'items')) {
      copy[keyword] = value.map((item) => changed(item, keyword))
    } else if (schemaKeywords.has(keyword) || keyword === 'items') {
      copy[keyword] = changed(value, keyword)
    } else if (schemaMapKeywords.has(keyword) && isJsonObject(value)) {
      copy[keyword] = Object.fromEntries(
        Object.entries(value).map(([name, item]) => [name, changed(item, keyword)]),
      )
    } else if (keyword !== '__proto__') copy[keyword] = value
  }
  return copy
}
