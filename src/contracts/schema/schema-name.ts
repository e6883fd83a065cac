import type { JsonSchema } from '../model.ts'
import { draftOf } from './draft.ts'

/** The schema under the `$id` that it had where it came from; as it is, where it had none. */
export function namedSchema(schema: JsonSchema, id: string | undefined): JsonSchema {
  if (id === undefined || typeof schema === 'boolean') return schema
  return draftOf(schema) === '04' ? { id, ...schema } : { $id: id, ...schema }
}
