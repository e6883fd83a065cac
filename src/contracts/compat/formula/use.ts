import { isJsonObject, type Json, type JsonObject } from '../../../core/json.ts'
import type { Scope } from '../evaluate.ts'
import type { Shape } from '../load/dialect.ts'
import type { Place } from '../load/resources.ts'
import { members } from './canonical.ts'
import { type Lit, type Store, TRUE } from './store.ts'

/** The places since the last step into a member or item: all speak of the same value. */
export interface Chain {
  readonly key: string
  readonly up: Chain | undefined
}

/** A schema object where it is compiled. */
export interface Use {
  readonly place: Place
  readonly schema: JsonObject
  readonly scope: Scope
  readonly chain: Chain
  readonly shapes: ReadonlyMap<string, Shape>
}

/** What the compilation of single keywords needs of the compiler. */
export interface Compilation {
  readonly store: Store
  /** A subschema of a member or item. */
  below(use: Pick<Use, 'place' | 'scope'>, path: string, schema: Json): Lit
  /** A subschema of the same value. */
  same(use: Pick<Use, 'place' | 'scope' | 'chain'>, path: string, schema: Json): Lit
  /** The place and scope that a reference keyword leads to; undefined when it leads nowhere. */
  follow(
    use: Pick<Use, 'place' | 'scope'>,
    keyword: string,
    reference: string,
  ): { place: Place; scope: Scope } | undefined
}

/** The names of an object's members; none for what is no object. */
export function keysOf(value: Json | undefined): string[] {
  return isJsonObject(value) ? members(value).map(([key]) => key) : []
}

/** Sources that match every text. */
const matchesAll: ReadonlySet<string> = new Set(['', '.*', '^'])

/** Every member whose name matches the pattern satisfies `lit`. */
export function patterned(store: Store, source: string, lit: Lit): Lit {
  if (matchesAll.has(source)) return store.atom({ op: 'aprop', names: new Set(), sources: [], lit })
  return store.atom({ op: 'pprop', source, lit })
}

/** Every member with another name satisfies `lit`. */
export function additional(
  store: Store,
  known: { names: Iterable<string>; sources: readonly string[] },
  lit: Lit,
): Lit {
  if (known.sources.some((source) => matchesAll.has(source))) return TRUE
  const sources = [...new Set(known.sources)]
  return store.atom({ op: 'aprop', names: new Set(known.names), sources, lit })
}
