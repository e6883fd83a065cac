import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject, toPointer } from '../../core/json.ts'
import { limits } from '../../core/limits.ts'
import type { JsonSchema } from '../model.ts'
import type { Path } from '../source/source.ts'
import type { Draft } from './draft.ts'
import { drafts, uriOfDraft } from './draft.ts'
import type { Resolver } from './reference.ts'
import { createResolver } from './reference.ts'
import type { SchemaProblem } from './schema-check.ts'
import { metaProblems } from './schema-check.ts'
import type { SchemaDocument, SchemaStore, SchemaTarget } from './schema-store.ts'
import { isRefusal, splitReference } from './schema-store.ts'
import { eachSubschema } from './schema-walk.ts'

/** Where subschemas judge the same value as their parent: these can go round in circles. */
const inPlaceKeywords = new Set([
  'allOf',
  'anyOf',
  'dependencies',
  'dependentSchemas',
  'else',
  'if',
  'not',
  'oneOf',
  'then',
])
/** One schema of one document, copied: every reference in it names another unit by its key. */
export interface Unit {
  readonly key: string
  /** The same in whatever bundle the unit ends up. */
  readonly name: string
  readonly target: SchemaTarget
  readonly schema: JsonSchema
  /** Units that it refers to, in order of appearance. */
  readonly targets: ReadonlyMap<string, SchemaTarget>
  /** For each place in it: the units that judge the same value, its own root's first. */
  readonly inPlace: readonly (readonly string[])[]
  readonly nodes: number
  /** Names of its dynamic references; the empty one is `$recursiveRef`. */
  readonly dynamicNames: ReadonlySet<string>
  /** True when something in it was reported. */
  readonly isBroken: boolean
}

/** What was found wrong with a schema, for the one who reports it with its place. */
export type ReportProblem = (problem: SchemaProblem) => void

/** The value at `pointer`; undefined where there is none. Own properties only. */
function lookUp(value: Json, pointer: Path): Json | undefined {
  let current: Json | undefined = value
  for (const step of pointer) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) {
      return undefined
    }
    current = (current as Record<string, Json>)[step]
  }
  return current
}

/** A name for the definition, the same in whatever bundle it ends up: from its pointer, else from its file. */
function nameOf({ document, pointer }: SchemaTarget): string {
  if (pointer.length === 0) return document.name
  const container = String(pointer.at(-2) ?? '')
  const last = String(pointer.at(-1))
  if (container === 'definitions' || container === '$defs' || container === 'schemas') return last
  return pointer.filter((step) => step !== 'properties').join('_')
}

interface Referred {
  readonly keyword: '$ref' | '$dynamicRef' | '$recursiveRef'
  readonly reference: string
}

/** A dynamic reference is followed as a static one, which it is as long as no second schema overrides its anchor. */
function referenceOf(schema: JsonObject): Referred | undefined {
  for (const keyword of ['$ref', '$dynamicRef', '$recursiveRef'] as const) {
    const reference = schema[keyword]
    if (typeof reference === 'string') return { keyword, reference }
  }
  return undefined
}

function areAlike(a: Draft, b: Draft): boolean {
  return (a === '06' || a === '07') && (b === '06' || b === '07')
}

const droppedKeywords = new Set([
  '$anchor',
  '$defs',
  '$dynamicAnchor',
  '$id',
  '$recursiveAnchor',
  '$schema',
  '$vocabulary',
  'definitions',
])

function isDropped(keyword: string, value: Json | undefined, draft: Draft): boolean {
  if (keyword === 'id') return draft === '04' && typeof value === 'string'
  return droppedKeywords.has(keyword) || keyword === '__proto__'
}

/** Puts a copied subschema into its list or map, which is copied when first touched. */
export function setInside(
  result: Record<string, Json>,
  original: JsonObject,
  { keyword, name, copied }: { keyword: string; name: string; copied: JsonSchema },
): void {
  if (result[keyword] === original[keyword]) {
    const container = original[keyword] as object
    result[keyword] = (Array.isArray(container) ? [...container] : { ...container }) as Json
  }
  ;(result[keyword] as Record<string, Json>)[name] = copied
}

/** Where a copy stands: in the document, under which base, judging which value. */
interface Position {
  readonly path: Path
  readonly base: string
  /** Units that judge the same value. */
  readonly place: string[]
}

type Follow = (
  referred: Referred,
  from: { readonly document: SchemaDocument; readonly path: Path; readonly base: string },
) => { readonly key: string; readonly target: SchemaTarget } | undefined

/** One copy under way. */
class UnitCopy {
  readonly targets = new Map<string, SchemaTarget>()
  readonly places: string[][] = [[]]
  readonly dynamicNames = new Set<string>()
  nodes = 0
  isTooDeep = false
  readonly #target: SchemaTarget
  readonly #draft: Draft
  readonly #resolver: Resolver
  readonly #follow: Follow

  constructor(target: SchemaTarget, draft: Draft, tools: { resolver: Resolver; follow: Follow }) {
    this.#target = target
    this.#draft = draft
    this.#resolver = tools.resolver
    this.#follow = tools.follow
  }

  run(value: JsonSchema): JsonSchema {
    const { document, pointer } = this.#target
    const base = this.#resolver.baseOf(document, pointer)
    return this.#copy(value, { path: pointer, base, place: this.places[0] as string[] })
  }

  #copy(value: JsonSchema, at: Position): JsonSchema {
    this.nodes += 1
    if (typeof value === 'boolean') return value
    if (at.path.length - this.#target.pointer.length > limits.depthMax) this.isTooDeep = true
    if (this.isTooDeep || this.nodes > limits.schemaNodesMax) return {}
    const base = this.#resolver.enter(this.#target.document, value, at.base)
    const result: Record<string, Json> = {}
    for (const [keyword, item] of Object.entries(value)) {
      if (item !== undefined && !isDropped(keyword, item, this.#draft)) result[keyword] = item
    }
    this.#copyReference(value, result, { ...at, base })
    eachSubschema(value, (subschema, [keyword, name]) => {
      if (keyword === undefined || isDropped(keyword, subschema, this.#draft)) return
      const place = inPlaceKeywords.has(keyword) ? at.place : this.#newPlace()
      const path = name === undefined ? [...at.path, keyword] : [...at.path, keyword, name]
      const copied = this.#copy(subschema, { path, base, place })
      if (name === undefined) result[keyword] = copied
      else setInside(result, value, { keyword, name, copied })
    })
    return result
  }

  #copyReference(value: JsonObject, result: Record<string, Json>, at: Position): void {
    const referred = referenceOf(value)
    if (!referred) return
    delete result[referred.keyword]
    if (referred.keyword !== '$ref')
      this.dynamicNames.add(splitReference(referred.reference).fragment)
    const { document } = this.#target
    const found = this.#follow(referred, { document, path: at.path, base: at.base })
    if (!found) return
    result.$ref = found.key
    this.targets.set(found.key, found.target)
    at.place.push(found.key)
  }

  #newPlace(): string[] {
    const place: string[] = []
    this.places.push(place)
    return place
  }
}

/** Copies schemas out of their documents, each once, and holds each against the meta-schema of its draft. */
export class UnitReader {
  readonly #units = new Map<string, Unit | undefined>()
  readonly #keys = new Map<string, string>()
  readonly #dialects = new Set<SchemaDocument>()
  readonly #resolver: Resolver
  readonly #tell: ReportProblem
  #reported = 0

  constructor(store: SchemaStore, tell: ReportProblem) {
    this.#resolver = createResolver(store)
    this.#tell = tell
  }

  /** The unit of a place; undefined when there is none, after it was reported. */
  read(target: SchemaTarget, draft: Draft): Unit | undefined {
    const key = this.#keyOf(target, draft)
    if (this.#units.has(key)) return this.#units.get(key)
    this.#units.set(key, undefined)
    const unit = this.#copy(target, draft, key)
    this.#units.set(key, unit)
    return unit
  }

  /** A dynamic reference of `units` that could mean several schemas, depending on the way that led to it. */
  ambiguous(units: readonly Unit[]): Unit | undefined {
    const documents = [...new Set(units.map(({ target }) => target.document))]
    return units.find((unit) =>
      [...unit.dynamicNames].some((name) => {
        const counts = documents.map((document) => this.#resolver.dynamicAnchors(document, name))
        return counts.reduce((sum, count) => sum + count, 0) > 1
      }),
    )
  }

  /** A unit that was read before. */
  known(key: string): Unit | undefined {
    return this.#units.get(key)
  }

  report(problem: SchemaProblem): void {
    this.#reported += 1
    this.#tell(problem)
  }

  reportSize({ document, pointer }: SchemaTarget, isTooDeep: boolean): void {
    const message = isTooDeep
      ? `the schema is nested deeper than ${limits.depthMax} levels`
      : `the schema has more than ${limits.schemaNodesMax} parts`
    const hint = 'Split the schema.'
    this.report({ code: 'SCHEMA_TOO_LARGE', message, document, pointer, hint })
  }

  /** Short, and a valid URI reference, since it stands in `$ref` while the copy is held against the meta-schema. */
  #keyOf(target: SchemaTarget, draft: Draft): string {
    const long = `${draft} ${target.document.id}#${toPointer(target.pointer)}`
    const key = this.#keys.get(long) ?? `#${this.#keys.size}`
    this.#keys.set(long, key)
    return key
  }

  #copy(target: SchemaTarget, draft: Draft, key: string): Unit | undefined {
    const { document, pointer } = target
    const value = lookUp(document.value, pointer)
    if (value === undefined) return undefined
    if (typeof value !== 'boolean' && !isJsonObject(value)) {
      const message = 'a schema must be an object, `true` or `false`'
      this.report({ code: 'SCHEMA_INVALID', message, document, pointer })
      return undefined
    }
    const before = this.#reported
    this.#checkDialect(document)
    const follow: Follow = (referred, from) => this.#follow(referred, { ...from, draft })
    const copy = new UnitCopy(target, draft, { resolver: this.#resolver, follow })
    const schema = copy.run(value)
    if (copy.nodes > limits.schemaNodesMax || copy.isTooDeep) {
      this.reportSize(target, copy.isTooDeep)
      return undefined
    }
    for (const { path, message } of metaProblems(schema, draft)) {
      this.report({ code: 'SCHEMA_INVALID', message, document, pointer: [...pointer, ...path] })
    }
    const { targets, places: inPlace, nodes, dynamicNames } = copy
    const isBroken = this.#reported > before
    const name = nameOf(target)
    return { key, name, target, schema, targets, inPlace, nodes, dynamicNames, isBroken }
  }

  /** A `$schema` that names no draft would otherwise be read as something that its author did not mean. */
  #checkDialect(document: SchemaDocument): void {
    const uri = isJsonObject(document.value) ? document.value.$schema : undefined
    if (typeof uri !== 'string' || document.draft !== undefined) return
    if (this.#dialects.has(document)) return
    this.#dialects.add(document)
    const message = `\`$schema\` is \`${uri}\`, which is no draft of JSON Schema that is known here`
    const hint = `Use one of ${drafts.map(uriOfDraft).join(', ')}.`
    this.report({ code: 'SCHEMA_DRAFT_UNKNOWN', message, document, pointer: ['$schema'], hint })
  }

  #follow(
    referred: Referred,
    from: { document: SchemaDocument; path: Path; base: string; draft: Draft },
  ): { key: string; target: SchemaTarget } | undefined {
    const { document, path, draft } = from
    const pointer = [...path, referred.keyword]
    const found = this.#resolver.resolve(referred.reference, document, from.base)
    if (isRefusal(found)) {
      this.report({ ...found, document, pointer })
      return undefined
    }
    const other = found.document.draft
    if (other !== undefined && other !== draft && !areAlike(other, draft)) {
      const message = `a draft-${draft} schema refers to a draft-${other} one`
      const hint = 'Use one draft for all of them.'
      this.report({ code: 'SCHEMA_DRAFTS_MIXED', message, document, pointer, hint })
      return undefined
    }
    if (lookUp(found.document.value, found.pointer) === undefined) {
      const message = `\`${referred.reference}\` leads nowhere`
      const hint = 'Check the reference: the file has nothing at this place.'
      this.report({ code: 'REF_NOT_FOUND', message, document, pointer, hint })
      return undefined
    }
    return { key: this.#keyOf(found, draft), target: found }
  }
}
