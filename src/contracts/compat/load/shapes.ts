import { isJsonObject, type Json } from '../../../core/json.ts'
import { compileRegex } from '../automata/regex.ts'
import type { Draft, Shape } from './dialect.ts'

const typeNames: ReadonlySet<Json> = new Set([
  'null',
  'boolean',
  'integer',
  'number',
  'string',
  'array',
  'object',
])

const isSchema = (value: Json, draft: Draft): boolean =>
  isJsonObject(value) || (typeof value === 'boolean' && draft !== '04')
const isNames = (value: Json): boolean =>
  Array.isArray(value) && value.every((name) => typeof name === 'string')
const every = (value: Json, test: (member: Json) => boolean): boolean =>
  isJsonObject(value) &&
  Object.values(value).every((member) => member === undefined || test(member))

const tests: Readonly<Record<Shape, (value: Json, draft: Draft) => boolean>> = {
  any: () => true,
  number: (value) => typeof value === 'number' && Number.isFinite(value),
  positive: (value) => typeof value === 'number' && Number.isFinite(value) && value > 0,
  size: (value) => typeof value === 'number' && Number.isInteger(value) && value >= 0,
  boolean: (value) => typeof value === 'boolean',
  text: (value) => typeof value === 'string',
  regex: (value) => typeof value === 'string' && compileRegex(value) !== undefined,
  names: isNames,
  types: (value) =>
    Array.isArray(value) ? value.every((name) => typeNames.has(name)) : typeNames.has(value),
  list: (value) => Array.isArray(value),
  schema: isSchema,
  schemaOrBoolean: (value, draft) => typeof value === 'boolean' || isSchema(value, draft),
  schemas: (value, draft) =>
    Array.isArray(value) && value.length > 0 && value.every((part) => isSchema(part, draft)),
  schemaOrSchemas: (value, draft) =>
    Array.isArray(value) ? value.every((part) => isSchema(part, draft)) : isSchema(value, draft),
  schemaMap: (value, draft) => every(value, (part) => isSchema(part, draft)),
  regexMap: (value, draft) =>
    every(value, (part) => isSchema(part, draft)) &&
    Object.keys(value as object).every((source) => compileRegex(source) !== undefined),
  namesMap: (value) => every(value, isNames),
  dependencies: (value, draft) => every(value, (part) => isNames(part) || isSchema(part, draft)),
  object: isJsonObject,
}

const wanted: Readonly<Record<Shape, string>> = {
  any: 'anything',
  number: 'a number',
  positive: 'a number above 0',
  size: 'a whole number that is not negative',
  boolean: 'true or false',
  text: 'a text',
  regex: 'a regular expression',
  names: 'a list of names',
  types: 'one of null, boolean, integer, number, string, array, object, or a list of them',
  list: 'a list',
  schema: 'a schema',
  schemaOrBoolean: 'a schema, true or false',
  schemas: 'a list of at least one schema',
  schemaOrSchemas: 'a schema or a list of schemas',
  schemaMap: 'an object of schemas',
  regexMap: 'an object of schemas under regular expressions',
  namesMap: 'an object of lists of names',
  dependencies: 'an object of schemas or lists of names',
  object: 'an object',
}

/** What is wrong with a keyword's value, as the end of a sentence; undefined when it is fine. */
export function shapeProblem(shape: Shape, value: Json, draft: Draft): string | undefined {
  return tests[shape](value, draft) ? undefined : `must be ${wanted[shape]}`
}
