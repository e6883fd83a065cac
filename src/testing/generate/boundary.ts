import { isDeepStrictEqual } from 'node:util'
import type { JsonSchema } from '../../contracts/index.ts'
import { compileSchema } from '../../contracts/index.ts'
import { isTreatyError } from '../../core/errors.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject, parsePointer } from '../../core/json.ts'
import { diceOf } from './dice.ts'
import { formatEdges } from './format-text.ts'
import type { GenerateOptions } from './generate-value.ts'
import { generateWithPlaces } from './generate-value.ts'
import type { PlaceMade } from './making.ts'
import { textMatching } from './pattern-text.ts'
import {
  allowedTypes,
  lengthBounds,
  namedValues,
  numberBounds,
  numbersOf,
  textsOf,
} from './scalar.ts'

/** A valid value at an edge of its schema, with the edge in words. */
export interface BoundaryValue {
  /** Completes “the data with …”: `/total/amount at its minimum 0`. */
  readonly what: string
  readonly value: Json
}

/** Characters of the longest text that is tried where the schema names no bound. */
const longTextDefault = 5000
/** Elements of the longest array that is tried. */
const longArrayMax = 200
/** Texts that programs stumble over: other scripts, beyond the basic plane, right to left, quotes, markup. */
const unicodeText = "Zoë “Ångström” 日本語 🚀 שלום <b>&amp;</b> \\u0000 '; --"

interface Candidate {
  readonly what: string
  readonly value: Json
}

function textCandidates(schemas: readonly JsonObject[]): Candidate[] {
  const { min, max } = lengthBounds(schemas)
  const longest = Number.isFinite(max) ? Math.min(max, longTextDefault * 4) : longTextDefault
  const patterns = textsOf(schemas, 'pattern')
  const made = (length: number): string | undefined =>
    patterns.length === 0
      ? 'x'.repeat(length)
      : textMatching(patterns, { min: length, max: length }, diceOf(7))
  const unicode = [...unicodeText].slice(0, Math.min(longest, 60)).join('')
  const candidates: { readonly what: string; readonly value: Json | undefined }[] = [
    { what: `the shortest text, ${min} characters`, value: made(min) },
    { what: `the longest text, ${longest} characters`, value: made(longest) },
    { what: 'text of many scripts', value: unicode.padEnd(min, 'é') },
    { what: 'white space at both ends', value: ' padded '.padEnd(min, ' ') },
    ...textsOf(schemas, 'format')
      .flatMap((format) => formatEdges[format] ?? [])
      .map((value) => ({ what: `the value ${value}`, value })),
  ]
  return candidates.filter((each): each is Candidate => each.value !== undefined)
}

function numberCandidates(schemas: readonly JsonObject[], isInteger: boolean): Candidate[] {
  const { min, max, step } = numberBounds(schemas, isInteger)
  const safest = Number.MAX_SAFE_INTEGER
  const candidates: Candidate[] = [
    { what: 'zero', value: 0 },
    Number.isFinite(min)
      ? { what: `its minimum ${min}`, value: min }
      : { what: 'a large negative number', value: -safest },
    Number.isFinite(max)
      ? { what: `its maximum ${max}`, value: max }
      : { what: 'the largest safe integer', value: safest },
  ]
  if (!isInteger && step < 1)
    candidates.push({ what: 'a fraction', value: (Number.isFinite(min) ? min : 0) + step })
  return candidates
}

function arrayCandidates(schemas: readonly JsonObject[], present: Json): Candidate[] {
  const items = Array.isArray(present) ? (present as Json[]) : []
  const max = Math.min(longArrayMax, ...numbersOf(schemas, 'maxItems'))
  const min = Math.max(0, ...numbersOf(schemas, 'minItems'))
  const repeated = (length: number) =>
    Array.from({ length }, (_, at) => items[at % items.length] as Json)
  const candidates: Candidate[] = [{ what: 'no element', value: [] }]
  if (items.length === 0) return candidates
  if (min > 0) candidates.push({ what: `its fewest elements, ${min}`, value: repeated(min) })
  candidates.push({ what: `many elements, ${max}`, value: repeated(max) })
  return candidates
}

function candidatesFor(place: PlaceMade, present: Json): Candidate[] {
  const { schemas } = place
  const named = namedValues(schemas)
  const types = allowedTypes(schemas)
  if (named) return named.map((value) => ({ what: `the value ${JSON.stringify(value)}`, value }))
  const isTyped = schemas.some((schema) => schema.type !== undefined)
  if (!isTyped) return []
  const candidates: Candidate[] = []
  if (types.includes('null')) candidates.push({ what: 'null', value: null })
  if (types.includes('boolean')) {
    candidates.push({ what: 'true', value: true }, { what: 'false', value: false })
  }
  if (types.includes('string')) candidates.push(...textCandidates(schemas))
  if (types.includes('integer'))
    candidates.push(...numberCandidates(schemas, !types.includes('number')))
  if (types.includes('array')) candidates.push(...arrayCandidates(schemas, present))
  return candidates
}

function at(value: Json, path: readonly string[]): Json | undefined {
  let current: Json | undefined = value
  for (const name of path) {
    if (typeof current !== 'object' || current === null) return undefined
    current = (current as JsonObject)[name]
  }
  return current
}

/** A copy with another value at the path; `undefined` removes the field. */
function withAt(value: Json, path: readonly string[], replacement: Json | undefined): Json {
  const [name, ...rest] = path
  if (name === undefined) return replacement ?? null
  if (Array.isArray(value)) {
    return value.map((item: Json, index) =>
      String(index) === name ? withAt(item, rest, replacement) : item,
    )
  }
  const copy: Record<string, Json | undefined> = { ...(value as JsonObject) }
  const next = rest.length === 0 ? replacement : withAt(copy[name] ?? null, rest, replacement)
  if (next === undefined) delete copy[name]
  else copy[name] = next
  return copy
}

/**
 * Valid values at the edges of a schema: everything present, only what is required, each optional field absent,
 * bounds, members of enums, empty and long arrays, short, long and foreign texts. Every one is checked.
 */
export function boundaryValues(
  schema: JsonSchema,
  seed: number,
  options: Pick<GenerateOptions, 'examples'> = {},
): BoundaryValue[] {
  const compiled = compileSchema(schema)
  const full = generateWithPlaces(schema, seed, { ...options, optional: 'all' })
  const found: BoundaryValue[] = [{ what: 'every optional field', value: full.value }]
  const seen: Json[] = [full.value]
  const add = (what: string, value: Json): void => {
    if (!compiled.check(value) || seen.some((each) => isDeepStrictEqual(each, value))) return
    seen.push(value)
    found.push({ what, value })
  }
  addMinimal(schema, seed, { ...options, add })
  for (const place of full.places) {
    const path = parsePointer(place.pointer) ?? []
    const present = at(full.value, path)
    // Places that a later choice left out of the value are no places of it.
    if (present === undefined || path.length === 0) continue
    if (!isIndex(path.at(-1))) add(`no ${place.pointer}`, withAt(full.value, path, undefined))
    for (const candidate of candidatesFor(place, present)) {
      add(`${place.pointer}: ${candidate.what}`, withAt(full.value, path, candidate.value))
    }
  }
  return found
}

const isIndex = (name: string | undefined): boolean => /^\d+$/.test(name ?? '')

function addMinimal(
  schema: JsonSchema,
  seed: number,
  options: Pick<GenerateOptions, 'examples'> & { add: (what: string, value: Json) => void },
): void {
  try {
    const { value } = generateWithPlaces(schema, seed, { ...options, optional: 'none' })
    if (isJsonObject(value)) options.add('required fields alone', value)
  } catch (error) {
    // A schema whose least value is hard to meet still has its other edges.
    if (!isTreatyError(error)) throw error
  }
}
