import { isTreatyError } from '../../../core/errors.ts'
import type { Json } from '../../../core/json.ts'
import { compileSchema } from '../../validator.ts'
import type { Evaluator } from '../evaluate.ts'
import type { Draft } from '../load/dialect.ts'
import type { Document } from '../load/resources.ts'
import { sliceFor } from './slice.ts'

/** One side of a question, with everything that judges values of it. */
export interface Side {
  readonly document: Document
  readonly draft: Draft
  readonly evaluator: Evaluator
}

/** True when, by our evaluator, the first side accepts the value and the second refuses it. */
export function provesBreak(a: Side, b: Side, value: Json): boolean {
  return a.evaluator.accepts(value) && !b.evaluator.accepts(value)
}

/**
 * Whether the validator of the runtime (Ajv, set up to follow the specification) sees it the same
 * way, on the slices of the schemas that can have a say on it; undefined when it cannot compile one of the schemas.
 */
export function runtimeAgrees(a: Side, b: Side, value: Json): boolean | undefined {
  try {
    return runtimeAccepts(a, value) && !runtimeAccepts(b, value)
  } catch (error) {
    if (isTreatyError(error) || error instanceof RangeError) return undefined
    throw error
  }
}

function runtimeAccepts({ document, draft }: Side, value: Json): boolean {
  return compileSchema(sliceFor(document, value), { draft }).check(value)
}
