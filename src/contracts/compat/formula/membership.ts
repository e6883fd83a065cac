import { isJsonObject, type Json } from '../../../core/json.ts'
import { matches } from '../automata/match.ts'
import type { Budget } from '../decide/budget.ts'
import { isDistinct } from '../evaluate.ts'
import { standardFormats } from '../formats/standard.ts'
import { compare, fromNumber, isMultiple } from '../rational.ts'
import { codePoints, isScalar, members, own, scalarKey } from './canonical.ts'
import { type Atom, isNegative, type Lit, type Store, typeOf } from './store.ts'

/** True, false, or undefined where an opaque part decides. */
export type Truth = boolean | undefined

/** Is a value among those of a formula? Remembers every answer: shared parts are asked once. */
export class Membership {
  readonly #store: Store
  readonly #budget: Budget
  readonly #known = new Map<unknown, Map<number, Truth>>()
  readonly #active = new Map<unknown, Set<number>>()

  constructor(store: Store, budget: Budget) {
    this.#store = store
    this.#budget = budget
  }

  holds(lit: Lit, value: Json): Truth {
    const truth = this.#node(lit >> 1, value)
    return truth === undefined ? undefined : truth !== isNegative(lit)
  }

  /** True when every literal holds, false as soon as one does not. */
  all(lits: readonly Lit[], value: Json): Truth {
    let result: Truth = true
    for (const lit of lits) {
      const truth = this.holds(lit, value)
      if (truth === false) return false
      if (truth === undefined) result = undefined
    }
    return result
  }

  #node(id: number, value: Json): Truth {
    const node = this.#store.nodes[id]
    if (node === undefined || node.kind === 'true') return true
    if (node.kind === 'type') return (node.mask & typeOf(value)) !== 0
    if (node.kind === 'enum') return isScalar(value) && node.values.has(scalarKey(value))
    this.#budget.tick()
    const memoKey = typeof value === 'number' && value === 0 ? 0 : value
    const results = this.#known.get(memoKey) ?? new Map<number, Truth>()
    this.#known.set(memoKey, results)
    if (results.has(id)) return results.get(id)
    const active = this.#active.get(memoKey) ?? new Set()
    this.#active.set(memoKey, active)
    if (active.has(id)) return undefined
    active.add(id)
    const truth = this.#compute(id, value)
    active.delete(id)
    results.set(id, truth)
    return truth
  }

  #compute(id: number, value: Json): Truth {
    const node = this.#store.nodes[id]
    switch (node?.kind) {
      case 'and':
        return this.all(node.lits, value)
      case 'one': {
        const truths = node.lits.map((lit) => this.holds(lit, value))
        const held = truths.filter((truth) => truth === true).length
        if (held > 1) return false
        return truths.includes(undefined) ? undefined : held === 1
      }
      case 'ref': {
        const target = node.resolve()
        return target === undefined ? undefined : this.holds(target, value)
      }
      case 'atom':
        return (node.type & typeOf(value)) === 0 ? true : this.#atom(node.atom, value)
      default:
        return undefined
    }
  }

  #atom(atom: Atom, value: Json): Truth {
    if (typeof value === 'number') return numberAtom(atom, value)
    if (typeof value === 'string') return textAtom(atom, value)
    if (Array.isArray(value)) return this.#arrayAtom(atom, value)
    return isJsonObject(value) ? this.#objectAtom(atom, members(value), value) : true
  }

  #arrayAtom(atom: Atom, value: readonly Json[]): Truth {
    switch (atom.op) {
      case 'minI':
        return value.length >= atom.n
      case 'maxI':
        return value.length <= atom.n
      case 'item':
        return atom.index >= value.length ? true : this.holds(atom.lit, value[atom.index] as Json)
      case 'items':
        return this.#every(value.slice(atom.from), atom.lit)
      case 'cmin':
      case 'cmax': {
        const truths = value.map((item) => this.holds(atom.lit, item))
        const held = truths.filter((truth) => truth === true).length
        const open = truths.filter((truth) => truth === undefined).length
        if (atom.op === 'cmin')
          return held >= atom.n ? true : held + open < atom.n ? false : undefined
        return held > atom.n ? false : held + open <= atom.n ? true : undefined
      }
      case 'uniq':
        return isDistinct(value)
      default:
        return true
    }
  }

  #every(values: readonly Json[], lit: Lit): Truth {
    let result: Truth = true
    for (const value of values) {
      const truth = this.holds(lit, value)
      if (truth === false) return false
      if (truth === undefined) result = undefined
    }
    return result
  }

  #objectAtom(atom: Atom, entries: readonly [string, Json][], value: Json): Truth {
    switch (atom.op) {
      case 'minP':
        return entries.length >= atom.n
      case 'maxP':
        return entries.length <= atom.n
      case 'has':
        return Object.hasOwn(value as object, atom.key)
      case 'prop': {
        const member = isJsonObject(value) ? own(value, atom.key) : undefined
        return member === undefined ? true : this.holds(atom.lit, member)
      }
      case 'pprop':
        return this.#every(
          entries.filter(([key]) => matches(atom.source, key)).map(([, member]) => member),
          atom.lit,
        )
      case 'aprop': {
        const others = entries.filter(
          ([key]) => !atom.names.has(key) && !atom.sources.some((source) => matches(source, key)),
        )
        return this.#every(
          others.map(([, member]) => member),
          atom.lit,
        )
      }
      case 'pnames':
        return this.#every(
          entries.map(([key]) => key),
          atom.lit,
        )
      default:
        return true
    }
  }
}

function numberAtom(atom: Atom, value: number): Truth {
  const q = fromNumber(value)
  switch (atom.op) {
    case 'min':
      return compare(q, atom.q) > (atom.open ? 0 : -1)
    case 'max':
      return compare(q, atom.q) < (atom.open ? 0 : 1)
    case 'mul':
      return isMultiple(q, atom.q)
    default:
      return true
  }
}

function textAtom(atom: Atom, value: string): Truth {
  switch (atom.op) {
    case 'minL':
      return codePoints(value) >= atom.n
    case 'maxL':
      return codePoints(value) <= atom.n
    case 'pat':
      return matches(atom.source, value)
    case 'fmt':
      return standardFormats.get(atom.name)?.test(value) ?? true
    default:
      return true
  }
}
