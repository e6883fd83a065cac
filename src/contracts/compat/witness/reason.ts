import { isJsonObject, type Json, type JsonObject, toPointer } from '../../../core/json.ts'
import { canonicalText, members, own, sameJson } from '../formula/canonical.ts'
import type { Location } from './locate.ts'

const textMax = 60

/** A value as one short text. */
export function short(value: Json): string {
  const text = JSON.stringify(value) ?? ''
  return text.length <= textMax ? text : `${text.slice(0, textMax - 1)}…`
}

function typeName(value: Json): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

/** A scalar as it is, of the others the kind: they are long, and the witness shows them. */
const named = (value: Json): string =>
  typeof value === 'object' && value !== null ? typeName(value) : short(value)

const listed = (names: Json): string => (Array.isArray(names) ? names.join(' or ') : String(names))

/** One sentence, without full stop, on why the place refuses the value. */
export function reasonOf(location: Location): string {
  const { keyword, path, value, argument, place } = location
  const at = path.length === 0 ? 'the value' : toPointer(path)
  if (keyword === undefined) return `${at} must not be there`
  if (location.matched !== undefined)
    return `${at} satisfies branches ${location.matched.join(' and ')} of ${keyword} at once`
  const schema = place.schema as JsonObject
  const told = sentences[keyword]?.(argument, value, schema)
  return `${at} ${told ?? `does not satisfy ${keyword}`}`
}

type Sentence = (argument: Json, value: Json, schema: JsonObject) => string

const bound =
  (relation: string): Sentence =>
  (argument, value) =>
    `is ${short(value)}, must be ${relation} ${short(argument)}`
const size =
  (unit: string, relation: string): Sentence =>
  (argument, value) =>
    `has ${sizeOf(value)} ${unit}, must have at ${relation} ${argument}`

function sizeOf(value: Json): number {
  if (typeof value === 'string') return [...value].length
  if (Array.isArray(value)) return value.length
  return isJsonObject(value) ? members(value).length : 0
}

function missing(names: readonly Json[], value: Json): string {
  const lacking = names.filter(
    (name) => isJsonObject(value) && own(value, name as string) === undefined,
  )
  return `lacks ${lacking.map((name) => JSON.stringify(name)).join(', ')}`
}

function dependent(argument: Json, value: Json): string {
  for (const [key, names] of members(argument as JsonObject)) {
    if (!isJsonObject(value) || own(value, key) === undefined || !Array.isArray(names)) continue
    const told = missing(names, value)
    if (told !== 'lacks ') return `has ${JSON.stringify(key)} and ${told}`
  }
  return 'has members that do not go together'
}

function repeated(value: Json): string {
  const seen = new Map<string, number>()
  for (const [index, item] of (value as readonly Json[]).entries()) {
    const text = canonicalText(item)
    const first = seen.get(text)
    if (first !== undefined) return `has equal items at ${first} and ${index}`
    seen.set(text, index)
  }
  return 'has equal items'
}

const sentences: Readonly<Record<string, Sentence>> = {
  type: (argument, value) => `is ${typeName(value)}, must be ${listed(argument)}`,
  enum: (argument, value) => `is ${short(value)}, must be one of ${short(argument)}`,
  const: (argument, value) =>
    sameJson(argument, value) ? 'differs' : `is ${short(value)}, must be ${short(argument)}`,
  multipleOf: bound('a multiple of'),
  minimum: (argument, value, schema) =>
    bound(schema.exclusiveMinimum === true ? 'more than' : 'at least')(argument, value, schema),
  maximum: (argument, value, schema) =>
    bound(schema.exclusiveMaximum === true ? 'less than' : 'at most')(argument, value, schema),
  exclusiveMinimum: bound('more than'),
  exclusiveMaximum: bound('less than'),
  minLength: size('characters', 'least'),
  maxLength: size('characters', 'most'),
  minItems: size('items', 'least'),
  maxItems: size('items', 'most'),
  minProperties: size('members', 'least'),
  maxProperties: size('members', 'most'),
  pattern: (argument, value) => `is ${short(value)}, must match ${argument}`,
  format: (argument, value) => `is ${short(value)}, must have the format ${argument}`,
  uniqueItems: (_, value) => repeated(value),
  required: (argument, value) => missing(argument as readonly Json[], value),
  dependentRequired: dependent,
  dependencies: dependent,
  contains: (_, __, schema) => {
    const { minContains, maxContains } = schema
    const most = maxContains === undefined ? '' : ` and at most ${maxContains}`
    return `must contain at least ${minContains ?? 1}${most} of the items asked for`
  },
  propertyNames: () => 'has a member whose name is not allowed',
  anyOf: (_, value) => `is ${named(value)}, which no branch of anyOf takes`,
  oneOf: (_, value) => `is ${named(value)}, which no branch of oneOf takes`,
  not: () => 'satisfies what it must not',
}
