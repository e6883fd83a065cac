import type { Json, JsonObject } from '../core/json.ts'
import { escapePointer, isJsonObject, toPointer } from '../core/json.ts'
import { limits } from '../core/limits.ts'
import type { Draft } from './draft.ts'
import { drafts, isOldDraft, uriOfDraft } from './draft.ts'
import type { JsonSchema } from './model.ts'
import { createResolver } from './reference.ts'
import type { SchemaProblem } from './schema-check.ts'
import { metaProblems } from './schema-check.ts'
import type { SchemaDocument, SchemaStore, SchemaTarget } from './schema-store.ts'
import { isRefusal } from './schema-store.ts'
import { eachSubschema } from './schema-walk.ts'
import type { Path } from './source.ts'

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
/** How often one value may be judged on its way through references: beyond that a schema is a bomb. */
const applicationsMax = 10_000

/** One schema of one document, copied: every reference in it names another unit. */
interface Unit {
  readonly key: string
  readonly name: string
  readonly target: SchemaTarget
  readonly schema: JsonSchema
  /** Units that it refers to, in order of appearance. */
  readonly targets: ReadonlyMap<string, SchemaTarget>
  /** For each place in it: the units that judge the same value, its own root's first. */
  readonly inPlace: readonly (readonly string[])[]
  readonly nodes: number
  /** True when something in it was reported. */
  readonly isBroken: boolean
}

/** A schema with everything it refers to, or undefined after its problems were reported. */
export type Bundled = { readonly schema: JsonSchema; readonly target: SchemaTarget } | undefined

/** Makes schemas self-contained; units are shared between the bundles of one bundler. */
export interface Bundler {
  /** @param draft What a document without `$schema` is read as; default 2020-12. */
  bundle(target: SchemaTarget, draft?: Draft): Bundled
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

/**
 * Makes schemas self-contained: what they refer to in other places and files is copied under `$defs`
 * (`definitions` up to draft-07), only what is reachable, under names that do not depend on what else is loaded.
 * Recursion stays recursion. Ids and anchors go, since no reference needs them any more. Nothing is fetched.
 */
export function createBundler(store: SchemaStore, reportProblem: ReportProblem): Bundler {
  let reported = 0
  const report: ReportProblem = (problem) => {
    reported += 1
    reportProblem(problem)
  }
  const units = new Map<string, Unit | undefined>()
  const costs = new Map<string, number>()
  const dialects = new Set<SchemaDocument>()
  const keys = new Map<string, string>()
  const resolver = createResolver(store)

  /** Short, and a valid URI reference, since it stands in `$ref` while the copy is held against the meta-schema. */
  function keyOf(target: SchemaTarget, draft: Draft): string {
    const long = `${draft} ${target.document.id}#${toPointer(target.pointer)}`
    const key = keys.get(long) ?? `#${keys.size}`
    keys.set(long, key)
    return key
  }

  function unitOf(target: SchemaTarget, draft: Draft): Unit | undefined {
    const key = keyOf(target, draft)
    if (units.has(key)) return units.get(key)
    units.set(key, undefined)
    const unit = copyUnit(target, draft, key)
    units.set(key, unit)
    return unit
  }

  function copyUnit(target: SchemaTarget, draft: Draft, key: string): Unit | undefined {
    const { document, pointer } = target
    const value = lookUp(document.value, pointer)
    if (value === undefined) return undefined
    if (typeof value !== 'boolean' && !isJsonObject(value)) {
      const message = 'a schema must be an object, `true` or `false`'
      report({ code: 'SCHEMA_INVALID', message, document, pointer })
      return undefined
    }
    const before = reported
    checkDialect(document)
    const copy = createCopy(target, draft)
    const schema = copy.copy(value, pointer, resolver.baseOf(document, pointer), copy.root)
    if (copy.nodes > limits.schemaNodesMax || copy.isTooDeep) {
      reportSize(target, copy.isTooDeep)
      return undefined
    }
    for (const problem of metaProblems(schema, draft)) {
      const place = [...pointer, ...problem.path]
      report({ code: 'SCHEMA_INVALID', message: problem.message, document, pointer: place })
    }
    const { targets, places, nodes } = copy
    const isBroken = reported > before
    return { key, name: nameOf(target), target, schema, targets, inPlace: places, nodes, isBroken }
  }

  /** A `$schema` that names no draft would otherwise be read as something that its author did not mean. */
  function checkDialect(document: SchemaDocument): void {
    const uri = isJsonObject(document.value) ? document.value.$schema : undefined
    if (typeof uri !== 'string' || document.draft !== undefined || dialects.has(document)) return
    dialects.add(document)
    const message = `\`$schema\` is \`${uri}\`, which is no draft of JSON Schema that is known here`
    const hint = `Use one of ${drafts.map(uriOfDraft).join(', ')}.`
    report({ code: 'SCHEMA_DRAFT_UNKNOWN', message, document, pointer: ['$schema'], hint })
  }

  function reportSize({ document, pointer }: SchemaTarget, isTooDeep: boolean): void {
    const message = isTooDeep
      ? `the schema is nested deeper than ${limits.depthMax} levels`
      : `the schema has more than ${limits.schemaNodesMax} parts`
    report({ code: 'SCHEMA_TOO_LARGE', message, document, pointer, hint: 'Split the schema.' })
  }

  function createCopy(target: SchemaTarget, draft: Draft) {
    const { document } = target
    const root: string[] = []
    const state = {
      root,
      places: [root],
      targets: new Map<string, SchemaTarget>(),
      nodes: 0,
      isTooDeep: false,
      copy(value: JsonSchema, path: Path, base: string, place: string[]): JsonSchema {
        state.nodes += 1
        if (typeof value === 'boolean') return value
        if (path.length - target.pointer.length > limits.depthMax) state.isTooDeep = true
        if (state.isTooDeep || state.nodes > limits.schemaNodesMax) return {}
        const here = resolver.enter(document, value, base)
        const result: Record<string, Json> = {}
        for (const [keyword, item] of Object.entries(value)) {
          if (isDropped(keyword, item, draft) || item === undefined) continue
          result[keyword] = item
        }
        const referred = referenceOf(value)
        if (referred) {
          delete result[referred.keyword]
          const to = follow(referred, { document, path, base: here, draft })
          if (to) {
            result.$ref = to.key
            state.targets.set(to.key, to.target)
            place.push(to.key)
          }
        }
        eachSubschema(value, (subschema, [keyword, name]) => {
          if (keyword === undefined || isDropped(keyword, subschema, draft)) return
          const inner = inPlaceKeywords.has(keyword) ? place : newPlace(state.places)
          const below = name === undefined ? [...path, keyword] : [...path, keyword, name]
          const copied = state.copy(subschema, below, here, inner)
          if (name === undefined) result[keyword] = copied
          else setInside(result, value, { keyword, name, copied })
        })
        return result
      },
    }
    return state
  }

  function follow(
    referred: Referred,
    from: { document: SchemaDocument; path: Path; base: string; draft: Draft },
  ): { key: string; target: SchemaTarget } | undefined {
    const { document, path } = from
    const pointer = [...path, referred.keyword]
    const found = resolver.resolve(referred.reference, document, from.base)
    if (isRefusal(found)) {
      report({ ...found, document, pointer })
      return undefined
    }
    const other = found.document.draft
    if (other !== undefined && other !== from.draft && !areAlike(other, from.draft)) {
      const message = `a draft-${from.draft} schema refers to a draft-${other} one`
      const hint = 'Use one draft for all of them.'
      report({ code: 'SCHEMA_DRAFTS_MIXED', message, document, pointer, hint })
      return undefined
    }
    if (lookUp(found.document.value, found.pointer) === undefined) {
      const message = `\`${referred.reference}\` leads nowhere`
      const hint = 'Check the reference: the file has nothing at this place.'
      report({ code: 'REF_NOT_FOUND', message, document, pointer, hint })
      return undefined
    }
    return { key: keyOf(found, from.draft), target: found }
  }

  function reachable(root: Unit, draft: Draft): Unit[] | undefined {
    const seen = new Map<string, Unit>([[root.key, root]])
    for (const unit of seen.values()) {
      for (const [key, target] of unit.targets) {
        if (seen.has(key)) continue
        const next = unitOf(target, draft)
        if (!next) return undefined
        seen.set(key, next)
      }
    }
    return [...seen.values()]
  }

  /** How often a value is judged at a place; undefined for a circle that no value ever leaves. */
  function costOf(unit: Unit, open: Set<string>): number | undefined {
    const known = costs.get(unit.key)
    if (known !== undefined) return known
    if (open.has(unit.key)) return undefined
    open.add(unit.key)
    let cost = 1
    for (const key of unit.inPlace[0] ?? []) {
      const next = units.get(key)
      const below = next ? costOf(next, open) : 1
      if (below === undefined) return undefined
      cost += below
    }
    open.delete(unit.key)
    costs.set(unit.key, cost)
    return cost
  }

  function isSound(reached: readonly Unit[], root: Unit): boolean {
    let nodes = 0
    if (reached.some((unit) => unit.isBroken)) return false
    for (const unit of reached) {
      nodes += unit.nodes
      if (costOf(unit, new Set()) === undefined) {
        const message = 'the reference leads back to itself without looking into the value'
        const hint = 'Break the circle: one of them must say what the value is.'
        report({ code: 'REF_CYCLE', message, ...unit.target, hint })
        return false
      }
    }
    for (const unit of reached) {
      for (const place of unit.inPlace) {
        const cost = place.reduce((sum, key) => sum + (costs.get(key) ?? 1), 0)
        if (cost <= applicationsMax) continue
        const message = `the references judge one value more than ${applicationsMax} times`
        const hint = 'Refer to each part once: doubling references grow without bound.'
        report({ code: 'SCHEMA_TOO_LARGE', message, ...unit.target, hint })
        return false
      }
    }
    if (nodes > limits.schemaNodesMax) reportSize(root.target, false)
    return nodes <= limits.schemaNodesMax
  }

  return {
    bundle(target, fallback = '2020-12') {
      const draft = target.document.draft ?? fallback
      const root = unitOf(target, draft)
      if (!root) return undefined
      const reached = reachable(root, draft)
      if (!reached || !isSound(reached, root)) return undefined
      return { schema: assemble(root, reached, draft), target }
    },
  }
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

function newPlace(places: string[][]): string[] {
  const place: string[] = []
  places.push(place)
  return place
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
function setInside(
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

/** Units whose references got the names they have in most bundles, shared between these bundles. */
const natural = new WeakMap<Unit, JsonSchema>()

/** The root with the reached units as its definitions, references turned from keys into pointers. */
function assemble(root: Unit, reached: readonly Unit[], draft: Draft): JsonSchema {
  if (typeof root.schema === 'boolean') return root.schema
  const container = isOldDraft(draft) ? 'definitions' : '$defs'
  const pointers = new Map<string, string>()
  const renamed = new Set<string>([root.key])
  const taken = new Set<string>()
  for (const unit of reached) {
    if (unit === root) continue
    let name = unit.name
    for (let count = 2; taken.has(name); count += 1) name = `${unit.name}_${count}`
    if (name !== unit.name) renamed.add(unit.key)
    taken.add(name)
    pointers.set(unit.key, name)
  }
  const definitions: Record<string, Json> = {}
  const point = (key: string) =>
    key === root.key ? '#' : `#/${container}/${encodeFragment(pointers.get(key) ?? key)}`
  for (const unit of reached) {
    if (unit === root) continue
    const isNatural = ![...unit.targets.keys()].some((key) => renamed.has(key))
    const shared = isNatural ? natural.get(unit) : undefined
    const copied = shared ?? mapReferences(unit.schema, point)
    if (isNatural && !shared) natural.set(unit, copied)
    definitions[pointers.get(unit.key) ?? unit.key] = copied
  }
  const declared = root.target.document.draft
  return {
    ...(declared === undefined && draft === '2020-12' ? {} : { $schema: uriOfDraft(draft) }),
    ...(mapReferences(root.schema, point) as JsonObject),
    ...(taken.size > 0 ? { [container]: definitions } : {}),
  }
}

/** A name as a step of a URI fragment. */
function encodeFragment(name: string): string {
  return encodeURIComponent(escapePointer(name)).replaceAll('%24', '$').replaceAll('%2B', '+')
}

/** A copy in which every `$ref` is what `point` makes of it. */
export function mapReferences(
  schema: JsonSchema,
  point: (reference: string) => string,
): JsonSchema {
  return schema === true || schema === false ? schema : rewrite(schema, point)
}

function rewrite(schema: JsonObject, point: (key: string) => string): JsonObject {
  const result: Record<string, Json> = { ...schema } as Record<string, Json>
  if (typeof schema.$ref === 'string') result.$ref = point(schema.$ref)
  eachSubschema(schema, (subschema, [keyword, name]) => {
    if (keyword === undefined) return
    const copied = rewrite(subschema, point)
    if (name === undefined) result[keyword] = copied
    else setInside(result, schema, { keyword, name, copied })
  })
  return result
}
