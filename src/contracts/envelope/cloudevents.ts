import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Message, Metadata } from '../message/message.ts'
import { decodeJson, undecodable } from '../source/decode-json.ts'
import { asciiJson } from './header-text.ts'

/** Metadata with an attribute of its own: our name → the extension's. @see CloudEvents partitioning and tracing extensions */
const attributeOfMetadata: Readonly<Record<string, string>> = {
  schema_version: 'schemaversion',
  causation_id: 'causationid',
  priority: 'priority',
  key: 'partitionkey',
  traceparent: 'traceparent',
  tracestate: 'tracestate',
  reply_to: 'replyto',
}
/** The extension that carries, as JSON, the metadata that no attribute can carry. */
const restAttribute = 'treatymetadata'
/** Attributes of other people's events travel in metadata under this name. */
const extrasName = 'cloudevents'

const reserved = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'time',
  'datacontenttype',
  'data',
  'data_base64',
  'correlationid',
  restAttribute,
  ...Object.values(attributeOfMetadata),
])

/** Text that an attribute may hold: not empty, no control characters, no lone surrogates. */
function isAttributeText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && !/\p{Cc}/u.test(value) && value.isWellFormed()
}

/** True for attributes that come back as they were: names of the specification, values that its text form keeps. */
function areAttributes(value: Json | undefined, isText: boolean): value is JsonObject {
  if (!isJsonObject(value)) return false
  const entries = Object.entries(value)
  return (
    entries.length > 0 &&
    entries.every(([name, one]) => {
      if (!/^[a-z0-9]{1,64}$/.test(name) || reserved.has(name)) return false
      return (
        isAttributeText(one) || (!isText && (typeof one === 'boolean' || Number.isInteger(one)))
      )
    })
  )
}

/**
 * The context attributes of a message, without its data. With `isText` only what survives as header text has an attribute
 * of its own; everything else goes into one extension as JSON, so that nothing is lost.
 */
export function toAttributes(message: Message, isText: boolean): JsonObject {
  const attributes: Record<string, Json> = {
    specversion: '1.0',
    id: message.id,
    source: message.source,
    type: message.type,
    time: message.timestamp,
    datacontenttype: 'application/json',
    correlationid: message.correlation_id,
  }
  const rest: Record<string, Json | undefined> = {}
  const { metadata = {} } = message
  for (const [name, value] of Object.entries(metadata)) {
    const attribute = Object.hasOwn(attributeOfMetadata, name)
      ? attributeOfMetadata[name]
      : undefined
    if (attribute !== undefined && isAttributeText(value)) attributes[attribute] = value
    else if (name === extrasName && areAttributes(value, isText)) Object.assign(attributes, value)
    else rest[name] = value
  }
  const isEmpty = message.metadata !== undefined && Object.keys(metadata).length === 0
  if (Object.keys(rest).length > 0 || isEmpty) attributes[restAttribute] = asciiJson(rest)
  return attributes
}

function restOf(attribute: Json | undefined): JsonObject {
  if (attribute === undefined) return {}
  const rest = typeof attribute === 'string' ? decodeJson(Buffer.from(attribute)) : undefined
  if (!isJsonObject(rest))
    throw undecodable(`the attribute ${restAttribute} must be a JSON object as text`)
  return rest
}

/**
 * The message of context attributes and data. An event without `correlationid` begins a correlation of its own; one
 * without `time` has the empty timestamp, which no contract accepts.
 *
 * @throws UNDECODABLE when it is not version 1.x, or lacks id, source or type
 */
export function fromAttributes(attributes: JsonObject, data: Json): Message {
  const { specversion, id, source, type, time, correlationid } = attributes
  if (typeof specversion !== 'string' || !/^1\.\d+$/.test(specversion)) {
    throw undecodable(
      `CloudEvents of version 1.0 are read, found specversion ${JSON.stringify(specversion) ?? 'missing'}`,
    )
  }
  for (const [name, value] of Object.entries({ id, source, type })) {
    if (typeof value !== 'string' || value === '')
      throw undecodable(`a CloudEvent needs the attribute ${name}`)
  }
  const metadata: Record<string, Json | undefined> = {}
  for (const [name, attribute] of Object.entries(attributeOfMetadata)) {
    if (attributes[attribute] !== undefined) metadata[name] = attributes[attribute]
  }
  const extras = Object.entries(attributes).filter(
    ([name]) => !reserved.has(name) && name !== '__proto__',
  )
  if (extras.length > 0) metadata[extrasName] = Object.fromEntries(extras)
  for (const [name, value] of Object.entries(restOf(attributes[restAttribute]))) {
    Object.defineProperty(metadata, name, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
  const hasMetadata = attributes[restAttribute] !== undefined || Object.keys(metadata).length > 0
  return {
    id: id as string,
    type: type as string,
    source: source as string,
    timestamp: typeof time === 'string' ? time : '',
    correlation_id: typeof correlationid === 'string' ? correlationid : (id as string),
    data,
    ...(hasMetadata ? { metadata: metadata as Metadata } : {}),
  }
}

/** The data of an event in the structured form: JSON as it is, or JSON in base64. */
export function dataOfStructured(event: JsonObject): Json {
  if (event.data_base64 === undefined) return event.data ?? null
  if (typeof event.data_base64 !== 'string') throw undecodable('data_base64 must be text')
  return decodeJson(Buffer.from(event.data_base64, 'base64')) as Json
}
