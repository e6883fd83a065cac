import type { AnySchema } from 'ajv'
import type { Json } from '../../../core/json.ts'
import { createAjv } from '../../ajv-instance.ts'
import { withoutNullable } from '../../nullable.ts'
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
 * way, on the slices of the schemas that can have a say on it; undefined when it cannot compile
 * one of them.
 */
export function runtimeAgrees(a: Side, b: Side, value: Json): boolean | undefined {
  const accepted = runtimeAccepts(a, value)
  if (accepted !== true) return accepted
  const refused = runtimeAccepts(b, value)
  return refused === undefined ? undefined : !refused
}

/** Undefined when the validator cannot compile the schema. */
function runtimeAccepts({ document, draft }: Side, value: Json): boolean | undefined {
  try {
    const schema = sliceFor(document, value)
    if (schema === undefined) return undefined
    const text = JSON.stringify(schema)
    const meta = text.includes('://json-schema.org/draft')
    const ajv = createAjv(schema, { draft, isVerbose: false, unevaluated: false, meta })
    // Asked once: optimising the code, or writing out a definition wherever it is used, costs more than it saves.
    Object.assign(ajv.opts.code, { optimize: false })
    Object.assign(ajv.opts, { inlineRefs: false })
    return ajv.compile(withoutNullable(schema, text) as AnySchema)(value) === true
  } catch {
    // Whatever it is that stops the other validator, its opinion is missing.
    return undefined
  }
}
