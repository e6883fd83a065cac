import { TreatyError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import { suggest } from '../did-you-mean.ts'
import { embed, messageDraft, messageSchema } from '../message/message-schema.ts'
import type { Contract, EnvelopeKind, EventDefinition, JsonSchema } from '../model.ts'
import { uriOfDraft } from '../schema/draft.ts'
import { integrationSchema } from './envelope-schema.ts'

function structuredSchema({ name, schema }: EventDefinition): JsonObject {
  const draft = messageDraft(schema)
  const exactly = (value: string): JsonObject =>
    draft === '04' ? { enum: [value] } : { const: value }
  const text: JsonObject = { type: 'string', minLength: 1 }
  return {
    $schema: uriOfDraft(draft),
    title: name,
    type: 'object',
    required: ['specversion', 'id', 'source', 'type', 'data'],
    properties: {
      specversion: { type: 'string', pattern: '^1\\.[0-9]+$' },
      id: text,
      source: { ...text, format: 'uri-reference' },
      type: exactly(name),
      time: { type: 'string', format: 'date-time' },
      datacontenttype: { type: 'string', pattern: '^[^;]*[/+]json(;|$)' },
      correlationid: text,
      data: embed(schema, draft),
    },
  }
}

/**
 * The JSON Schema of what travels for an event, in a wire form: for `integration` that of seed 000, for
 * `cloudevents-binary` and `none` that of the body alone, since the rest travels in headers. In the draft of the data's schema; the data as
 * the contract has it, neither closed nor opened.
 *
 * @param kind Default: the contract's own.
 * @throws UNKNOWN_EVENT
 */
export function envelopeSchema(
  contract: Contract,
  event: string,
  kind: EnvelopeKind = contract.envelope,
): JsonSchema {
  const definition = Object.hasOwn(contract.events, event) ? contract.events[event] : undefined
  if (definition === undefined) {
    const hint = suggest(event, Object.keys(contract.events))
    throw new TreatyError(
      'UNKNOWN_EVENT',
      `${contract.id} has no event ${JSON.stringify(event)}`,
      hint === undefined ? {} : { hint },
    )
  }
  switch (kind) {
    case 'treaty': {
      const schema = messageSchema({
        data: definition.schema,
        type: event,
        envelope: kind,
        profile: 'default',
      })
      return { ...schema, title: event }
    }
    case 'integration':
      return integrationSchema(definition)
    case 'cloudevents-structured':
      return structuredSchema(definition)
    case 'cloudevents-binary':
    case 'none':
      return isJsonObject(definition.schema) ? { ...definition.schema } : definition.schema
  }
}
