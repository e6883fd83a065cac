import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { EnvelopeKind, JsonSchema } from '../model.ts'
import type { Draft } from '../schema/draft.ts'
import { draftOf, uriOfDraft } from '../schema/draft.ts'
import { domainOf, priorityValues } from './message-grammar.ts'
import type { Profile } from './profiles.ts'
import { uuidSchema, withProfile } from './profiles.ts'
import type { View } from './views.ts'
import { viewOf } from './views.ts'

/** What the schema of one kind of message is made of. */
export interface MessageSchemaOptions {
  /** Schema of `data`, as the contract has it. */
  readonly data: JsonSchema
  readonly envelope: EnvelopeKind
  /** Absent: any type. */
  readonly type?: string
  /** Absent: no profile, no view: as written. */
  readonly profile: Profile
  /** Absent: the data's schema as written, as under the policy `strict`. */
  readonly view?: View
  /** Sources that are permitted; absent: any. */
  readonly sources?: readonly string[]
}

const text: JsonObject = { type: 'string', minLength: 1 }

/** What metadata may hold under the names that have a meaning; other names are free. */
export const metadataSchema: JsonObject = {
  type: 'object',
  properties: {
    schema_version: { type: 'string', pattern: '^v?\\d+(\\.\\d+){0,2}(-[0-9A-Za-z.-]+)?$' },
    causation_id: text,
    priority: { enum: priorityValues },
    ttl_seconds: { type: 'integer', minimum: 1 },
    key: { type: 'string' },
    traceparent: { type: 'string' },
    tracestate: { type: 'string' },
    reply_to: text,
  },
}

/** CloudEvents let the producer choose how ids look; the seeds want UUIDs. */
function idSchemas({
  envelope,
  type,
  profile,
}: MessageSchemaOptions): Record<'id' | 'correlation_id', JsonObject> {
  const isFree = envelope.startsWith('cloudevents')
  const isCompat = profile === 'seed-compat' && type !== undefined && domainOf(type) === 'system'
  return { id: isFree ? text : uuidSchema, correlation_id: isFree || isCompat ? text : uuidSchema }
}

/** The seeds' envelopes carry an object; a CloudEvent, or bare bytes, carry whatever the contract says. */
function asObject(data: JsonSchema, envelope: EnvelopeKind): JsonSchema {
  const isFree = envelope.startsWith('cloudevents') || envelope === 'none'
  if (isFree || (typeof data === 'object' && data.type === 'object' && data.$ref === undefined))
    return data
  return { type: 'object', allOf: [data] }
}

/** The schema as a part of a larger one: with an identifier of its own, so that its references stay within it. */
export function embed(schema: JsonSchema, draft: Draft): JsonSchema {
  if (!isJsonObject(schema) || !JSON.stringify(schema).includes('"$ref"')) return schema
  const { $schema: _schema, ...rest } = schema
  const keyword = draft === '04' ? 'id' : '$id'
  return typeof rest[keyword] === 'string'
    ? rest
    : { ...rest, [keyword]: 'https://schema.invalid/data' }
}

/** The draft in which the schema of a whole message is written: that of its data. */
export function messageDraft(data: JsonSchema): Draft {
  return draftOf(data)
}

/**
 * The JSON Schema of a whole message in the canonical envelope: the fields of seed 004, the profile, and the data as one
 * side sees it. The producer's view has no other fields than these; the reader's lets others pass.
 */
export function messageSchema(options: MessageSchemaOptions): JsonObject {
  const { data, type, view, profile, sources } = options
  const draft = messageDraft(data)
  const profiled = withProfile(data, profile)
  const seen = view === undefined ? profiled : viewOf(profiled, view, draft)
  const { id, correlation_id } = idSchemas(options)
  const exactly = (value: Json): JsonObject =>
    draft === '04' ? { enum: [value] } : { const: value }
  return {
    $schema: uriOfDraft(draft),
    type: 'object',
    required: ['id', 'type', 'source', 'timestamp', 'correlation_id', 'data'],
    properties: {
      id,
      type: type === undefined ? text : exactly(type),
      source: sources === undefined ? text : { enum: sources },
      timestamp: { type: 'string', format: 'date-time' },
      correlation_id,
      data: asObject(embed(seen, draft), options.envelope),
      metadata: metadataSchema,
    },
    ...(view === 'producer' ? { additionalProperties: false } : {}),
  }
}
