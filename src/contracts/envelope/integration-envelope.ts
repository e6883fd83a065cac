import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Message, Metadata } from '../message/message.ts'
import { schemaVersionDefault } from '../message/message-grammar.ts'
import { undecodable } from '../source/decode-json.ts'

const ownFields = new Set([
  'eventId',
  'eventType',
  'timestamp',
  'version',
  'payload',
  'source',
  'correlationId',
  'metadata',
])

/** Fields that others put beside ours travel in metadata under this name. */
const extrasName = 'integration'

/** True for an object that can stand at the top of the envelope and be told from it again. */
function areExtras(value: Json | undefined): value is JsonObject {
  const names = isJsonObject(value) ? Object.keys(value) : []
  return names.length > 0 && names.every((name) => !ownFields.has(name) && name !== '__proto__')
}

/**
 * Seed 000's envelope: the five fields that it demands, and beside them `source`, `correlationId` and `metadata`, which
 * it does not forbid. `version` is the schema version of the message.
 */
export function toIntegration(message: Message): JsonObject {
  const { schema_version, [extrasName]: extras, ...rest } = message.metadata ?? {}
  // A version that says the same as none is kept in metadata, so that the way back knows it was written.
  const isMoved = typeof schema_version === 'string' && schema_version !== schemaVersionDefault
  const metadata: Record<string, Json | undefined> = rest
  if (schema_version !== undefined && !isMoved) metadata.schema_version = schema_version
  const hasExtras = areExtras(extras)
  if (extras !== undefined && !hasExtras) metadata[extrasName] = extras
  const isKept =
    message.metadata !== undefined && (Object.keys(metadata).length > 0 || (!isMoved && !hasExtras))
  return {
    eventId: message.id,
    eventType: message.type,
    timestamp: message.timestamp,
    version: isMoved ? schema_version : schemaVersionDefault,
    payload: message.data,
    source: message.source,
    correlationId: message.correlation_id,
    ...(isKept ? { metadata } : {}),
    ...(hasExtras ? extras : {}),
  }
}

/**
 * The message in seed 000's envelope. Where others left out what the seed does not ask for, the source is `unknown` and
 * the message begins a correlation of its own.
 *
 * @throws UNDECODABLE when one of the fields is of another type than the envelope says
 */
export function fromIntegration(wire: JsonObject): Message {
  const { eventId, eventType, timestamp, version, payload, source, correlationId, metadata } = wire
  for (const [name, value] of Object.entries({ eventId, eventType, timestamp })) {
    if (typeof value !== 'string')
      throw undecodable(`the envelope integration needs the text ${name}`)
  }
  for (const [name, value] of Object.entries({ version, source, correlationId })) {
    if (value !== undefined && typeof value !== 'string')
      throw undecodable(`the field ${name} of the envelope integration must be text`)
  }
  if (metadata !== undefined && !isJsonObject(metadata))
    throw undecodable('the field metadata of the envelope integration must be an object')
  const extras = Object.fromEntries(
    Object.entries(wire).filter(([name]) => !ownFields.has(name) && name !== '__proto__'),
  )
  const collected: Record<string, Json | undefined> = { ...metadata }
  if (
    version !== undefined &&
    version !== schemaVersionDefault &&
    collected.schema_version === undefined
  ) {
    collected.schema_version = version
  }
  if (Object.keys(extras).length > 0) collected[extrasName] = extras
  const hasMetadata = metadata !== undefined || Object.keys(collected).length > 0
  return {
    id: eventId as string,
    type: eventType as string,
    source: (source as string | undefined) ?? 'unknown',
    timestamp: timestamp as string,
    correlation_id: (correlationId as string | undefined) ?? (eventId as string),
    data: payload ?? null,
    ...(hasMetadata ? { metadata: collected as Metadata } : {}),
  }
}
