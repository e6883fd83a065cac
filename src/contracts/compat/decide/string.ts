import { matches } from '../automata/match.ts'
import { compileRegex } from '../automata/regex.ts'
import type { Demand, Found, WordSearch } from '../automata/search.ts'
import { type Language, standardFormats } from '../formats/standard.ts'
import { codePoints } from '../formula/canonical.ts'
import type { Budget } from './budget.ts'
import { EMPTY, found, type Inhabiting, type Result, type Signed } from './result.ts'

/** A predicate on texts between two languages: under ⊆ test ⊆ over. */
interface Predicate {
  readonly positive: boolean
  readonly test: (text: string) => boolean
  readonly over: readonly Language[]
  readonly under: readonly Language[] | undefined
  readonly samples: readonly string[]
  readonly signed: Signed
}

const wordMax = 200_000
const attempts = 6

/** A text that satisfies the atoms and is not excluded: a shortest one. */
export function solveString(
  context: Inhabiting & { readonly budget: Budget; readonly words: WordSearch },
  atoms: readonly Signed[],
  excluded: ReadonlySet<string>,
): Result {
  const { min, max } = lengths(atoms)
  if (min > max) return EMPTY
  const predicates = atoms.flatMap(predicateOf)
  if (predicates.length === 0)
    return (
      plainText({ min, max }, excluded) ??
      context.doubt(atoms[0]?.lit, 'a text of this length is too long to show')
    )
  const holds = (word: string): boolean => {
    const length = codePoints(word)
    return (
      length >= min &&
      length <= max &&
      !excluded.has(word) &&
      predicates.every(({ test, positive }) => test(word) === positive)
    )
  }
  for (const { positive, samples } of predicates) {
    const sample = positive ? samples.find(holds) : undefined
    if (sample !== undefined) return found(sample)
  }
  return searched(context, { predicates, min, max, excluded, holds })
}

interface Question {
  readonly predicates: readonly Predicate[]
  readonly min: number
  readonly max: number
  readonly excluded: ReadonlySet<string>
  readonly holds: (word: string) => boolean
}

/**
 * A proof needs the languages too wide on the positive side and too narrow on the negative one; a
 * word needs only to be checked.
 */
function searched(
  context: Inhabiting & { readonly words: WordSearch },
  question: Question,
): Result {
  const { predicates, min, max, holds } = question
  const excluded = new Set(question.excluded)
  const blame = predicates.find(({ over, under }) => over !== under) ?? (predicates[0] as Predicate)
  const wide = predicates.flatMap(({ positive, over, under }): Demand[] => {
    if (positive) return over.length === 0 ? [] : [{ languages: over, positive }]
    return under === undefined ? [] : [{ languages: under, positive }]
  })
  const search = (demands: readonly Demand[]) =>
    context.words.find({ demands, minLength: min, maxLength: max, excluded })
  const first = search(wide)
  if (first === 'none') return EMPTY
  if (first !== 'too large' && holds(first.word)) return found(first.word)
  if (
    predicates.every(({ positive, over, under }) =>
      positive ? under !== undefined : over.length > 0,
    )
  ) {
    const narrow = predicates.map(
      ({ positive, over, under }): Demand => ({
        languages: positive ? (under ?? []) : over,
        positive,
      }),
    )
    const word = search(narrow)
    if (typeof word === 'object' && holds(word.word)) return found(word.word)
  }
  let last: Found = first
  for (let attempt = 0; attempt < attempts && typeof last === 'object'; attempt += 1) {
    excluded.add(last.word)
    last = search(wide)
    if (last === 'none') return EMPTY
    if (typeof last === 'object' && holds(last.word)) return found(last.word)
  }
  return (
    guess(question) ??
    context.doubt(
      blame.signed.lit,
      last === 'too large'
        ? 'the expressions are too large for the budget of automata'
        : 'the expressions are approximated, and no text decides',
    )
  )
}

/** A few plain texts, for expressions that no automaton says. */
function guess({ predicates, holds, min }: Question): Result | undefined {
  const samples = predicates.flatMap(({ samples }) => samples)
  const plain = [
    '',
    'a',
    'A',
    '0',
    ' ',
    'ab',
    'aa',
    'Aa0',
    'a b',
    '-',
    '_',
    '/',
    '.',
    'aA0-',
    'aaaa',
    '0000',
    'Aa0!aaaa',
    '😀',
    'é',
  ]
  const padded = plain.map((text) =>
    text === '' ? '' : text.repeat(Math.min(1000, Math.ceil(min / text.length)) || 1),
  )
  const word = [...samples, ...plain, ...padded].find(holds)
  return word === undefined ? undefined : found(word)
}

function lengths(atoms: readonly Signed[]): { min: number; max: number } {
  let min = 0
  let max = Number.POSITIVE_INFINITY
  for (const { atom, negative } of atoms) {
    if (atom.op === 'minL') {
      if (negative) max = Math.min(max, atom.n - 1)
      else min = Math.max(min, atom.n)
    } else if (atom.op === 'maxL') {
      if (negative) min = Math.max(min, atom.n + 1)
      else max = Math.min(max, atom.n)
    }
  }
  return { min, max }
}

function predicateOf(entry: Signed): Predicate[] {
  const { atom, negative } = entry
  const positive = !negative
  if (atom.op === 'pat') {
    const regex = compileRegex(atom.source)
    const languages = [{ source: atom.source, flags: regex?.flags ?? '' }]
    return [
      {
        positive,
        test: (text) => matches(atom.source, text),
        over: languages,
        under: languages,
        samples: [],
        signed: entry,
      },
    ]
  }
  const format = atom.op === 'fmt' ? standardFormats.get(atom.name) : undefined
  return format === undefined
    ? []
    : [
        {
          positive,
          test: format.test,
          over: format.over,
          under: format.under,
          samples: format.samples,
          signed: entry,
        },
      ]
}

/** The first of a, b, …, z, aa, ab, … of enough length that is not excluded. Undefined: too long. */
function plainText(
  { min, max }: { min: number; max: number },
  excluded: ReadonlySet<string>,
): Result | undefined {
  if (min === 0 && !excluded.has('')) return found('')
  if (max === 0) return EMPTY
  if (min > wordMax) return undefined
  for (let count = 0; count <= excluded.size; count += 1) {
    const word = letters(count, Math.max(1, min), max)
    if (word === undefined) return undefined
    if (!excluded.has(word)) return found(word)
  }
  return undefined
}

/** The word of this number, in letters; longer where the length runs out, in Han characters where it may not grow. */
export function letters(count: number, length: number, max: number): string | undefined {
  let rest = count
  let size = length
  while (size < 8 && size < max && rest >= 26 ** size) {
    rest -= 26 ** size
    size += 1
  }
  if (size >= 8 || rest < 26 ** size) {
    const tail: string[] = []
    for (let at = 0; at < Math.min(size, 8); at += 1) {
      tail.push(String.fromCharCode(97 + (rest % 26)))
      rest = Math.floor(rest / 26)
    }
    return 'a'.repeat(Math.max(0, size - 8)) + tail.reverse().join('')
  }
  const code = 0x4e00 + rest - 26 ** size
  return code > 0x9fff ? undefined : 'a'.repeat(size - 1) + String.fromCodePoint(code)
}
