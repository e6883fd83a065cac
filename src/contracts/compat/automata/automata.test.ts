import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Budget } from '../decide/budget.ts'
import { standardFormats } from '../formats/standard.ts'
import { alphabetOf } from './alphabet.ts'
import { Dfa, TooLarge } from './dfa.ts'
import { isRisky, matches } from './match.ts'
import { nfaOf } from './nfa.ts'
import { WordSearch } from './search.ts'

const budget = () => new Budget({ budgetMs: 60_000, ticks: 1e9 })

/** Every text over four letters, up to four of them. */
const words: string[] = ['']
for (let at = 0; words.length < 341; at += 1)
  for (const letter of 'ab-0') words.push((words[at] as string) + letter)

const expressions = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    ...['a', 'b', '[ab]', '[^a]', '.', '\\w', '\\d', '-', '^', '$', '\\b', '\\B', ''].map((leaf) =>
      fc.constant(leaf),
    ),
    fc.tuple(tie('tree'), tie('tree')).map(([x, y]) => x + y),
    fc.tuple(tie('tree'), tie('tree')).map(([x, y]) => `(?:${x}|${y})`),
    fc
      .tuple(tie('tree'), fc.integer({ min: 0, max: 6 }))
      .map(([x, at]) => `(?:${x})${['*', '+', '?', '{2}', '{1,2}', '{0,3}', '*?'][at]}`),
    fc
      .tuple(tie('tree'), fc.integer({ min: 0, max: 3 }))
      .map(([x, at]) => `(${['?=', '?!', '?<=', '?<!'][at]}${x})`),
  ),
})).tree

/** Whether the automaton accepts each word; undefined where there is no automaton. */
function verdicts(source: string): boolean[] | undefined {
  const nfa = nfaOf({ source, flags: 'u' })
  if (nfa === undefined) return undefined
  const alphabet = alphabetOf([nfa], ['ab-0'])
  try {
    const dfa = new Dfa(nfa, alphabet, budget())
    return words.map((word) => {
      let state = dfa.start
      for (const character of word)
        state = dfa.step(state, alphabet.classOf(character.codePointAt(0) as number))
      return dfa.accepts(state)
    })
  } catch (error) {
    if (error instanceof TooLarge) return undefined
    throw error
  }
}

describe('automata', () => {
  test('an automaton accepts what the expression matches, lookarounds included', () => {
    fc.assert(
      fc.property(expressions, (source) => {
        const found = verdicts(source)
        if (found === undefined) return
        const regex = new RegExp(source, 'u')
        expect(words.filter((_, at) => found[at])).toEqual(words.filter((word) => regex.test(word)))
      }),
      { numRuns: 1_500 },
    )
  })

  test('a search gives a shortest word, or proves that there is none', () => {
    const search = new WordSearch(budget())
    fc.assert(
      fc.property(expressions, expressions, (one, other) => {
        const demands = [one, other].map((source, at) => ({
          languages: [{ source, flags: 'u' }],
          positive: at === 0,
        }))
        const result = search.find({
          demands,
          minLength: 0,
          maxLength: Number.POSITIVE_INFINITY,
          excluded: new Set(),
        })
        const known = words.find(
          (word) => new RegExp(one, 'u').test(word) && !new RegExp(other, 'u').test(word),
        )
        if (result === 'too large') return
        if (result === 'none') expect(known).toBeUndefined()
        else {
          expect(
            new RegExp(one, 'u').test(result.word) && !new RegExp(other, 'u').test(result.word),
          ).toBe(true)
          if (known !== undefined) expect(result.word.length).toBeLessThanOrEqual(known.length)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('lengths and excluded words are respected', () => {
    const search = new WordSearch(budget())
    const demands = [{ languages: [{ source: '^[ab]*$', flags: 'u' }], positive: true }]
    const find = (minLength: number, maxLength: number, excluded: string[]) =>
      search.find({ demands, minLength, maxLength, excluded: new Set(excluded) })
    expect(find(2, 2, ['aa', 'ab'])).toEqual({ word: 'ba' })
    expect(find(1, 1, ['a', 'b'])).toBe('none')
    expect(find(3, 3, [])).toEqual({ word: 'aaa' })
  })
})

describe('formats', () => {
  const alphabet = fc.string({
    unit: fc.oneof(
      ...'0123456789abcdefTZz:+-./@%~#"[]PYMDW {}'.split('').map((letter) => fc.constant(letter)),
    ),
    maxLength: 24,
  })
  const nearly = fc.oneof(
    alphabet,
    ...[...standardFormats.values()]
      .flatMap(({ samples }) => samples)
      .map((sample) =>
        fc
          .tuple(fc.integer({ min: 0, max: 40 }), alphabet)
          .map(([at, extra]) => sample.slice(0, at) + extra.slice(0, 2) + sample.slice(at + 1)),
      ),
  )

  test.each([...standardFormats.values()].map((format) => [format.name, format] as const))(
    '%s lies between its languages',
    (_, format) => {
      const inside = (languages: typeof format.over, word: string) =>
        languages.every(({ source, flags }) => new RegExp(source, flags).test(word))
      for (const sample of format.samples) expect(format.test(sample)).toBe(true)
      fc.assert(
        fc.property(nearly, (word) => {
          if (format.test(word)) expect(inside(format.over, word)).toBe(true)
          else if (format.under !== undefined) expect(inside(format.under, word)).toBe(false)
        }),
        { numRuns: 400 },
      )
    },
  )

  test('every format has an automaton', () => {
    for (const { over, under } of standardFormats.values())
      for (const language of [...over, ...(under ?? [])]) expect(nfaOf(language)).toBeDefined()
  })
})

describe('matching', () => {
  test('a pattern that would backtrack for years answers at once', () => {
    expect(isRisky('^(a+)+$')).toBe(true)
    expect(isRisky('^[a-z]+$')).toBe(false)
    expect(matches('^(a+)+$', `${'a'.repeat(5_000)}!`)).toBe(false)
    expect(matches('^(a+)+$', 'a'.repeat(5_000))).toBe(true)
  })
})
