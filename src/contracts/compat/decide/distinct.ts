import type { Json } from '../../../core/json.ts'
import { canonicalText } from '../formula/canonical.ts'
import { constant } from '../formula/constant.ts'
import { type Lit, negate } from '../formula/store.ts'
import type { Budget } from './budget.ts'
import type { Inhabiting, Result } from './result.ts'

/** What the solver of arrays needs from the whole. */
export interface ArrayContext extends Inhabiting {
  readonly budget: Budget
}

/** Some places of the array that share one conjunction. */
export interface Slot {
  readonly lits: readonly Lit[]
  readonly places: readonly number[]
}

interface Place {
  readonly index: number
  readonly domain: Domain
}

interface Domain {
  readonly values: readonly Json[]
  /** True when there are at least as many values as places: it can always give another. */
  readonly plenty: boolean
}

/**
 * Pairwise different values for all places: small domains by matching (Hall's theorem decides
 * whether there is one), the others afterwards, since they never run out. Undefined: there are none;
 * a doubt where a domain could not be listed.
 */
export function distinctValues(
  context: ArrayContext,
  slots: readonly Slot[],
  most: number,
): Json[] | Result | undefined {
  const count = slots.reduce((sum, { places }) => sum + places.length, 0)
  if (count > most)
    return context.doubt(slots[0]?.lits[0], 'too many different items are asked for')
  const domains = new Map<string, Domain>()
  const places: Place[] = []
  let doubt: Result | undefined
  for (const slot of slots) {
    const key = slot.lits.toSorted((a, b) => a - b).join()
    const known = domains.get(key)
    const listed = known ?? listDomain(context, slot.lits, count)
    if ('kind' in listed) {
      doubt ??= listed
      continue
    }
    domains.set(key, listed)
    for (const index of slot.places) places.push({ index, domain: listed })
  }
  if (doubt !== undefined) return doubt
  return assign(places)
}

/** Up to `most` values of a conjunction, each another. */
function listDomain(context: ArrayContext, lits: readonly Lit[], most: number): Domain | Result {
  const values: Json[] = []
  const others: Lit[] = []
  while (values.length < most) {
    const result = context.inhabit([...lits, ...others])
    if (result.kind === 'empty') return { values, plenty: false }
    if (result.kind === 'doubt') return result
    values.push(result.value)
    others.push(negate(constant(context.store, result.value)))
  }
  return { values, plenty: true }
}

function assign(places: readonly Place[]): Json[] | undefined {
  const owner = new Map<string, Place>()
  const given = new Map<Place, Json>()
  const small = places.filter(({ domain }) => !domain.plenty)
  for (const place of small) if (!augment(place, { owner, given }, new Set())) return undefined
  const result: Json[] = new Array(places.length)
  for (const place of places) {
    if (place.domain.plenty) {
      const value = place.domain.values.find((candidate) => !owner.has(canonicalText(candidate)))
      if (value === undefined) return undefined
      owner.set(canonicalText(value), place)
      given.set(place, value)
    }
    result[place.index] = given.get(place) as Json
  }
  return result
}

/** Finds a value for a place, moving others to another of theirs if need be (augmenting path). */
function augment(
  place: Place,
  state: { owner: Map<string, Place>; given: Map<Place, Json> },
  tried: Set<string>,
): boolean {
  for (const value of place.domain.values) {
    const key = canonicalText(value)
    if (tried.has(key)) continue
    tried.add(key)
    const holder = state.owner.get(key)
    if (holder === undefined || augment(holder, state, tried)) {
      state.owner.set(key, place)
      state.given.set(place, value)
      return true
    }
  }
  return false
}
