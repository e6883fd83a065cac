import { type Concatenation, type Element, type Expression, JS } from 'refa'
import type { Language } from '../formats/standard.ts'

/** What must hold at a position for an edge without a character to be taken. */
export type Guard =
  | { readonly kind: 'start' }
  | { readonly kind: 'end' }
  | { readonly kind: 'ahead'; readonly machine: number; readonly negate: boolean }
  | { readonly kind: 'behind'; readonly machine: number; readonly negate: boolean }

export type Range = readonly [from: number, to: number]

/** A part of an expression that runs by itself: the whole, or what a lookaround looks for. */
export interface Machine {
  readonly start: number
  readonly final: number
}

/** A nondeterministic automaton (Thompson's construction) whose empty edges may be guarded. */
export interface Nfa {
  readonly empty: readonly (readonly { readonly to: number; readonly guard: Guard | undefined }[])[]
  readonly edges: readonly (readonly { readonly set: number; readonly to: number }[])[]
  /** Sets of code points that edges are labelled with. */
  readonly sets: readonly (readonly Range[])[]
  /** The whole is machine 0. */
  readonly machines: readonly Machine[]
  /** Machines of lookbehinds, inner before outer. */
  readonly behinds: readonly number[]
}

const statesMax = 12_000
const cache = new Map<string, Nfa | null>()
const cacheMax = 1_000

/**
 * The automaton of an expression; undefined where it is too large, does not parse, or has what no
 * automaton says (a backreference to many words, a lookahead inside a lookbehind).
 */
export function nfaOf(language: Language): Nfa | undefined {
  const key = `${language.flags}/${language.source}`
  const known = cache.get(key)
  if (known !== undefined) return known ?? undefined
  const nfa = build(language)
  if (cache.size >= cacheMax) cache.clear()
  cache.set(key, nfa ?? null)
  return nfa
}

function build({ source, flags }: Language): Nfa | undefined {
  try {
    const { expression } = JS.Parser.fromLiteral({ source, flags }).parse({
      assertions: 'parse',
      backreferences: 'unknown',
      maxNodes: statesMax,
    })
    // Estimated before it is built: nested repetitions multiply.
    return expressionSize(expression.alternatives) > statesMax
      ? undefined
      : new Builder().build(expression)
  } catch {
    // It does not parse, or says more than an automaton can: the caller approximates.
    return undefined
  }
}

function expressionSize(alternatives: readonly Concatenation[]): number {
  let sum = 2
  for (const { elements } of alternatives)
    for (const element of elements) sum += elementSize(element)
  return sum
}

function elementSize(element: Element): number {
  if (!('alternatives' in element)) return 2
  const inner = expressionSize(element.alternatives)
  if (element.type !== 'Quantifier') return inner
  return (
    inner * Math.max(1, element.max === Number.POSITIVE_INFINITY ? element.min + 1 : element.max)
  )
}

class Builder {
  readonly #empty: { to: number; guard: Guard | undefined }[][] = []
  readonly #edges: { set: number; to: number }[][] = []
  readonly #sets: Range[][] = []
  readonly #setIds = new Map<string, number>()
  readonly #machines: Machine[] = []
  readonly #behinds: number[] = []
  #insideBehind = false

  build(expression: Expression): Nfa {
    const start = this.#state()
    const final = this.#state()
    this.#machines.push({ start, final })
    this.#search(start)
    this.#alternatives(expression.alternatives, start, final)
    return {
      empty: this.#empty,
      edges: this.#edges,
      sets: this.#sets,
      machines: this.#machines,
      behinds: this.#behinds,
    }
  }

  #state(): number {
    if (this.#empty.length >= statesMax) throw new RangeError('too many states')
    this.#edges.push([])
    return this.#empty.push([]) - 1
  }

  /** A search may begin anywhere: the state waits on any character. */
  #search(state: number): void {
    this.#edges[state]?.push({ set: this.#set([[0, 0x10ffff]]), to: state })
  }

  #set(ranges: Range[]): number {
    const key = ranges.join(';')
    const known = this.#setIds.get(key)
    if (known !== undefined) return known
    const id = this.#sets.push(ranges) - 1
    this.#setIds.set(key, id)
    return id
  }

  #link(from: number, to: number, guard?: Guard): void {
    this.#empty[from]?.push({ to, guard })
  }

  #alternatives(alternatives: readonly Concatenation[], from: number, to: number): void {
    for (const { elements } of alternatives) {
      // A fresh state first: an element may loop back to where it began.
      let at = this.#state()
      this.#link(from, at)
      for (const element of elements) at = this.#element(element, at)
      this.#link(at, to)
    }
  }

  #element(element: Element, from: number): number {
    switch (element.type) {
      case 'CharacterClass': {
        const to = this.#state()
        const ranges = element.characters.ranges.map(
          ({ min, max }): Range => [
            min,
            max >= 0xffff && element.characters.maximum === 0xffff ? 0x10ffff : max,
          ],
        )
        this.#edges[from]?.push({ set: this.#set(ranges), to })
        return to
      }
      case 'Alternation': {
        const to = this.#state()
        this.#alternatives(element.alternatives, from, to)
        return to
      }
      case 'Quantifier':
        return this.#repeat(element, from)
      case 'Assertion': {
        const to = this.#state()
        this.#link(from, to, this.#guard(element))
        return to
      }
      default:
        throw new RangeError('a backreference to many words')
    }
  }

  #repeat(element: Element & { type: 'Quantifier' }, from: number): number {
    let at = from
    for (let count = 0; count < element.min; count += 1) {
      const to = this.#state()
      this.#alternatives(element.alternatives, at, to)
      at = to
    }
    const end = this.#state()
    if (element.max === Number.POSITIVE_INFINITY) {
      const loop = this.#state()
      this.#link(at, loop)
      this.#alternatives(element.alternatives, loop, loop)
      this.#link(loop, end)
      return end
    }
    for (let count = element.min; count < element.max; count += 1) {
      const to = this.#state()
      this.#link(at, end)
      this.#alternatives(element.alternatives, at, to)
      at = to
    }
    this.#link(at, end)
    return end
  }

  #guard(element: Element & { type: 'Assertion' }): Guard {
    if (element.kind === 'ahead' && this.#insideBehind)
      throw new RangeError('a lookahead inside a lookbehind')
    if (element.negate && isAnyCharacter(element.alternatives))
      return { kind: element.kind === 'ahead' ? 'end' : 'start' }
    const outer = this.#insideBehind
    if (element.kind === 'behind') this.#insideBehind = true
    const start = this.#state()
    const final = this.#state()
    if (element.kind === 'behind') this.#search(start)
    this.#alternatives(element.alternatives, start, final)
    this.#insideBehind = outer
    const machine = this.#machines.push({ start, final }) - 1
    if (element.kind === 'behind') this.#behinds.push(machine)
    return { kind: element.kind, machine, negate: element.negate }
  }
}

/** `(?!any)` is the end and `(?<!any)` the start of the text. */
function isAnyCharacter(alternatives: readonly Concatenation[]): boolean {
  const only = alternatives.length === 1 ? alternatives[0]?.elements : undefined
  const element = only?.length === 1 ? only[0] : undefined
  return element?.type === 'CharacterClass' && element.characters.isAll
}
