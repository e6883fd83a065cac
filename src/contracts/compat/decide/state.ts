import { type Scalar, scalarKey } from '../formula/canonical.ts'
import type { Disjointness } from '../formula/disjoint.ts'
import type { Membership } from '../formula/membership.ts'
import {
  BOOLEAN,
  FALSE,
  isNegative,
  type Lit,
  NULL,
  negate,
  type Store,
  TRUE,
  typeOf,
} from '../formula/store.ts'

export interface StateParts {
  readonly store: Store
  readonly disjoint: Disjointness
  readonly membership: Membership
}

/** Larger unions, and more wholes, are not compared with alternatives: it would be quadratic. */
const unionMax = 16
const wholesMax = 64

/** What is known while one type of values is searched: asserted literals, and clauses still open. */
export class State {
  readonly #parts: StateParts
  readonly type: number
  readonly asserted: Set<Lit>
  readonly atoms: Lit[]
  /** Conjunctions and unions asserted as a whole, to compare alternatives with. */
  readonly #wholes: Lit[]
  values: ReadonlyMap<string, Scalar> | undefined
  readonly excluded: Map<string, Scalar>
  clauses: (readonly Lit[])[]

  constructor(parts: StateParts, type: number, from?: State) {
    this.#parts = parts
    this.type = type
    this.asserted = new Set(from?.asserted)
    this.atoms = [...(from?.atoms ?? [])]
    this.#wholes = [...(from ? from.#wholes : [])]
    this.values =
      from?.values ??
      (type === NULL ? scalars([null]) : type === BOOLEAN ? scalars([false, true]) : undefined)
    this.excluded = new Map(from?.excluded)
    this.clauses = [...(from?.clauses ?? [])]
  }

  clone(): State {
    return new State(this.#parts, this.type, this)
  }

  /** Asserts a literal and what follows from it alone; false when that contradicts what is known. */
  assert(first: Lit): boolean {
    const { store } = this.#parts
    const queue = [first]
    for (let lit = queue.pop(); lit !== undefined; lit = queue.pop()) {
      if (lit === TRUE || this.asserted.has(lit)) continue
      if (lit === FALSE || this.asserted.has(negate(lit)) || (store.may(lit) & this.type) === 0)
        return false
      if ((store.may(negate(lit)) & this.type) === 0) continue
      this.asserted.add(lit)
      const node = store.node(lit)
      const negative = isNegative(lit)
      switch (node.kind) {
        case 'and':
          if (negative) this.clauses.push(node.lits.map(negate))
          else queue.push(...node.lits.toReversed())
          if (!negative || node.lits.length <= unionMax) this.#wholes.push(lit)
          break
        case 'one':
          this.clauses.push(negative ? this.#noneOrTwo(node.lits) : this.#exactlyOne(node.lits))
          this.#wholes.push(lit)
          break
        case 'ref': {
          const target = node.resolve()
          if (target !== undefined) queue.push(negative ? negate(target) : target)
          break
        }
        case 'enum':
          if (negative) for (const [key, value] of node.values) this.excluded.set(key, value)
          else
            this.values = new Map(
              [...node.values].filter(
                ([key, value]) =>
                  (typeOf(value) & this.type) !== 0 && (this.values?.has(key) ?? true),
              ),
            )
          break
        case 'atom':
          this.atoms.push(lit)
          break
        default:
      }
    }
    return true
  }

  /** One alternative for each branch that holds while the others do not. */
  #exactlyOne(lits: readonly Lit[]): Lit[] {
    const { store, disjoint } = this.#parts
    const able = lits.filter((lit) => (store.may(lit) & this.type) !== 0)
    return able.map((lit) =>
      store.and([
        lit,
        ...able.filter((other) => other !== lit && !disjoint.pair(lit, other)).map(negate),
      ]),
    )
  }

  /** None of the branches, or two of them together. */
  #noneOrTwo(lits: readonly Lit[]): Lit[] {
    const { store, disjoint } = this.#parts
    const able = lits.filter((lit) => (store.may(lit) & this.type) !== 0)
    const pairs = able.flatMap((a, at) =>
      able
        .slice(at + 1)
        .filter((b) => !disjoint.pair(a, b))
        .map((b) => store.and([a, b])),
    )
    return [store.and(able.map(negate)), ...pairs]
  }

  /** Draws consequences until none is left; false when a clause has no alternative any more. */
  propagate(): boolean {
    for (let again = true; again; ) {
      again = false
      const open: (readonly Lit[])[] = []
      const pending = this.clauses
      this.clauses = []
      for (const clause of pending) {
        const left = this.#reduce(clause)
        if (left === true) continue
        if (left.length === 0) return false
        if (left.length === 1) {
          again = true
          if (!this.assert(left[0] as Lit)) return false
        } else open.push(left)
      }
      this.clauses = [...open, ...this.clauses]
      if (this.clauses.length > open.length) again = true
    }
    return true
  }

  /** The alternatives that may still hold; true when one does. */
  #reduce(clause: readonly Lit[]): readonly Lit[] | true {
    const left: Lit[] = []
    for (const lit of clause) {
      const truth = this.#truth(lit)
      if (truth === true) return true
      if (truth !== false) left.push(lit)
    }
    return left
  }

  /**
   * True by literals and types alone: what follows from a formula must not satisfy a clause that
   * is itself a part of that formula. False may use everything.
   */
  #truth(lit: Lit): boolean | undefined {
    const { store, disjoint } = this.#parts
    if (lit === TRUE || this.asserted.has(lit)) return true
    if (lit === FALSE || this.asserted.has(negate(lit)) || (store.may(lit) & this.type) === 0)
      return false
    if ((store.may(negate(lit)) & this.type) === 0) return true
    const { kind } = store.node(lit)
    if (kind !== 'and' && kind !== 'one') return undefined
    return this.#wholes.length <= wholesMax &&
      this.#wholes.some((whole) => whole !== negate(lit) && disjoint.pair(whole, lit))
      ? false
      : undefined
  }
}

function scalars(list: readonly Scalar[]): ReadonlyMap<string, Scalar> {
  return new Map(list.map((value) => [scalarKey(value), value]))
}
