import { isJsonObject, type Json, type JsonObject } from '../../../core/json.ts'
import { matches } from '../automata/regex.ts'
import type { Scope } from '../evaluate.ts'
import { refHidesSiblings, type Shape, shapesOf } from '../load/dialect.ts'
import { childPlace } from '../load/references.ts'
import type { Place } from '../load/resources.ts'
import { members, own } from './canonical.ts'
import { additional, type Chain, type Compiler, keysOf } from './compile.ts'
import { type Lit, negate, TRUE } from './store.ts'

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

interface Use {
  readonly place: Place
  readonly schema: JsonObject
  readonly scope: Scope
  readonly chain: Chain
  readonly shapes: ReadonlyMap<string, Shape>
}

/** Splits by conditional patterns or contains; each split doubles the formulas. */
const splitsMax = 6

/**
 * What is evaluated is collected before anything is decided: what always is, and pairs of a
 * condition and what is evaluated under it. `not` evaluates nothing that lasts.
 */
function collect(compiler: Compiler, use: Use, condition: Lit, outermost: boolean): Evaluated[] {
  const { schema, place } = use
  const { store } = compiler
  const found: Evaluated[] = []
  const hidden = refHidesSiblings(place.resource.draft) && typeof schema.$ref === 'string'
  if (!hidden) found.push(ownEvaluated(compiler, use, condition, outermost))
  const enter = (child: Place, scope: Scope, under: Lit) => {
    if (!isJsonObject(child.schema)) return
    const key = `${child.resource.uri} ${child.pointer}`
    for (let link: Chain | undefined = use.chain; link !== undefined; link = link.up)
      if (link.key === key) return
    const inner = {
      place: child,
      schema: child.schema,
      scope,
      chain: { key, up: use.chain },
      shapes: shapesOf(child.resource.draft),
    }
    found.push(...collect(compiler, inner, under, false))
  }
  const below = (path: string, part: Json, under: Lit) =>
    enter(childPlace(place, path, part), use.scope, under)
  for (const [keyword, value] of members(schema)) {
    if (!use.shapes.has(keyword) || (hidden && keyword !== '$ref')) continue
    if (keyword === '$ref' || keyword === '$dynamicRef' || keyword === '$recursiveRef') {
      const target = compiler.follow(use, keyword, value as string)
      if (target !== undefined) enter(target.place, target.scope, condition)
    } else if (keyword === 'allOf') {
      for (const [index, part] of (value as readonly Json[]).entries())
        below(`/allOf/${index}`, part, condition)
    } else if (keyword === 'anyOf' || keyword === 'oneOf') {
      for (const [index, part] of (value as readonly Json[]).entries()) {
        const path = `/${keyword}/${index}`
        below(path, part, store.and([condition, compiler.same(use, path, part)]))
      }
    } else if (keyword === 'if') {
      const holds = compiler.same(use, '/if', value)
      below('/if', value, store.and([condition, holds]))
      const then = own(schema, 'then')
      const otherwise = own(schema, 'else')
      if (then !== undefined) below('/then', then, store.and([condition, holds]))
      if (otherwise !== undefined) below('/else', otherwise, store.and([condition, negate(holds)]))
    } else if (keyword === 'dependentSchemas' || keyword === 'dependencies') {
      for (const [key, part] of members(value as JsonObject)) {
        if (Array.isArray(part)) continue
        const path = `/${keyword}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
        below(path, part, store.and([condition, store.atom({ op: 'has', key })]))
      }
    }
  }
  return found
}

function ownEvaluated(compiler: Compiler, use: Use, condition: Lit, outermost: boolean): Evaluated {
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
export function unevaluatedProperties(compiler: Compiler, use: Use, lit: Lit): Lit {
  const { store } = compiler
  const found = collect(compiler, use, TRUE, true)
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
export function unevaluatedItems(compiler: Compiler, use: Use, lit: Lit): Lit {
  const { store } = compiler
  const found = collect(compiler, use, TRUE, true)
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

function tooMany(compiler: Compiler, use: Use, keyword: string): Lit {
  return compiler.store.opaque(
    keyword,
    `${use.place.pointer}/${keyword}`,
    `more than ${splitsMax} conditional parts decide what is evaluated`,
  )
}

/** Every subset, with what it leaves out. */
function subsets<T>(parts: readonly T[]): { chosen: T[]; rest: T[] }[] {
  return Array.from({ length: 2 ** parts.length }, (_, bits) => ({
    chosen: parts.filter((_, index) => (bits & (1 << index)) !== 0),
    rest: parts.filter((_, index) => (bits & (1 << index)) === 0),
  }))
}
