import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import { envelopeSchema } from '../envelope/wire-schema.ts'
import type { Channel, Contract, EnvelopeKind, Example, JsonSchema } from '../model.ts'
import { present } from '../read/contract-reader.ts'
import { mapReferences } from '../schema/bundle.ts'
import { draftOf } from '../schema/draft.ts'
import { asyncApiDraft, formatOfDraft } from './schema-format.ts'

/** The schema with its references, which are relative to itself, made relative to the document it stands in. */
export function placeSchema(schema: JsonSchema, pointer: string): JsonSchema {
  return mapReferences(schema, (reference) =>
    reference === '#' || reference.startsWith('#/') ? `${pointer}${reference.slice(1)}` : reference,
  )
}

/** A schema where AsyncAPI wants one: as it is when it is draft-07, else with its format beside it. */
function schemaObject(schema: JsonSchema, pointer: string): Json {
  const draft = draftOf(schema)
  if (isJsonObject(schema) && draft === asyncApiDraft) return placeSchema(schema, pointer)
  return { schemaFormat: formatOfDraft(draft), schema: placeSchema(schema, `${pointer}/schema`) }
}

/** What stands around the data in each kind of envelope. */
const dataOfEnvelope: Readonly<Record<EnvelopeKind, string | undefined>> = {
  treaty: 'data',
  integration: 'payload',
  'cloudevents-structured': 'data',
  'cloudevents-binary': 'data',
  none: undefined,
}

/** The envelope's fields as a schema of headers; undefined where the data travels alone. */
function envelopeHeaders(contract: Contract, name: string): JsonObject | undefined {
  const kind = contract.envelope
  const inside = dataOfEnvelope[kind]
  if (inside === undefined) return undefined
  const isBinary = kind === 'cloudevents-binary'
  const schema: JsonSchema = { $schema: 'http://json-schema.org/draft-07/schema#', type: 'object' }
  const event = { name, channel: '', purpose: '', schema, examples: [] }
  const whole = envelopeSchema(
    { ...contract, events: { [name]: event } },
    name,
    isBinary ? 'cloudevents-structured' : kind,
  ) as JsonObject
  const rename = (field: string) => (isBinary ? `ce-${field}` : field)
  const fields = Object.entries(whole.properties as JsonObject)
    .filter(([field]) => field !== inside && !(isBinary && field === 'datacontenttype'))
    .map(([field, value]) => [rename(field), value])
  const required = (whole.required as readonly string[]).filter((field) => field !== inside)
  return {
    type: 'object',
    properties: Object.fromEntries(fields) as JsonObject,
    required: required.map(rename),
  }
}

/** What a message of the document is made from. */
export interface MessageParts {
  readonly contract: Contract
  /** Key among the messages of the components. */
  readonly key: string
  readonly name: string
  readonly purpose?: string
  readonly schema: JsonSchema
  readonly channel?: Channel
  readonly examples?: readonly Example[]
  readonly extension: JsonObject
}

/** A Message Object: the data as payload, the envelope as headers. */
export function messageObject(parts: MessageParts): JsonObject {
  const { contract, key, name, purpose, schema, channel, examples = [], extension } = parts
  const isReply = extension.kind === 'reply' || extension.kind === 'error'
  const correlation: Partial<Record<EnvelopeKind, string>> = {
    treaty: 'correlation_id',
    'cloudevents-structured': 'correlationid',
    'cloudevents-binary': 'ce-correlationid',
  }
  const location = correlation[contract.envelope]
  return present({
    name,
    description: purpose === '' ? undefined : purpose,
    contentType: 'application/json',
    headers: isReply ? undefined : envelopeHeaders(contract, name),
    correlationId:
      isReply || location === undefined ? undefined : { location: `$message.header#/${location}` },
    payload: schemaObject(schema, `#/components/messages/${key}/payload`),
    examples: examples.length === 0 ? undefined : examples.map(({ value }) => ({ payload: value })),
    bindings:
      channel?.key === undefined
        ? undefined
        : {
            kafka: {
              key: { type: 'string', description: `The value of ${channel.key} in the data.` },
              bindingVersion: '0.5.0',
            },
          },
    'x-treaty-message': extension,
  }) as JsonObject
}
