import { type CharSet, type Concatenation, type Element, JS } from 'refa'

/** Repetitions of up to so many rounds are written out; longer ones are looked at as endless. */
const unrolledMax = 9
/** Most steps of one analysis: a pattern that needs more is taken as exponential. */
const stepsMax = 1_000_000

/** How often a place can be come to: 0, 1, or 2 for more than once. */
type Ways = Map<number, number>

/** What a part of an expression begins and ends with, and in how many ways it matches nothing (at most 2 are told apart). */
interface Part {
  readonly first: Ways
  readonly last: Ways
  readonly empty: number
}

const capped = (count: number) => Math.min(2, count)
const nothing: Part = { first: new Map(), last: new Map(), empty: 1 }

function add(into: Ways, from: Ways, times: number): void {
  if (times === 0) return
  for (const [position, ways] of from) {
    into.set(position, capped((into.get(position) ?? 0) + ways * times))
  }
}

/** The position automaton of an expression (Glushkov's), which also counts the ways from one position to the next. */
class Positions {
  readonly characters: CharSet[] = []
  readonly follow: Ways[] = []
  /** Many rounds are asked for, and each may be empty: then any of them can be the empty one. */
  hasEmptyRounds = false

  choice(alternatives: readonly Concatenation[]): Part {
    const first: Ways = new Map()
    const last: Ways = new Map()
    let empty = 0
    for (const { elements } of alternatives) {
      const part = this.#sequence(elements.map((element) => () => this.#element(element)))
      add(first, part.first, 1)
      add(last, part.last, 1)
      empty = capped(empty + part.empty)
    }
    return { first, last, empty }
  }

  #sequence(makers: readonly (() => Part)[]): Part {
    let whole = nothing
    for (const make of makers) {
      const next = make()
      this.#connect(whole.last, next.first)
      const first: Ways = new Map(whole.first)
      add(first, next.first, whole.empty)
      const last: Ways = new Map(next.last)
      add(last, whole.last, next.empty)
      whole = { first, last, empty: capped(whole.empty * next.empty) }
    }
    return whole
  }

  #connect(from: Ways, to: Ways): void {
    for (const [position, ways] of from) add(this.follow[position] as Ways, to, ways)
  }

  #element(element: Element): Part {
    if (element.type === 'CharacterClass') {
      const position = this.characters.push(element.characters) - 1
      this.follow.push(new Map())
      return { first: new Map([[position, 1]]), last: new Map([[position, 1]]), empty: 0 }
    }
    if (element.type === 'Alternation') return this.choice(element.alternatives)
    if (element.type === 'Quantifier') return this.#repeated(element)
    // Assertions consume nothing; what they forbid is not looked at.
    return nothing
  }

  #repeated({ alternatives, min, max }: Element & { type: 'Quantifier' }): Part {
    const once = () => this.choice(alternatives)
    const optional = () => {
      const part = once()
      return { ...part, empty: capped(part.empty + 1) }
    }
    const endless = () => {
      const part = once()
      this.#connect(part.last, part.first)
      return { ...part, empty: 1 }
    }
    if (min > unrolledMax && once().empty > 0) this.hasEmptyRounds = true
    if (max > unrolledMax) return this.#sequence(min > 0 ? [once, endless] : [endless])
    return this.#sequence(Array.from({ length: max }, (_, at) => (at < min ? once : optional)))
  }
}

interface PairEdge {
  readonly to: number
  readonly diverges: boolean
}

/** The pairs of positions that two readings of one text can be at. Undefined when there are too many. */
function pairGraph({ characters, follow }: Positions): Map<number, PairEdge[]> | undefined {
  const size = characters.length
  const graph = new Map<number, PairEdge[]>()
  const open = characters.map((_, position) => position * size + position)
  let steps = 0
  for (let pair = open.pop(); pair !== undefined; pair = open.pop()) {
    if (graph.has(pair)) continue
    const [left, right] = [Math.floor(pair / size), pair % size]
    const edges: PairEdge[] = []
    for (const [nextLeft, ways] of follow[left] as Ways) {
      for (const nextRight of (follow[right] as Ways).keys()) {
        steps += 1
        if (steps > stepsMax) return undefined
        if ((characters[nextLeft] as CharSet).isDisjointWith(characters[nextRight] as CharSet)) {
          continue
        }
        const to = nextLeft * size + nextRight
        const isSame = left === right && nextLeft === nextRight
        edges.push({ to, diverges: isSame && ways > 1 })
        open.push(to)
      }
    }
    graph.set(pair, edges)
  }
  return graph
}

/** The strongly connected component of each node, by Tarjan's algorithm without recursion. */
function components(graph: ReadonlyMap<number, readonly PairEdge[]>): Map<number, number> {
  const order = new Map<number, number>()
  const low = new Map<number, number>()
  const component = new Map<number, number>()
  const stack: number[] = []
  for (const root of graph.keys()) {
    const path = order.has(root) ? [] : [{ node: root, at: 0 }]
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const { node } = top
      if (top.at === 0 && !order.has(node)) {
        order.set(node, order.size)
        low.set(node, order.size - 1)
        stack.push(node)
      }
      const edge = graph.get(node)?.[top.at]
      top.at += 1
      if (edge !== undefined) {
        if (!order.has(edge.to)) path.push({ node: edge.to, at: 0 })
        else if (!component.has(edge.to)) lower(low, node, order.get(edge.to) as number)
        continue
      }
      path.pop()
      const parent = path.at(-1)
      if (parent) lower(low, parent.node, low.get(node) as number)
      if (low.get(node) !== order.get(node)) continue
      for (let member = stack.pop(); member !== undefined; member = stack.pop()) {
        component.set(member, node)
        if (member === node) break
      }
    }
  }
  return component
}

function lower(low: Map<number, number>, node: number, value: number): void {
  if (value < (low.get(node) as number)) low.set(node, value)
}

/**
 * True when a text exists that the pattern can read in exponentially many ways, which a backtracking engine tries one
 * after the other once the text ends in something that does not fit: two readings part and meet again inside a loop
 * (Weber and Seidl's criterion EDA, on pairs of positions). True also when the pattern is too large to be sure.
 */
export function isExponential(source: string, flags: string): boolean {
  const positions = new Positions()
  const { expression } = JS.Parser.fromLiteral({ source, flags }).parse({
    assertions: 'parse',
    backreferences: 'unknown',
  })
  positions.choice(expression.alternatives)
  const graph = pairGraph(positions)
  if (graph === undefined || positions.hasEmptyRounds) return true
  const size = positions.characters.length
  const component = components(graph)
  const isDiagonal = (pair: number) => Math.floor(pair / size) === pair % size
  const meeting = new Set([...graph.keys()].filter(isDiagonal).map((pair) => component.get(pair)))
  return [...graph].some(([pair, edges]) => {
    const own = component.get(pair)
    if (!isDiagonal(pair)) return meeting.has(own)
    return edges.some(({ to, diverges }) => diverges && component.get(to) === own)
  })
}
