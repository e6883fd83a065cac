import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { EventDefinition } from '../model.ts'
import { mapReferences } from '../schema/bundle.ts'
import { draftOf, isOldDraft, uriOfDraft } from '../schema/draft.ts'

/**
 * The schema of a whole message in seed 000's envelope: the five required fields, with the data's schema as `payload`.
 * Draft-07 as the seed asks, unless the data is described in another draft.
 */
export function integrationSchema({ name, schema }: EventDefinition): JsonObject {
  const declared = isJsonObject(schema) && typeof schema.$schema === 'string'
  const draft = declared ? draftOf(schema) : isSimple(schema) ? '07' : '2020-12'
  const container = isOldDraft(draft) ? 'definitions' : '$defs'
  const payloadPointer = '#/properties/payload'
  const pointed = mapReferences(schema, (reference) =>
    reference === '#' ? payloadPointer : reference,
  )
  const {
    $schema: _schema,
    [container]: definitions,
    ...payload
  } = isJsonObject(pointed) ? pointed : ({ $schema: undefined } as JsonObject)
  return {
    $schema: uriOfDraft(draft),
    title: name,
    type: 'object',
    properties: {
      eventId: { type: 'string', format: 'uuid' },
      eventType:
        draft === '04' ? { type: 'string', enum: [name] } : { type: 'string', const: name },
      timestamp: { type: 'string', format: 'date-time' },
      version: { type: 'string', pattern: '^[0-9]+\\.[0-9]+(\\.[0-9]+)?(-[0-9A-Za-z.-]+)?$' },
      payload: isJsonObject(pointed) ? payload : (pointed as Json),
    },
    required: ['eventId', 'eventType', 'timestamp', 'version', 'payload'],
    ...(definitions === undefined ? {} : { [container]: definitions }),
  }
}

/** True for a schema that means the same in draft-07 and 2020-12. */
function isSimple(schema: Json): boolean {
  const text = JSON.stringify(schema)
  return !/"(?:\$defs|prefixItems|unevaluated\w+|dependent\w+|minContains|maxContains|\$dynamic\w+)"/.test(
    text,
  )
}

/** A message in that envelope around one example, with an id and time that mean nothing. */
export function integrationExample(
  event: EventDefinition,
  version: string,
  payload: Json,
): JsonObject {
  return {
    eventId: '00000000-0000-4000-8000-000000000000',
    eventType: event.name,
    timestamp: '2024-01-01T00:00:00Z',
    version,
    payload,
  }
}
