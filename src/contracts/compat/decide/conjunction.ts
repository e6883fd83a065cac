import type { Json } from '../../../core/json.ts'
import { WordSearch } from '../automata/search.ts'
import { type Scalar, scalarKey } from '../formula/canonical.ts'
import { Disjointness } from '../formula/disjoint.ts'
import { Membership } from '../formula/membership.ts'
import {
  ARRAY,
  FALSE,
  isNegative,
  type Lit,
  NUMBER,
  negate,
  OBJECT,
  STRING,
  type Store,
  TRUE,
  typeBits,
  typeOf,
} from '../formula/store.ts'
import { solveArray } from './array.ts'
import type { Budget } from './budget.ts'
import { solveNumber } from './number.ts'
import { ObjectFacts, solveObject } from './object.ts'
import {
  type Doubt,
  EMPTY,
  found,
  type Inhabiting,
  type Result,
  type Signed,
  signed,
} from './result.ts'
import { State } from './state.ts'
import { solveString } from './string.ts'

/** A question under way. `low`: the shallowest question whose emptiness its own emptiness leans on. */
interface Frame {
  readonly depth: number
  low: number
}

interface Remembered {
  readonly result: Result
  /** For an emptiness that leans on an assumption: the depth of the question assumed empty. */
  readonly low: number
}

const depthMax = 500
const comparisonsMax = 12
const NEVER = Number.POSITIVE_INFINITY

/**
 * Decides whether a conjunction of literals has a value, lazily and one type at a time: emptiness
 * of an alternating tree automaton with solvers for the atoms of each type (the division of work of
 * SMT solvers). Emptiness is a least fixpoint: a question met again below itself counts as empty,
 * provisionally (tabling with revision, as in Brzozowski-style inclusion and semantic subtyping).
 */
export class Solver implements Inhabiting {
  readonly store: Store
  readonly budget: Budget
  readonly membership: Membership
  readonly words: WordSearch
  readonly #disjoint: Disjointness
  readonly #memo = new Map<string, Remembered>()
  readonly #stack = new Map<string, Frame>()
  readonly #frames: Frame[] = []
  /** Keys whose emptiness is provisional, in the order in which they were found. */
  readonly #provisional: string[] = []
  #comparisons = comparisonsMax

  constructor(store: Store, budget: Budget) {
    this.store = store
    this.budget = budget
    this.membership = new Membership(store, budget)
    this.#disjoint = new Disjointness(store, this.membership, budget)
    this.words = new WordSearch(budget)
  }

  inhabit(given: readonly Lit[]): Result {
    const lits = this.#normal(given)
    if (lits === undefined) return EMPTY
    const key = lits.join()
    const known = this.#memo.get(key)
    if (known !== undefined) {
      this.#lean(known.low)
      return known.result
    }
    const above = this.#stack.get(key)
    if (above !== undefined) {
      this.#lean(above.depth)
      return EMPTY
    }
    if (this.#frames.length >= depthMax)
      return this.doubt(lits[0], 'values would have to be nested too deeply')
    this.budget.step()
    const frame: Frame = { depth: this.#frames.length, low: NEVER }
    const begun = this.#provisional.length
    this.#frames.push(frame)
    this.#stack.set(key, frame)
    const result = this.#decide(lits)
    this.#stack.delete(key)
    this.#frames.pop()
    this.#remember(key, result, { frame, begun })
    return result
  }

  /** Records that the question in hand leans on the emptiness assumed at some depth. */
  #lean(depth: number): void {
    const frame = this.#frames.at(-1)
    if (frame !== undefined) frame.low = Math.min(frame.low, depth)
  }

  #remember(key: string, result: Result, { frame, begun }: { frame: Frame; begun: number }): void {
    if (result.kind !== 'empty') {
      // What was found empty below assumed this one to be empty, perhaps: none of it may stay.
      for (const other of this.#provisional.splice(begun))
        if (this.#memo.get(other)?.low !== NEVER) this.#memo.delete(other)
      this.#memo.set(key, { result, low: NEVER })
      return
    }
    if (frame.low >= frame.depth) {
      for (const other of this.#provisional.splice(begun))
        this.#memo.set(other, { result: EMPTY, low: NEVER })
      this.#memo.set(key, { result, low: NEVER })
      return
    }
    this.#memo.set(key, { result, low: frame.low })
    this.#provisional.push(key)
    this.#lean(frame.low)
  }

  /** Sorted, references followed, conjunctions of atoms left whole; undefined when plainly empty. */
  #normal(given: readonly Lit[]): Lit[] | undefined {
    const lits = new Set<Lit>()
    for (const first of given) {
      const lit = this.#follow(first)
      if (lit === TRUE) continue
      if (lit === FALSE || lits.has(negate(lit))) return undefined
      lits.add(lit)
    }
    return [...lits].sort((a, b) => a - b)
  }

  #follow(first: Lit): Lit {
    let lit = first
    for (let hops = 0; hops < 100; hops += 1) {
      const node = this.store.node(lit)
      if (node.kind !== 'ref') return lit
      const target = node.resolve()
      if (target === undefined) return lit
      lit = isNegative(lit) ? negate(target) : target
    }
    return lit
  }

  #decide(lits: readonly Lit[]): Result {
    const shown = this.#shown(lits)
    if (shown !== undefined) return shown
    const may = lits.reduce((mask, lit) => mask & this.store.may(lit), 127)
    let doubt: Result | undefined
    for (const type of typeBits) {
      if ((may & type) === 0) continue
      const state = new State(
        { store: this.store, disjoint: this.#disjoint, membership: this.membership },
        type,
      )
      if (!lits.every((lit) => state.assert(lit))) continue
      const result = this.#search(state)
      if (result.kind === 'value') return this.#checked(lits, result)
      if (result.kind === 'doubt') doubt ??= result
    }
    return doubt ?? EMPTY
  }

  /** A value that the schema's author shows, where it fits. */
  #shown(lits: readonly Lit[]): Result | undefined {
    for (const lit of lits) {
      if (isNegative(lit)) continue
      const value = this.store.hints
        .get(lit >> 1)
        ?.find((hint) => this.membership.all(lits, hint) === true)
      if (value !== undefined) return found(value)
    }
    return undefined
  }

  #checked(lits: readonly Lit[], result: Result & { kind: 'value' }): Result {
    const truths = lits.map((lit) => this.membership.holds(lit, result.value))
    const odd = lits.find((_, at) => truths[at] !== true)
    if (odd === undefined) return result
    return this.doubt(
      odd,
      truths.includes(false) ? 'the value that was found does not hold' : 'an unknown part decides',
    )
  }

  /** Backtracking over the open clauses, with a value of the atoms so far as guide (DPLL). */
  #search(state: State): Result {
    this.budget.step()
    if (!state.propagate()) return EMPTY
    if (state.values !== undefined) return this.#fromValues(state, state.values)
    const atoms = signed(this.store, state.atoms)
    const leaf = this.#leaf(state, atoms)
    if (leaf.kind === 'empty') return EMPTY
    const clause = this.#violated(state, leaf)
    if (clause === undefined) return leaf
    return this.#branch(state, clause, atoms)
  }

  /** The shortest clause that the value does not satisfy; undefined when it satisfies all. */
  #violated(state: State, leaf: Result): readonly Lit[] | undefined {
    let best: readonly Lit[] | undefined
    for (const clause of state.clauses) {
      const holds =
        leaf.kind === 'value' &&
        clause.some((lit) => this.membership.holds(lit, leaf.value) === true)
      if (!holds && (best === undefined || clause.length < best.length)) best = clause
    }
    return best
  }

  #branch(state: State, clause: readonly Lit[], atoms: readonly Signed[]): Result {
    let doubt: Result | undefined
    let best: (Result & { kind: 'value' }) | undefined
    const facts = state.type === OBJECT && clause.length > 1 ? new ObjectFacts(atoms) : undefined
    for (const lit of clause) {
      const local = facts === undefined ? undefined : this.#local(facts, lit)
      if (local?.kind === 'empty') continue
      const next = state.clone()
      const result = next.assert(lit) ? this.#search(next) : EMPTY
      if (result.kind === 'doubt') doubt ??= result
      if (result.kind !== 'value') continue
      if (best === undefined || sizeOf(result.value) < sizeOf(best.value)) best = result
      if (!this.#mayCompare(best.value)) return best
    }
    return best ?? doubt ?? EMPTY
  }

  /** Other ways to break are looked at for a smaller witness, a few of them and while it costs little. */
  #mayCompare(value: Json): boolean {
    if (this.#frames.length > 1 || this.#comparisons <= 0 || isSmall(value)) return false
    this.#comparisons -= 1
    return this.budget.isAmple
  }

  /** An alternative that speaks of one member only is tried on that member, before anything is copied. */
  #local(facts: ObjectFacts, lit: Lit): Result | undefined {
    const node = this.store.node(lit)
    if (node.kind !== 'atom' || node.atom.op !== 'prop' || !isNegative(lit)) return undefined
    const { key } = node.atom
    if (facts.forbidden.has(key)) return EMPTY
    return this.inhabit([
      ...facts.constraintsOn(key),
      ...(facts.required.get(key) ?? []),
      negate(node.atom.lit),
    ])
  }

  /** Finitely many values are simply tried. */
  #fromValues(state: State, values: ReadonlyMap<string, Scalar>): Result {
    let doubt: Result | undefined
    for (const [key, value] of values) {
      if ((typeOf(value) & state.type) === 0 || state.excluded.has(key)) continue
      this.budget.tick()
      let truth = this.membership.all(state.atoms, value)
      for (const clause of state.clauses) {
        if (truth === false) break
        const truths = clause.map((lit) => this.membership.holds(lit, value))
        if (truths.includes(true)) continue
        truth = truths.includes(undefined) ? undefined : false
      }
      if (truth === true) return found(value)
      if (truth === undefined)
        doubt ??= this.doubt(state.clauses[0]?.[0], 'an unknown part decides')
    }
    return doubt ?? EMPTY
  }

  #leaf(state: State, atoms: readonly Signed[]): Result {
    const excluded = () =>
      new Set(
        [...state.excluded]
          .filter(([, value]) => (typeOf(value) & state.type) !== 0)
          .map(([, value]) => (typeof value === 'string' ? value : scalarKey(value))),
      )
    if ((state.type & NUMBER) !== 0) return solveNumber(this, state.type, atoms, excluded())
    switch (state.type) {
      case STRING:
        return solveString(this, atoms, excluded())
      case ARRAY:
        return solveArray(this, atoms)
      case OBJECT:
        return solveObject(this, atoms)
      default:
        return EMPTY
    }
  }

  doubt(lit: Lit | undefined, reason: string): Result {
    return { kind: 'doubt', doubt: this.#blame(lit, reason) }
  }

  /** The opaque part below a literal if there is one, else the keyword that the literal stands for. */
  #blame(lit: Lit | undefined, reason: string): Doubt {
    if (lit === undefined) return { keyword: '', pointer: '', reason }
    const opaque = this.#opaqueBelow(lit)
    if (opaque !== undefined) return opaque
    const origin = this.store.origins.get(lit >> 1)
    return { keyword: origin?.keyword ?? '', pointer: origin?.pointer ?? '', reason }
  }

  #opaqueBelow(lit: Lit): Doubt | undefined {
    const queue = [lit >> 1]
    const seen = new Set(queue)
    for (let at = 0; at < queue.length && at < 1_000; at += 1) {
      const node = this.store.nodes[queue[at] as number]
      if (node?.kind === 'opaque')
        return { keyword: node.keyword, pointer: node.pointer, reason: node.reason }
      const parts =
        node?.kind === 'and' || node?.kind === 'one'
          ? node.lits
          : node?.kind === 'atom' && 'lit' in node.atom
            ? [node.atom.lit]
            : []
      for (const part of parts) {
        if (seen.has(part >> 1)) continue
        seen.add(part >> 1)
        queue.push(part >> 1)
      }
    }
    return undefined
  }
}

/** True for what can hardly be smaller: a scalar, a text of one letter, one member or item. */
function isSmall(value: Json): boolean {
  return sizeOf(value) <= (typeof value === 'string' ? 1.001 : 2)
}

/** How many values there are in a value, itself included; of two texts the shorter is smaller. */
function sizeOf(value: Json): number {
  if (typeof value === 'string') return 1 + value.length / 1000
  if (typeof value !== 'object' || value === null) return 1
  return Object.values(value).reduce<number>((sum, part) => sum + sizeOf(part as Json), 1)
}
