import type { JsonObject } from '../../core/json.ts'
import { metaSchema } from '../read/meta-schema.ts'

const contractKeys = [
  'id',
  'status',
  'design',
  'owner',
  'pattern',
  'envelope',
  'evolution',
  'producers',
  'consumers',
  'sla',
  'gate',
  'reviews',
] as const

function closed(
  description: string,
  properties: JsonObject,
  required: readonly string[],
): JsonObject {
  return { description, type: 'object', properties, required, additionalProperties: false }
}

function contractProperties(): JsonObject {
  const all = metaSchema.properties as unknown as JsonObject
  return {
    ...Object.fromEntries(contractKeys.map((key) => [key, all[key]])),
    application: {
      type: 'string',
      description: 'The one application that the document describes. Absent: all parties.',
    },
  }
}

/**
 * The JSON Schema of what our AsyncAPI documents say in extensions, draft 2020-12; published as
 * `contracts/asyncapi-extensions.schema.json`. The keys of a document that are no such extension are free.
 */
export function asyncApiExtensionSchema(): JsonObject {
  const definitions = metaSchema.$defs as unknown as Record<string, JsonObject>
  const channelProperties = definitions.channel?.properties as JsonObject
  const { address: _address, ...channel } = channelProperties
  const name: JsonObject = { $ref: '#/$defs/name' }
  const messageExtension = closed(
    'On a message: what it is in the contract.',
    {
      kind: { enum: ['event', 'command', 'reply', 'error'] },
      deprecated: { $ref: '#/$defs/deprecated' },
      schemaId: { type: 'string', description: '`$id` of the schema of the data.' },
      handler: { ...name, description: 'Of a command: who handles it.' },
      timeout: { $ref: '#/$defs/duration' },
      command: { ...name, description: 'Of a reply or error: which command it answers.' },
      error: { ...name, description: 'Name of a typed error.' },
    },
    ['kind'],
  )
  const channelExtension = closed(
    'On a channel: what AsyncAPI does not say of it.',
    {
      ...channel,
      name: { ...name, description: 'Its name, where that is no key of AsyncAPI.' },
      replies: { ...name, description: 'The command whose answers it carries.' },
    },
    [],
  )
  const onEach = (extension: string, definition: string): JsonObject => ({
    additionalProperties: { properties: { [extension]: { $ref: `#/$defs/${definition}` } } },
  })
  return {
    $schema: metaSchema.$schema,
    $id: 'urn:treatyjs:asyncapi-extensions:1',
    title: 'extensions of Treaty in AsyncAPI 3 documents',
    type: 'object',
    properties: {
      'x-treaty-contract': { $ref: '#/$defs/contractExtension' },
      channels: onEach('x-treaty-channel', 'channelExtension'),
      operations: onEach('x-treaty-operation', 'operationExtension'),
      components: { properties: { messages: onEach('x-treaty-message', 'messageExtension') } },
    },
    $defs: {
      ...definitions,
      contractExtension: closed(
        'On the document: the rest of the contract, in the words of its file.',
        contractProperties(),
        ['id'],
      ),
      channelExtension,
      messageExtension,
      operationExtension: closed(
        'On an operation: the party of the contract whose operation it is.',
        { application: name },
        ['application'],
      ),
    },
  }
}
