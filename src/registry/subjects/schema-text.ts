import { createHash } from 'node:crypto'
import { compileSchema, decodeJson } from '../../contracts/index.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import { errorMessage } from '../../core/errors.ts'
import { uuidFromDigest } from '../../core/ids.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { KeptSchema, ResolvedSchema, SchemaInput } from './model.ts'
import { protocolCodes, refusal } from './refusal.ts'

/** A schema that was read, with the digest of what it means. */
export interface ReadSchema {
  readonly kept: KeptSchema
  readonly value: ResolvedSchema
  /** SHA-256, hexadecimal: equal for texts that differ only in white space or in the order of keys. */
  readonly hash: string
}

/**
 * Reads a schema that was handed in.
 *
 * @throws SUBJECT_REFUSED (42201) for another type than JSON, for text that is no JSON, and for JSON that is no schema
 */
export function readSchema(input: SchemaInput, normalize: boolean): ReadSchema {
  const type = (input.schemaType ?? 'AVRO') || 'AVRO'
  if (type !== 'JSON') {
    throw refusal(
      protocolCodes.invalidSchema,
      `Invalid schema type ${type}: this registry keeps JSON.`,
    )
  }
  const value = parse(input.schema)
  const { references = [], metadata, ruleSet } = input
  const kept: KeptSchema = {
    schema: normalize ? canonicalJson(value) : input.schema,
    schemaType: 'JSON',
    references: references.map(({ name, subject, version }) => ({ name, subject, version })),
    ...(metadata === undefined ? {} : { metadata }),
    ...(ruleSet === undefined ? {} : { ruleSet }),
  }
  const { schema: _text, ...rest } = kept
  const identity = canonicalJson({ ...rest, value } as unknown as Json)
  return { kept, value, hash: createHash('sha256').update(identity).digest('hex') }
}

function parse(text: string): ResolvedSchema {
  let value: unknown
  try {
    value = decodeJson(Buffer.from(text))
  } catch (error) {
    throw refusal(protocolCodes.invalidSchema, `Invalid schema: ${errorMessage(error)}`)
  }
  if (typeof value === 'boolean' || isJsonObject(value)) return value
  throw refusal(
    protocolCodes.invalidSchema,
    'Invalid schema: it is neither an object nor a boolean',
  )
}

/** The schema that a kept one holds. */
export function keptValue(kept: KeptSchema): ResolvedSchema {
  return parse(kept.schema)
}

/** A globally unique id, made from the digest. */
export function guidOf(hash: string): string {
  return uuidFromDigest(Buffer.from(hash, 'hex'))
}

/** The schema with those that it refers to inside it, each as a resource under the name by which it is referred to. */
export function withReferences(
  value: ResolvedSchema,
  referenced: ReadonlyMap<string, ResolvedSchema>,
): ResolvedSchema {
  if (typeof value === 'boolean' || referenced.size === 0) return value
  const container =
    value.definitions === undefined && value.$defs !== undefined ? '$defs' : 'definitions'
  const present = isJsonObject(value[container]) ? value[container] : {}
  const embedded = [...referenced].map(([name, schema], at): [string, JsonObject] => [
    freeName(present, `reference-${at + 1}`),
    { ...(isJsonObject(schema) ? withoutDialect(schema) : { allOf: [schema] }), $id: name },
  ])
  return { ...value, [container]: { ...present, ...Object.fromEntries(embedded) } }
}

function withoutDialect({ $schema: _dialect, id: _id, ...rest }: JsonObject): JsonObject {
  return rest
}

function freeName(present: JsonObject, name: string): string {
  return Object.hasOwn(present, name) ? freeName(present, `${name}-`) : name
}

/** @throws SUBJECT_REFUSED (42201) when it is no schema of its draft, or refers to what is not there */
export function checkSchema(schema: ResolvedSchema): void {
  try {
    compileSchema(schema)
  } catch (error) {
    throw refusal(protocolCodes.invalidSchema, `Invalid schema: ${errorMessage(error)}`)
  }
}
