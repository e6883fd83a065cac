import { TreatyError } from '../../core/errors.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import { escapePointer, isJsonObject } from '../../core/json.ts'
import { suggest } from '../did-you-mean.ts'
import type { Channel, Contract } from '../model.ts'
import { present } from '../read/contract-reader.ts'
import { contractToSource } from '../read/contract-yaml.ts'
import { DocumentNames } from './document-names.ts'
import { messageObject, placeSchema } from './export-messages.ts'
import type { Operation } from './operations.ts'
import { applicationsOf, operationsOf } from './operations.ts'

/** Version of AsyncAPI that is written. */
export const asyncApiVersion = '3.1.0'

export interface ExportAsyncApiOptions {
  /** Name of a producer, consumer or command handler: the document describes this application alone. Default: all. */
  readonly application?: string
}

/** One document under way. */
interface Writing {
  readonly contract: Contract
  readonly operations: readonly Operation[]
  readonly messageKeys: DocumentNames
  readonly channelKeys: DocumentNames
  readonly operationKeys: DocumentNames
  /** Keys of the messages of each channel, by the channel's key. */
  readonly onChannel: Map<string, Set<string>>
  readonly messages: Record<string, JsonObject>
}

/**
 * A contract as an AsyncAPI 3.1 document. Payloads are the schemas of the data; headers are the fields of the envelope.
 * What AsyncAPI has no word for stands in `x-treaty-contract`, `x-treaty-channel`, `x-treaty-message` and
 * `x-treaty-operation`, so that importing it gives the contract again.
 *
 * @throws APPLICATION_UNKNOWN when the contract has no such application
 */
export function exportAsyncApi(
  contract: Contract,
  { application }: ExportAsyncApiOptions = {},
): JsonObject {
  const applications = applicationsOf(contract)
  if (application !== undefined && !applications.includes(application)) {
    const hint = suggest(application, applications)
    throw new TreatyError(
      'APPLICATION_UNKNOWN',
      `${contract.id} names no service ${JSON.stringify(application)}`,
      hint === undefined ? {} : { hint },
    )
  }
  const writing: Writing = {
    contract,
    operations: operationsOf(contract, application),
    messageKeys: new DocumentNames(),
    channelKeys: new DocumentNames(),
    operationKeys: new DocumentNames(),
    onChannel: new Map(),
    messages: {},
  }
  const isNeeded = neededNames(writing, application)
  addEvents(writing, isNeeded)
  addCommands(writing, isNeeded)
  const source = contractToSource(contract)
  const channels = channelObjects(writing, source, application !== undefined)
  return {
    asyncapi: asyncApiVersion,
    id: `urn:treaty:${encodeURIComponent(contract.id)}`,
    info: present({
      title: application === undefined ? contract.id : `${contract.id} · ${application}`,
      version: contract.version,
      description: contract.purpose,
      contact: contract.owner === undefined ? undefined : { name: contract.owner.team },
    }) as JsonObject,
    defaultContentType: 'application/json',
    channels,
    operations: operationObjects(writing),
    components: { messages: writing.messages },
    'x-treaty-contract': contractExtension(source, application),
  }
}

function neededNames(writing: Writing, application: string | undefined): (name: string) => boolean {
  if (application === undefined) return () => true
  const names = new Set(writing.operations.map(({ message }) => message))
  return (name) => names.has(name)
}

function place(writing: Writing, channel: string, message: string): void {
  const key = writing.channelKeys.keyOf(channel)
  const keys = writing.onChannel.get(key) ?? new Set()
  writing.onChannel.set(key, keys.add(writing.messageKeys.keyOf(message)))
}

function addEvents(writing: Writing, isNeeded: (name: string) => boolean): void {
  const { contract, messageKeys, messages } = writing
  for (const event of Object.values(contract.events)) {
    if (!isNeeded(event.name)) continue
    const { name, purpose, schema, schemaId, examples, deprecated } = event
    const channel = contract.channels[event.channel]
    const key = messageKeys.keyOf(name)
    const extension = present({ kind: 'event', deprecated, schemaId }) as unknown as JsonObject
    messages[key] = messageObject({
      ...{ contract, key, name, purpose, schema, examples, extension },
      ...(channel === undefined ? {} : { channel }),
    })
    place(writing, event.channel, name)
  }
}

/** Names of the messages that answer a command. */
function answersOf(command: string, errors: readonly string[], hasReply: boolean): string[] {
  return [
    ...(hasReply ? [`${command}.reply`] : []),
    ...errors.map((error) => `${command}.error.${error}`),
  ]
}

function addCommands(writing: Writing, isNeeded: (name: string) => boolean): void {
  const { contract, messageKeys, messages } = writing
  const source = contractToSource(contract).commands
  for (const command of Object.values(contract.commands)) {
    if (!isNeeded(command.name)) continue
    const { name, purpose, schema, examples, handler, deprecated, schemaId, reply, errors } =
      command
    const written = isJsonObject(source) ? source[name] : undefined
    const timeout = isJsonObject(written) ? written.timeout : undefined
    const key = messageKeys.keyOf(name)
    const channel = contract.channels[command.channel]
    messages[key] = messageObject({
      ...{ contract, key, name, purpose, schema, examples },
      ...(channel === undefined ? {} : { channel }),
      extension: present({
        ...{ kind: 'command', handler, timeout, deprecated, schemaId },
      }) as unknown as JsonObject,
    })
    place(writing, command.channel, name)
    const add = (answer: string, answerSchema: typeof schema, extension: JsonObject) => {
      const answerKey = messageKeys.keyOf(answer)
      messages[answerKey] = messageObject({
        ...{ contract, key: answerKey, name: answer, schema: answerSchema, extension },
      })
      place(writing, `${name}.replies`, answer)
    }
    if (reply !== undefined) add(`${name}.reply`, reply, { kind: 'reply', command: name })
    for (const [error, errorSchema] of Object.entries(errors)) {
      add(`${name}.error.${error}`, errorSchema, { kind: 'error', command: name, error })
    }
  }
}

const kafkaChannelKeys = ['partitions', 'replicas', 'topicConfiguration']

/** What AsyncAPI's own bindings can say; the rest stays in the extension. */
function nativeBindings({ bindings }: Channel): JsonObject | undefined {
  const kafka = bindings.kafka
  if (kafka === undefined) return undefined
  const kept = Object.entries(kafka).filter(
    ([name, value]) =>
      kafkaChannelKeys.includes(name) &&
      (name === 'topicConfiguration' ? isJsonObject(value) : Number(value) >= 1),
  )
  return { kafka: { ...Object.fromEntries(kept), bindingVersion: '0.5.0' } }
}

function channelObjects(writing: Writing, source: JsonObject, onlyUsed: boolean): JsonObject {
  const { contract, channelKeys, onChannel } = writing
  const result: Record<string, JsonObject> = {}
  const messagesOf = (key: string): JsonObject | undefined => {
    const keys = onChannel.get(key)
    if (keys === undefined) return undefined
    return Object.fromEntries(
      [...keys].map((message) => [message, { $ref: `#/components/messages/${message}` }]),
    )
  }
  for (const channel of Object.values(contract.channels)) {
    const key = channelKeys.keyOf(channel.name)
    if (onlyUsed && !onChannel.has(key)) continue
    const written = (source.channels as JsonObject)[channel.name] as JsonObject
    const { address, ...rest } = written
    result[key] = present({
      address,
      messages: messagesOf(key),
      bindings: nativeBindings(channel),
      'x-treaty-channel': { ...(key === channel.name ? {} : { name: channel.name }), ...rest },
    }) as JsonObject
  }
  for (const command of Object.values(contract.commands)) {
    const key = channelKeys.keyOf(`${command.name}.replies`)
    const messages = messagesOf(key)
    if (messages === undefined) continue
    result[key] = {
      address: null,
      description: `Where the answers to ${command.name} go: each caller names its own address.`,
      messages,
      'x-treaty-channel': { replies: command.name },
    }
  }
  return result
}

function operationObjects(writing: Writing): JsonObject {
  const { contract, messageKeys, channelKeys, operationKeys } = writing
  const entries = writing.operations.map(({ action, application, message, channel }) => {
    const on = channelKeys.keyOf(channel)
    const name = [application, action, message].filter((part) => part !== undefined).join('.')
    const operation = present({
      action,
      channel: { $ref: `#/channels/${on}` },
      messages: [{ $ref: `#/channels/${on}/messages/${messageKeys.keyOf(message)}` }],
      reply: replyObject(writing, contract.commands[message]),
      'x-treaty-operation': application === undefined ? undefined : { application },
    })
    return [operationKeys.keyOf(name), operation]
  })
  return Object.fromEntries(entries) as JsonObject
}

function replyObject(
  { channelKeys, messageKeys, contract }: Writing,
  command: Contract['commands'][string] | undefined,
): JsonObject | undefined {
  if (command === undefined) return undefined
  const { name, errors, reply } = command
  const answers = answersOf(name, Object.keys(errors), reply !== undefined)
  if (answers.length === 0) return undefined
  const key = channelKeys.keyOf(`${name}.replies`)
  const messages = answers.map((answer) => ({
    $ref: `#/channels/${key}/messages/${messageKeys.keyOf(answer)}`,
  }))
  const address =
    contract.envelope === 'treaty'
      ? { address: { location: '$message.header#/metadata/reply_to' } }
      : {}
  return { ...address, channel: { $ref: `#/channels/${key}` }, messages }
}

const nativeKeys = new Set(['treaty', 'version', 'purpose', 'channels', 'events', 'commands'])

/** The rest of the contract, in the words of its file. One application sees only its own entries. */
function contractExtension(source: JsonObject, application: string | undefined): JsonObject {
  const rest = Object.fromEntries(Object.entries(source).filter(([key]) => !nativeKeys.has(key)))
  const only = (record: Json | undefined): JsonObject => {
    const entries = Object.entries(isJsonObject(record) ? record : {})
    return Object.fromEntries(
      entries.filter(([name]) => application === undefined || name === application),
    )
  }
  const { reviews, gate, ...shared } = rest
  return {
    ...(application === undefined ? rest : { ...shared, application }),
    producers: only(rest.producers),
    consumers: Object.fromEntries(
      Object.entries(only(rest.consumers)).map(([name, consumer]) => [
        name,
        placeNeeds(consumer as JsonObject, `#/x-treaty-contract/consumers/${encode(name)}`),
      ]),
    ),
  }
}

function encode(name: string): string {
  return encodeURIComponent(escapePointer(name))
}

function placeNeeds(consumer: JsonObject, pointer: string): JsonObject {
  const events = Object.entries(consumer.events as JsonObject).map(([name, entry]) => {
    const { needs } = entry as JsonObject
    if (!isJsonObject(needs)) return [name, entry]
    const at = `${pointer}/events/${encode(name)}/needs`
    return [name, { ...(entry as JsonObject), needs: placeSchema(needs, at) }]
  })
  return { ...consumer, events: Object.fromEntries(events) as JsonObject }
}
