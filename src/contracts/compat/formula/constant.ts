import type { Json, JsonObject } from '../../../core/json.ts'
import { isScalar, members } from './canonical.ts'
import { ARRAY, FALSE, type Lit, OBJECT, type Store } from './store.ts'

/** Exactly this value. Structured values become structure, so that their negation comes free. */
export function constant(store: Store, value: Json): Lit {
  if (isScalar(value)) return store.enumeration([value])
  if (Array.isArray(value)) {
    const items = (value as readonly Json[]).map((item, index) =>
      store.atom({ op: 'item', index, lit: constant(store, item) }),
    )
    const sizes = [
      store.atom({ op: 'minI', n: value.length }),
      store.atom({ op: 'maxI', n: value.length }),
    ]
    return store.and([store.type(ARRAY), ...sizes, ...items])
  }
  const entries = members(value as JsonObject)
  const names = new Set(entries.map(([key]) => key))
  const parts = entries.flatMap(([key, member]) => [
    store.atom({ op: 'has', key }),
    store.atom({ op: 'prop', key, lit: constant(store, member) }),
  ])
  return store.and([
    store.type(OBJECT),
    store.atom({ op: 'aprop', names, sources: [], lit: FALSE }),
    ...parts,
  ])
}
