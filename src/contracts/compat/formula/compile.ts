import type { Json, JsonObject } from '../../../core/json.ts'
import type { Budget } from '../decide/budget.ts'
import { dynamicTarget, enterScope, type Scope, scopeKey } from '../evaluate.ts'
import { standardFormats } from '../formats/standard.ts'
import { refHidesSiblings, shapesOf } from '../load/dialect.ts'
import { childPlace, resolveReference } from '../load/references.ts'
import type { Document, Place } from '../load/resources.ts'
import { fromNumber } from '../rational.ts'
import { isScalar, members, own, pointerToken, type Scalar } from './canonical.ts'
import { constant } from './constant.ts'
import type { Disjointness } from './disjoint.ts'
import * as store from './store.ts'
import { ANY, ARRAY, FALSE, type Lit, negate, OBJECT, type Store, TRUE } from './store.ts'
import { unevaluatedItems, unevaluatedProperties } from './unevaluated.ts'
import { additional, type Chain, type Compilation, keysOf, patterned, type Use } from './use.ts'

/** Nesting from which subschemas are compiled only when the search reaches them: no deep recursion. */
const eagerDepth = 200

export interface CompilerParts {
  readonly store: Store
  readonly disjoint: Disjointness
  readonly budget: Budget
}

/**
 * Turns the schemas of one document into formulas. Equal parts become the same node; a recursive
 * reference becomes a `ref` node that is followed when the search reaches it.
 */
export class Compiler implements Compilation {
  readonly store: Store
  readonly #disjoint: Disjointness
  readonly #budget: Budget
  readonly #tag: string
  readonly #document: Document
  readonly #done = new Map<string, Lit>()
  readonly #active = new Set<string>()
  #depth = 0

  constructor({ store, disjoint, budget }: CompilerParts, document: Document, tag: string) {
    this.store = store
    this.#disjoint = disjoint
    this.#budget = budget
    this.#document = document
    this.#tag = tag
  }

  /** The formula of the whole schema. */
  root(): Lit {
    const { root } = this.#document
    return this.compile(root, enterScope(new Map(), root.resource), undefined)
  }

  compile(place: Place, scope: Scope, chain: Chain | undefined): Lit {
    this.#budget.tick()
    const { schema } = place
    if (typeof schema === 'boolean') return schema ? TRUE : FALSE
    const key = `${this.#tag} ${place.resource.uri} ${place.pointer} ${scopeKey(scope)}`
    const known = this.#done.get(key)
    if (known !== undefined) return known
    if (this.#active.has(key)) return this.#circular(place, key, chain)
    if (this.#depth >= eagerDepth) return this.store.ref(key, () => this.#later(place, scope, key))
    this.#active.add(key)
    this.#depth += 1
    const use = {
      place,
      schema,
      scope,
      chain: { key, up: chain },
      shapes: shapesOf(place.resource.draft),
    }
    const lit = this.#schema(use)
    this.#depth -= 1
    this.#active.delete(key)
    this.#done.set(key, lit)
    this.#note(lit, schema)
    return lit
  }

  #circular(place: Place, key: string, chain: Chain | undefined): Lit {
    for (let link = chain; link !== undefined; link = link.up) {
      if (link.key === key)
        return this.store.opaque(
          '$ref',
          `${place.pointer}/$ref`,
          'the reference leads back to itself without a step into the value',
        )
    }
    return this.store.ref(key, () => this.#done.get(key))
  }

  /** Undefined while other parts are being compiled: then nobody may look into it yet. */
  #later(place: Place, scope: Scope, key: string): Lit | undefined {
    return (
      this.#done.get(key) ??
      (this.#active.size > 0 ? undefined : this.compile(place, scope, undefined))
    )
  }

  /** Keeps the plain values that the author shows, for realistic witnesses. */
  #note(lit: Lit, schema: JsonObject): void {
    if (lit < 2) return
    const examples = Array.isArray(schema.examples) ? (schema.examples as readonly Json[]) : []
    const shown = [...examples, schema.default].filter(
      (value): value is Scalar => value !== undefined && isScalar(value),
    )
    if (shown.length === 0) return
    const hints = this.store.hints.get(lit >> 1) ?? []
    this.store.hints.set(lit >> 1, [...hints, ...shown.slice(0, 8)])
  }

  #schema(use: Use): Lit {
    const { schema, place } = use
    if (refHidesSiblings(place.resource.draft) && typeof schema.$ref === 'string')
      return this.#keyword(use, '$ref', schema.$ref)
    const parts: Lit[] = []
    for (const keyword of Object.keys(schema)) {
      const value = schema[keyword]
      if (value === undefined || !use.shapes.has(keyword)) continue
      const lit = this.#keyword(use, keyword, value)
      if (lit === TRUE) continue
      parts.push(lit)
      const id = lit >> 1
      if (!this.store.origins.has(id))
        this.store.origins.set(id, { keyword, pointer: `${place.pointer}/${keyword}` })
    }
    return this.store.and(parts)
  }

  #keyword(use: Use, keyword: string, value: Json): Lit {
    return (
      this.#assertion(use, keyword, value) ??
      this.#inPlace(use, keyword, value) ??
      this.#arrays(use, keyword, value) ??
      this.#objects(use, keyword, value) ??
      TRUE
    )
  }

  /** A subschema of a member or item. */
  below(use: Pick<Use, 'place' | 'scope'>, path: string, schema: Json): Lit {
    const place = childPlace(use.place, path, schema)
    return this.compile(place, enterScope(use.scope, place.resource), undefined)
  }

  /** A subschema of the same value. */
  same(use: Pick<Use, 'place' | 'scope' | 'chain'>, path: string, schema: Json): Lit {
    const place = childPlace(use.place, path, schema)
    return this.compile(place, enterScope(use.scope, place.resource), use.chain)
  }

  /** The place and scope that a reference keyword leads to; undefined when it leads nowhere. */
  follow(
    use: Pick<Use, 'place' | 'scope'>,
    keyword: string,
    reference: string,
  ): { place: Place; scope: Scope } | undefined {
    const target = resolveReference(use.place.resource, reference)
    if ('problem' in target) return undefined
    const place = keyword === '$ref' ? target.place : dynamicTarget(target, use.scope)
    return { place, scope: enterScope(use.scope, place.resource) }
  }

  #assertion({ schema }: Use, keyword: string, value: Json): Lit | undefined {
    const { store } = this
    switch (keyword) {
      case 'type':
        return store.type(
          (Array.isArray(value) ? value : [value]).reduce<number>(
            (mask, name) => mask | (masks[name as string] ?? 0),
            0,
          ),
        )
      case 'enum':
        return this.#enumeration(value as readonly Json[])
      case 'const':
        return this.constant(value)
      case 'multipleOf': {
        const q = fromNumber(value as number)
        return q.n === 1n && q.d === 1n
          ? store.type(ANY & ~FRACTION_BIT)
          : store.atom({ op: 'mul', q })
      }
      case 'minimum':
        return store.atom({
          op: 'min',
          q: fromNumber(value as number),
          open: schema.exclusiveMinimum === true,
        })
      case 'maximum':
        return store.atom({
          op: 'max',
          q: fromNumber(value as number),
          open: schema.exclusiveMaximum === true,
        })
      case 'exclusiveMinimum':
        return typeof value === 'number'
          ? store.atom({ op: 'min', q: fromNumber(value), open: true })
          : TRUE
      case 'exclusiveMaximum':
        return typeof value === 'number'
          ? store.atom({ op: 'max', q: fromNumber(value), open: true })
          : TRUE
      case 'pattern':
        return store.atom({ op: 'pat', source: value as string })
      case 'format':
        return standardFormats.has(value as string)
          ? store.atom({ op: 'fmt', name: value as string })
          : TRUE
      default: {
        const op = sizes[keyword]
        return op === undefined ? undefined : store.atom({ op, n: value as number })
      }
    }
  }

  #enumeration(values: readonly Json[]): Lit {
    const scalars = values.filter(isScalar)
    const others = values.filter((value) => !isScalar(value)).map((value) => this.constant(value))
    const plain = this.store.enumeration(scalars)
    return others.length === 0 ? plain : this.store.or([plain, ...others])
  }

  /** Exactly this value. */
  constant(value: Json): Lit {
    this.#budget.tick()
    return constant(this.store, value)
  }

  #inPlace(use: Use, keyword: string, value: Json): Lit | undefined {
    const { store } = this
    const branches = () =>
      (value as readonly Json[]).map((part, index) => this.same(use, `/${keyword}/${index}`, part))
    switch (keyword) {
      case '$ref':
      case '$dynamicRef':
      case '$recursiveRef': {
        const target = this.follow(use, keyword, value as string)
        if (target === undefined)
          return store.opaque(
            keyword,
            `${use.place.pointer}/${keyword}`,
            'the reference leads nowhere',
          )
        return this.compile(target.place, target.scope, use.chain)
      }
      case 'allOf':
        return store.and(branches())
      case 'anyOf':
        return store.or(branches())
      case 'oneOf':
        return this.exactlyOne(branches())
      case 'not':
        return negate(this.same(use, '/not', value))
      case 'if':
        return this.#conditional(use, value)
      case 'dependencies':
      case 'dependentRequired':
      case 'dependentSchemas':
        return this.#dependent(use, keyword, value as JsonObject)
      default:
        return undefined
    }
  }

  /** `oneOf`; a plain union where no two branches can hold together. */
  exactlyOne(lits: readonly Lit[]): Lit {
    const real = lits.filter((lit) => lit !== FALSE)
    return this.#disjoint.all(real) ? this.store.or(real) : this.store.one(real)
  }

  #conditional(use: Use, condition: Json): Lit {
    const then = own(use.schema, 'then')
    const otherwise = own(use.schema, 'else')
    if (then === undefined && otherwise === undefined) return TRUE
    const holds = this.same(use, '/if', condition)
    const parts: Lit[] = []
    if (then !== undefined)
      parts.push(this.store.or([negate(holds), this.same(use, '/then', then)]))
    if (otherwise !== undefined)
      parts.push(this.store.or([holds, this.same(use, '/else', otherwise)]))
    return this.store.and(parts)
  }

  #dependent(use: Use, keyword: string, value: JsonObject): Lit {
    const { store } = this
    const has = (key: string) => store.atom({ op: 'has', key })
    return store.and(
      members(value).map(([key, part]) => {
        const absent = negate(has(key))
        if (Array.isArray(part))
          return part.length === 0
            ? TRUE
            : store.or([absent, store.and(part.map((name) => has(name as string)))])
        return store.or([
          store.type(ANY & ~OBJECT),
          absent,
          this.same(use, `/${keyword}/${pointerToken(key)}`, part),
        ])
      }),
    )
  }

  #arrays(use: Use, keyword: string, value: Json): Lit | undefined {
    const { store } = this
    const { schema, shapes } = use
    const tuple = (parts: readonly Json[]) =>
      store.and(
        parts.map((part, index) =>
          store.atom({ op: 'item', index, lit: this.below(use, `/${keyword}/${index}`, part) }),
        ),
      )
    switch (keyword) {
      case 'prefixItems':
        return tuple(value as readonly Json[])
      case 'items': {
        if (Array.isArray(value)) return tuple(value)
        const prefix = shapes.has('prefixItems') ? own(schema, 'prefixItems') : undefined
        return store.atom({
          op: 'items',
          from: Array.isArray(prefix) ? prefix.length : 0,
          lit: this.below(use, '/items', value),
        })
      }
      case 'additionalItems': {
        const { items } = schema
        return Array.isArray(items)
          ? store.atom({
              op: 'items',
              from: items.length,
              lit: this.below(use, '/additionalItems', value),
            })
          : TRUE
      }
      case 'contains': {
        const lit = this.below(use, '/contains', value)
        const limit = (name: string) =>
          shapes.has(name) ? (own(schema, name) as number | undefined) : undefined
        const max = limit('maxContains')
        return store.and([
          store.atom({ op: 'cmin', lit, n: limit('minContains') ?? 1 }),
          max === undefined ? TRUE : store.atom({ op: 'cmax', lit, n: max }),
        ])
      }
      case 'uniqueItems':
        return value === true ? store.atom({ op: 'uniq' }) : TRUE
      case 'unevaluatedItems':
        return unevaluatedItems(this, use, this.below(use, '/unevaluatedItems', value))
      default:
        return undefined
    }
  }

  #objects(use: Use, keyword: string, value: Json): Lit | undefined {
    const { store } = this
    const { schema } = use
    switch (keyword) {
      case 'required':
        return store.and((value as readonly string[]).map((key) => store.atom({ op: 'has', key })))
      case 'properties':
        return store.and(
          members(value as JsonObject).map(([key, part]) =>
            store.atom({
              op: 'prop',
              key,
              lit: this.below(use, `/properties/${pointerToken(key)}`, part),
            }),
          ),
        )
      case 'patternProperties':
        return store.and(
          members(value as JsonObject).map(([source, part]) =>
            patterned(
              store,
              source,
              this.below(use, `/patternProperties/${pointerToken(source)}`, part),
            ),
          ),
        )
      case 'additionalProperties': {
        const lit = this.below(use, '/additionalProperties', value)
        return additional(
          store,
          {
            names: keysOf(own(schema, 'properties')),
            sources: keysOf(own(schema, 'patternProperties')),
          },
          lit,
        )
      }
      case 'propertyNames':
        return store.atom({ op: 'pnames', lit: this.below(use, '/propertyNames', value) })
      case 'unevaluatedProperties':
        return unevaluatedProperties(this, use, this.below(use, '/unevaluatedProperties', value))
      default:
        return undefined
    }
  }
}

const FRACTION_BIT = store.FRACTION

const masks: Readonly<Record<string, number>> = {
  null: store.NULL,
  boolean: store.BOOLEAN,
  integer: store.INTEGER,
  number: store.NUMBER,
  string: store.STRING,
  array: ARRAY,
  object: OBJECT,
}

const sizes: Readonly<Record<string, 'minL' | 'maxL' | 'minI' | 'maxI' | 'minP' | 'maxP'>> = {
  minLength: 'minL',
  maxLength: 'maxL',
  minItems: 'minI',
  maxItems: 'maxI',
  minProperties: 'minP',
  maxProperties: 'maxP',
}
