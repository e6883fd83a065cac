import type { JsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { mapSubschemas } from './schema-walk.ts'

/**
 * The schema without OpenAPI's `nullable`, which is no keyword of JSON Schema but which Ajv obeys. `text` is the
 * schema as JSON: what does not hold the word is returned as it is.
 */
export function withoutNullable(schema: JsonSchema, text: string): JsonSchema {
  if (typeof schema === 'boolean' || !text.includes('"nullable"')) return schema
  const strip = (node: JsonObject): JsonObject => {
    const { nullable: _nullable, ...rest } = mapSubschemas(node, strip)
    return rest as JsonObject
  }
  return strip(schema)
}
