import { escapePointer } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import type { ConfluentRule } from './confluent-rules.ts'

/** One difference between two schemas, in Confluent's words. */
export interface ConfluentDifference {
  readonly rule: ConfluentRule
  /** RFC 6901, into the later schema; into the earlier where the thing is gone. */
  readonly pointer: string
}

/** What the rules of one kind of schema need to go deeper. */
export interface Differ {
  compare(original: JsonSchema, update: JsonSchema, pointer: string): ConfluentDifference[]
  /** True when the policy finds nothing harmful between the two. */
  isCompatible(original: JsonSchema, update: JsonSchema): boolean
}

/** The pointer of a part of what `pointer` leads to. */
export const below = (pointer: string, ...steps: (string | number)[]): string =>
  [pointer, ...steps.map(escapePointer)].join('/')

const annotations = new Set([
  '$schema',
  '$id',
  'id',
  '$comment',
  'title',
  'description',
  'default',
  'examples',
  'definitions',
  '$defs',
  'deprecated',
])

/** True for `true`, `{}`, and what only tells people something: everything is accepted. */
export function isEmptySchema(schema: JsonSchema | undefined): boolean {
  if (typeof schema !== 'object') return schema === true
  return Object.keys(schema).every((keyword) => annotations.has(keyword))
}
