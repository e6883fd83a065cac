import type { AnySchema } from 'ajv'
import type { Json } from '../../../core/json.ts'
import { createAjv } from '../../schema/ajv-instance.ts'
import { withoutNullable } from '../../schema/nullable.ts'
import { compileSchema } from '../../schema/validator.ts'
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

/** Above this length, in characters, whole schemas are not compiled for a second opinion. */
const wholeMax = 50_000

/**
 * Whether the validator of the runtime (Ajv, set up to follow the specification) sees the break
 * too: `whole` on both schemas as they are, `slice` only on the parts that can have a say, written
 * so that it does not miss what they say; false when it does not, undefined when it cannot compile them.
 */
export function runtimeOpinion(
  a: Side,
  b: Side,
  value: Json,
): 'whole' | 'slice' | false | undefined {
  const accepted = sliceAccepts(a, value)
  if (accepted !== true) return accepted
  const refused = sliceAccepts(b, value)
  if (refused !== false) return refused === undefined ? undefined : false
  return wholeAccepts(a, value) === false || wholeAccepts(b, value) === true ? 'slice' : 'whole'
}

/** Undefined where the slice says as much, or the whole is too large. */
function wholeAccepts({ document, draft }: Side, value: Json): boolean | undefined {
  if (!document.isDelicate || JSON.stringify(document.raw).length > wholeMax) return undefined
  try {
    return compileSchema(document.raw, { draft }).check(value)
  } catch {
    return undefined
  }
}

/** Undefined when the validator cannot compile the schema. */
function sliceAccepts({ document, draft }: Side, value: Json): boolean | undefined {
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
