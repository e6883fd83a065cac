import type { Dice } from './dice.ts'
import type { Range, RegexNode } from './regex-tree.ts'
import { complement, RegexNotUnderstood, readRegex } from './regex-tree.ts'

/** What a text has to be, beside matching. Lengths in code points, as JSON Schema counts. */
export interface TextBounds {
  readonly min: number
  readonly max: number
}

const triesMax = 80
const lengthMax = 20_000

/** A matcher as the validator builds it: in Unicode mode where the pattern parses so. */
export function compilePattern(pattern: string): RegExp | undefined {
  for (const flags of ['u', '']) {
    try {
      return new RegExp(pattern, flags)
    } catch {
      // Tried again without Unicode mode; a pattern that is none at all matches nothing.
    }
  }
  return undefined
}

function pickFrom(ranges: readonly Range[], luck: Dice): string {
  const range = luck.pick(ranges)
  if (!range) throw new RegexNotUnderstood('an empty set')
  return String.fromCodePoint(luck.between(range[0], range[1]))
}

/** How eagerly repetitions repeat: 0 as little as allowed, 1 as much. */
function write(node: RegexNode, luck: Dice, eagerness: number): string {
  const groups = new Map<number, string>()
  const go = (part: RegexNode): string => {
    switch (part.kind) {
      case 'assertion':
        return ''
      case 'set':
        return pickFrom(part.negated ? complement(part.ranges) : part.ranges, luck)
      case 'sequence':
        return part.items.map(go).join('')
      case 'choice':
        return go(luck.pick(part.branches) as RegexNode)
      case 'back':
        return groups.get(part.index) ?? ''
      case 'group': {
        const text = go(part.item)
        groups.set(part.index, text)
        return text
      }
      case 'repeat': {
        const most = Math.min(part.max, part.min + lengthMax)
        const count = luck.between(part.min, part.min + Math.round((most - part.min) * eagerness))
        let text = ''
        for (let at = 0; at < count && text.length < lengthMax; at += 1) text += go(part.item)
        return text
      }
    }
  }
  return go(node)
}

const lengthOf = (text: string): number => [...text].length

/** Lengthens with letters and digits before, after, or both, which suits a pattern that is not anchored. */
function padded(text: string, bounds: TextBounds): string[] {
  const missing = bounds.min - lengthOf(text)
  if (missing <= 0) return [text]
  const filling = 'a'.repeat(missing)
  return [text + filling, filling + text, text + '0'.repeat(missing)]
}

/**
 * A text that matches every pattern and is as long as it must be; undefined when none was found.
 * It samples the first pattern that it understands and checks all of them, so what it returns is right.
 */
export function textMatching(
  patterns: readonly string[],
  bounds: TextBounds,
  luck: Dice,
): string | undefined {
  const matchers = patterns.map(compilePattern)
  if (matchers.some((matcher) => !matcher)) return undefined
  const fits = (text: string) =>
    lengthOf(text) >= bounds.min &&
    lengthOf(text) <= bounds.max &&
    matchers.every((matcher) => matcher?.test(text))
  for (const pattern of patterns) {
    const found = sample(pattern, bounds, { luck, fits })
    if (found !== undefined) return found
  }
  return search(fits, bounds, luck)
}

interface Search {
  readonly luck: Dice
  readonly fits: (text: string) => boolean
}

function sample(pattern: string, bounds: TextBounds, search: Search): string | undefined {
  let tree: RegexNode
  try {
    tree = readRegex(pattern)
  } catch (error) {
    if (error instanceof RegexNotUnderstood) return undefined
    throw error
  }
  for (let attempt = 0; attempt < triesMax; attempt += 1) {
    const eagerness = attempt < 8 ? 0.3 : (attempt % 11) / 10
    try {
      const found = padded(write(tree, search.luck, eagerness), bounds).find(search.fits)
      if (found !== undefined) return found
    } catch (error) {
      if (!(error instanceof RegexNotUnderstood)) throw error
    }
  }
  return undefined
}

const alphabets = ['abcdefghijklmnop', '0123456789', 'ABCDEFGHIJ', 'aA0-_.', 'abc def', '/a0:.']

/** For patterns that are not understood: plain texts of many kinds, in the hope that one fits. */
function search(
  fits: (text: string) => boolean,
  bounds: TextBounds,
  luck: Dice,
): string | undefined {
  for (let attempt = 0; attempt < 400; attempt += 1) {
    const alphabet = alphabets[attempt % alphabets.length] as string
    const length = luck.between(bounds.min, Math.min(bounds.max, bounds.min + (attempt % 24)))
    let text = ''
    for (let at = 0; at < length; at += 1) text += luck.pick([...alphabet])
    if (fits(text)) return text
  }
  return undefined
}
