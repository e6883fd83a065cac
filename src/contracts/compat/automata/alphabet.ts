import type { Nfa, Range } from './nfa.ts'

/**
 * The characters of one question, in classes that no expression in it tells apart (minterms). Half
 * of Unicode is then one letter, and the search branches over a handful of them.
 */
export interface Alphabet {
  /** One character for each class, the plainest. */
  readonly representatives: readonly string[]
  /** Expression, then set of it → 1 for each class that is inside. */
  readonly inside: ReadonlyMap<Nfa, readonly Uint8Array[]>
  /** Class of a character; -1 for surrogates. */
  classOf(codePoint: number): number
}

const plainest = 'ab0AB1-_. /@:x'
const lastCodePoint = 0x10ffff

/** The alphabet of some expressions and of the characters of some words. */
export function alphabetOf(nfas: readonly Nfa[], words: Iterable<string>): Alphabet {
  const sets: (readonly Range[])[] = nfas.flatMap((nfa) => nfa.sets)
  const characters = new Set<number>()
  for (const word of words)
    for (const character of word) characters.add(character.codePointAt(0) as number)
  const singles = [...characters].map((code): Range[] => [[code, code]])
  const borders = bordersOf([...sets, ...singles])
  const classes = partition(borders, [...sets, ...singles])
  const count = Math.max(-1, ...classes) + 1
  const classOf = (codePoint: number): number => classes[intervalOf(borders, codePoint)] ?? -1
  const inside = new Map<Nfa, Uint8Array[]>()
  for (const nfa of new Set(nfas))
    inside.set(
      nfa,
      nfa.sets.map((ranges) => classesInside(ranges, borders, classes, count)),
    )
  return { ...ordered(borders, classes, count, classOf), inside, classOf }
}

function bordersOf(sets: readonly (readonly Range[])[]): number[] {
  // Surrogates have borders of their own, so that they can be left out.
  const borders = new Set([0, 0xd800, 0xe000])
  for (const ranges of sets)
    for (const [from, to] of ranges) {
      borders.add(from)
      if (to < lastCodePoint) borders.add(to + 1)
    }
  return [...borders].sort((a, b) => a - b)
}

function intervalOf(borders: readonly number[], codePoint: number): number {
  let low = 0
  let high = borders.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((borders[middle] as number) <= codePoint) low = middle
    else high = middle - 1
  }
  return low
}

/** Splits the intervals by one set after the other; what was never split stays one class. */
function partition(borders: readonly number[], sets: readonly (readonly Range[])[]): number[] {
  let classes: number[] = borders.map((border) => (border >= 0xd800 && border < 0xe000 ? -1 : 0))
  for (const ranges of sets) {
    const marked = new Uint8Array(borders.length)
    for (const [from, to] of ranges) {
      for (
        let at = intervalOf(borders, from);
        at < borders.length && (borders[at] as number) <= to;
        at += 1
      )
        marked[at] = 1
    }
    const renamed = new Map<number, number>()
    classes = classes.map((old, at) => {
      if (old < 0) return -1
      const key = old * 2 + (marked[at] as number)
      const known = renamed.get(key)
      if (known !== undefined) return known
      renamed.set(key, renamed.size)
      return renamed.size - 1
    })
  }
  return classes
}

function classesInside(
  ranges: readonly Range[],
  borders: readonly number[],
  classes: readonly number[],
  count: number,
): Uint8Array {
  const inside = new Uint8Array(count)
  for (const [from, to] of ranges) {
    for (
      let at = intervalOf(borders, from);
      at < borders.length && (borders[at] as number) <= to;
      at += 1
    ) {
      const found = classes[at] as number
      if (found >= 0) inside[found] = 1
    }
  }
  return inside
}

function ordered(
  borders: readonly number[],
  classes: readonly number[],
  count: number,
  classOf: (code: number) => number,
): { representatives: string[] } {
  const representatives: string[] = new Array(count)
  for (const character of plainest)
    representatives[classOf(character.codePointAt(0) as number)] ??= character
  const visible = [...classes.keys()].sort(
    (a, b) =>
      Number((borders[a] as number) < 0x20) - Number((borders[b] as number) < 0x20) || a - b,
  )
  for (const at of visible) {
    const found = classes[at] as number
    if (found >= 0) representatives[found] ??= String.fromCodePoint(printable(borders, at))
  }
  return { representatives }
}

/** A letter of the interval rather than its first character, which may be a control character. */
function printable(borders: readonly number[], at: number): number {
  const from = borders[at] as number
  const to = (borders[at + 1] ?? lastCodePoint + 1) - 1
  for (const wished of [0x61, 0x41, 0x30, 0x21]) if (from <= wished && wished <= to) return wished
  return Math.max(from, Math.min(to, 0x21))
}
