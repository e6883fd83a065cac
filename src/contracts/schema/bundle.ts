import type { Json, JsonObject } from '../../core/json.ts'
import { escapePointer } from '../../core/json.ts'
import { limits } from '../../core/limits.ts'
import type { JsonSchema } from '../model.ts'
import type { Draft } from './draft.ts'
import { isOldDraft, uriOfDraft } from './draft.ts'
import type { SchemaStore, SchemaTarget } from './schema-store.ts'
import type { ReportProblem, Unit } from './schema-unit.ts'
import { setInside, UnitReader } from './schema-unit.ts'
import { eachSubschema } from './schema-walk.ts'

/** How often one value may be judged on its way through references: beyond that a schema is a bomb. */
const applicationsMax = 10_000
/** References that may follow one another without looking into the value. */
const chainMax = 1000

/** A schema with everything it refers to, or undefined after its problems were reported. */
export type Bundled = { readonly schema: JsonSchema; readonly target: SchemaTarget } | undefined

/** Makes schemas self-contained; what two bundles of one bundler share is copied once. */
export interface Bundler {
  /** @param draft What a document without `$schema` is read as; default 2020-12. */
  bundle(target: SchemaTarget, draft?: Draft): Bundled
}

/**
 * Makes schemas self-contained: what they refer to in other places and files is copied under `$defs`
 * (`definitions` up to draft-07), only what is reachable, under names that do not depend on what else is loaded.
 * Recursion stays recursion. Ids and anchors go, since no reference needs them any more. Nothing is fetched.
 */
export function createBundler(store: SchemaStore, report: ReportProblem): Bundler {
  const reader = new UnitReader(store, report)
  const costs = new Map<string, number>()
  return {
    bundle(target, fallback = '2020-12') {
      const draft = target.document.draft ?? fallback
      const root = reader.read(target, draft)
      const reached = root && reachable(reader, root, draft)
      if (!reached || !isSound(reader, reached, costs)) return undefined
      return { schema: assemble(root, reached, draft), target }
    },
  }
}

/** The unit and all that it leads to, in order of appearance; undefined where one of them could not be read. */
function reachable(reader: UnitReader, root: Unit, draft: Draft): Unit[] | undefined {
  const seen = new Map<string, Unit>([[root.key, root]])
  for (const unit of seen.values()) {
    for (const [key, target] of unit.targets) {
      if (seen.has(key)) continue
      const next = reader.read(target, draft)
      if (!next) return undefined
      seen.set(key, next)
    }
  }
  return [...seen.values()]
}

/** What is known of the units on the way: their costs, and which are being judged. */
interface Judging {
  readonly reader: UnitReader
  readonly costs: Map<string, number>
  readonly open: Set<string>
}

/** How often a value is judged at a place; undefined for a circle that no value ever leaves. */
function costOf(unit: Unit, judging: Judging): number | undefined {
  const { reader, costs, open } = judging
  const known = costs.get(unit.key)
  if (known !== undefined) return known
  if (open.has(unit.key)) return undefined
  if (open.size > chainMax) return Number.POSITIVE_INFINITY
  open.add(unit.key)
  let cost = 1
  for (const key of unit.inPlace[0] ?? []) {
    const next = reader.known(key)
    const below = next ? costOf(next, judging) : 1
    if (below === undefined) return undefined
    cost += below
  }
  open.delete(unit.key)
  costs.set(unit.key, cost)
  return cost
}

/** False, after it was reported, where units go in circles, multiply without bound, or are too many. */
function isSound(
  reader: UnitReader,
  reached: readonly Unit[],
  costs: Map<string, number>,
): boolean {
  if (reached.some((unit) => unit.isBroken)) return false
  const ambiguous = reader.ambiguous(reached)
  if (ambiguous) {
    const message = 'a dynamic reference could mean several schemas here, which is not supported'
    const hint = 'Write `$ref` instead, or give the anchors different names.'
    reader.report({ code: 'SCHEMA_UNSUPPORTED', message, ...ambiguous.target, hint })
    return false
  }
  for (const unit of reached) {
    if (costOf(unit, { reader, costs, open: new Set() }) !== undefined) continue
    const message = 'the reference leads back to itself without looking into the value'
    const hint = 'Break the circle: one of them must say what the value is.'
    reader.report({ code: 'REF_CYCLE', message, ...unit.target, hint })
    return false
  }
  const bomb = reached.find((unit) =>
    unit.inPlace.some(
      (place) => place.reduce((sum, key) => sum + (costs.get(key) ?? 1), 0) > applicationsMax,
    ),
  )
  if (bomb) {
    const message = `the references judge one value more than ${applicationsMax} times, or follow one another more than ${chainMax} times`
    const hint = 'Refer to each part once: doubling references grow without bound.'
    reader.report({ code: 'SCHEMA_TOO_LARGE', message, ...bomb.target, hint })
    return false
  }
  const isLarge = reached.reduce((sum, unit) => sum + unit.nodes, 0) > limits.schemaNodesMax
  if (isLarge && reached[0]) reader.reportSize(reached[0].target, false)
  return !isLarge
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
