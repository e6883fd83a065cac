import { isTreatyError } from '../../../core/errors.ts'
import type { Json } from '../../../core/json.ts'
import type { JsonSchema } from '../../model.ts'
import { compileSchema } from '../../validator.ts'
import type { Evaluator } from '../evaluate.ts'
import type { Draft } from '../load/dialect.ts'

/** One side of a question, with everything that judges values of it. */
export interface Side {
  readonly schema: JsonSchema
  readonly draft: Draft
  readonly evaluator: Evaluator
}

/** True when, by our evaluator, the first side accepts the value and the second refuses it. */
export function provesBreak(a: Side, b: Side, value: Json): boolean {
  return a.evaluator.accepts(value) && !b.evaluator.accepts(value)
}

/**
 * Whether the validator of the runtime (Ajv, set up to follow the specification) sees it the same
 * way; undefined when it cannot compile one of the schemas.
 */
export function runtimeAgrees(a: Side, b: Side, value: Json): boolean | undefined {
  try {
    return (
      compileSchema(a.schema, { draft: a.draft }).check(value) &&
      !compileSchema(b.schema, { draft: b.draft }).check(value)
    )
  } catch (error) {
    if (isTreatyError(error) || error instanceof RangeError) return undefined
    throw error
  }
}
