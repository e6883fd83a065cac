import type { Budget } from '../decide/budget.ts'
import type { Language } from '../formats/standard.ts'
import { type Alphabet, alphabetOf } from './alphabet.ts'
import { Dfa, TooLarge } from './dfa.ts'
import { type Nfa, nfaOf } from './nfa.ts'

/** A text must be in all the languages (positive), or not in all of them. */
export interface Demand {
  readonly languages: readonly Language[]
  readonly positive: boolean
}

export interface Search {
  readonly demands: readonly Demand[]
  readonly minLength: number
  readonly maxLength: number
  /** Texts that do not count. */
  readonly excluded: ReadonlySet<string>
}

/** A shortest word, none (proved), or that it became too large to say. */
export type Found = { readonly word: string } | 'none' | 'too large'

interface Part {
  readonly dfas: readonly Dfa[]
  readonly positive: boolean
}

interface Visit {
  readonly states: readonly (readonly number[])[]
  /** Node of the trie of excluded words; -1 off it. */
  readonly trie: number
  readonly depth: number
  readonly up: Visit | undefined
  readonly letter: number
}

const tuplesMax = 20_000
const stepsMax = 400_000
const wordMax = 100_000

/** Expressions and alphabets of one question, kept between its searches. */
export class WordSearch {
  readonly #budget: Budget
  readonly #alphabets = new Map<string, { alphabet: Alphabet; dfas: Map<Nfa, Dfa> }>()

  constructor(budget: Budget) {
    this.#budget = budget
  }

  /** A shortest text that meets every demand (breadth-first search over tuples of states). @throws BudgetSpent */
  find(search: Search): Found {
    try {
      return this.#run(search)
    } catch (error) {
      if (error instanceof TooLarge) return 'too large'
      throw error
    }
  }

  #run(search: Search): Found {
    const nfas = search.demands.map(({ languages }) => languages.map(nfaOf))
    const flat = nfas.flat()
    if (flat.includes(undefined)) return 'too large'
    const key = `${search.demands.map(({ languages }) => languages.map(({ source, flags }) => `${flags}/${source}`).join('\u0000')).join('\u0001')}\u0002${[...search.excluded].join('\u0000')}`
    const known = this.#alphabets.get(key)
    const context = known ?? {
      alphabet: alphabetOf(flat as Nfa[], search.excluded),
      dfas: new Map<Nfa, Dfa>(),
    }
    if (known === undefined) this.#alphabets.set(key, context)
    const dfaOf = (nfa: Nfa): Dfa => {
      const dfa = context.dfas.get(nfa) ?? new Dfa(nfa, context.alphabet, this.#budget)
      context.dfas.set(nfa, dfa)
      return dfa
    }
    const parts = search.demands.map(
      ({ positive }, at): Part => ({ positive, dfas: (nfas[at] as Nfa[]).map(dfaOf) }),
    )
    return this.#breadthFirst(search, parts, context.alphabet)
  }

  #breadthFirst(search: Search, parts: readonly Part[], alphabet: Alphabet): Found {
    const trie = trieOf(search.excluded, alphabet)
    const letters = [...alphabet.representatives.keys()].sort(
      (a, b) => rank(alphabet, a) - rank(alphabet, b),
    )
    const first: Visit = {
      states: parts.map(({ dfas }) => dfas.map((dfa) => dfa.start)),
      trie: 0,
      depth: 0,
      up: undefined,
      letter: -1,
    }
    const seen = new Set<string>()
    const queue = [first]
    let steps = 0
    for (let at = 0; at < queue.length; at += 1) {
      const visit = queue[at] as Visit
      if (isLost(parts, visit)) continue
      if (visit.depth >= search.minLength && accepts(parts, visit) && !trie.ends.has(visit.trie))
        return { word: wordOf(visit, alphabet) }
      if (visit.depth >= search.maxLength) continue
      const padded = this.#pad(search, parts, visit, alphabet)
      if (padded !== undefined) return padded
      for (const letter of letters) {
        this.#budget.tick(2)
        steps += 1
        if (steps > stepsMax || queue.length > tuplesMax) return 'too large'
        const next = advance(parts, visit, letter, trie)
        const key = `${next.states.join('/')}:${next.trie}:${Math.min(next.depth, search.minLength)}`
        if (seen.has(key)) continue
        seen.add(key)
        queue.push(next)
      }
    }
    return 'none'
  }

  /** Where every continuation does, the rest of the length is filled up at once. */
  #pad(
    search: Search,
    parts: readonly Part[],
    visit: Visit,
    alphabet: Alphabet,
  ): Found | undefined {
    const missing = search.minLength - visit.depth
    if (missing <= 0 || visit.trie >= 0) return undefined
    const free = parts.every(({ dfas, positive }, at) => {
      const states = visit.states[at] as readonly number[]
      return positive
        ? dfas.every((dfa, i) => dfa.isTotal(states[i] as number))
        : dfas.some((dfa, i) => dfa.isDead(states[i] as number))
    })
    if (!free) return undefined
    if (missing > wordMax) return 'too large'
    return { word: wordOf(visit, alphabet) + 'a'.repeat(missing) }
  }
}

const order = 'abcxyzABC0123456789-_.:/@'
const rank = (alphabet: Alphabet, letter: number): number => {
  const character = alphabet.representatives[letter] as string
  const found = order.indexOf(character)
  return found >= 0 ? found : 1000 + (character.codePointAt(0) as number)
}

function isLost(parts: readonly Part[], visit: Visit): boolean {
  return parts.some(({ dfas, positive }, at) => {
    const states = visit.states[at] as readonly number[]
    return positive
      ? dfas.some((dfa, i) => dfa.isDead(states[i] as number))
      : dfas.every((dfa, i) => dfa.isTotal(states[i] as number))
  })
}

function accepts(parts: readonly Part[], visit: Visit): boolean {
  return parts.every(({ dfas, positive }, at) => {
    const states = visit.states[at] as readonly number[]
    return dfas.every((dfa, i) => dfa.accepts(states[i] as number)) === positive
  })
}

function advance(parts: readonly Part[], visit: Visit, letter: number, trie: Trie): Visit {
  const states = parts.map(({ dfas }, at) =>
    dfas.map((dfa, i) => dfa.step((visit.states[at] as readonly number[])[i] as number, letter)),
  )
  const next = visit.trie < 0 ? -1 : (trie.moves.get(visit.trie)?.get(letter) ?? -1)
  return { states, trie: next, depth: visit.depth + 1, up: visit, letter }
}

function wordOf(visit: Visit, alphabet: Alphabet): string {
  const letters: string[] = []
  for (let at: Visit | undefined = visit; at?.up !== undefined; at = at.up)
    letters.push(alphabet.representatives[at.letter] as string)
  return letters.reverse().join('')
}

interface Trie {
  readonly moves: Map<number, Map<number, number>>
  readonly ends: Set<number>
}

/** The excluded words as a tree of letters; each of their characters is a class by itself. */
function trieOf(words: ReadonlySet<string>, alphabet: Alphabet): Trie {
  const moves = new Map<number, Map<number, number>>()
  const ends = new Set<number>()
  let count = 1
  for (const word of words) {
    let at = 0
    for (const character of word) {
      const letter = alphabet.classOf(character.codePointAt(0) as number)
      const from = moves.get(at) ?? new Map<number, number>()
      moves.set(at, from)
      const next = from.get(letter) ?? count
      if (next === count) count += 1
      from.set(letter, next)
      at = next
    }
    ends.add(at)
  }
  return { moves, ends }
}
