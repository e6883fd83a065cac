import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { DocumentNode } from './document-node.ts'
import { identityOf } from './document-node.ts'
import type { ImportReading } from './import-reading.ts'
import { mapOf, textOf } from './import-reading.ts'
import { contractName } from './imported.ts'

/** A channel of a document of any version. */
export interface FoundChannel {
  readonly name: string
  readonly node: DocumentNode
  readonly source: JsonObject
  /** True where only answers to commands travel: none of the contract's channels. */
  readonly isForReplies: boolean
}
/** A message of a document, once for each message however often it is referred to. */
export interface FoundMessage {
  readonly key: string
  readonly node: DocumentNode
  /** Name of the channel that it was found on first. */
  readonly channel: string
}
/** What the application does. */
export interface FoundOperation {
  readonly node: DocumentNode
  readonly action: 'send' | 'receive'
  /** Identities of messages. */
  readonly messages: readonly string[]
  readonly replies?: readonly string[]
}
/** A document in the words of version 3, whichever it was written in. */
export interface FoundApplication {
  readonly channels: readonly FoundChannel[]
  /** By identity. */
  readonly messages: ReadonlyMap<string, FoundMessage>
  readonly operations: readonly FoundOperation[]
}

const knownBrokers = ['kafka', 'nats', 'redis']
const kafkaKeys = ['partitions', 'replicas', 'topicConfiguration']

function bindingsOf(reading: ImportReading, node: DocumentNode): JsonObject | undefined {
  const bindings = reading.at(node, 'bindings')
  const kept: Record<string, JsonObject> = {}
  for (const [broker, binding] of reading.entries(bindings)) {
    if (broker.startsWith('x-')) continue
    if (!knownBrokers.includes(broker)) {
      reading.lose(
        binding,
        `the binding \`${broker}\` has no counterpart among the brokers of contracts`,
      )
      continue
    }
    const { bindingVersion: _version, ...settings } = mapOf(binding)
    const entries = Object.entries(settings).filter(
      ([key]) => broker !== 'kafka' || kafkaKeys.includes(key),
    )
    if (entries.length > 0) kept[broker] = Object.fromEntries(entries)
  }
  return Object.keys(kept).length > 0 ? kept : undefined
}

function readChannel(reading: ImportReading, key: string, node: DocumentNode): FoundChannel {
  const extension = mapOf(node)['x-treaty-channel']
  if (isJsonObject(extension)) {
    const { name, replies, ...rest } = extension
    return {
      name: typeof name === 'string' ? name : key,
      node,
      source: { address: textOf(node, 'address') ?? key, ...rest },
      isForReplies: replies !== undefined,
    }
  }
  const address = mapOf(node).address
  if (address === null)
    reading.lose(node, `the channel \`${key}\` has no address; its name stands in`)
  if (mapOf(node).parameters !== undefined) {
    reading.lose(node, `the parameters of the address of \`${key}\` are kept as text only`)
  }
  const bindings = bindingsOf(reading, node)
  return {
    name: contractName(key),
    node,
    source: {
      address: typeof address === 'string' ? address : key,
      ...(bindings === undefined ? {} : { bindings }),
    },
    isForReplies: false,
  }
}

/** Messages by identity, and who uses them, as they are found. */
class Gathering {
  readonly messages = new Map<string, FoundMessage>()
  readonly operations: FoundOperation[] = []
  readonly reading: ImportReading

  constructor(reading: ImportReading) {
    this.reading = reading
  }

  /** The identity of a message on a channel; the first channel counts. */
  meet(key: string, node: DocumentNode, channel: string): string {
    const identity = identityOf(node)
    const known = this.messages.get(identity)
    if (known === undefined) this.messages.set(identity, { key, node, channel })
    else if (known.channel !== channel) {
      this.reading.lose(
        node,
        `the message \`${key}\` travels on \`${known.channel}\` and on \`${channel}\`; the first is kept`,
        'Give the message of each channel a name of its own.',
      )
    }
    return identity
  }
}

/** Reads channels, messages and operations of AsyncAPI 3. */
export function readVersion3(reading: ImportReading, root: DocumentNode): FoundApplication {
  const gathering = new Gathering(reading)
  const channels = reading
    .entries(reading.at(root, 'channels'))
    .map(([key, node]) => readChannel(reading, key, node))
  const byIdentity = new Map(channels.map((channel) => [identityOf(channel.node), channel]))
  for (const { name, node } of channels) {
    for (const [key, message] of reading.entries(reading.at(node, 'messages')))
      gathering.meet(key, message, name)
  }
  for (const [, node] of reading.entries(reading.at(root, 'operations'))) {
    const channel = reading.at(node, 'channel')
    const action = textOf(node, 'action')
    if (
      channel === undefined ||
      !byIdentity.has(identityOf(channel)) ||
      (action !== 'send' && action !== 'receive')
    ) {
      reading.add(
        node,
        'ASYNCAPI_INVALID',
        'an operation needs an action, send or receive, and a channel of the document',
      )
      continue
    }
    const reply = reading.at(node, 'reply')
    gathering.operations.push({
      node,
      action,
      messages: messagesOf(reading, node) ?? messagesOf(reading, channel) ?? [],
      ...(reply === undefined ? {} : { replies: repliesOf(reading, reply) }),
    })
  }
  return { channels, messages: gathering.messages, operations: gathering.operations }
}

/** Identities of the messages that a node lists. */
function messagesOf(reading: ImportReading, node: DocumentNode): string[] | undefined {
  const list = reading.at(node, 'messages')
  return list && reading.entries(list).map(([, message]) => identityOf(message))
}

function repliesOf(reading: ImportReading, reply: DocumentNode): string[] {
  const listed = messagesOf(reading, reply)
  if (listed !== undefined) return listed
  const channel = reading.at(reply, 'channel')
  return (channel && messagesOf(reading, channel)) ?? []
}

/**
 * Reads AsyncAPI 2, whose `publish` is what others may send to the application, and `subscribe` what it sends.
 *
 * @see AsyncAPI 2.6, "Channel Item Object"; AsyncAPI 3.0, "Migrating to v3"
 */
export function readVersion2(reading: ImportReading, root: DocumentNode): FoundApplication {
  const gathering = new Gathering(reading)
  const channels = reading
    .entries(reading.at(root, 'channels'))
    .map(([key, node]) => readChannel(reading, key, node))
  for (const { node, name } of channels) {
    for (const [verb, action] of [
      ['publish', 'receive'],
      ['subscribe', 'send'],
    ] as const) {
      const operation = reading.at(node, verb)
      const message = operation && reading.at(operation, 'message')
      if (operation === undefined || message === undefined) continue
      const choices = reading.entries(reading.at(message, 'oneOf')).map(([, choice]) => choice)
      const messages = (choices.length > 0 ? choices : [message]).map((one) =>
        gathering.meet(keyOfVersion2(one, operation), one, name),
      )
      gathering.operations.push({ node: operation, action, messages })
    }
  }
  return { channels, messages: gathering.messages, operations: gathering.operations }
}

/** Messages of version 2 have a key only among the components. */
function keyOfVersion2(message: DocumentNode, operation: DocumentNode): string {
  const { pointer } = message
  if (pointer.at(-2) === 'messages') return String(pointer.at(-1))
  return textOf(operation, 'operationId') ?? textOf(message, 'title') ?? pointer.join('.')
}

/** The message with its traits merged in: the message's own words win, the later traits before the earlier. */
export function withTraits(reading: ImportReading, message: DocumentNode): JsonObject {
  const traits = reading.entries(reading.at(message, 'traits')).map(([, trait]) => mapOf(trait))
  return [...traits, mapOf(message)].reduce<JsonObject>((merged, part) => merge(merged, part), {})
}

/** @see RFC 7396, without its deletion by null */
function merge(target: JsonObject, patch: JsonObject): JsonObject {
  const result: Record<string, Json | undefined> = { ...target }
  for (const [key, value] of Object.entries(patch)) {
    const before = result[key]
    result[key] = isJsonObject(before) && isJsonObject(value) ? merge(before, value) : value
  }
  return result
}
