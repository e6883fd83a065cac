import { systemClock } from '../../../core/clock.ts'

/** Thrown inside one question only, when its budget is spent; never leaves this folder. */
export class BudgetSpent extends Error {
  readonly what: string

  constructor(what: string) {
    super(what)
    this.what = what
  }
}

/** What one question may cost. */
export interface BudgetOptions {
  /** Wall time in milliseconds, from now. */
  readonly budgetMs: number
  /** Steps of the search. */
  readonly ticks: number
  readonly signal?: AbortSignal | undefined
  /** Milliseconds from an arbitrary start. */
  readonly monotonic?: () => number
}

/**
 * One allowance for everything that answering takes: search, automata, evaluation. Whoever loops
 * asks it; when it is spent the question is answered with `unknown`.
 */
export class Budget {
  readonly #deadline: number
  readonly #ampleUntil: number
  readonly #ampleTicks: number
  readonly #monotonic: () => number
  readonly #signal: AbortSignal | undefined
  #ticks: number
  #sinceLook = 0

  constructor({ budgetMs, ticks, signal, monotonic = systemClock.monotonic }: BudgetOptions) {
    this.#monotonic = monotonic
    const now = monotonic()
    this.#deadline = now + budgetMs
    this.#ampleUntil = now + budgetMs / 10
    this.#ampleTicks = ticks * 0.9
    this.#ticks = ticks
    this.#signal = signal
  }

  /** Counts cheap work, of which `cost` units make little; looks at the clock now and then. @throws BudgetSpent */
  tick(cost = 1): void {
    this.#sinceLook += cost
    if (this.#sinceLook < 256) return
    this.#sinceLook = 0
    this.look()
  }

  /** Counts one step of the search. @throws BudgetSpent */
  step(): void {
    this.#ticks -= 1
    if (this.#ticks <= 0) throw new BudgetSpent('the budget of steps is spent')
    this.tick(16)
  }

  /** True while hardly anything is spent: there is room for what is nice to have. */
  get isAmple(): boolean {
    return this.#ticks > this.#ampleTicks && this.#monotonic() < this.#ampleUntil
  }

  /** Looks at the clock and the signal. @throws BudgetSpent */
  look(): void {
    if (this.#signal?.aborted === true) throw new BudgetSpent('the question was cancelled')
    if (this.#monotonic() > this.#deadline) throw new BudgetSpent('the time budget is spent')
  }
}
