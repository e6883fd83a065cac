import { type Json, toPointer } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { Budget, BudgetSpent } from './decide/budget.ts'
import { Solver } from './decide/conjunction.ts'
import type { Doubt, Result } from './decide/result.ts'
import { Evaluator } from './evaluate.ts'
import { Compiler } from './formula/compile.ts'
import { Disjointness } from './formula/disjoint.ts'
import { Membership } from './formula/membership.ts'
import { isNegative, type Lit, negate, Store, typeBits } from './formula/store.ts'
import type { Draft } from './load/dialect.ts'
import { loadSchema } from './load/references.ts'
import type { Document } from './load/resources.ts'
import type { Breaking, Unknown, Verdict } from './verdict.ts'
import { locate, schemaPointer } from './witness/locate.ts'
import { reasonOf } from './witness/reason.ts'
import { shrink } from './witness/shrink.ts'
import { provesBreak, runtimeOpinion, type Side } from './witness/verify.ts'

/** A schema with the draft that it is read in. */
export interface Drafted {
  readonly schema: JsonSchema
  readonly draft: Draft
}

export interface QuestionLimits {
  readonly budgetMs: number
  readonly ticks: number
  readonly signal?: AbortSignal | undefined
}

/** Other ways to break that are looked for when the validators disagree on the first, and that they are asked about. */
const retriesMax = 40
const opinionsMax = 12

/**
 * Decides whether every instance of `a` is accepted by `b`: both become formulas in one store, and
 * `a ∧ ¬b` is searched for a value.
 *
 * @throws SCHEMA_INVALID · REF_REMOTE · REF_NOT_FOUND
 */
export function decide(a: Drafted, b: Drafted, limits: QuestionLimits): Verdict {
  const documentA = loadSchema(a.schema, a.draft)
  const documentB = loadSchema(b.schema, b.draft)
  const budget = new Budget(limits)
  try {
    return new Question({ documents: [documentA, documentB], drafted: [a, b], budget }).answer()
  } catch (error) {
    if (error instanceof BudgetSpent)
      return unknown({ keyword: 'budget', pointer: '', reason: error.what })
    // The stack of the process is a budget too; nothing of the question survives.
    if (error instanceof RangeError)
      return unknown({
        keyword: 'budget',
        pointer: '',
        reason: 'the schemas or their values are nested too deeply',
      })
    throw error
  }
}

function unknown({ keyword, pointer, reason }: Doubt): Unknown {
  return { verdict: 'unknown', keyword, schemaPointer: pointer, reason }
}

interface Parts {
  readonly documents: readonly [Document, Document]
  readonly drafted: readonly [Drafted, Drafted]
  readonly budget: Budget
}

class Question {
  readonly #budget: Budget
  readonly #solver: Solver
  readonly #a: Side
  readonly #b: Side
  readonly #litA: Lit
  readonly #litB: Lit
  readonly #documentB: Document

  constructor({ documents: [documentA, documentB], drafted: [a, b], budget }: Parts) {
    const store = new Store()
    // What is remembered while references are still open must not outlive the compilation.
    const disjoint = new Disjointness(store, new Membership(store, budget), budget)
    const parts = { store, budget, disjoint }
    this.#budget = budget
    this.#documentB = documentB
    this.#litB = new Compiler(parts, documentB, 'b').root()
    this.#litA = new Compiler(parts, documentA, 'a').root()
    this.#solver = new Solver(store, budget)
    this.#a = { document: documentA, draft: a.draft, evaluator: new Evaluator(documentA, budget) }
    this.#b = { document: documentB, draft: b.draft, evaluator: new Evaluator(documentB, budget) }
  }

  answer(): Verdict {
    const result = this.#solver.inhabit([this.#litA, negate(this.#litB)])
    if (result.kind === 'empty') return { verdict: 'compatible' }
    if (result.kind === 'doubt') return unknown(result.doubt)
    return this.#shown(result.value)
  }

  /** The verdict for a value that the search has found, after both validators have judged it. */
  #shown(value: Json): Verdict {
    if (!provesBreak(this.#a, this.#b, value))
      return this.#disagreement(value, 'our own evaluator does not see the break')
    const small = shrink(value, (candidate) => provesBreak(this.#a, this.#b, candidate))
    const opinion = runtimeOpinion(this.#a, this.#b, small)
    if (opinion === 'whole') return this.#breaking(small)
    let opinions = 0
    let fallback = opinion === 'slice' ? small : undefined
    for (const candidate of opinion === undefined ? [] : this.#candidates(value)) {
      if (opinions >= opinionsMax) break
      if (!provesBreak(this.#a, this.#b, candidate)) continue
      opinions += 1
      const other = runtimeOpinion(this.#a, this.#b, candidate)
      if (other === 'whole') return this.#breaking(candidate)
      if (other === 'slice') fallback ??= candidate
    }
    if (fallback !== undefined) return this.#breaking(fallback)
    const who =
      opinion === undefined ? 'cannot compile one of the schemas' : 'does not see the break'
    return this.#disagreement(small, `the validator of the runtime ${who}`)
  }

  /** Other ways to break: as found, then one for each type of values and each part of `b`. */
  *#candidates(found: Json): Generator<Json> {
    yield found
    const { store } = this.#solver
    const node = store.node(this.#litB)
    const parts = node.kind === 'and' && !isNegative(this.#litB) ? node.lits : [this.#litB]
    let tries = 0
    for (const part of parts) {
      for (const type of typeBits) {
        if (tries >= retriesMax) return
        tries += 1
        const result: Result = this.#solver.inhabit([this.#litA, negate(part), store.type(type)])
        if (result.kind === 'value') yield result.value
      }
    }
  }

  #breaking(witness: Json): Breaking {
    const { root } = this.#documentB
    const location = locate(this.#b.evaluator, root, witness)
    if (location === undefined)
      return {
        verdict: 'breaking',
        witness,
        schemaPointer: '',
        instancePointer: '',
        reason: 'the value is refused',
      }
    return {
      verdict: 'breaking',
      witness,
      schemaPointer: schemaPointer(location, root),
      instancePointer: toPointer(location.path),
      reason: reasonOf(location),
    }
  }

  #disagreement(value: Json, who: string): Unknown {
    this.#budget.look()
    const shown = JSON.stringify(value)
    const text = shown.length > 200 ? `${shown.slice(0, 199)}…` : shown
    const location = locate(this.#b.evaluator, this.#documentB.root, value)
    const pointer = location === undefined ? '' : schemaPointer(location, this.#documentB.root)
    return unknown({
      keyword: location?.keyword ?? '',
      pointer,
      reason: `the validators disagree: ${who}: ${text}`,
    })
  }
}
