import { isJsonObject, type Json, type JsonObject } from '../../../core/json.ts'
import { matches } from '../automata/match.ts'
import { enterScope } from '../evaluate.ts'
import { refHidesSiblings, shapesOf } from '../load/dialect.ts'
import { childPlace } from '../load/references.ts'
import type { Place } from '../load/resources.ts'
import { members, own, pointerToken } from './canonical.ts'
import { type Lit, negate, OBJECT, TRUE } from './store.ts'
import { additional, type Chain, type Compilation, keysOf, type Use } from './use.ts'

/** What some subschemas evaluate of an object or array, when `condition` holds for it. */
interface Evaluated {
  readonly condition: Lit
  readonly names: readonly string[]
  readonly sources: readonly string[]
  readonly allNames: boolean
  readonly prefix: number
  readonly allItems: boolean
  /** 2020-12: items that match one of these are evaluated. */
  readonly contains: readonly Lit[]
}

/** Splits by conditional patterns or contains; each split doubles the formulas. */
const splitsMax = 6

/** Subschemas that are looked at for one keyword: references may lead to the same ones again and again. */
const visitsMax = 2_000

interface Visit {
  readonly use: Use
  readonly condition: Lit
}

/**
 * What is evaluated is collected before anything is decided: what always is, and pairs of a
 * condition and what is evaluated under it. `not` evaluates nothing that lasts. Undefined when
 * there is too much of it.
 */
function collect(compiler: Compilation, use: Use): Evaluated[] | undefined {
  const found: Evaluated[] = []
  const queue: Visit[] = [{ use, condition: TRUE }]
  for (let at = 0; at < queue.length; at += 1) {
    if (at > visitsMax) return undefined
    const visit = queue[at] as Visit
    if (!isHidden(visit.use)) found.push(ownEvaluated(compiler, visit, at === 0))
    for (const [keyword, value] of members(visit.use.schema)) {
      if (!visit.use.shapes.has(keyword) || (isHidden(visit.use) && keyword !== '$ref')) continue
      queue.push(...inPlace(compiler, visit, keyword, value))
    }
  }
  return found
}

function isHidden({ schema, place }: Use): boolean {
  return refHidesSiblings(place.resource.draft) && typeof schema.$ref === 'string'
}

/** The subschemas of the same value below one keyword, each with the condition under which it counts. */
function inPlace(
  compiler: Compilation,
  { use, condition }: Visit,
  keyword: string,
  value: Json,
): Visit[] {
  const { store } = compiler
  const both = (...more: Lit[]) => store.and([condition, ...more])
  const below = (path: string, part: Json | undefined, under: Lit): Visit[] =>
    part === undefined ? [] : enter(use, childPlace(use.place, path, part), under)
  const parts = Array.isArray(value) ? (value as readonly Json[]) : []
  switch (keyword) {
    case '$ref':
    case '$dynamicRef':
    case '$recursiveRef': {
      const target = compiler.follow(use, keyword, value as string)
      return target === undefined
        ? []
        : enter({ ...use, scope: target.scope }, target.place, condition)
    }
    case 'allOf':
      return parts.flatMap((part, index) => below(`/allOf/${index}`, part, condition))
    case 'anyOf':
    case 'oneOf':
      return parts.flatMap((part, index) => {
        const path = `/${keyword}/${index}`
        return below(path, part, both(compiler.same(use, path, part)))
      })
    case 'if': {
      const holds = compiler.same(use, '/if', value)
      return [
        ...below('/if', value, both(holds)),
        ...below('/then', own(use.schema, 'then'), both(holds)),
        ...below('/else', own(use.schema, 'else'), both(negate(holds))),
      ]
    }
    case 'dependentSchemas':
    case 'dependencies':
      return members(value as JsonObject).flatMap(([key, part]) => {
        const present = both(store.type(OBJECT), store.atom({ op: 'has', key }))
        return Array.isArray(part) ? [] : below(`/${keyword}/${pointerToken(key)}`, part, present)
      })
    default:
      return []
  }
}

function enter(use: Use, place: Place, condition: Lit): Visit[] {
  const { schema } = place
  if (!isJsonObject(schema)) return []
  const key = `${place.resource.uri} ${place.pointer}`
  for (let link: Chain | undefined = use.chain; link !== undefined; link = link.up) {
    if (link.key === key) return []
  }
  const scope = enterScope(use.scope, place.resource)
  const chain = { key, up: use.chain }
  return [
    { use: { place, schema, scope, chain, shapes: shapesOf(place.resource.draft) }, condition },
  ]
}

function ownEvaluated(
  compiler: Compilation,
  { use, condition }: Visit,
  outermost: boolean,
): Evaluated {
  const { schema, shapes } = use
  const says = (keyword: string) => shapes.has(keyword) && own(schema, keyword) !== undefined
  const items = own(schema, 'items')
  const tuple = shapes.has('prefixItems')
    ? own(schema, 'prefixItems')
    : Array.isArray(items)
      ? items
      : undefined
  const allItems = says('items') && (!Array.isArray(items) || says('additionalItems'))
  const contains = own(schema, 'contains')
  return {
    condition,
    names: keysOf(own(schema, 'properties')),
    sources: keysOf(own(schema, 'patternProperties')),
    allNames: says('additionalProperties') || (!outermost && says('unevaluatedProperties')),
    prefix: Array.isArray(tuple) ? tuple.length : 0,
    allItems: allItems || (!outermost && says('unevaluatedItems')),
    contains:
      contains !== undefined && use.place.resource.draft === '2020-12'
        ? [compiler.below(use, '/contains', contains)]
        : [],
  }
}

/** Every member that nothing else evaluated satisfies `lit`. */
export function unevaluatedProperties(compiler: Compilation, use: Use, lit: Lit): Lit {
  const { store } = compiler
  const found = collect(compiler, use)
  if (found === undefined) return tooMany(compiler, use, 'unevaluatedProperties')
  const always = found.filter(({ condition }) => condition === TRUE)
  const sometimes = found.filter(({ condition }) => condition !== TRUE)
  if (always.some(({ allNames }) => allNames)) return TRUE
  const names = new Set(always.flatMap((part) => part.names))
  const sources = [...new Set(always.flatMap((part) => part.sources))]
  const covered = (key: string) => names.has(key) || sources.some((source) => matches(source, key))
  const conditional = [...new Set(sometimes.flatMap((part) => part.names))].filter(
    (key) => !covered(key),
  )
  const parts = conditional.map((key) => {
    const covers = sometimes.filter(
      (part) =>
        part.allNames ||
        part.names.includes(key) ||
        part.sources.some((source) => matches(source, key)),
    )
    return store.or([
      store.atom({ op: 'prop', key, lit }),
      ...covers.map(({ condition }) => condition),
    ])
  })
  const everything = sometimes.filter((part) => part.allNames).map(({ condition }) => condition)
  const split = sometimes.filter((part) => !part.allNames && part.sources.length > 0)
  if (split.length > splitsMax) return tooMany(compiler, use, 'unevaluatedProperties')
  for (const { chosen, rest } of subsets(split)) {
    const known = {
      names: [...names, ...conditional],
      sources: [...sources, ...chosen.flatMap((part) => part.sources)],
    }
    parts.push(
      store.or([
        additional(store, known, lit),
        ...everything,
        ...rest.map(({ condition }) => condition),
      ]),
    )
  }
  return store.and(parts)
}

/** Every item that nothing else evaluated satisfies `lit`. */
export function unevaluatedItems(compiler: Compilation, use: Use, lit: Lit): Lit {
  const { store } = compiler
  const found = collect(compiler, use)
  if (found === undefined) return tooMany(compiler, use, 'unevaluatedItems')
  const always = found.filter(({ condition }) => condition === TRUE)
  const sometimes = found.filter(({ condition }) => condition !== TRUE)
  if (always.some(({ allItems }) => allItems)) return TRUE
  const from = Math.max(0, ...always.map(({ prefix }) => prefix))
  const to = Math.max(from, ...sometimes.map(({ prefix }) => prefix))
  const split = sometimes.filter((part) => part.contains.length > 0)
  if (split.length > splitsMax) return tooMany(compiler, use, 'unevaluatedItems')
  const everything = sometimes.filter((part) => part.allItems).map(({ condition }) => condition)
  const parts: Lit[] = []
  for (const { chosen, rest } of subsets(split)) {
    const item = store.or([
      lit,
      ...always.flatMap((part) => part.contains),
      ...chosen.flatMap((part) => part.contains),
    ])
    const others = rest.map(({ condition }) => condition)
    for (let index = from; index < to; index += 1) {
      const covers = sometimes
        .filter((part) => part.allItems || part.prefix > index)
        .map(({ condition }) => condition)
      parts.push(store.or([store.atom({ op: 'item', index, lit: item }), ...covers, ...others]))
    }
    parts.push(
      store.or([store.atom({ op: 'items', from: to, lit: item }), ...everything, ...others]),
    )
  }
  return store.and(parts)
}

function tooMany(compiler: Compilation, use: Use, keyword: string): Lit {
  return compiler.store.opaque(
    keyword,
    `${use.place.pointer}/${keyword}`,
    'too many parts decide what is evaluated',
  )
}

/** Every subset, with what it leaves out. */
function subsets<T>(parts: readonly T[]): { chosen: T[]; rest: T[] }[] {
  return Array.from({ length: 2 ** parts.length }, (_, bits) => ({
    chosen: parts.filter((_, index) => (bits & (1 << index)) !== 0),
    rest: parts.filter((_, index) => (bits & (1 << index)) === 0),
  }))
}
