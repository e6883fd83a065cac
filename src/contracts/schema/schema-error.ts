import type { ErrorObject } from 'ajv'
import { limits } from '../../core/limits.ts'

/** One broken keyword, as the compiled schema saw it. */
export interface SchemaError {
  readonly keyword: string
  /** Into the value, RFC 6901. */
  readonly pointer: string
  /** Into the schema; where it passed a reference, from there on. */
  readonly schemaPath: string
  readonly params: Readonly<Record<string, unknown>>
  /** What the keyword says. */
  readonly expected: unknown
  readonly found: unknown
  /** The schema object in which the keyword stands. */
  readonly parent: unknown
}

/** Errors kept of one run: a union gives several for one finding. */
const errorsMax = 4 * limits.findingsMax

/** The errors of one run, in the order in which they were met; of very many, the first 4000. */
export function toSchemaErrors(errors: readonly ErrorObject[] | null | undefined): SchemaError[] {
  return (errors ?? []).slice(0, errorsMax).map((error) => ({
    keyword: error.keyword,
    pointer: error.instancePath,
    schemaPath: error.schemaPath,
    params: error.params as Record<string, unknown>,
    expected: error.schema,
    found: error.data,
    parent: error.parentSchema,
  }))
}
