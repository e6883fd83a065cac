import type { Json } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Message, Metadata, Wire } from '../message/message.ts'
import type { EnvelopeKind } from '../model.ts'
import { decodeJson, decodeJsonObject, undecodable } from '../source/decode-json.ts'
import { dataOfStructured, fromAttributes, toAttributes } from './cloudevents.ts'
import { asciiJson, decodeHeader, encodeHeader } from './header-text.ts'
import { fromIntegration, toIntegration } from './integration-envelope.ts'

const json = 'application/json'
const structured = 'application/cloudevents+json'
const noHeaders: Readonly<Record<string, string>> = Object.freeze({})

const encodeBody = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))

/** Headers with names in lower case; of names that differ only in case the last one counts. */
function lowerCased(headers: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function encodeBare(message: Message): Wire {
  const { id, type, source, timestamp, correlation_id, data, metadata } = message
  return {
    body: encodeBody(data),
    headers: {
      'treaty-id': encodeHeader(id),
      'treaty-type': encodeHeader(type),
      'treaty-source': encodeHeader(source),
      'treaty-timestamp': encodeHeader(timestamp),
      'treaty-correlation-id': encodeHeader(correlation_id),
      ...(metadata === undefined ? {} : { 'treaty-metadata': asciiJson(metadata) }),
    },
    contentType: json,
  }
}

function decodeBare(wire: Wire): Message {
  const headers = lowerCased(wire.headers)
  const header = (name: string): string => {
    const value = headers.get(name)
    if (value === undefined) throw undecodable(`the envelope none needs the header ${name}`)
    return decodeHeader(value)
  }
  const metadataText = headers.get('treaty-metadata')
  const metadata = metadataText === undefined ? undefined : decodeJson(Buffer.from(metadataText))
  if (metadata !== undefined && !isJsonObject(metadata))
    throw undecodable('the header treaty-metadata must be a JSON object')
  return {
    id: header('treaty-id'),
    type: header('treaty-type'),
    source: header('treaty-source'),
    timestamp: header('treaty-timestamp'),
    correlation_id: header('treaty-correlation-id'),
    data: decodeJson(wire.body) as Json,
    ...(metadata === undefined ? {} : { metadata: metadata as Metadata }),
  }
}

function encodeBinary(message: Message): Wire {
  const { datacontenttype: _type, ...attributes } = toAttributes(message, true)
  const headers = Object.entries(attributes).map(([name, value]) => [
    `ce-${name}`,
    encodeHeader(String(value)),
  ])
  return { body: encodeBody(message.data), headers: Object.fromEntries(headers), contentType: json }
}

function decodeBinary(wire: Wire): Message {
  const attributes: Record<string, string> = {}
  for (const [name, value] of lowerCased(wire.headers)) {
    if (name.startsWith('ce-') || name.startsWith('ce_'))
      attributes[name.slice(3)] = decodeHeader(value)
  }
  return fromAttributes(attributes, wire.body.length === 0 ? null : (decodeJson(wire.body) as Json))
}

/**
 * A message as bytes and headers in one of the wire forms; {@link decodeEnvelope} gives back an equal message. Timestamps and
 * ids travel as the text they are. Header values are printable ASCII, so every broker takes them.
 */
export function encodeEnvelope(message: Message<unknown>, kind: EnvelopeKind): Wire {
  const canonical = message as Message
  switch (kind) {
    case 'treaty':
      return { body: encodeBody(canonical), headers: noHeaders, contentType: json }
    case 'integration':
      return { body: encodeBody(toIntegration(canonical)), headers: noHeaders, contentType: json }
    case 'cloudevents-structured': {
      const event = { ...toAttributes(canonical, false), data: canonical.data }
      return { body: encodeBody(event), headers: noHeaders, contentType: structured }
    }
    case 'cloudevents-binary':
      return encodeBinary(canonical)
    case 'none':
      return encodeBare(canonical)
  }
}

/**
 * The message that bytes and headers carry. Only the form is looked at: whether the message is right is for
 * `validateMessage` to say. Header names may be in any case; `ce_` (Kafka) is read as `ce-`.
 *
 * @throws UNDECODABLE when they carry none in this form: not UTF-8, not JSON, no object, nested more than 128 levels
 *   deep, or without a field or header that the form cannot do without
 */
export function decodeEnvelope(wire: Wire, kind: EnvelopeKind): Message {
  switch (kind) {
    case 'treaty':
      return decodeJsonObject(wire.body) as unknown as Message
    case 'integration':
      return fromIntegration(decodeJsonObject(wire.body))
    case 'cloudevents-structured': {
      const event = decodeJsonObject(wire.body)
      return fromAttributes(event, dataOfStructured(event))
    }
    case 'cloudevents-binary':
      return decodeBinary(wire)
    case 'none':
      return decodeBare(wire)
  }
}
