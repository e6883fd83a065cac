import type { Finding } from '../../core/finding.ts'
import { limits } from '../../core/limits.ts'
import { rulesKeyword } from './rules.ts'
import type { SchemaError } from './schema-error.ts'
import { foldUnions } from './union-errors.ts'

const excerptCharactersMax = 60

/** A value as a sentence can hold it: short scalars as JSON, the rest by its kind. */
function excerpt(value: unknown): string {
  if (Array.isArray(value))
    return value.length === 1 ? 'an array of 1 item' : `an array of ${value.length} items`
  if (typeof value === 'object' && value !== null) return 'an object'
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > excerptCharactersMax ? `${text.slice(0, excerptCharactersMax)}…` : text
}

function choices(values: unknown): string {
  const list = Array.isArray(values) ? values : [values]
  const shown = list.slice(0, 12).map(excerpt).join(', ')
  return list.length > 12 ? `${shown}, …` : shown
}

const kinds: Readonly<Record<string, string>> = {
  array: 'an array',
  object: 'an object',
  integer: 'an integer',
  number: 'a number',
  string: 'a string',
  boolean: 'true or false',
  null: 'null',
}

function typeNames(expected: unknown): string {
  const list = Array.isArray(expected) ? expected : [expected]
  return list.map((name) => kinds[String(name)] ?? String(name)).join(' or ')
}

const count = (amount: unknown, one: string) => `${String(amount)} ${one}${amount === 1 ? '' : 's'}`

type Describe = (error: SchemaError) => string
const must =
  (what: (error: SchemaError) => string): Describe =>
  (error) =>
    `must ${what(error)}, found ${excerpt(error.found)}`

/** The second half of the sentence, by keyword; the first is the place. */
const descriptions: Readonly<Record<string, Describe>> = {
  type: must(({ expected, params }) => `be ${typeNames(expected ?? params.type)}`),
  required: ({ params }) => `lacks the required field ${JSON.stringify(params.missingProperty)}`,
  additionalProperties: ({ params }) =>
    `has the field ${JSON.stringify(params.additionalProperty)}, which the schema does not name`,
  unevaluatedProperties: ({ params }) =>
    `has the field ${JSON.stringify(params.unevaluatedProperty)}, which the schema does not name`,
  unevaluatedItems: ({ params }) => `must have at most ${count(params.len, 'item')}`,
  additionalItems: ({ params }) => `must have at most ${count(params.limit, 'item')}`,
  items: ({ params }) => `must have at most ${count(params.limit, 'item')}`,
  enum: must(({ expected }) => `be one of ${choices(expected)}`),
  const: must(({ expected }) => `be ${excerpt(expected)}`),
  format: must(({ expected }) => `be of the format ${String(expected)}`),
  pattern: must(({ expected }) => `match ${String(expected)}`),
  minLength: must(({ expected }) => `have at least ${count(expected, 'character')}`),
  maxLength: must(({ expected }) => `have at most ${count(expected, 'character')}`),
  minimum: must(({ expected }) => `be at least ${String(expected)}`),
  maximum: must(({ expected }) => `be at most ${String(expected)}`),
  exclusiveMinimum: must(({ params }) => `be greater than ${String(params.limit)}`),
  exclusiveMaximum: must(({ params }) => `be less than ${String(params.limit)}`),
  multipleOf: must(({ expected }) => `be a multiple of ${String(expected)}`),
  minItems: must(({ expected }) => `have at least ${count(expected, 'item')}`),
  maxItems: must(({ expected }) => `have at most ${count(expected, 'item')}`),
  minProperties: ({ expected }) => `must have at least ${count(expected, 'field')}`,
  maxProperties: ({ expected }) => `must have at most ${count(expected, 'field')}`,
  uniqueItems: ({ params }) =>
    `must not hold the same item twice, items ${String(params.j)} and ${String(params.i)} are equal`,
  contains: () => 'holds no item, or too few or too many, of the kind that must be there',
  not: must(() => 'not match the schema under `not`'),
  anyOf: must(() => 'match one of the alternatives'),
  oneOf: ({ params, found }) =>
    Array.isArray(params.passingSchemas)
      ? `must match exactly one of the alternatives, and matches ${params.passingSchemas.join(' and ')}`
      : `must match one of the alternatives, found ${excerpt(found)}`,
  if: ({ params }) => `must match the schema under \`${String(params.failingKeyword)}\``,
  'false schema': () => 'must not be there',
  propertyNames: ({ params }) =>
    `has the field ${JSON.stringify(params.propertyName)}, whose name is not allowed`,
  dependencies: ({ params }) =>
    `lacks the field ${JSON.stringify(params.missingProperty)}, which ${JSON.stringify(params.property)} requires`,
  dependentRequired: ({ params }) =>
    `lacks the field ${JSON.stringify(params.missingProperty)}, which ${JSON.stringify(params.property)} requires`,
  depth: () => 'nests more deeply than can be judged by this schema',
  [rulesKeyword]: ({ params }) => String(params.message),
}

/** The place to point at: the field itself where it is too much, the object where a field is missing. */
function pointerOf({ keyword, pointer, params }: SchemaError): string {
  const extra =
    keyword === 'additionalProperties'
      ? params.additionalProperty
      : keyword === 'unevaluatedProperties'
        ? params.unevaluatedProperty
        : undefined
  if (typeof extra !== 'string') return pointer
  return `${pointer}/${extra.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** The findings of the errors, at most {@link limits.findingsMax}; pointers begin with `pointerPrefix`, and `subject` names the root. */
export function schemaFindings(
  errors: readonly SchemaError[],
  pointerPrefix = '',
  subject = 'the value',
): Finding[] {
  const seen = new Set<string>()
  const findings: Finding[] = []
  for (const error of foldUnions(errors)) {
    const place = pointerPrefix + error.pointer
    const describe = descriptions[error.keyword] ?? (() => `does not satisfy \`${error.keyword}\``)
    const message = `${place === '' ? subject : place} ${describe(error)}`
    const pointer = pointerPrefix + pointerOf(error)
    // The same rule may be reached by two paths of a schema: once is enough.
    if (seen.has(`${pointer} ${message}`)) continue
    seen.add(`${pointer} ${message}`)
    const code = error.keyword === rulesKeyword ? 'RULE_VIOLATED' : 'SCHEMA_MISMATCH'
    findings.push({ code, severity: 'error', message, pointer })
    if (findings.length >= limits.findingsMax) break
  }
  return findings
}
