import type { ConsumedEvent, JsonSchema } from '../contracts/index.ts'
import { fieldAt } from '../contracts/index.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { isJsonObject, toPointer } from '../core/json.ts'

/**
 * What a consumer reads of an event, as a schema: each needed path is there, and its value satisfies what `schema`
 * says of it. A consumer that gave a schema of its own keeps it. Local references go on meaning the same.
 */
export function needsView(schema: JsonSchema, needs: ConsumedEvent): JsonSchema {
  if (needs.needsSchema !== undefined) return needs.needsSchema
  const leaves = needs.needs.map((path) => nest(path.split('.'), leafOf(schema, path)))
  const declared = isJsonObject(schema) ? schema.$schema : undefined
  const text = JSON.stringify(leaves)
  return {
    ...(declared === undefined ? {} : { $schema: declared }),
    type: 'object',
    ...(leaves.length === 0 ? {} : { allOf: leaves }),
    ...(text.includes(idOf(schema)) ? { definitions: { since: withId(schema) } } : {}),
  }
}

/** The schema `leaf` at the end of a path of required fields; a digit or `*` steps into a list. */
function nest(path: readonly string[], leaf: JsonSchema): JsonObject {
  const [name, ...rest] = path
  if (name === undefined) return leaf === true ? {} : { allOf: [leaf] }
  const inner = rest.length === 0 ? leaf : nest(rest, leaf)
  if (name === '*' || /^\d+$/.test(name)) return { items: inner }
  return { type: 'object', required: [name], properties: { [name]: inner } }
}

function leafOf(root: JsonSchema, path: string): JsonSchema {
  const schemas = fieldAt(root, path)?.schemas ?? [true]
  const parts = schemas.map((schema) => standalone(root, schema))
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return only
  // Where branches exclude each other, the value satisfies one of them; else all.
  const branches = /"(?:anyOf|oneOf|then|else|dependentSchemas)":/.test(JSON.stringify(root))
  return branches ? { anyOf: parts } : { allOf: parts }
}

function standalone(root: JsonSchema, schema: JsonSchema): JsonSchema {
  if (!isJsonObject(schema) || !/"\$(?:dynamic|recursive)?[rR]ef":/.test(JSON.stringify(schema))) {
    return schema
  }
  const path = pathTo(root as Json, schema)
  return path === undefined
    ? schema
    : { $ref: `${idOf(root)}#${encodeURI(toPointer(path)).replaceAll('#', '%23')}` }
}

/** Where the very object stands in the tree. */
function pathTo(tree: Json, wanted: JsonObject): string[] | undefined {
  if (tree === wanted) return []
  if (typeof tree !== 'object' || tree === null) return undefined
  for (const [key, item] of Object.entries(tree)) {
    const path = item === undefined ? undefined : pathTo(item as Json, wanted)
    if (path) return [key, ...path]
  }
  return undefined
}

function idOf(schema: JsonSchema): string {
  const id = isJsonObject(schema) ? (schema.$id ?? schema.id) : undefined
  return typeof id === 'string' ? id.replace(/#$/, '') : 'https://schema.invalid/since'
}

function withId(schema: JsonSchema): JsonSchema {
  if (!isJsonObject(schema) || schema.$id !== undefined || schema.id !== undefined) return schema
  const keyword = String(schema.$schema ?? '').includes('draft-04') ? 'id' : '$id'
  return { [keyword]: idOf(schema), ...schema }
}
