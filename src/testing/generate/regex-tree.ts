/** A regular expression as a tree: what is needed to write a text that it matches. */
export type RegexNode =
  | { readonly kind: 'sequence'; readonly items: readonly RegexNode[] }
  | { readonly kind: 'choice'; readonly branches: readonly RegexNode[] }
  | {
      readonly kind: 'repeat'
      readonly item: RegexNode
      readonly min: number
      readonly max: number
    }
  /** Inclusive ranges of code points, outside of which it matches when `negated`. */
  | { readonly kind: 'set'; readonly ranges: readonly Range[]; readonly negated: boolean }
  | { readonly kind: 'group'; readonly index: number; readonly item: RegexNode }
  | { readonly kind: 'back'; readonly index: number }
  /** `^`, `$`, `\b` and lookarounds: matched by luck, and checked. */
  | { readonly kind: 'assertion' }
export type Range = readonly [number, number]

const code = (text: string): number => text.codePointAt(0) as number
const span = (from: string, to: string): Range => [code(from), code(to)]

const digit: readonly Range[] = [span('0', '9')]
const word: readonly Range[] = [span('a', 'z'), span('A', 'Z'), span('0', '9'), span('_', '_')]
const space: readonly Range[] = [span(' ', ' '), span('\t', '\t')]
const anySpace: readonly Range[] = [
  [9, 13],
  [32, 32],
  [160, 160],
]
const classes: Readonly<Record<string, { ranges: readonly Range[]; negated: boolean }>> = {
  d: { ranges: digit, negated: false },
  D: { ranges: digit, negated: true },
  w: { ranges: word, negated: false },
  W: { ranges: word, negated: true },
  s: { ranges: space, negated: false },
  S: { ranges: anySpace, negated: true },
}
const controls: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, v: 11, f: 12, 0: 0 }
/** Enough of the Unicode classes to write a member of each; the finished text is checked. */
const properties: Readonly<Record<string, readonly Range[]>> = {
  L: [span('a', 'z'), span('A', 'Z'), [0xe0, 0xf6]],
  Letter: [span('a', 'z'), span('A', 'Z'), [0xe0, 0xf6]],
  Lu: [span('A', 'Z')],
  Ll: [span('a', 'z')],
  N: digit,
  Nd: digit,
  P: [span('!', '#'), span(',', '/')],
  Z: [span(' ', ' ')],
  Zs: [span(' ', ' ')],
  S: [span('$', '$'), span('+', '+')],
}

/** What a pattern holds that is not understood; the caller then searches instead. */
export class RegexNotUnderstood extends Error {
  override readonly name = 'RegexNotUnderstood'
}

/** Most repetitions of `*` and `+`: longer texts prove nothing more. */
const repeatsOpen = 8

class RegexReader {
  readonly #text: string
  #at = 0
  #groups = 0

  constructor(text: string) {
    this.#text = text
  }

  read(): RegexNode {
    const node = this.#choice()
    if (this.#at < this.#text.length) throw new RegexNotUnderstood(this.#text)
    return node
  }

  #peek(): string {
    return this.#text[this.#at] ?? ''
  }

  #take(expected: string): boolean {
    if (!this.#text.startsWith(expected, this.#at)) return false
    this.#at += expected.length
    return true
  }

  #choice(): RegexNode {
    const branches = [this.#sequence()]
    while (this.#take('|')) branches.push(this.#sequence())
    return branches.length === 1 ? (branches[0] as RegexNode) : { kind: 'choice', branches }
  }

  #sequence(): RegexNode {
    const items: RegexNode[] = []
    while (this.#at < this.#text.length && this.#peek() !== '|' && this.#peek() !== ')') {
      items.push(this.#quantified(this.#atom()))
    }
    return { kind: 'sequence', items }
  }

  #quantified(item: RegexNode): RegexNode {
    const bounds = this.#bounds()
    if (!bounds) return item
    this.#take('?')
    return { kind: 'repeat', item, min: bounds[0], max: bounds[1] }
  }

  #bounds(): readonly [number, number] | undefined {
    if (this.#take('*')) return [0, repeatsOpen]
    if (this.#take('+')) return [1, repeatsOpen]
    if (this.#take('?')) return [0, 1]
    const match = /^\{(\d+)(,(\d*))?\}/.exec(this.#text.slice(this.#at))
    if (!match) return undefined
    this.#at += match[0].length
    const min = Number(match[1])
    if (match[2] === undefined) return [min, min]
    return [min, match[3] === '' ? min + repeatsOpen : Number(match[3])]
  }

  #atom(): RegexNode {
    if (this.#take('^') || this.#take('$')) return { kind: 'assertion' }
    if (this.#take('.')) return { kind: 'set', ranges: [...word, span('-', '-')], negated: false }
    if (this.#take('(')) return this.#group()
    if (this.#take('[')) return this.#set()
    if (this.#take('\\')) return this.#escape()
    return this.#literal()
  }

  #literal(): RegexNode {
    const point = this.#text.codePointAt(this.#at) as number
    this.#at += String.fromCodePoint(point).length
    return { kind: 'set', ranges: [[point, point]], negated: false }
  }

  #group(): RegexNode {
    const isLookaround = ['?=', '?!', '?<=', '?<!'].some((opening) => this.#take(opening))
    let index = 0
    if (!isLookaround && !this.#take('?:')) {
      this.#groups += 1
      index = this.#groups
      const name = /^\?<[^>]+>/.exec(this.#text.slice(this.#at))
      this.#at += name?.[0].length ?? 0
      if (this.#peek() === '?') throw new RegexNotUnderstood(this.#text)
    }
    const item = this.#choice()
    if (!this.#take(')')) throw new RegexNotUnderstood(this.#text)
    if (isLookaround) return { kind: 'assertion' }
    return index === 0 ? item : { kind: 'group', index, item }
  }

  #escape(): RegexNode {
    const back = /^[1-9]\d*/.exec(this.#text.slice(this.#at))
    if (back) {
      this.#at += back[0].length
      return { kind: 'back', index: Number(back[0]) }
    }
    if (this.#take('b') || this.#take('B')) return { kind: 'assertion' }
    const { ranges, negated } = this.#escapedSet()
    return { kind: 'set', ranges, negated }
  }

  #escapedSet(): { ranges: readonly Range[]; negated: boolean } {
    const letter = this.#peek()
    const known = classes[letter]
    const rest = this.#text.slice(this.#at)
    const match =
      /^u\{([0-9a-fA-F]+)\}|^u([0-9a-fA-F]{4})|^x([0-9a-fA-F]{2})|^[pP]\{(?:\w+=)?(\w+)\}/.exec(
        rest,
      )
    this.#at += match?.[0].length ?? 1
    if (known) return known
    if (match) {
      const hex = match[1] ?? match[2] ?? match[3]
      if (hex !== undefined) {
        const point = Number.parseInt(hex, 16)
        return { ranges: [[point, point]], negated: false }
      }
      const ranges = properties[match[4] as string]
      if (!ranges) throw new RegexNotUnderstood(this.#text)
      return { ranges, negated: letter === 'P' }
    }
    const point = controls[letter] ?? rest.codePointAt(0)
    if (point === undefined) throw new RegexNotUnderstood(this.#text)
    return { ranges: [[point, point]], negated: false }
  }

  #set(): RegexNode {
    const negated = this.#take('^')
    const ranges: Range[] = []
    while (!this.#take(']')) {
      if (this.#at >= this.#text.length) throw new RegexNotUnderstood(this.#text)
      const from = this.#member()
      const isRange = from.length === 1 && this.#peek() === '-' && this.#text[this.#at + 1] !== ']'
      if (!isRange) {
        ranges.push(...from)
        continue
      }
      this.#at += 1
      const [to] = this.#member()
      ranges.push([(from[0] as Range)[0], (to as Range)[1]])
    }
    return { kind: 'set', ranges, negated }
  }

  #member(): readonly Range[] {
    if (this.#take('\\')) {
      if (this.#take('b')) return [[8, 8]]
      const { ranges, negated } = this.#escapedSet()
      return negated ? complement(ranges) : ranges
    }
    const { ranges } = this.#literal() as Extract<RegexNode, { kind: 'set' }>
    return ranges
  }
}

/** The printable ASCII characters, and one letter beyond them, that are in none of the ranges. */
export function complement(ranges: readonly Range[]): readonly Range[] {
  const outside: Range[] = []
  for (const point of [...Array.from({ length: 95 }, (_, at) => at + 32), 0xe9]) {
    if (!ranges.some(([from, to]) => point >= from && point <= to)) outside.push([point, point])
  }
  return outside
}

/** @throws RegexNotUnderstood */
export function readRegex(pattern: string): RegexNode {
  return new RegexReader(pattern).read()
}
