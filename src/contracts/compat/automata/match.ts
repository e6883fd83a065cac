import { type Concatenation, JS } from 'refa'
import { Budget } from '../decide/budget.ts'
import { type Alphabet, alphabetOf } from './alphabet.ts'
import { Dfa, TooLarge } from './dfa.ts'
import { nfaOf } from './nfa.ts'
import { compileRegex } from './regex.ts'

/** Up to this length even an exponential search is over in no time. */
const shortText = 16
const cacheMax = 500
const riskyCache = new Map<string, boolean>()
const runners = new Map<string, { readonly dfa: Dfa; readonly alphabet: Alphabet } | null>()

/**
 * True when the pattern occurs in the text. Expressions on which a backtracking engine may need
 * exponential time run as automata when the text is long.
 *
 * @throws TypeError for a source that does not compile
 */
export function matches(source: string, text: string): boolean {
  const regex = compileRegex(source)
  if (regex === undefined) throw new TypeError(`not a regular expression: ${source}`)
  if (text.length <= shortText || !isRisky(source)) return regex.test(text)
  return byAutomaton(source, regex.flags, text) ?? regex.test(text)
}

/** True when a repetition holds another one, or a choice: what exponential backtracking needs. */
export function isRisky(source: string): boolean {
  const known = riskyCache.get(source)
  if (known !== undefined) return known
  if (riskyCache.size >= cacheMax) riskyCache.clear()
  const result = /\)[*+{]/.test(source) && parsesRisky(source)
  riskyCache.set(source, result)
  return result
}

function parsesRisky(source: string): boolean {
  try {
    const flags = compileRegex(source)?.flags ?? ''
    const { expression } = JS.Parser.fromLiteral({ source, flags }).parse({
      assertions: 'parse',
      backreferences: 'unknown',
    })
    return hasRepetition(expression.alternatives, false)
  } catch {
    return true
  }
}

function hasRepetition(alternatives: readonly Concatenation[], inside: boolean): boolean {
  if (inside && alternatives.length > 1) return true
  return alternatives.some(({ elements }) =>
    elements.some((element) => {
      if (!('alternatives' in element)) return false
      const repeats = element.type === 'Quantifier' && element.max > 1
      if (repeats && inside) return true
      return hasRepetition(element.alternatives, inside || repeats)
    }),
  )
}

function byAutomaton(source: string, flags: string, text: string): boolean | undefined {
  const runner = runnerOf(source, flags)
  if (runner === undefined) return undefined
  try {
    let state = runner.dfa.start
    for (const character of text) {
      const letter = runner.alphabet.classOf(character.codePointAt(0) as number)
      if (letter < 0) return undefined
      state = runner.dfa.step(state, letter)
    }
    return runner.dfa.accepts(state)
  } catch (error) {
    if (error instanceof TooLarge) return undefined
    throw error
  }
}

function runnerOf(
  source: string,
  flags: string,
): { readonly dfa: Dfa; readonly alphabet: Alphabet } | undefined {
  const key = `${flags}/${source}`
  const known = runners.get(key)
  if (known !== undefined) return known ?? undefined
  if (runners.size >= cacheMax) runners.clear()
  const runner = createRunner(source, flags)
  runners.set(key, runner ?? null)
  return runner
}

function createRunner(
  source: string,
  flags: string,
): { readonly dfa: Dfa; readonly alphabet: Alphabet } | undefined {
  const nfa = nfaOf({ source, flags })
  if (nfa === undefined) return undefined
  const alphabet = alphabetOf([nfa], [])
  try {
    // Linear in the text and capped in states: it needs no clock.
    const unlimited = { budgetMs: Number.POSITIVE_INFINITY, ticks: Number.POSITIVE_INFINITY }
    return { dfa: new Dfa(nfa, alphabet, new Budget(unlimited)), alphabet }
  } catch (error) {
    if (error instanceof TooLarge) return undefined
    throw error
  }
}
