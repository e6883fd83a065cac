import type { Json, JsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import type { Draft } from './draft.ts'
import { isOldDraft, uriOfDraft } from './draft.ts'
import type { References } from './schema-references.ts'
import { mapSubschemas } from './schema-walk.ts'

const identifiers = new Set(['$id', '$anchor', '$schema', 'definitions', '$defs'])

/** A part of a schema as a schema of its own, with copies of what it refers to and of nothing else. */
export function extractSchema(node: JsonObject, references: References, draft: Draft): JsonObject {
  const container = isOldDraft(draft) ? 'definitions' : '$defs'
  const names = new Map<JsonSchema, string>()
  const todo: JsonSchema[] = []
  const place = (target: JsonSchema): string => {
    const name = names.get(target) ?? `part-${names.size + 1}`
    if (!names.has(target)) todo.push(target)
    names.set(target, name)
    return `#/${container}/${name}`
  }
  const copy = (part: JsonObject): JsonObject => {
    const kept = Object.entries(part).filter(([name, value]) => {
      const isOldId = name === 'id' && draft === '04' && typeof value === 'string'
      return !identifiers.has(name) && !isOldId
    })
    const made = mapSubschemas(Object.fromEntries(kept), copy)
    const target = typeof part.$ref === 'string' ? references.resolve(part, part.$ref) : undefined
    return (target === undefined ? made : { ...made, $ref: place(target) }) as JsonObject
  }
  const root = copy(node)
  const definitions: Record<string, Json> = {}
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    definitions[names.get(next) as string] = typeof next === 'boolean' ? next : copy(next)
  }
  return { $schema: uriOfDraft(draft), ...root, [container]: definitions }
}
