import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import { nearest, suggest } from '../did-you-mean.ts'
import type { Path, Report } from '../source/source.ts'
import type { MetaNode, MetaType } from './meta-schema.ts'
import { metaSchema } from './meta-schema.ts'

const typeNames: Readonly<Record<MetaType, string>> = {
  object: 'a map',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  integer: 'a whole number',
  boolean: '`true` or `false`',
  null: 'nothing',
}

function typeOf(value: Json): MetaType {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value as MetaType
}

function isOfType(value: Json, type: MetaType): boolean {
  if (type === 'integer') return Number.isInteger(value)
  return typeOf(value) === type
}

function typesOf(node: MetaNode): readonly MetaType[] {
  if (node.type === undefined) return []
  return typeof node.type === 'string' ? [node.type] : node.type
}

function resolve(node: MetaNode): MetaNode {
  if (node.$ref === undefined) return node
  return metaSchema.$defs[node.$ref.slice('#/$defs/'.length)] ?? {}
}

/** A value as a message shows it: short, on one line. */
export function shown(value: Json | undefined): string {
  if (value === undefined || value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  const text = String(value).replaceAll(/\s+/g, ' ')
  return `\`${text.length > 60 ? `${text.slice(0, 60)}…` : text}\``
}

/** A path as people write it: `consumers.billing.retry`. */
export function shownPath(path: Path): string {
  return path.length === 0 ? 'the contract' : `\`${path.join('.')}\``
}

function expected(node: MetaNode): string {
  if (node.title !== undefined) return node.title
  if (node.const !== undefined) return `\`${node.const}\``
  if (node.enum) return node.enum.map((value) => `\`${value}\``).join(', ')
  if (node.anyOf) return node.anyOf.map((option) => expected(resolve(option))).join(' or ')
  const types = typesOf(node)
  return types.length === 0 ? 'something else' : types.map((type) => typeNames[type]).join(' or ')
}

/**
 * Holds a value against the meta-schema and reports everything that departs from it: unknown and missing keys,
 * wrong types, values outside a list, a form or a range.
 *
 * @param node The part of the meta-schema to check with; default: the whole contract.
 */
export function checkShape(
  value: Json,
  report: Report,
  node: MetaNode = metaSchema,
  path: Path = [],
): void {
  const rule = resolve(node)
  if (rule.anyOf) {
    checkUnion(value, report, rule, path)
    return
  }
  const types = typesOf(rule)
  if (types.length > 0 && !types.some((type) => isOfType(value, type))) {
    reportType(value, report, rule, path)
    return
  }
  if (rule.const !== undefined && value !== rule.const) {
    const message = `${shownPath(path)} is ${shown(value)}, expected \`${rule.const}\``
    report.add('CONTRACT_VALUE_WRONG', message, path)
    return
  }
  if (rule.enum && !rule.enum.includes(value as string)) {
    reportChoice(value, report, rule, path)
    return
  }
  if (typeof value === 'string') checkText(value, report, rule, path)
  else if (typeof value === 'number') checkNumber(value, report, rule, path)
  else if (Array.isArray(value)) checkList(value as readonly Json[], report, rule, path)
  else if (isJsonObject(value)) checkMap(value, report, rule, path)
}

function checkUnion(value: Json, report: Report, rule: MetaNode, path: Path): void {
  const chosen = (rule.anyOf ?? []).map(resolve).find((option) => {
    const types = typesOf(option)
    return types.length === 0 || types.some((type) => isOfType(value, type))
  })
  if (chosen) checkShape(value, report, chosen, path)
  else reportType(value, report, rule, path)
}

function reportType(value: Json, report: Report, rule: MetaNode, path: Path): void {
  const wanted = expected(rule)
  if (typesOf(rule).includes('string') && Array.isArray(value) && value.length === 1) {
    // What people leave of a template, `[What triggers this event]`, is a list to YAML.
    const message = `${shownPath(path)} is still a placeholder: a list of one text, expected ${wanted}`
    report.add('PLACEHOLDER', message, path, { hint: 'write what it is about, without brackets' })
    return
  }
  const isQuotable = typesOf(rule).includes('string') && typeof value === 'number'
  report.add(
    'CONTRACT_TYPE_WRONG',
    `${shownPath(path)} is ${shown(value)}, expected ${wanted}`,
    path,
    isQuotable ? { hint: `quote it: \`"${value}"\`` } : {},
  )
}

function reportChoice(value: Json, report: Report, rule: MetaNode, path: Path): void {
  const choices = (rule.enum ?? []).map(String)
  const last = path.at(-1)
  if (last === 'delivery' && typeof value === 'string' && /^exactly[-_ ]?once$/i.test(value)) {
    report.add(
      'DELIVERY_IMPOSSIBLE',
      'exactly-once delivery does not exist between two systems',
      path,
      {
        hint: 'write `delivery: effect-once` and name its `mechanism`, for example `inbox`',
      },
    )
    return
  }
  const code = choices.includes('breaking-change') ? 'GATE_RULE_UNKNOWN' : 'CONTRACT_VALUE_WRONG'
  const hint = suggest(String(value), choices)
  report.add(
    code,
    `${shownPath(path)} is ${shown(value)}, expected one of ${choices.map((choice) => `\`${choice}\``).join(', ')}`,
    path,
    hint === undefined ? {} : { hint },
  )
}

function checkText(value: string, report: Report, rule: MetaNode, path: Path): void {
  const isShort = rule.minLength !== undefined && value.length < rule.minLength
  const isLong = rule.maxLength !== undefined && value.length > rule.maxLength
  if (isLong) {
    const message = `${shownPath(path)} has ${value.length} characters, at most ${rule.maxLength} are allowed`
    report.add('CONTRACT_VALUE_WRONG', message, path)
  } else if (isShort || (rule.pattern !== undefined && !patternOf(rule.pattern).test(value))) {
    const message = `${shownPath(path)} is ${value === '' ? 'empty' : shown(value)}, expected ${expected(rule)}`
    report.add('CONTRACT_VALUE_WRONG', message, path)
  }
}

const patterns = new Map<string, RegExp>()

function patternOf(source: string): RegExp {
  let pattern = patterns.get(source)
  if (!pattern) {
    pattern = new RegExp(source, 'u')
    patterns.set(source, pattern)
  }
  return pattern
}

function checkNumber(value: number, report: Report, rule: MetaNode, path: Path): void {
  const { minimum, maximum, exclusiveMinimum } = rule
  let bound: string | undefined
  if (minimum !== undefined && value < minimum) bound = `at least ${minimum}`
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum)
    bound = `more than ${exclusiveMinimum}`
  if (maximum !== undefined && value > maximum) bound = `at most ${maximum}`
  if (bound === undefined) return
  const isRetry = path.includes('retry')
  report.add(
    isRetry ? 'RETRY_IMPOSSIBLE' : 'CONTRACT_VALUE_WRONG',
    `${shownPath(path)} is \`${value}\`, expected ${bound}`,
    path,
  )
}

function checkList(value: readonly Json[], report: Report, rule: MetaNode, path: Path): void {
  if (rule.minItems !== undefined && value.length < rule.minItems) {
    report.add('CONTRACT_VALUE_WRONG', `${shownPath(path)} is empty`, path)
  }
  const { items } = rule
  if (!items) return
  for (const [at, item] of value.entries()) checkShape(item, report, items, [...path, at])
}

function checkMap(value: JsonObject, report: Report, rule: MetaNode, path: Path): void {
  const known = rule.properties ?? {}
  for (const name of rule.required ?? []) {
    if (Object.hasOwn(value, name)) continue
    // A misspelt key is reported as unknown, with the right one as the hint: once is enough.
    const strangers = Object.keys(value).filter((key) => !Object.hasOwn(known, key))
    if (rule.additionalProperties === false && nearest(name, strangers) !== undefined) continue
    const hint = (known[name] && resolve(known[name]).description) ?? known[name]?.description
    report.add('CONTRACT_KEY_MISSING', `${shownPath(path)} lacks the key \`${name}\``, path, {
      at: 'key',
      hint: `add \`${name}:\`${hint === undefined ? '' : `. ${hint}`}`,
    })
  }
  const entries = Object.entries(value) as [string, Json][]
  if (rule.minProperties !== undefined && entries.length < rule.minProperties) {
    report.add('CONTRACT_VALUE_WRONG', `${shownPath(path)} is empty`, path, { at: 'key' })
  }
  for (const [name, item] of entries) {
    const here = [...path, name]
    if (Object.hasOwn(known, name)) {
      checkShape(item, report, known[name] as MetaNode, here)
    } else if (rule.additionalProperties === false) {
      reportUnknown(name, report, { known, value, path: here })
    } else {
      checkEntry(name, item, report, { rule, path: here })
    }
  }
}

/** Names that would reach JavaScript's object machinery in somebody's plain object. */
const forbiddenNames: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

function checkEntry(
  name: string,
  item: Json,
  report: Report,
  { rule, path }: { readonly rule: MetaNode; readonly path: Path },
): void {
  if (forbiddenNames.has(name)) {
    const message = `the name \`${name}\` is not allowed: JavaScript gives it a meaning of its own`
    report.add('KEY_FORBIDDEN', message, path, { at: 'key', hint: 'choose another name' })
    return
  }
  if (rule.propertyNames) {
    const names = resolve(rule.propertyNames)
    const isKnown = !names.enum || names.enum.includes(name)
    const fits = names.pattern === undefined || patternOf(names.pattern).test(name)
    if (!isKnown || !fits || name.length > (names.maxLength ?? Number.POSITIVE_INFINITY)) {
      const hint = names.enum ? suggest(name, names.enum.map(String)) : undefined
      const message = `${shown(name)} is no name for ${shownPath(path.slice(0, -1))}, expected ${expected(names)}`
      report.add('CONTRACT_VALUE_WRONG', message, path, {
        at: 'key',
        ...(hint === undefined ? {} : { hint }),
      })
    }
  }
  if (typeof rule.additionalProperties === 'object') {
    checkShape(item, report, rule.additionalProperties, path)
  }
}

function reportUnknown(
  name: string,
  report: Report,
  place: {
    readonly known: Readonly<Record<string, MetaNode>>
    readonly value: JsonObject
    readonly path: Path
  },
): void {
  const free = Object.keys(place.known).filter((key) => !Object.hasOwn(place.value, key))
  const hint = suggest(name, free)
  report.add(
    'CONTRACT_KEY_UNKNOWN',
    `unknown key \`${name}\`${place.path.length > 1 ? ` in ${shownPath(place.path.slice(0, -1))}` : ''}`,
    place.path,
    { at: 'key', ...(hint === undefined ? {} : { hint }) },
  )
}
