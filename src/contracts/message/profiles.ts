import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { nilUuid } from '../schema/formats.ts'
import { mapSubschemas } from '../schema/schema-walk.ts'

/**
 * How strictly ids are read (spec of the 25 events): `default` wants UUIDs for `id` and `correlation_id`;
 * `seed-compat` also takes another `correlation_id` in the domain `system`, with a warning; `strict-ids`
 * wants UUIDs in every `*_id` of the data except those that are slugs by nature.
 */
export type Profile = 'default' | 'seed-compat' | 'strict-ids'
export const profiles: readonly Profile[] = ['default', 'seed-compat', 'strict-ids']

/**
 * Marks a field whose name ends in `_id` although its value is a name that people chose, not a UUID:
 * `{ "type": "string", "x-treaty-id": "slug" }`. The profile `strict-ids` leaves it alone.
 */
export const idKeyword = 'x-treaty-id'

/** The schema of a UUID that names something: the nil UUID means none, so it does not. */
export const uuidSchema: JsonObject = { type: 'string', format: 'uuid', not: { enum: [nilUuid] } }

function strictField(name: string, schema: Json | undefined): Json | undefined {
  if (!isJsonObject(schema) || schema[idKeyword] === 'slug') return schema
  if (name.endsWith('_id') && schema.type === 'string') return { allOf: [schema, uuidSchema] }
  if (name.endsWith('_ids') && isJsonObject(schema.items)) {
    return { ...schema, items: { allOf: [schema.items, uuidSchema] } }
  }
  return schema
}

/**
 * The schema of data under a profile: as it is, except that `strict-ids` asks each text field called `…_id`, and
 * the items of each `…_ids`, for a UUID, unless the field is marked with {@link idKeyword}.
 */
export function withProfile(schema: JsonSchema, profile: Profile): JsonSchema {
  if (profile !== 'strict-ids' || typeof schema === 'boolean') return schema
  const visit = (node: JsonObject): JsonObject => {
    const copy = mapSubschemas(node, visit) as Record<string, Json>
    if (isJsonObject(copy.properties)) {
      copy.properties = Object.fromEntries(
        Object.entries(copy.properties).map(([name, field]) => [name, strictField(name, field)]),
      )
    }
    return copy
  }
  return visit(schema)
}
