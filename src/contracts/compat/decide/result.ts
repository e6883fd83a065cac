import type { Json } from '../../../core/json.ts'
import { type Atom, isNegative, type Lit, type Store } from '../formula/store.ts'

/** Why nothing can be said: the keyword, where it is first met, and the reason in words. */
export interface Doubt {
  readonly keyword: string
  readonly pointer: string
  readonly reason: string
}

/** Whether a conjunction has values: one of them, none (proved), or doubt. */
export type Result =
  | { readonly kind: 'value'; readonly value: Json }
  | { readonly kind: 'empty' }
  | { readonly kind: 'doubt'; readonly doubt: Doubt }

export const EMPTY: Result = { kind: 'empty' }
export const found = (value: Json): Result => ({ kind: 'value', value })

/** An atom with its sign. */
export interface Signed {
  readonly lit: Lit
  readonly atom: Atom
  readonly negative: boolean
}

/** What the solvers of single types need from the whole. */
export interface Inhabiting {
  readonly store: Store
  /** A value that satisfies all the literals. */
  inhabit(lits: readonly Lit[]): Result
  /** The doubt about a literal, with the place where its keyword stands. */
  doubt(lit: Lit | undefined, reason: string): Result
}

/** The atoms among some literals. */
export function signed(store: Store, lits: readonly Lit[]): Signed[] {
  const result: Signed[] = []
  for (const lit of lits) {
    const node = store.node(lit)
    if (node.kind === 'atom') result.push({ lit, atom: node.atom, negative: isNegative(lit) })
  }
  return result
}
