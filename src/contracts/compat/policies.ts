import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import { viewOf } from '../message/views.ts'
import type { Contract, EnvelopeKind, JsonSchema } from '../model.ts'
import { type Draft, draftOf, isOldDraft } from '../schema/draft.ts'
import { mapSubschemas } from '../schema/schema-walk.ts'
import { keywords, shapesOf } from './load/dialect.ts'

/** What counts as the same, and as a break. */
export type Policy = Contract['evolution']['policy']

/** The Confluent policies, which go by their own table of rules instead of by proof. */
export type RulePolicy = 'confluent-strict' | 'confluent-lenient'
export const isRulePolicy = (policy: Policy): policy is RulePolicy => policy.startsWith('confluent')

/** Which histories count. `-transitive`: all earlier versions, not only the latest. */
export interface Mode {
  /** New readers of retained messages. */
  readonly backward: boolean
  /** Old readers of new messages. */
  readonly forward: boolean
  readonly transitive: boolean
}

/** Takes a mode apart: `backward`, `forward`, `full`, each with `-transitive`, or `none`. */
export function modeOf(name: string): Mode {
  return {
    backward: /^(?:backward|full)/.test(name),
    forward: /^(?:forward|full)/.test(name),
    transitive: name.endsWith('-transitive'),
  }
}

/** A schema as the prover takes it. */
export interface Side {
  readonly schema: JsonSchema
  readonly draft: Draft
}

export interface ViewOptions {
  readonly policy: Policy
  /** The envelopes of the seeds carry objects only. Absent: the schema stands for itself. */
  readonly envelope?: EnvelopeKind
}

/**
 * The schema as the runtime compiles it for one side: the producer's or reader's view under `evolvable`, as
 * written under the other policies.
 */
export function sideOf(
  schema: JsonSchema,
  view: 'producer' | 'reader',
  { policy, envelope }: ViewOptions,
): Side {
  const draft = draftOf(schema)
  const seen = policy === 'evolvable' ? viewOf(schema, view, draft) : schema
  const side = asserting(seen, draft)
  const mustBeObject = envelope === 'treaty' || envelope === 'integration'
  return mustBeObject ? { ...side, schema: asObject(side.schema) } : side
}

function asObject(schema: JsonSchema): JsonSchema {
  if (typeof schema === 'boolean') return schema ? { type: 'object' } : false
  if (schema.type === 'object' && schema.$ref === undefined) return schema
  const others = Array.isArray(schema.allOf) ? schema.allOf : []
  return { ...schema, allOf: [...others, { type: 'object' }] }
}

/** Keywords whose value only tells people something, or names something. */
const containers = new Set(['$defs', 'definitions', '$ref', '$comment'])

/**
 * A view of an old draft may say `unevaluatedProperties`, which the runtime asserts there and the drafts do not have.
 * Such a schema, and one whose root is a reference, is rewritten to 2019-09 with the meaning that it had.
 */
function asserting(schema: JsonSchema, draft: Draft): Side {
  if (typeof schema === 'boolean' || !isOldDraft(draft)) return { schema, draft }
  const isRewritten =
    typeof schema.$ref === 'string' || JSON.stringify(schema).includes('"unevaluatedProperties"')
  if (!isRewritten) return { schema, draft }
  const { $schema: _old, ...rewritten } = modernised(schema, draft)
  return { schema: rewritten, draft: '2019-09' }
}

function modernised(node: JsonObject, draft: Draft): JsonObject {
  if (typeof node.$ref === 'string' && node.definitions === undefined) return { $ref: node.$ref }
  const known = shapesOf(draft)
  const kept = Object.entries(node).filter(
    ([keyword]) =>
      known.has(keyword) ||
      containers.has(keyword) ||
      keyword === 'unevaluatedProperties' ||
      keywords[keyword] === undefined,
  )
  const isReference = typeof node.$ref === 'string'
  const meant = isReference
    ? kept.filter(([keyword]) => containers.has(keyword))
    : kept.filter(([keyword]) => keyword !== 'id')
  const made = mapSubschemas(Object.fromEntries(meant), (child) => modernised(child, draft))
  return (draft === '04' ? withNumericBounds(made) : made) as JsonObject
}

/** Draft-04 says `exclusiveMinimum: true` beside `minimum`. */
function withNumericBounds(node: Record<string, unknown>): Record<string, unknown> {
  const made = { ...node }
  for (const [flag, bound] of [
    ['exclusiveMinimum', 'minimum'],
    ['exclusiveMaximum', 'maximum'],
  ] as const) {
    if (typeof made[flag] !== 'boolean') continue
    if (made[flag] && made[bound] !== undefined) {
      made[flag] = made[bound]
      delete made[bound]
    } else delete made[flag]
  }
  return made
}

const annotations = new Set([
  '$comment',
  'title',
  'description',
  'examples',
  'default',
  'deprecated',
  'readOnly',
  'writeOnly',
])

const meanings = new WeakMap<object, string>()

/** The schema's text without what asserts nothing and with its keys in one order: equal texts mean the same. */
export function meaningOf(schema: JsonSchema): string {
  if (typeof schema === 'boolean') return String(schema)
  const known = meanings.get(schema)
  if (known !== undefined) return known
  const visit = (node: JsonObject): JsonObject =>
    mapSubschemas(
      Object.fromEntries(Object.entries(node).filter(([keyword]) => !annotations.has(keyword))),
      visit,
    ) as JsonObject
  const meaning = JSON.stringify(ordered(visit(schema)))
  meanings.set(schema, meaning)
  return meaning
}

function ordered(value: Json): Json {
  if (Array.isArray(value)) return value.map((item) => ordered(item as Json))
  if (!isJsonObject(value)) return value
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, item]) => [key, ordered(item ?? null)]))
}
