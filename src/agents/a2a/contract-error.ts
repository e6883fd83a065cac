import type { JsonSchema, SchemaError } from '../../contracts/index.ts'
import { isJsonObject, parsePointer } from '../../core/json.ts'

export type ContractErrorCode =
  | 'MISSING_REQUIRED_FIELD'
  | 'UNKNOWN_FIELD'
  | 'ENUM_MISMATCH'
  | 'CONST_VIOLATION'
  | 'WRONG_TYPE'
  | 'PATTERN_MISMATCH'
  | 'MIN_LENGTH_VIOLATION'
  | 'VALUE_OUT_OF_RANGE'
  | 'INVALID_FORMAT'
  | 'EMPTY_OBJECT'
  | 'SCHEMA_ERROR'

/** One broken rule, in the envelope that agents exchange. No field is ever empty. */
export interface ContractError {
  readonly error_code: ContractErrorCode
  /** The `$id` of the schema. */
  readonly schema_id: string
  /** Names joined by slashes, not escaped; the root is `/`. A missing or unknown field is reported at the object. */
  readonly failed_path: string
  readonly message: string
  /** What to do about it, as one imperative sentence. */
  readonly next_action: string
}

const codeOfKeyword: Readonly<Record<string, ContractErrorCode>> = {
  required: 'MISSING_REQUIRED_FIELD',
  additionalProperties: 'UNKNOWN_FIELD',
  enum: 'ENUM_MISMATCH',
  const: 'CONST_VIOLATION',
  type: 'WRONG_TYPE',
  pattern: 'PATTERN_MISMATCH',
  minLength: 'MIN_LENGTH_VIOLATION',
  minimum: 'VALUE_OUT_OF_RANGE',
  maximum: 'VALUE_OUT_OF_RANGE',
  format: 'INVALID_FORMAT',
  minProperties: 'EMPTY_OBJECT',
}

/** In which order the rules of one value are reported. */
const keywordOrder = [
  'type',
  'additionalProperties',
  'required',
  'minProperties',
  'const',
  'enum',
  'minLength',
  'pattern',
  'format',
  'minimum',
  'maximum',
]

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

interface Sentences {
  readonly message: string
  readonly next_action: string
}

function sentences(error: SchemaError, unknownFields: readonly string[]): Sentences {
  const { keyword, expected, found, params } = error
  const choices = Array.isArray(expected) ? expected.map(shown).join(', ') : shown(expected)
  switch (keyword) {
    case 'required': {
      const field = shown(params.missingProperty)
      return {
        message: `the required field ${field} is missing`,
        next_action: `Add the field ${field}.`,
      }
    }
    case 'additionalProperties': {
      const fields = unknownFields.map(shown).join(', ')
      const isOne = unknownFields.length === 1
      return {
        message: isOne ? `the field ${fields} is unknown` : `the fields ${fields} are unknown`,
        next_action: `Remove ${isOne ? 'it' : 'them'}; this version takes no other fields than its own.`,
      }
    }
    case 'enum':
      return {
        message: `${shown(found)} is none of ${choices}`,
        next_action: `Use one of ${choices}.`,
      }
    case 'const':
      return {
        message: `${shown(found)} is not ${shown(expected)}`,
        next_action: `Set it to ${shown(expected)}.`,
      }
    case 'type':
      return {
        message: `expected ${String(expected)}, found ${kindOf(found)}`,
        next_action: `Give a value of type ${String(expected)}, or leave the field out if it is optional.`,
      }
    case 'minLength':
      return { message: 'the text is empty', next_action: 'Give a text that is not empty.' }
    case 'minimum':
      return {
        message: `${shown(found)} is less than ${String(expected)}`,
        next_action: `Give a number of at least ${String(expected)}.`,
      }
    case 'maximum':
      return {
        message: `${shown(found)} is more than ${String(expected)}`,
        next_action: `Give a number of at most ${String(expected)}.`,
      }
    case 'format':
      return {
        message: `${shown(found)} is no ${String(expected)}`,
        next_action: 'Write it as RFC 3339 says, with an offset, such as 2026-11-20T09:30:00Z.',
      }
    case 'minProperties':
      return { message: 'the object is empty', next_action: 'Give at least one property.' }
    default:
      return {
        message: `the rule ${keyword} is broken`,
        next_action: 'Correct the value as the schema says.',
      }
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'number' && Number.isInteger(value) ? 'integer' : typeof value
}

/** Where a field stands among the properties of the schema that describes it; the path decides which schema that is. */
function positions(schema: JsonSchema, path: readonly string[]): number[] {
  let node: unknown = schema
  return path.map((name) => {
    if (!isJsonObject(node)) return 0
    if (isJsonObject(node.properties) && Object.hasOwn(node.properties, name)) {
      const at = Object.keys(node.properties).indexOf(name)
      node = node.properties[name]
      return at
    }
    node = node.items
    return Number(name)
  })
}

function compareLists(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) {
    const difference = (a[at] as number) - (b[at] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/**
 * The errors in the envelope, all of them: an object before its fields, fields in the order of the schema; at one place
 * type, then unknown fields (one error for each object), then missing fields (one each), then the rest.
 */
export function toContractErrors(
  schema: JsonSchema,
  schemaId: string,
  errors: readonly SchemaError[],
): ContractError[] {
  const isUnknown = ({ keyword }: SchemaError) => keyword === 'additionalProperties'
  const unknown = Map.groupBy(errors.filter(isUnknown), ({ pointer }) => pointer)
  const kept = errors.filter(
    (error) => !isUnknown(error) || unknown.get(error.pointer)?.[0] === error,
  )
  const ranked = kept.map((error) => {
    const path = parsePointer(error.pointer) ?? []
    const rank = keywordOrder.indexOf(error.keyword)
    return {
      error,
      path,
      order: positions(schema, path),
      rank: rank === -1 ? keywordOrder.length : rank,
    }
  })
  ranked.sort((a, b) => compareLists(a.order, b.order) || a.rank - b.rank)
  return ranked.map(({ error, path }) => {
    const fields = (unknown.get(error.pointer) ?? []).map(({ params }) =>
      String(params.additionalProperty),
    )
    return {
      error_code: codeOfKeyword[error.keyword] ?? 'SCHEMA_ERROR',
      schema_id: schemaId,
      failed_path: `/${path.join('/')}`,
      ...sentences(error, fields),
    }
  })
}
