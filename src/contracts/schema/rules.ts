import type { FuncKeywordDefinition } from 'ajv'
import { isJsonObject, toPointer } from '../../core/json.ts'

/** The keyword of a schema that holds its cross-field rules; other validators ignore it as they ignore any unknown one. */
export const rulesKeyword = 'x-treaty-rules'

/**
 * What JSON Schema cannot say about the fields of one object. A rule whose fields are absent holds:
 * that they are there is what `required` is for.
 *
 * - `sum`, `equals`: the numbers of the fields in `sum` add up to the field `equals`.
 * - `differ`: the two fields have different values.
 * - `listed`, `beside`: each name in the list field is a field of the object; in the producer view no field stands
 *   in the object but those named, the list itself and the ones in `beside`. Names in `beside` cannot be listed.
 */
export type Rule =
  | { readonly sum: readonly string[]; readonly equals: string }
  | { readonly differ: readonly [string, string] }
  | { readonly listed: string; readonly beside: readonly string[]; readonly closed?: boolean }

/** A broken rule: where, relative to the object, and the sentence's second half. */
interface Violation {
  readonly path: readonly (string | number)[]
  readonly message: string
}

type Fields = Readonly<Record<string, unknown>>
const own = (fields: Fields, name: string): unknown =>
  Object.hasOwn(fields, name) ? fields[name] : undefined

function sumViolation(rule: Extract<Rule, { sum: unknown }>, fields: Fields): Violation[] {
  const parts = rule.sum.map((name) => own(fields, name))
  const total = own(fields, rule.equals)
  if (typeof total !== 'number' || !parts.every((part) => typeof part === 'number')) return []
  const sum = parts.reduce<number>((before, part) => before + (part as number), 0)
  if (sum === total) return []
  return [
    {
      path: [rule.equals],
      message: `must be the sum of ${rule.sum.join(' and ')}, ${sum}, found ${total}`,
    },
  ]
}

function differViolation(rule: Extract<Rule, { differ: unknown }>, fields: Fields): Violation[] {
  const [first, second] = rule.differ
  const value = own(fields, second)
  if (value === undefined || value !== own(fields, first)) return []
  return [
    {
      path: [second],
      message: `must differ from ${first}, found ${JSON.stringify(value)} in both`,
    },
  ]
}

function listedViolations(rule: Extract<Rule, { listed: unknown }>, fields: Fields): Violation[] {
  const listed = own(fields, rule.listed)
  if (!Array.isArray(listed)) return []
  const names = new Set(listed.filter((name) => typeof name === 'string'))
  const violations: Violation[] = []
  for (const [at, name] of listed.entries()) {
    if (typeof name !== 'string') continue
    const path = [rule.listed, at]
    if (name === rule.listed || rule.beside.includes(name)) {
      violations.push({
        path,
        message: `must not name ${name}, which identifies and is never updated`,
      })
    } else if (!Object.hasOwn(fields, name)) {
      violations.push({
        path,
        message: `names ${name}, which is not there; give its new value, or null where it was cleared`,
      })
    }
  }
  if (rule.closed !== true) return violations
  for (const name of Object.keys(fields)) {
    if (names.has(name) || name === rule.listed || rule.beside.includes(name)) continue
    violations.push({
      path: [name],
      message: `is not among ${rule.listed}; list it, or leave it out`,
    })
  }
  return violations
}

function violationsOf(rule: Rule, fields: Fields): Violation[] {
  if ('sum' in rule) return sumViolation(rule, fields)
  if ('differ' in rule) return differViolation(rule, fields)
  return listedViolations(rule, fields)
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isTextList = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(isText)

/** True for a rule that is written as {@link Rule} says. */
export function isRule(value: unknown): value is Rule {
  if (!isJsonObject(value)) return false
  if (value.sum !== undefined) return isTextList(value.sum) && isText(value.equals)
  if (value.differ !== undefined) return isTextList(value.differ) && value.differ.length === 2
  return isText(value.listed) && isTextList(value.beside)
}

/** Ajv's definition of {@link rulesKeyword}: each violation is an error of its own. */
export const ruleKeyword: FuncKeywordDefinition = {
  keyword: rulesKeyword,
  type: 'object',
  schemaType: 'array',
  errors: 'full',
  compile: (rules: unknown[]) => {
    const wrong = rules.findIndex((rule) => !isRule(rule))
    if (wrong !== -1) throw new TypeError(`${rulesKeyword}/${wrong} is no rule that Treaty knows`)
    const check = (fields: Fields, context?: { instancePath: string }): boolean => {
      const violations = (rules as Rule[]).flatMap((rule) => violationsOf(rule, fields))
      if (violations.length === 0) return true
      const errors = violations.map(({ path, message }) => ({
        keyword: rulesKeyword,
        instancePath: (context?.instancePath ?? '') + toPointer(path),
        params: { message },
      }))
      Object.assign(check, { errors })
      return false
    }
    return check
  },
}
