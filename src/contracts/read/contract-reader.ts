import { parseDuration } from '../../core/duration.ts'
import type { Finding } from '../../core/finding.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import { asyncApiSchemaAt, isAsyncApi } from '../asyncapi/schema-pointer.ts'
import type { JsonSchema } from '../model.ts'
import type { Bundler } from '../schema/bundle.ts'
import type { Draft } from '../schema/draft.ts'
import type { ReferenceBase, SchemaStore, SchemaTarget } from '../schema/schema-store.ts'
import { inlineDocument, isRefusal, splitReference } from '../schema/schema-store.ts'
import type { Path, Report } from '../source/source.ts'

/** What reading one contract needs. */
export interface ReadContext {
  readonly report: Report
  readonly store: SchemaStore
  readonly bundler: Bundler
  readonly base: ReferenceBase
  /** Findings about schemas and examples, wherever they stand. */
  readonly findings: Finding[]
  /** Set as soon as something is missing that the model cannot do without. */
  isIncomplete: boolean
}

/** A map, or an empty one: what is wrong with it was reported when the shape was checked. */
export function mapAt(value: Json | undefined, key?: string): JsonObject {
  const found = key === undefined ? value : isJsonObject(value) ? value[key] : undefined
  return isJsonObject(found) ? found : {}
}

/** The entries of a map that are maps themselves; an empty entry counts as an empty map. */
export function entriesAt(value: JsonObject, key: string): [string, JsonObject][] {
  return Object.entries(mapAt(value, key)).map(([name, entry]) => [name, mapAt(entry)])
}

export function textAt(value: JsonObject, key: string): string | undefined {
  const found = value[key]
  return typeof found === 'string' ? found : undefined
}

/** A text of a known vocabulary, which the shape has checked; else the default. */
export function choiceAt<Choice extends string>(
  value: JsonObject,
  key: string,
  fallback: Choice,
): Choice {
  return (textAt(value, key) as Choice | undefined) ?? fallback
}

export function listAt(value: JsonObject, key: string): readonly Json[] {
  const found = value[key]
  return Array.isArray(found) ? (found as readonly Json[]) : []
}

export function textsAt(value: JsonObject, key: string): string[] {
  return listAt(value, key).filter((item): item is string => typeof item === 'string')
}

export function numberAt(value: JsonObject, key: string): number | undefined {
  const found = value[key]
  return typeof found === 'number' ? found : undefined
}

export function durationAt(value: JsonObject, key: string): number | undefined {
  const text = textAt(value, key)
  return text === undefined ? undefined : parseDuration(text)
}

/** `99.9%` or 99.9 as the number 99.9. */
export function percentAt(value: JsonObject, key: string): number | undefined {
  const found = value[key]
  if (typeof found === 'number') return found
  const number = typeof found === 'string' ? Number.parseFloat(found) : Number.NaN
  return Number.isFinite(number) ? number : undefined
}

/** A record that inherits nothing, so that looking up `constructor` or `toString` finds nothing. */
export function tableOf<T>(entries: readonly (readonly [string, T])[]): Record<string, T> {
  const table = Object.create(null) as Record<string, T>
  for (const [name, value] of entries) table[name] = value
  return table
}

/** A record without the keys whose value is undefined, which the model's optional keys do not admit. */
export function present<T extends object>(record: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}

/** A schema of the model, and where it came from. */
export interface ReadSchema {
  readonly schema: JsonSchema
  readonly target: SchemaTarget
}

/** Reads what a `schema` key says: a file reference or a schema in place. Reports what is wrong. */
export function readSchema(
  context: ReadContext,
  value: Json | undefined,
  path: Path,
  name: string,
): ReadSchema | undefined {
  const found = schemaTarget(context, value, path, name)
  if (!found) {
    context.isIncomplete = true
    return undefined
  }
  const { target, draft } = found
  const before = context.findings.length
  const bundled = context.bundler.bundle(target, draft)
  if (bundled) return bundled
  context.isIncomplete = true
  if (context.findings.length === before && !context.report.isBroken(path)) {
    const file = target.document.source.file ?? 'elsewhere'
    context.report.add(
      'SCHEMA_INVALID',
      `the schema of \`${name}\` cannot be used: its problems are reported in \`${file}\``,
      path,
    )
  }
  return undefined
}

/** A schema's place, and the draft it is read as where it does not say. */
interface FoundSchema {
  readonly target: SchemaTarget
  readonly draft?: Draft
}

function schemaTarget(
  { report, store, base }: ReadContext,
  value: Json | undefined,
  path: Path,
  name: string,
): FoundSchema | undefined {
  if (isJsonObject(value) || typeof value === 'boolean') {
    const place = { source: report.source, prefix: path, name, base }
    return { target: { document: inlineDocument(value, place), pointer: [] } }
  }
  if (typeof value !== 'string' || value === '') return undefined
  const { file, pointer, fragment } = splitReference(value)
  const opened = store.open(file, base)
  if (isRefusal(opened)) {
    report.add(opened.code, opened.message, path, { hint: opened.hint })
    return undefined
  }
  if (pointer) {
    if (isAsyncApi(opened.value)) {
      const found = asyncApiSchemaAt(store, opened, pointer)
      if (found && !isRefusal(found)) return found
      if (found) {
        report.add(found.code, found.message, path, { hint: found.hint })
        return undefined
      }
    } else if (hasPointer(opened.value, pointer)) return { target: { document: opened, pointer } }
    report.add('REF_NOT_FOUND', `\`${file}\` has nothing at \`${fragment}\``, path, {
      hint: 'Check the pointer after the `#`.',
    })
    return undefined
  }
  report.add('REF_NOT_FOUND', `\`#${fragment}\` is no JSON Pointer`, path, {
    hint: 'Write `#/` and the keys that lead to the schema.',
  })
  return undefined
}

function hasPointer(value: Json, pointer: Path): boolean {
  let current: Json | undefined = value
  for (const step of pointer) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) {
      return false
    }
    current = (current as Record<string, Json>)[step]
  }
  return true
}
