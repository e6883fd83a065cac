import { isJsonObject, type Json, type JsonObject, parsePointer } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { dereferenced, placeWith, trailOf } from './compare-place.ts'
import type { Breaking } from './verdict.ts'

/** What changed where a message breaks, in a few words, and where it stands in the later schema. */
export interface Description {
  /** Dotted path into the data; `data` for the whole. */
  readonly path: string
  /** `integer → string`, `required → optional`, `maxLength 200 → 100`. */
  readonly change: string
  /** RFC 6901, into the later schema: the nearest first. */
  readonly pointers: readonly string[]
}

type BreakPlace = Pick<Breaking, 'instancePointer' | 'schemaPointer'> & {
  readonly reason: string
  readonly witness?: Json
}

/** Describes a break by comparing what the two versions say at the place where the witness is refused. */
export function describe(before: JsonSchema, after: JsonSchema, found: BreakPlace): Description {
  const keyword = parsePointer(found.schemaPointer)?.at(-1) ?? ''
  const steps = parsePointer(found.instancePointer) ?? []
  const missing =
    keyword === 'required'
      ? requiredDifference(before, after, { path: steps, witness: found.witness })
      : undefined
  const path = missing === undefined ? steps : [...steps, missing.name]
  const shownPath = path.length === 0 ? 'data' : path.map(dotted).join('.')
  const [old, now] = [nodeAt(before, path), nodeAt(after, path)]
  const change = missing?.change ?? changeOf(old, now, keyword) ?? found.reason
  return { path: shownPath, change, pointers: pointersOf(after, steps, keyword) }
}

const dotted = (name: string) => (/^[\w$-]+$/.test(name) ? name : JSON.stringify(name))

function nodeAt(root: JsonSchema, path: readonly string[]): JsonSchema | undefined {
  const { places, isComplete } = trailOf(root, path)
  const last = places.at(-1)
  return isComplete && last ? dereferenced(root, last.schema) : undefined
}

/** Where to look in the later schema: the keyword, what judges the value, and its ancestors. */
function pointersOf(after: JsonSchema, steps: readonly string[], keyword: string): string[] {
  const { places, isComplete } = trailOf(after, steps)
  const pointers = places.map(({ pointer }) => pointer).toReversed()
  const last = places.at(-1)
  if (!isComplete || last === undefined) return pointers
  const place = placeWith(after, last, keyword)
  const hasKeyword = isJsonObject(place.schema) && Object.hasOwn(place.schema, keyword)
  return hasKeyword ? [`${place.pointer}/${keyword}`, ...pointers] : pointers
}

function requiredAt(root: JsonSchema, path: readonly string[]): readonly string[] {
  const { places, isComplete } = trailOf(root, path)
  const last = places.at(-1)
  if (!isComplete || last === undefined) return []
  const { schema } = placeWith(root, last, 'required')
  return isJsonObject(schema) && Array.isArray(schema.required)
    ? (schema.required as readonly Json[]).map(String)
    : []
}

function requiredDifference(
  before: JsonSchema,
  after: JsonSchema,
  { path, witness }: { readonly path: readonly string[]; readonly witness: Json | undefined },
): { readonly name: string; readonly change: string } | undefined {
  const [old, now] = [requiredAt(before, path), requiredAt(after, path)]
  // A field that was renamed is gone and new at once: what the witness lacks is what breaks.
  const refused = path.reduce<Json | undefined>(
    (value, step) => (value as JsonObject | undefined)?.[step],
    witness,
  )
  const isLacked = (name: string) => !isJsonObject(refused) || !Object.hasOwn(refused, name)
  const gone = old.find((name) => !now.includes(name) && isLacked(name))
  const added = now.find((name) => !old.includes(name) && isLacked(name))
  if (added !== undefined) {
    const isNew = nodeAt(before, [...path, added]) === undefined
    return { name: added, change: isNew ? 'new, and required' : 'optional → required' }
  }
  if (gone === undefined) return undefined
  const isGone = nodeAt(after, [...path, gone]) === undefined
  return { name: gone, change: isGone ? 'required → gone' : 'required → optional' }
}

/** What a subschema admits, in a word. */
export function typeText(schema: JsonSchema | undefined): string | undefined {
  if (!isJsonObject(schema)) return schema === false ? 'nothing' : 'anything'
  const { type, enum: values } = schema
  if (schema.const !== undefined) return short(schema.const)
  if (Array.isArray(values)) return values.map((value) => short(value as Json)).join(' | ')
  if (typeof type === 'string') return type
  if (Array.isArray(type)) return type.join(' | ')
  for (const keyword of ['oneOf', 'anyOf', 'allOf']) {
    if (Array.isArray(schema[keyword])) return `${keyword} of ${schema[keyword].length}`
  }
  if (schema.properties !== undefined) return 'object'
  return 'anything'
}

function short(value: Json | undefined): string {
  if (value === undefined) return 'none'
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

function changeOf(
  old: JsonSchema | undefined,
  now: JsonSchema | undefined,
  keyword: string,
): string | undefined {
  if (old === undefined && now === undefined) return undefined
  if (now === undefined) return `${typeText(old)} → gone`
  if (old === undefined) return `new, ${typeText(now)}`
  const [oldType, nowType] = [typeText(old), typeText(now)]
  if (oldType !== nowType) return `${oldType} → ${nowType}`
  const [oldValue, nowValue] = [said(old, keyword), said(now, keyword)]
  if (short(oldValue) === short(nowValue)) return undefined
  return `${keyword} ${short(oldValue)} → ${short(nowValue)}`
}

const said = (schema: JsonSchema, keyword: string) =>
  isJsonObject(schema) ? schema[keyword] : undefined
