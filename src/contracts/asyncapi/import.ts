import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { present } from '../read/contract-reader.ts'
import type { DocumentNode } from './document-node.ts'
import { childOf } from './document-node.ts'
import { ImportReading, mapOf, textOf } from './import-reading.ts'
import type { Imported } from './imported.ts'
import { contractName, contractVersion, finishImport } from './imported.ts'
import type { FoundApplication, FoundMessage } from './read-application.ts'
import { readVersion2, readVersion3, withTraits } from './read-application.ts'
import { formatOfDraft } from './schema-format.ts'

/** A message as a part of a contract under way. */
interface ImportedMessage {
  readonly name: string
  readonly found: FoundMessage
  readonly extension: JsonObject
  readonly schema: JsonSchema
  readonly purpose: string
  readonly examples: readonly Json[]
}

/**
 * Reads an AsyncAPI document, 3.x or 2.x, YAML or JSON, into a contract. Our own exports come back as they were. A
 * document of others describes one application: what it sends becomes events of this producer, what it receives
 * those of this consumer, what has a reply a command; payloads travel without an envelope.
 *
 * @param path The document. It may refer to files in its folder and below; nothing is fetched.
 */
export function importAsyncApi(path: string): Imported {
  const reading = new ImportReading(path)
  const { root } = reading
  if (root === undefined) return { findings: reading.findings }
  const version = textOf(root, 'asyncapi')
  if (version === undefined || !/^[23]\.\d+\.\d+/.test(version)) {
    reading.add(root, 'ASYNCAPI_INVALID', 'this is no AsyncAPI document of version 2 or 3', {
      hint: 'Name a file that begins with `asyncapi: 3.0.0` or the like.',
    })
    return { findings: reading.findings }
  }
  const application = version.startsWith('2')
    ? readVersion2(reading, root)
    : readVersion3(reading, root)
  const messages = readMessages(reading, application)
  const own = mapOf(root)['x-treaty-contract']
  const source = isJsonObject(own)
    ? ownSource(reading, root, own)
    : strangerSource(reading, root, application, messages)
  const contract = {
    treaty: 1,
    version: readVersion(reading, root),
    purpose:
      textOf(reading.at(root, 'info'), 'description') ?? `Imported from ${titleOf(reading, root)}.`,
    channels: Object.fromEntries(
      application.channels
        .filter(({ isForReplies }) => !isForReplies)
        .map(({ name, source: channel }) => [name, channel]),
    ),
    ...definitions(reading, messages, application),
    ...source,
  }
  return finishImport(contract as JsonObject, reading.findings)
}

function titleOf(reading: ImportReading, root: DocumentNode): string {
  return textOf(reading.at(root, 'info'), 'title') ?? 'asyncapi'
}

function readVersion(reading: ImportReading, root: DocumentNode): string {
  const info = reading.at(root, 'info')
  const text = textOf(info, 'version') ?? ''
  const version = contractVersion(text)
  if (version !== text) {
    reading.lose(
      info ?? root,
      `the version \`${text}\` is no semantic version; ${version ?? '0.1.0'} stands in`,
    )
  }
  return version ?? '0.1.0'
}

function readMessages(
  reading: ImportReading,
  application: FoundApplication,
): Map<string, ImportedMessage> {
  const messages = new Map<string, ImportedMessage>()
  const taken = new Set<string>()
  for (const [identity, found] of application.messages) {
    const value = withTraits(reading, found.node)
    const extension = value['x-treaty-message']
    const isOwn = isJsonObject(extension)
    const wanted = typeof value.name === 'string' ? value.name : found.key
    let name = isOwn ? wanted : contractName(wanted)
    for (let count = 2; taken.has(name); count += 1) name = `${contractName(wanted)}-${count}`
    taken.add(name)
    const schema = readPayload(reading, found, value)
    if (schema === undefined) continue
    if (!isOwn) reportLosses(reading, found, value)
    const purpose = [value.description, value.summary, value.title].find(
      (text) => typeof text === 'string',
    )
    messages.set(identity, {
      name,
      found,
      extension: isOwn ? extension : {},
      schema,
      purpose: typeof purpose === 'string' ? purpose : isOwn ? '' : `The message ${wanted}.`,
      examples: Array.isArray(value.examples)
        ? value.examples.flatMap((example) =>
            isJsonObject(example) && example.payload !== undefined ? [example.payload] : [],
          )
        : [],
    })
  }
  return messages
}

function readPayload(
  reading: ImportReading,
  { node, key }: FoundMessage,
  value: JsonObject,
): JsonSchema | undefined {
  const payload = childOf(node, 'payload')
  if (payload === undefined) {
    reading.lose(node, `the message \`${key}\` has no payload, so any data satisfies it`)
    return true
  }
  return reading.schema(
    payload,
    typeof value.schemaFormat === 'string' ? value.schemaFormat : undefined,
  )
}

const lostOfMessages = ['headers', 'correlationId', 'tags', 'externalDocs', 'bindings']

function reportLosses(
  reading: ImportReading,
  { node, key }: FoundMessage,
  value: JsonObject,
): void {
  const lost = lostOfMessages.filter((field) => value[field] !== undefined)
  if (lost.length > 0)
    reading.lose(node, `of the message \`${key}\` these are not carried over: ${lost.join(', ')}`)
  const { contentType } = value
  if (typeof contentType === 'string' && !/[/+]json(;|$)/.test(contentType)) {
    reading.lose(node, `the message \`${key}\` is \`${contentType}\`; contracts carry JSON`)
  }
}

/** Events and commands, in the words of the contract's file. */
function definitions(
  reading: ImportReading,
  messages: ReadonlyMap<string, ImportedMessage>,
  { operations }: FoundApplication,
): JsonObject {
  const events: Record<string, JsonObject> = {}
  const commands: Record<string, JsonObject> = {}
  const requests = new Map(
    operations.flatMap((operation) =>
      operation.replies === undefined
        ? []
        : operation.messages.map((message) => [message, operation] as const),
    ),
  )
  const answers = new Set(operations.flatMap(({ replies = [] }) => replies))
  const list = [...messages.values()]
  for (const [identity, message] of messages) {
    const { name, extension, found } = message
    const kind =
      extension.kind ??
      (requests.has(identity) ? 'command' : answers.has(identity) ? 'reply' : 'event')
    const { schemaId } = extension
    const common = present({
      channel: found.channel,
      purpose: message.purpose === '' && kind === 'command' ? undefined : message.purpose,
      schema:
        typeof schemaId === 'string' && isJsonObject(message.schema)
          ? { $id: schemaId, ...message.schema }
          : message.schema,
      examples: message.examples.length > 0 ? message.examples : undefined,
      deprecated: extension.deprecated,
    }) as JsonObject
    if (kind === 'event') events[name] = common
    if (kind !== 'command') continue
    commands[name] =
      extension.kind === 'command'
        ? ownCommand(common, message, list)
        : strangerCommand(reading, common, { operation: requests.get(identity), messages })
  }
  return present({
    events: Object.keys(events).length > 0 ? events : undefined,
    commands: Object.keys(commands).length > 0 ? commands : undefined,
  }) as JsonObject
}

function ownCommand(
  common: JsonObject,
  command: ImportedMessage,
  list: readonly ImportedMessage[],
): JsonObject {
  const { handler, timeout } = command.extension
  const answers = list.filter(({ extension }) => extension.command === command.name)
  const reply = answers.find(({ extension }) => extension.kind === 'reply')
  const errors = answers.flatMap(({ extension, schema }) =>
    extension.kind === 'error' ? [[String(extension.error), schema] as const] : [],
  )
  return present({
    ...common,
    handler,
    timeout,
    reply: reply?.schema,
    errors: errors.length > 0 ? Object.fromEntries(errors) : undefined,
  }) as JsonObject
}

function strangerCommand(
  reading: ImportReading,
  common: JsonObject,
  context: {
    readonly operation: FoundApplication['operations'][number] | undefined
    readonly messages: ReadonlyMap<string, ImportedMessage>
  },
): JsonObject {
  const { operation, messages } = context
  const replies = (operation?.replies ?? []).flatMap((identity) => messages.get(identity) ?? [])
  const [reply] = replies
  if (operation && replies.length > 1) {
    reading.lose(
      operation.node,
      `of ${replies.length} possible replies only \`${reply?.name}\` is carried over`,
      'Write the others under `errors` where they tell of failures.',
    )
  }
  const root = reading.root as DocumentNode
  const application = contractName(titleOf(reading, root))
  if (operation?.action === 'send') {
    reading.lose(
      operation.node,
      'who answers the request is not said; the handler is named `unknown`',
      'Write the name of the handler.',
    )
  }
  return present({
    ...common,
    handler: operation?.action === 'send' ? 'unknown' : application,
    reply: reply?.schema,
  }) as JsonObject
}

/** What our own export says about the rest of the contract. */
function ownSource(reading: ImportReading, root: DocumentNode, own: JsonObject): JsonObject {
  const { application, ...rest } = own
  const node = childOf(root, 'x-treaty-contract') as DocumentNode
  if (typeof application === 'string') {
    reading.lose(
      node,
      `the document describes \`${application}\` alone; the other parties of the contract are not in it`,
      'Import an export of the whole contract to get all of it.',
    )
  }
  if (!isJsonObject(rest.consumers)) return rest
  const consumers = Object.entries(rest.consumers).map(([name, consumer]) => {
    const events = Object.entries(mapOf(reading.at(node, 'consumers', name, 'events'))).map(
      ([event, entry]) => {
        const at = reading.at(node, 'consumers', name, 'events', event)
        const needs = at && childOf(at, 'needs')
        if (!isJsonObject(entry) || needs === undefined || !isJsonObject(needs.value))
          return [event, entry]
        // Contracts read schemas that do not name their draft as 2020-12, where AsyncAPI means draft-07.
        const schema = reading.schema(needs, formatOfDraft('2020-12'))
        return [event, { ...entry, needs: schema ?? [] }]
      },
    )
    return [
      name,
      { ...mapOf({ ...node, value: consumer ?? null }), events: Object.fromEntries(events) },
    ]
  })
  return { ...rest, consumers: Object.fromEntries(consumers) as JsonObject }
}

const lostOfDocuments = ['servers', 'tags', 'externalDocs']

/** What a document of others says about its application, as a draft. */
function strangerSource(
  reading: ImportReading,
  root: DocumentNode,
  { operations }: FoundApplication,
  messages: ReadonlyMap<string, ImportedMessage>,
): JsonObject {
  for (const field of lostOfDocuments) {
    const node = childOf(root, field)
    if (node) reading.lose(node, `\`${field}\` of the document have no place in a contract`)
  }
  const name = contractName(titleOf(reading, root))
  const named = (action: string, hasReply: boolean): string[] => [
    ...new Set(
      operations
        .filter(
          (operation) =>
            operation.action === action && (operation.replies !== undefined) === hasReply,
        )
        .flatMap((operation) => operation.messages.flatMap((one) => messages.get(one)?.name ?? [])),
    ),
  ]
  const sent = [...named('send', false), ...named('send', true)]
  const received = named('receive', false)
  return present({
    id: name.toLowerCase(),
    status: 'draft',
    envelope: 'none',
    producers: sent.length > 0 ? { [name]: { events: sent } } : undefined,
    consumers:
      received.length > 0
        ? {
            [name]: {
              accepts: `^${readableVersion(reading, root)}`,
              events: Object.fromEntries(received.map((event) => [event, {}])),
            },
          }
        : undefined,
  }) as JsonObject
}

function readableVersion(reading: ImportReading, root: DocumentNode): string {
  return contractVersion(textOf(reading.at(root, 'info'), 'version') ?? '') ?? '0.1.0'
}
