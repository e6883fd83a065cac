import { errorMessage, TreatyError } from '../core/errors.ts'
import type { Finding } from '../core/finding.ts'
import { hasErrors } from '../core/finding.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { isJsonObject, toPointer } from '../core/json.ts'
import { limits } from '../core/limits.ts'
import { checkContract } from './check/check-contract.ts'
import { problemFinding } from './loader.ts'
import type { Contract, ContractTypes } from './model.ts'
import { arrangeFindings } from './read/arrange.ts'
import type { ContractInput, TypesOf } from './read/contract-input.ts'
import type { ReadContext } from './read/contract-reader.ts'
import { readContract } from './read/read-contract.ts'
import { checkShape } from './read/shape.ts'
import { createBundler } from './schema/bundle.ts'
import { createSchemaStore } from './schema/schema-store.ts'
import type { Path } from './source/source.ts'
import { codeSource, createReport } from './source/source.ts'

/** A contract that knows its types: `openBus` infers names, data, replies and consumers from it. */
export type TypedContract<Types extends ContractTypes = ContractTypes> = Contract & {
  /** Never set: carries the types alone. */
  readonly types?: Types
}

/** The types of a contract made by {@link defineContract}. */
export type ContractTypesOf<C> = C extends { readonly types?: infer Types }
  ? NonNullable<Types> extends ContractTypes
    ? NonNullable<Types>
    : ContractTypes
  : ContractTypes

/** Where files that the contract names are looked for. */
export interface DefineOptions {
  /** Default: the working directory. */
  readonly directory?: string
}

/**
 * Makes a contract in code, of the same shape as the YAML file and held to the same rules. Schemas are JSON Schema
 * literals, whose types are inferred, or schemas of zod, arktype, or valibot (`toStandardJsonSchema`). The types
 * are those of the data on the wire: what a producer writes, before any transform of that library.
 *
 * @throws CONTRACT_INVALID with all findings; warnings alone do not throw
 */
export function defineContract<const C extends ContractInput>(
  input: C,
  options: DefineOptions = {},
): TypedContract<TypesOf<C>> {
  const directory = options.directory ?? process.cwd()
  const findings: Finding[] = []
  const report = createReport(codeSource)
  const value = { treaty: 1, ...(toJson(input, [], findings) as JsonObject) }
  const store = createSchemaStore()
  const context: ReadContext = {
    report,
    store,
    bundler: createBundler(store, (problem) => findings.push(problemFinding(problem))),
    base: { directory, jail: directory },
    findings,
    isIncomplete: false,
  }
  checkShape(value, report)
  const read = readContract(context, value)
  checkContract(read, value, context)
  const all = arrangeFindings([...findings, ...store.findings, ...report.findings])
  if (hasErrors(all)) throw invalid(read.contract.id, all)
  return read.contract as TypedContract<TypesOf<C>>
}

function invalid(id: string, findings: readonly Finding[]): TreatyError {
  const errors = findings.filter(({ severity }) => severity === 'error')
  const [first] = errors
  const rest = errors.length > 1 ? `, and ${errors.length - 1} more` : ''
  const place = first?.pointer === undefined ? '' : ` at ${first.pointer}`
  return new TreatyError(
    'CONTRACT_INVALID',
    `the contract \`${id}\` is not valid: ${first?.message ?? ''}${place}${rest}`,
    { hint: first?.hint ?? 'Mend what the findings list.', findings },
  )
}

interface JsonSchemaSource {
  readonly vendor: string
  readonly jsonSchema?: {
    input(options: { target: string }): unknown
    output(options: { target: string }): unknown
  }
}

function standardOf(value: unknown): JsonSchemaSource | undefined {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return undefined
  if (!('~standard' in value)) return undefined
  return (value as { readonly '~standard': JsonSchemaSource })['~standard']
}

/** The value as plain JSON: schemas of other libraries turned into JSON Schema, nothing shared with the caller. */
function toJson(value: unknown, path: Path, findings: Finding[]): Json | undefined {
  const standard = standardOf(value)
  if (standard) return fromStandard(standard, path, findings)
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (value === undefined) return undefined
  if (path.length > limits.depthMax) {
    findings.push(
      problem('JSON_TOO_DEEP', 'the contract is nested too deeply, or contains itself', path),
    )
    return null
  }
  if (Array.isArray(value)) {
    return value.map((item, at) => toJson(item, [...path, at], findings) ?? null)
  }
  if (typeof value === 'object') return toJsonMap(value as JsonObject, path, findings)
  findings.push(problem('CONTRACT_TYPE_WRONG', `a ${typeof value} has no form in JSON`, path))
  return null
}

function toJsonMap(value: JsonObject, path: Path, findings: Finding[]): JsonObject {
  const result: Record<string, Json> = {}
  for (const [key, item] of Object.entries(value)) {
    const here = [...path, key]
    if (key === '__proto__') {
      findings.push(problem('KEY_FORBIDDEN', `the key \`${key}\` is not allowed`, here))
      continue
    }
    const converted = toJson(item, here, findings)
    if (converted !== undefined) result[key] = converted
  }
  return result
}

function fromStandard(standard: JsonSchemaSource, path: Path, findings: Finding[]): Json {
  const { jsonSchema, vendor } = standard
  if (!jsonSchema) {
    const hint =
      vendor === 'valibot'
        ? 'Wrap it: toStandardJsonSchema(schema) of @valibot/to-json-schema.'
        : 'Use a version of the library that implements Standard JSON Schema, or give JSON Schema.'
    const message = `the schema of ${vendor} cannot give JSON Schema`
    findings.push({ ...problem('SCHEMA_INVALID', message, path), hint })
    return {}
  }
  const target = { target: 'draft-2020-12' }
  let given: unknown
  try {
    given = jsonSchema.input(target)
  } catch {
    try {
      given = jsonSchema.output(target)
    } catch (error) {
      const message = `the schema of ${vendor} has no form in JSON Schema: ${errorMessage(error)}`
      findings.push(problem('SCHEMA_INVALID', message, path))
      return {}
    }
  }
  // What a library gives may carry hidden marks of its own, `~standard` among them.
  const plain = JSON.parse(JSON.stringify(given ?? {})) as unknown
  const json = toJson(plain, [...path, 'schema'], findings)
  return isJsonObject(json) ? json : {}
}

function problem(code: string, message: string, path: Path): Finding {
  return { code, message, severity: 'error', pointer: toPointer(path) }
}
