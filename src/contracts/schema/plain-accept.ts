import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { formatChecks } from './formats.ts'
import { compilePattern } from './safe-pattern.ts'

const inherited = new Set(Object.getOwnPropertyNames(Object.prototype))

/** What a keyword says about a value: accepted, or not certain. */
type Judge = (expected: Json, value: Json, schema: JsonObject) => boolean

const always: Judge = () => true
const isText = (value: Json): value is string => typeof value === 'string'
const isNumber = (value: Json): value is number => typeof value === 'number'

/** Length in code points, as the specification counts; only counted where units could mislead. */
function lengthOf(text: string): number {
  return /[\ud800-\udfff]/.test(text) ? [...text].length : text.length
}

function hasType(type: Json, value: Json): boolean {
  if (Array.isArray(type)) return (type as readonly Json[]).some((each) => hasType(each, value))
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return isJsonObject(value)
  return type === 'integer' ? Number.isInteger(value) : typeof value === type
}

const isScalar = (value: Json) => typeof value !== 'object' || value === null

function judgeProperties(expected: Json, value: Json, schema: JsonObject): boolean {
  if (!isJsonObject(value)) return true
  if (!isJsonObject(expected)) return false
  const isClosed = schema.additionalProperties === false
  return Object.keys(value).every((name) => {
    if (inherited.has(name)) return false
    const own = Object.hasOwn(expected, name) ? expected[name] : undefined
    if (own === undefined) return !isClosed
    return acceptsPlainly(own as JsonSchema, value[name] as Json)
  })
}

const bounds =
  (
    holds: (bound: number, measure: number) => boolean,
    measure: (value: Json) => number | undefined,
  ): Judge =>
  (expected, value) => {
    const measured = measure(value)
    if (measured === undefined) return true
    return isNumber(expected) && holds(expected, measured)
  }
const atLeast = (bound: number, measure: number) => measure >= bound
const atMost = (bound: number, measure: number) => measure <= bound
const numberOf = (value: Json) => (isNumber(value) ? value : undefined)
const textLength = (value: Json) => (isText(value) ? lengthOf(value) : undefined)
const itemCount = (value: Json) => (Array.isArray(value) ? value.length : undefined)

const judges = new Map<string, Judge>([
  ['$schema', always],
  ['$comment', always],
  ['title', always],
  ['description', always],
  ['default', always],
  ['examples', always],
  ['deprecated', always],
  ['type', hasType],
  [
    'enum',
    (expected, value) => isScalar(value) && Array.isArray(expected) && expected.includes(value),
  ],
  ['const', (expected, value) => isScalar(value) && expected === value],
  [
    'required',
    (expected, value) =>
      !isJsonObject(value) ||
      (Array.isArray(expected) && expected.every((name) => Object.hasOwn(value, String(name)))),
  ],
  ['properties', judgeProperties],
  [
    'additionalProperties',
    (expected, value, schema) =>
      expected === true ||
      (expected === false && (schema.properties !== undefined || !isJsonObject(value))),
  ],
  [
    'items',
    (expected, value) =>
      !Array.isArray(value) ||
      (!Array.isArray(expected) &&
        (value as readonly Json[]).every((item) => acceptsPlainly(expected as JsonSchema, item))),
  ],
  ['minimum', bounds(atLeast, numberOf)],
  ['maximum', bounds(atMost, numberOf)],
  ['minLength', bounds(atLeast, textLength)],
  ['maxLength', bounds(atMost, textLength)],
  ['minItems', bounds(atLeast, itemCount)],
  ['maxItems', bounds(atMost, itemCount)],
  [
    'format',
    (expected, value) => !isText(value) || (formatChecks[String(expected)]?.(value) ?? false),
  ],
  ['pattern', (expected, value) => !isText(value) || matches(String(expected), value)],
])

function matches(pattern: string, text: string): boolean {
  try {
    return compilePattern(pattern).test(text)
  } catch {
    return false
  }
}

/**
 * True only when the value certainly satisfies the schema: a quick yes for plain schemas, which saves compiling one
 * for the sake of an example. False means that it is not certain (a keyword beyond the plain ones, or a broken one):
 * then the compiled schema decides.
 */
export function acceptsPlainly(schema: JsonSchema, value: Json): boolean {
  if (typeof schema === 'boolean') return schema
  for (const [keyword, expected] of Object.entries(schema)) {
    if (expected === undefined) continue
    const judge = judges.get(keyword)
    if (!judge?.(expected, value, schema)) return false
  }
  return true
}
