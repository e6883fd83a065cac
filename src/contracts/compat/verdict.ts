import type { Json } from '../../core/json.ts'

/** Every instance of the first schema is accepted by the second: proved, not sampled. */
export interface Compatible {
  readonly verdict: 'compatible'
}

/** Some instance of the first schema is refused by the second, and here it is. */
export interface Breaking {
  readonly verdict: 'breaking'
  /** Accepted by the first schema and refused by the second; checked with two validators. */
  readonly witness: Json
  /** The keyword of the second schema that refuses, RFC 6901. */
  readonly schemaPointer: string
  /** The part of the witness that is refused, RFC 6901. */
  readonly instancePointer: string
  /** One sentence. */
  readonly reason: string
}

/** Neither proved nor refuted. Never to be read as compatible. */
export interface Unknown {
  readonly verdict: 'unknown'
  /** The keyword that could not be decided; `budget` when time or steps ran out. */
  readonly keyword: string
  readonly schemaPointer: string
  readonly reason: string
}

/** Is every instance of one schema accepted by another? */
export type Verdict = Compatible | Breaking | Unknown
