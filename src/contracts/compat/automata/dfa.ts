import type { Budget } from '../decide/budget.ts'
import type { Alphabet } from './alphabet.ts'
import type { Guard, Nfa } from './nfa.ts'

/** Thrown inside the automata when one grows too large; the caller approximates. */
export class TooLarge extends Error {}

/**
 * A state of the nondeterministic automaton, with what must still come true for it to count:
 * lookaheads that have been promised (obligations), and whether the text must end here.
 */
interface Configuration {
  readonly state: number
  readonly ended: boolean
  readonly duties: readonly number[]
}

/** A lookahead under way: its machine, and where that stands. */
interface Duty {
  readonly machine: number
  readonly negate: boolean
  readonly set: number
}

interface Here {
  readonly behind: readonly number[]
  readonly atStart: boolean
}

interface State {
  readonly set: number
  /** Where the machine of each lookbehind stands. */
  readonly behind: readonly number[]
  readonly accepts: boolean
  readonly moves: Int32Array
}

const statesMax = 6_000
const DEAD = 0

/**
 * An expression determinised as far as somebody looks (subset construction, by need), lookarounds
 * included: a state is a set of configurations with their obligations. Search semantics: the
 * expression may match anywhere in the text.
 */
export class Dfa {
  readonly #nfa: Nfa
  readonly #inside: readonly Uint8Array[]
  readonly #budget: Budget
  readonly #classes: number
  readonly #keep: Uint8Array
  readonly #sets: Configuration[][] = [[]]
  readonly #setIds = new Map<string, number>([['', DEAD]])
  readonly #duties: Duty[] = []
  readonly #dutyIds = new Map<string, number>()
  readonly #states: State[] = []
  readonly #stateIds = new Map<string, number>()
  readonly start: number

  constructor(nfa: Nfa, alphabet: Alphabet, budget: Budget) {
    this.#nfa = nfa
    this.#inside = alphabet.inside.get(nfa) ?? []
    this.#classes = alphabet.representatives.length
    this.#budget = budget
    this.#keep = usefulStates(nfa)
    const behind: number[] = []
    for (const machine of nfa.behinds) behind.push(this.#begin(machine, { behind, atStart: true }))
    this.start = this.#state(this.#begin(0, { behind, atStart: true }), behind)
  }

  accepts(state: number): boolean {
    return (this.#states[state] as State).accepts
  }

  /** True when no continuation is accepted any more. */
  isDead(state: number): boolean {
    return (this.#states[state] as State).set === DEAD
  }

  /** True when every continuation is accepted. */
  isTotal(state: number): boolean {
    return this.#isTotal((this.#states[state] as State).set, 0)
  }

  /** The state after a character of this class. @throws TooLarge, BudgetSpent */
  step(state: number, letter: number): number {
    const from = this.#states[state] as State
    const known = from.moves[letter] as number
    if (known >= 0) return known
    const behind: number[] = []
    for (const [at, machine] of this.#nfa.behinds.entries()) {
      behind.push(
        this.#advance(from.behind[at] ?? DEAD, machine, letter, { behind, atStart: false }),
      )
    }
    const next = this.#state(this.#advance(from.set, 0, letter, { behind, atStart: false }), behind)
    from.moves[letter] = next
    return next
  }

  #state(set: number, behind: readonly number[]): number {
    const settled = set === DEAD || this.#isTotal(set, 0)
    const key = settled ? `${set}` : `${set}|${behind.join()}`
    const known = this.#stateIds.get(key)
    if (known !== undefined) return known
    if (this.#states.length >= statesMax) throw new TooLarge('too many states')
    const moves = new Int32Array(this.#classes).fill(settled ? this.#states.length : -1)
    this.#states.push({
      set,
      behind: settled ? [] : behind,
      accepts: this.#acceptsAtEnd(set, 0),
      moves,
    })
    this.#stateIds.set(key, this.#states.length - 1)
    return this.#states.length - 1
  }

  #begin(machine: number, here: Here): number {
    return this.#close(machine, [{ state: this.#start(machine), ended: false, duties: [] }], here)
  }

  #start(machine: number): number {
    return this.#nfa.machines[machine]?.start ?? 0
  }

  #final(machine: number): number {
    return this.#nfa.machines[machine]?.final ?? 0
  }

  /** A whole or a lookahead that has been found stays found; a lookbehind holds at its end only. */
  #isSticky(machine: number): boolean {
    return !this.#nfa.behinds.includes(machine)
  }

  #isTotal(set: number, machine: number): boolean {
    const found = this.#sets[set]?.[0]
    return (
      found !== undefined &&
      found.state === this.#final(machine) &&
      !found.ended &&
      found.duties.length === 0 &&
      this.#isSticky(machine)
    )
  }

  /** One character on. */
  #advance(set: number, machine: number, letter: number, here: Here): number {
    const seeds: Configuration[] = []
    const final = this.#final(machine)
    const sticky = this.#isSticky(machine)
    for (const { state, ended, duties } of this.#sets[set] as Configuration[]) {
      this.#budget.tick()
      if (ended) continue
      const targets = (this.#nfa.edges[state] ?? [])
        .filter((edge) => this.#inside[edge.set]?.[letter] === 1)
        .map((edge) => edge.to)
      if (sticky && state === final) targets.push(final)
      if (targets.length === 0) continue
      const left = this.#advanceDuties(duties, letter, here)
      if (left === undefined) continue
      for (const target of targets) seeds.push({ state: target, ended: false, duties: left })
    }
    return this.#close(machine, seeds, here)
  }

  /** The obligations after a character; undefined when one has failed. */
  #advanceDuties(
    duties: readonly number[],
    letter: number,
    here: Here,
  ): readonly number[] | undefined {
    if (duties.length === 0) return duties
    const left = new Set<number>()
    for (const id of duties) {
      const duty = this.#duties[id] as Duty
      const next = this.#promise(
        duty.machine,
        duty.negate,
        this.#advance(duty.set, duty.machine, letter, here),
      )
      if (next === false) return undefined
      if (next !== true) left.add(next)
    }
    return [...left].sort((a, b) => a - b)
  }

  /** An obligation as its id, or what it has come to. */
  #promise(machine: number, negate: boolean, set: number): number | boolean {
    if (this.#isTotal(set, machine)) return !negate
    if (set === DEAD) return negate
    const key = `${machine} ${negate} ${set}`
    const known = this.#dutyIds.get(key)
    if (known !== undefined) return known
    this.#dutyIds.set(key, this.#duties.length)
    return this.#duties.push({ machine, negate, set }) - 1
  }

  /** Follows edges without a character, as far as their guards allow at this position. */
  #close(machine: number, seeds: readonly Configuration[], here: Here): number {
    const seen = new Map<string, Configuration>()
    const stack = [...seeds]
    const final = this.#final(machine)
    const sticky = this.#isSticky(machine)
    for (let found = stack.pop(); found !== undefined; found = stack.pop()) {
      const key = `${found.state}${found.ended ? '!' : ''}:${found.duties.join()}`
      if (seen.has(key)) continue
      this.#budget.tick()
      if (sticky && found.state === final && !found.ended && found.duties.length === 0)
        return this.#intern([found])
      if (seen.size > statesMax) throw new TooLarge('too many configurations')
      seen.set(key, found)
      for (const { to, guard } of this.#nfa.empty[found.state] ?? []) {
        const next =
          guard === undefined ? { ...found, state: to } : this.#guarded(found, to, guard, here)
        if (next !== undefined) stack.push(next)
      }
    }
    return this.#intern(
      [...seen.values()].filter(
        ({ state, ended }) => state === final || (!ended && this.#keep[state] === 1),
      ),
    )
  }

  #guarded(from: Configuration, to: number, guard: Guard, here: Here): Configuration | undefined {
    if (guard.kind === 'start') return here.atStart ? { ...from, state: to } : undefined
    if (guard.kind === 'end') return { ...from, state: to, ended: true }
    if (guard.kind === 'behind') {
      const set = here.behind[this.#nfa.behinds.indexOf(guard.machine)] ?? DEAD
      const final = this.#final(guard.machine)
      const found = (this.#sets[set] as Configuration[]).some(({ state }) => state === final)
      return found === guard.negate ? undefined : { ...from, state: to }
    }
    const promise = this.#promise(guard.machine, guard.negate, this.#begin(guard.machine, here))
    if (typeof promise === 'boolean') return promise ? { ...from, state: to } : undefined
    const duties = from.duties.includes(promise)
      ? from.duties
      : [...from.duties, promise].sort((a, b) => a - b)
    return { ...from, state: to, duties }
  }

  #intern(found: readonly Configuration[]): number {
    const sorted = found.toSorted(
      (a, b) =>
        a.state - b.state || Number(a.ended) - Number(b.ended) || a.duties.length - b.duties.length,
    )
    const lean = sorted.filter(
      (one, at) => !sorted.slice(Math.max(0, at - 16), at).some((other) => covers(other, one)),
    )
    const key = lean
      .map(({ state, ended, duties }) => `${state}${ended ? '!' : ''}:${duties.join()}`)
      .join(' ')
    const known = this.#setIds.get(key)
    if (known !== undefined) return known
    if (this.#sets.length > statesMax * 4) throw new TooLarge('too many sets')
    this.#setIds.set(key, this.#sets.length)
    return this.#sets.push(lean) - 1
  }

  #acceptsAtEnd(set: number, machine: number): boolean {
    const final = this.#final(machine)
    return (this.#sets[set] as Configuration[]).some(
      ({ state, duties }) =>
        state === final &&
        duties.every((id) => {
          const duty = this.#duties[id] as Duty
          return this.#acceptsAtEnd(duty.set, duty.machine) !== duty.negate
        }),
    )
  }
}

/** True when whatever `b` accepts, `a` accepts too. */
function covers(a: Configuration, b: Configuration): boolean {
  return (
    a.state === b.state &&
    (!a.ended || b.ended) &&
    a.duties.every((duty) => b.duties.includes(duty))
  )
}

/** States from which an end can still be reached after a character: `^` is never passed again. */
function usefulStates(nfa: Nfa): Uint8Array {
  const finals = new Set(nfa.machines.map(({ final }) => final))
  const alive = new Uint8Array(nfa.empty.length)
  const back: number[][] = nfa.empty.map(() => [])
  for (const [from, links] of nfa.empty.entries())
    for (const { to, guard } of links) if (guard?.kind !== 'start') back[to]?.push(from)
  for (const [from, edges] of nfa.edges.entries()) for (const { to } of edges) back[to]?.push(from)
  const queue = [...finals]
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    if (alive[state] === 1) continue
    alive[state] = 1
    queue.push(...(back[state] as number[]))
  }
  return Uint8Array.from(nfa.edges, (edges) => (edges.some(({ to }) => alive[to] === 1) ? 1 : 0))
}
