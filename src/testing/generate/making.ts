import type { JsonSchema } from '../../contracts/index.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import { escapePointer } from '../../core/json.ts'
import type { Resolver } from './conjuncts.ts'
import type { Dice } from './dice.ts'
import { deriveSeed } from './dice.ts'
import type { ExamplePool } from './example-pool.ts'
import type { Site } from './site.ts'

/** What a place was made from: for boundary values. */
export interface PlaceMade {
  readonly pointer: string
  readonly schemas: readonly JsonObject[]
}

/** One attempt at a value, with the choices that former attempts showed to be wrong. */
export interface Making {
  readonly resolver: Resolver
  readonly optional: 'none' | 'some' | 'all'
  readonly depthMax: number
  readonly examples: ExamplePool
  readonly places: PlaceMade[]
  /** What the caller wants at this place; undefined: nothing in particular. */
  fixedAt(pointer: string): unknown
  /** A value for one place that satisfies all of these schemas. @throws Impossible */
  make(schemas: readonly JsonSchema[], site: Site): Json
  /** How often the choices at a pointer were thrown away. */
  changes(pointer: string): number
}

/** What the makers of arrays and objects get. */
export interface MakeContext {
  readonly site: Site
  readonly making: Making
  readonly luck: Dice
}

/** The place of a member: its luck depends on where it is and how often its choices were thrown away. */
export function memberOf(site: Site, name: string | number, making: Making): Site {
  const pointer = `${site.pointer}/${escapePointer(name)}`
  const seed = deriveSeed(site.seed, `${name}#${making.changes(pointer)}`)
  return { pointer, seed, depth: site.depth + 1 }
}
