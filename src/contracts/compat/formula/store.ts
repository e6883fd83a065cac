import type { Json } from '../../../core/json.ts'
import { isInteger, type Rational } from '../rational.ts'
import { type Scalar, scalarKey } from './canonical.ts'

/**
 * A signed reference to a node: `2 * id`, plus 1 for its negation. Negation is therefore free, and
 * a disjunction is the negation of a conjunction of negations.
 */
export type Lit = number

export const TRUE: Lit = 0
export const FALSE: Lit = 1
export const negate = (lit: Lit): Lit => lit ^ 1
export const isNegative = (lit: Lit): boolean => (lit & 1) === 1
export const withSign = (lit: Lit, negative: boolean): Lit => (negative ? lit ^ 1 : lit)

/** Types as bits. Numbers are split, so that `integer` and `multipleOf: 1` are trivial. */
export const NULL = 1
export const BOOLEAN = 2
export const INTEGER = 4
export const FRACTION = 8
export const STRING = 16
export const ARRAY = 32
export const OBJECT = 64
export const NUMBER = INTEGER | FRACTION
export const ANY = 127
/** Simplest first: the order in which witnesses are looked for. */
export const typeBits = [NULL, BOOLEAN, INTEGER, FRACTION, STRING, ARRAY, OBJECT] as const

/** A constraint on values of one type; it holds vacuously for values of the others. */
export type Atom =
  | { readonly op: 'min' | 'max'; readonly q: Rational; readonly open: boolean }
  | { readonly op: 'mul'; readonly q: Rational }
  | { readonly op: 'minL' | 'maxL' | 'minI' | 'maxI' | 'minP' | 'maxP'; readonly n: number }
  | { readonly op: 'pat'; readonly source: string }
  | { readonly op: 'fmt'; readonly name: string }
  | { readonly op: 'item'; readonly index: number; readonly lit: Lit }
  | { readonly op: 'items'; readonly from: number; readonly lit: Lit }
  | { readonly op: 'cmin' | 'cmax'; readonly lit: Lit; readonly n: number }
  | { readonly op: 'uniq' }
  | { readonly op: 'has'; readonly key: string }
  | { readonly op: 'prop'; readonly key: string; readonly lit: Lit }
  | { readonly op: 'pprop'; readonly source: string; readonly lit: Lit }
  | {
      readonly op: 'aprop'
      readonly names: ReadonlySet<string>
      readonly sources: readonly string[]
      readonly lit: Lit
    }
  | { readonly op: 'pnames'; readonly lit: Lit }

export type Node =
  | { readonly kind: 'true' }
  | { readonly kind: 'and'; readonly lits: readonly Lit[] }
  | { readonly kind: 'one'; readonly lits: readonly Lit[] }
  | { readonly kind: 'type'; readonly mask: number }
  | { readonly kind: 'enum'; readonly values: ReadonlyMap<string, Scalar>; readonly mask: number }
  | { readonly kind: 'ref'; readonly name: string; readonly resolve: () => Lit | undefined }
  | {
      readonly kind: 'opaque'
      readonly keyword: string
      readonly pointer: string
      readonly reason: string
    }
  | { readonly kind: 'atom'; readonly type: number; readonly atom: Atom }

const atomTypes: Record<Atom['op'], number> = {
  min: NUMBER,
  max: NUMBER,
  mul: NUMBER,
  minL: STRING,
  maxL: STRING,
  pat: STRING,
  fmt: STRING,
  minI: ARRAY,
  maxI: ARRAY,
  item: ARRAY,
  items: ARRAY,
  cmin: ARRAY,
  cmax: ARRAY,
  uniq: ARRAY,
  has: OBJECT,
  prop: OBJECT,
  pprop: OBJECT,
  aprop: OBJECT,
  pnames: OBJECT,
  minP: OBJECT,
  maxP: OBJECT,
}

/** The bits of a value's type. */
export function typeOf(value: Json): number {
  if (value === null) return NULL
  if (typeof value === 'boolean') return BOOLEAN
  if (typeof value === 'number') return isInteger(value) ? INTEGER : FRACTION
  if (typeof value === 'string') return STRING
  return Array.isArray(value) ? ARRAY : OBJECT
}

const flattenMax = 256

/**
 * All formulas of one question, each node once (hash-consing): equal parts of both schemas get the
 * same number, and `x ∧ ¬x` is seen by comparing numbers.
 */
export class Store {
  readonly nodes: Node[] = []
  /** Node id → where its keyword was first met; for reports only. */
  readonly origins = new Map<number, { readonly keyword: string; readonly pointer: string }>()
  /** Node id → values that the schema's author showed there (`examples`, `default`). */
  readonly hints = new Map<number, Json[]>()
  readonly #ids = new Map<string, number>()
  readonly #may: [number, number][] = []

  constructor() {
    this.#intern('T', { kind: 'true' }, ANY, 0)
  }

  #intern(key: string, node: Node, mayPositive: number, mayNegative: number): Lit {
    const known = this.#ids.get(key)
    if (known !== undefined) return known * 2
    const id = this.nodes.length
    this.nodes.push(node)
    this.#may.push([mayPositive, mayNegative])
    this.#ids.set(key, id)
    return id * 2
  }

  node(lit: Lit): Node {
    return this.nodes[lit >> 1] as Node
  }

  /** The types that values of this literal may have: never too few. */
  may(lit: Lit): number {
    return (this.#may[lit >> 1] as [number, number])[lit & 1] as number
  }

  type(mask: number): Lit {
    const bits = mask & ANY
    if (bits === ANY) return TRUE
    if (bits === 0) return FALSE
    // One polarity only: the complement of a mask is a mask.
    return this.#intern(`y${bits}`, { kind: 'type', mask: bits }, bits, ANY & ~bits)
  }

  enumeration(scalars: Iterable<Scalar>): Lit {
    const values = new Map<string, Scalar>()
    let mask = 0
    for (const value of scalars) {
      values.set(scalarKey(value), value)
      mask |= typeOf(value)
    }
    if (values.size === 0) return FALSE
    const complete =
      (values.has('z') ? NULL : 0) | (values.has('t') && values.has('f') ? BOOLEAN : 0)
    if (complete === mask) return this.type(mask)
    const key = `e${[...values.keys()]
      .sort()
      .map((text) => JSON.stringify(text))
      .join()}`
    return this.#intern(key, { kind: 'enum', values, mask }, mask, ANY & ~complete)
  }

  ref(name: string, resolve: () => Lit | undefined): Lit {
    return this.#intern(`r${name}`, { kind: 'ref', name, resolve }, ANY, ANY)
  }

  opaque(keyword: string, pointer: string, reason: string): Lit {
    return this.#intern(
      `o${keyword} ${pointer}`,
      { kind: 'opaque', keyword, pointer, reason },
      ANY,
      ANY,
    )
  }

  /** The atom, or what it amounts to: some are always true, or say the same as another. */
  atom(atom: Atom): Lit {
    const type = atomTypes[atom.op]
    const simple = this.#simplify(atom, type)
    if (simple !== undefined) return simple
    return this.#intern(`a${atomKey(atom)}`, { kind: 'atom', type, atom }, ANY, type)
  }

  #simplify(atom: Atom, type: number): Lit | undefined {
    const never = () => this.type(ANY & ~type)
    switch (atom.op) {
      case 'minL':
      case 'minI':
      case 'minP':
        return atom.n <= 0 ? TRUE : undefined
      case 'maxL':
      case 'maxI':
      case 'maxP':
        return atom.n < 0 ? never() : undefined
      case 'item':
        if (atom.lit === FALSE) return this.atom({ op: 'maxI', n: atom.index })
        return atom.lit === TRUE ? TRUE : undefined
      case 'items':
        if (atom.lit === FALSE) return this.atom({ op: 'maxI', n: atom.from })
        return atom.lit === TRUE ? TRUE : undefined
      case 'prop':
      case 'pprop':
      case 'aprop':
        return atom.lit === TRUE ? TRUE : undefined
      case 'pnames':
        if (atom.lit === FALSE || (this.may(atom.lit) & STRING) === 0)
          return this.atom({ op: 'maxP', n: 0 })
        return atom.lit === TRUE ? TRUE : undefined
      case 'cmin':
        if (atom.n <= 0) return TRUE
        if (atom.lit === FALSE) return never()
        return atom.lit === TRUE ? this.atom({ op: 'minI', n: atom.n }) : undefined
      case 'cmax':
        if (atom.n < 0) return never()
        if (atom.lit === TRUE) return this.atom({ op: 'maxI', n: atom.n })
        if (atom.lit === FALSE) return TRUE
        return atom.n === 0 ? this.atom({ op: 'items', from: 0, lit: negate(atom.lit) }) : undefined
      default:
        return undefined
    }
  }

  or(lits: readonly Lit[]): Lit {
    return negate(this.and(lits.map(negate)))
  }

  /** Exactly one of them. The caller turns what is disjoint into `or` first. */
  one(lits: readonly Lit[]): Lit {
    const seen = new Set<Lit>()
    const twice = new Set<Lit>()
    for (const lit of lits) {
      if (seen.has(lit)) twice.add(lit)
      seen.add(lit)
    }
    const real = lits.filter((lit) => lit !== FALSE && !twice.has(lit))
    // A branch that is there twice is never the only one: it must not hold at all.
    if (twice.size > 0) return this.and([...[...twice].map(negate), this.one(real)])
    if (real.includes(TRUE)) return negate(this.or(real.filter((lit) => lit !== TRUE)))
    if (real.length === 0) return FALSE
    if (real.length === 1) return real[0] as Lit
    const sorted = real.toSorted((a, b) => a - b)
    const may = sorted.reduce((mask, lit) => mask | this.may(lit), 0)
    return this.#intern(`1${sorted.join()}`, { kind: 'one', lits: sorted }, may, ANY)
  }

  and(parts: readonly Lit[]): Lit {
    const found = this.#gather(parts)
    if (found === undefined) return FALSE
    const { lits, mask } = found
    const list = [...lits]
    if (mask !== ANY) {
      const type = this.type(mask)
      if (list.length === 0) return type
      // A value of these types alone is said by the enumeration already.
      list.push(type)
    }
    if (list.length === 0) return TRUE
    if (list.length === 1) return list[0] as Lit
    list.sort((a, b) => a - b)
    let positive = ANY
    let negative = 0
    for (const lit of list) {
      positive &= this.may(lit)
      negative |= this.may(negate(lit))
    }
    if (positive === 0) return FALSE
    return this.#intern(`&${list.join()}`, { kind: 'and', lits: list }, positive, negative)
  }

  /** Flattened, merged literals of a conjunction; undefined when it is plainly false. */
  #gather(parts: readonly Lit[]): { lits: Set<Lit>; mask: number } | undefined {
    const lits = new Set<Lit>()
    let mask = ANY
    let allowed: Map<string, Scalar> | undefined
    const excluded = new Map<string, Scalar>()
    const queue = [...parts]
    for (let at = 0; at < queue.length; at += 1) {
      const lit = queue[at] as Lit
      if (lit === TRUE) continue
      if (lit === FALSE || lits.has(negate(lit))) return undefined
      const node = this.node(lit)
      if (node.kind === 'type') mask &= isNegative(lit) ? ~node.mask : node.mask
      else if (
        node.kind === 'and' &&
        !isNegative(lit) &&
        queue.length + node.lits.length <= flattenMax
      ) {
        queue.push(...node.lits)
      } else if (node.kind === 'enum' && isNegative(lit)) {
        for (const [key, value] of node.values) excluded.set(key, value)
      } else if (node.kind === 'enum') allowed = intersect(allowed, node.values)
      else lits.add(lit)
    }
    if (mask === 0) return undefined
    if (allowed !== undefined) {
      const left = [...allowed].filter(
        ([key, value]) => !excluded.has(key) && (typeOf(value) & mask) !== 0,
      )
      if (left.length === 0) return undefined
      const lit = this.enumeration(left.map(([, value]) => value))
      const node = this.node(lit)
      if (node.kind === 'type') mask &= node.mask
      else {
        lits.add(lit)
        mask = ANY
      }
    } else if (excluded.size > 0) {
      const lit = negate(this.enumeration(excluded.values()))
      const node = this.node(lit)
      if (node.kind === 'type') mask &= ~node.mask
      else lits.add(lit)
    }
    return mask === 0 ? undefined : { lits, mask }
  }
}

function intersect(
  a: ReadonlyMap<string, Scalar> | undefined,
  b: ReadonlyMap<string, Scalar>,
): Map<string, Scalar> {
  if (a === undefined) return new Map(b)
  return new Map([...a].filter(([key]) => b.has(key)))
}

function atomKey(atom: Atom): string {
  switch (atom.op) {
    case 'min':
    case 'max':
      return `${atom.op} ${atom.open} ${atom.q.n}/${atom.q.d}`
    case 'mul':
      return `${atom.op} ${atom.q.n}/${atom.q.d}`
    case 'pat':
      return `pat ${atom.source}`
    case 'fmt':
      return `fmt ${atom.name}`
    case 'item':
      return `item ${atom.index} ${atom.lit}`
    case 'items':
      return `items ${atom.from} ${atom.lit}`
    case 'cmin':
    case 'cmax':
      return `${atom.op} ${atom.n} ${atom.lit}`
    case 'uniq':
      return 'uniq'
    case 'has':
      return `has ${atom.key}`
    case 'prop':
      return `prop ${atom.lit} ${atom.key}`
    case 'pprop':
      return `pprop ${atom.lit} ${atom.source}`
    case 'aprop':
      return `aprop ${atom.lit} ${JSON.stringify([[...atom.names].sort(), atom.sources.toSorted()])}`
    case 'pnames':
      return `pnames ${atom.lit}`
    default:
      return `${atom.op} ${atom.n}`
  }
}
