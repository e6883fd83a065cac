import type { AnySchema, ValidateFunction } from 'ajv'
import { errorMessage, TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import type { JsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { createAjv } from './ajv-instance.ts'
import type { Draft } from './draft.ts'
import { draftOf, isOldDraft } from './draft.ts'
import { withoutNullable } from './nullable.ts'
import type { SchemaError } from './schema-error.ts'
import { toSchemaErrors } from './schema-error.ts'
import { extractSchema } from './schema-extract.ts'
import { schemaFindings } from './schema-findings.ts'
import type { References } from './schema-references.ts'
import { readReferences } from './schema-references.ts'
import type { JudgeBranch } from './union-branch.ts'
import { refineUnions } from './union-branch.ts'

/** A schema made ready to be asked. */
export interface CompiledSchema {
  /** True when the value satisfies the schema; false also where it nests too deeply to be judged. Never throws. */
  readonly check: (value: unknown) => boolean
  /** Every broken keyword; empty when the value satisfies the schema. Never throws. */
  errors(value: unknown): readonly SchemaError[]
  /**
   * The errors as findings of code SCHEMA_MISMATCH (RULE_VIOLATED for cross-field rules). A missing field is reported
   * at the object that lacks it, an extra one at itself. `pointerPrefix` goes before each pointer.
   */
  findings(value: unknown, options?: { readonly pointerPrefix?: string }): Finding[]
}

export interface CompileOptions {
  /** Default: what `$schema` says, else 2020-12. */
  readonly draft?: Draft
  /** Asserts `unevaluatedProperties` and `unevaluatedItems` in drafts before 2019-09 too. Default false, as the specification says. */
  readonly unevaluated?: boolean
}

const unjudged: SchemaError = {
  keyword: 'depth',
  pointer: '',
  schemaPath: '#',
  params: {},
  expected: undefined,
  found: undefined,
  parent: undefined,
}

const isRecursive = (text: string) => /"\$(?:ref|dynamicRef|recursiveRef)"/.test(text)

function compileWith(
  schema: JsonSchema,
  options: Required<CompileOptions>,
  isVerbose: boolean,
): ValidateFunction {
  const text = JSON.stringify(schema)
  try {
    const meta = text.includes('://json-schema.org/draft')
    const ajv = createAjv(schema, { ...options, isVerbose, meta })
    return ajv.compile(schema as AnySchema)
  } catch (error) {
    if (error instanceof RangeError) {
      throw new TreatyError('SCHEMA_TOO_LARGE', 'the schema is too large to be compiled', {
        hint: 'Split the schema.',
        cause: error,
      })
    }
    const isMissing = error instanceof Error && 'missingRef' in error
    throw new TreatyError(
      'SCHEMA_INVALID',
      `the schema cannot be compiled: ${errorMessage(error)}`,
      {
        hint: isMissing
          ? 'Point every $ref into the schema itself; nothing is fetched from elsewhere.'
          : 'Correct the schema at the place that the message names.',
        cause: error,
      },
    )
  }
}

/**
 * A check that answers false where Ajv's function throws: on a value that nests deeper than the stack is long, and on few
 * recursive schemas with `unevaluated*` that it compiles wrongly.
 */
function guarded(check: (value: unknown) => boolean): (value: unknown) => boolean {
  return (value) => {
    try {
      return check(value)
    } catch {
      return false
    }
  }
}

/** Judges by a branch of the schema; each branch is compiled when it is first needed. */
function branchJudge(references: References, options: Required<CompileOptions>): JudgeBranch {
  const branches = new Map<JsonObject, CompiledSchema>()
  return (branch, value) => {
    const known = branches.get(branch)
    const compiled = known ?? compile(extractSchema(branch, references, options.draft), options)
    branches.set(branch, compiled)
    return compiled.errors(value)
  }
}

function compile(written: JsonSchema, options: Required<CompileOptions>): CompiledSchema {
  const schema = withoutNullable(written, JSON.stringify(written))
  const fast = compileWith(schema, options, false) as unknown as (value: unknown) => boolean
  // Only a schema that refers to itself can follow a value down; the others run Ajv's function as it is.
  const text = JSON.stringify(schema)
  const check = isRecursive(text) ? guarded(fast) : fast
  const isRefinable =
    typeof schema === 'object' && text.includes('"$ref"') && !text.includes('"$dynamicRef"')
  let twin: ValidateFunction | undefined
  let references: References | undefined
  let judge: JudgeBranch | undefined
  const errors = (value: unknown): readonly SchemaError[] => {
    if (check(value)) return []
    twin ??= compileWith(schema, options, true)
    try {
      twin(value)
    } catch {
      return [unjudged]
    }
    const met = toSchemaErrors(twin.errors)
    // Ajv keeps the errors of the last run, and with them the value.
    twin.errors = null
    if (!isRefinable) return met
    references ??= readReferences(schema)
    judge ??= branchJudge(references, options)
    return refineUnions(met, references, judge)
  }
  return {
    check,
    errors,
    findings: (value, { pointerPrefix } = {}) => schemaFindings(errors(value), pointerPrefix),
  }
}

const byObject = new WeakMap<object, Map<string, CompiledSchema>>()
const byContent = new Map<string, WeakRef<CompiledSchema>>()
const contentKept = 2000

/**
 * Compiles a schema: its draft's meaning, formats asserted, references local only, patterns in Unicode mode where they
 * parse so, decimals exact. Cached by object and by content, so asking again costs a look-up.
 *
 * @throws SCHEMA_INVALID when the schema is none, or refers to something outside itself · SCHEMA_TOO_LARGE
 */
export function compileSchema(schema: JsonSchema, options: CompileOptions = {}): CompiledSchema {
  const draft = options.draft ?? draftOf(schema)
  const complete = { draft, unevaluated: (options.unevaluated ?? false) && isOldDraft(draft) }
  const flavour = `${draft}${complete.unevaluated ? '+' : ''}`
  const known = typeof schema === 'object' ? byObject.get(schema)?.get(flavour) : undefined
  if (known !== undefined) return known
  const contentKey = `${flavour} ${stableText(schema)}`
  const compiled = byContent.get(contentKey)?.deref() ?? compile(schema, complete)
  if (byContent.size >= contentKept) byContent.delete(byContent.keys().next().value as string)
  byContent.set(contentKey, new WeakRef(compiled))
  if (typeof schema === 'object') {
    const flavours = byObject.get(schema) ?? new Map<string, CompiledSchema>()
    byObject.set(schema, flavours.set(flavour, compiled))
  }
  return compiled
}

/** @throws SCHEMA_INVALID when it cannot be written as JSON: it contains itself, or nests too deeply */
function stableText(schema: JsonSchema): string {
  try {
    return JSON.stringify(schema)
  } catch (error) {
    throw new TreatyError('SCHEMA_INVALID', 'the schema contains itself, or nests too deeply', {
      hint: 'Write a recursive schema with $ref.',
      cause: error,
    })
  }
}
