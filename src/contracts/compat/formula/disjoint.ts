import type { Budget } from '../decide/budget.ts'
import { compare, type Rational } from '../rational.ts'
import { scalarKey } from './canonical.ts'
import type { Membership } from './membership.ts'
import { FALSE, isNegative, type Lit, NUMBER, negate, OBJECT, type Store } from './store.ts'

/** What the atoms of a conjunction say plainly. */
interface Facts {
  readonly values: ReadonlySet<string> | undefined
  readonly list: readonly (null | boolean | number | string)[]
  readonly required: ReadonlySet<string>
  readonly props: ReadonlyMap<string, readonly Lit[]>
  readonly bounds: { low?: Rational; high?: Rational }
}

const depthMax = 6
const pairsMax = 2_000

/**
 * Quick and sound, not complete: true only when no value satisfies both. By types, by finite sets of
 * values, and by members that one side requires (discriminators).
 */
export class Disjointness {
  readonly #store: Store
  readonly #membership: Membership
  readonly #budget: Budget
  readonly #pairs = new Map<string, boolean>()
  readonly #facts = new Map<Lit, Facts>()

  constructor(store: Store, membership: Membership, budget: Budget) {
    this.#budget = budget
    this.#store = store
    this.#membership = membership
  }

  /** True when no two of them hold together. */
  all(lits: readonly Lit[]): boolean {
    if (new Set(lits).size < lits.length) return false
    let seen = 0
    const masksApart = lits.every((lit) => {
      const apart = (seen & this.#store.may(lit)) === 0
      seen |= this.#store.may(lit)
      return apart
    })
    if (masksApart || this.#discriminated(lits)) return true
    if ((lits.length * lits.length) / 2 > pairsMax) return false
    return lits.every((a, index) => lits.slice(index + 1).every((b) => this.pair(a, b)))
  }

  /** One member that all require, each with values of its own: seen in one pass, not in pairs. */
  #discriminated(lits: readonly Lit[]): boolean {
    const first = lits[0]
    if (first === undefined) return true
    for (const key of this.facts(first).required) {
      const seen = new Set<string>()
      const apart = lits.every((lit) => {
        if (this.#store.may(lit) !== OBJECT) return false
        const facts = this.facts(lit)
        const values = facts.required.has(key)
          ? this.#valuesOf(facts.props.get(key) ?? [])
          : undefined
        if (values === undefined) return false
        return [...values].every((value) => !seen.has(value) && seen.add(value) !== undefined)
      })
      if (apart) return true
    }
    return false
  }

  #valuesOf(lits: readonly Lit[]): ReadonlySet<string> | undefined {
    for (const lit of lits) {
      const { values } = this.facts(lit)
      if (values !== undefined) return values
    }
    return undefined
  }

  /** True when surely no value satisfies both. */
  pair(a: Lit, b: Lit, depth = 0): boolean {
    if (a === FALSE || b === FALSE || a === negate(b)) return true
    const may = this.#store.may(a) & this.#store.may(b)
    if (may === 0) return true
    if (a === b || depth > depthMax) return false
    const key = a < b ? `${a} ${b}` : `${b} ${a}`
    const known = this.#pairs.get(key)
    if (known !== undefined) return known
    this.#pairs.set(key, false)
    const result = this.#compute(a, b, may, depth)
    this.#pairs.set(key, result)
    return result
  }

  #compute(a: Lit, b: Lit, may: number, depth: number): boolean {
    this.#budget.tick(4)
    const left = this.facts(a)
    const right = this.facts(b)
    if (left.values !== undefined && left.list.length < 200)
      return left.list.every((value) => this.#membership.holds(b, value) === false)
    if (right.values !== undefined && right.list.length < 200)
      return right.list.every((value) => this.#membership.holds(a, value) === false)
    if ((may & ~OBJECT) === 0 && this.#objectsApart(left, right, depth)) return true
    if ((may & ~NUMBER) === 0 && boundsApart(left.bounds, right.bounds)) return true
    return this.#branchesApart(a, b, depth) || this.#branchesApart(b, a, depth)
  }

  #objectsApart(left: Facts, right: Facts, depth: number): boolean {
    const apart = (key: string) =>
      (left.props.get(key) ?? []).some(
        (x) => (right.props.get(key) ?? []).some((y) => this.pair(x, y, depth + 1)) || x === FALSE,
      ) || (right.props.get(key) ?? []).includes(FALSE)
    return [...left.required].some(apart) || [...right.required].some(apart)
  }

  /** A union is disjoint from what each of its branches is disjoint from. */
  #branchesApart(union: Lit, other: Lit, depth: number): boolean {
    const node = this.#store.node(union)
    if (node.kind === 'one' && !isNegative(union))
      return node.lits.length < 50 && node.lits.every((lit) => this.pair(lit, other, depth + 1))
    if (node.kind !== 'and') return false
    if (isNegative(union))
      return (
        node.lits.length < 50 && node.lits.every((lit) => this.pair(negate(lit), other, depth + 1))
      )
    return (
      node.lits.some((lit) => this.#isUnion(lit) && this.#branchesApart(lit, other, depth + 1)) ||
      node.lits.includes(negate(other))
    )
  }

  #isUnion(lit: Lit): boolean {
    const { kind } = this.#store.node(lit)
    return (kind === 'and' && isNegative(lit)) || (kind === 'one' && !isNegative(lit))
  }

  facts(lit: Lit): Facts {
    const known = this.#facts.get(lit)
    if (known !== undefined) return known
    const facts = this.#gather(lit)
    this.#facts.set(lit, facts)
    return facts
  }

  #gather(root: Lit): Facts {
    let list: (null | boolean | number | string)[] | undefined
    const required = new Set<string>()
    const props = new Map<string, Lit[]>()
    const bounds: { low?: Rational; high?: Rational } = {}
    const queue = [root]
    for (let lit = queue.pop(); lit !== undefined; lit = queue.pop()) {
      const node = this.#store.node(lit)
      const negative = isNegative(lit)
      this.#budget.tick()
      if (node.kind === 'and' && !negative) queue.push(...node.lits)
      else if (node.kind === 'enum' && !negative) list ??= [...node.values.values()]
      else if (node.kind === 'atom') {
        const { atom } = node
        if (atom.op === 'has' && !negative) required.add(atom.key)
        else if (atom.op === 'has') props.set(atom.key, [...(props.get(atom.key) ?? []), FALSE])
        else if (atom.op === 'prop') {
          props.set(atom.key, [
            ...(props.get(atom.key) ?? []),
            negative ? negate(atom.lit) : atom.lit,
          ])
          if (negative) required.add(atom.key)
        } else if (atom.op === 'min' && !negative && !atom.open) bounds.low = atom.q
        else if (atom.op === 'max' && !negative && !atom.open) bounds.high = atom.q
      }
    }
    return {
      values: list === undefined ? undefined : new Set(list.map(scalarKey)),
      list: list ?? [],
      required,
      props,
      bounds,
    }
  }
}

function boundsApart(a: Facts['bounds'], b: Facts['bounds']): boolean {
  const above = (low: Rational | undefined, high: Rational | undefined) =>
    low !== undefined && high !== undefined && compare(low, high) > 0
  return above(a.low, b.high) || above(b.low, a.high)
}
