import { createHash } from 'node:crypto'
import type { ConsumeMessage } from 'amqplib'
import { fromBrokerHeaders, toBrokerHeaders } from '../../lanes/broker-headers.ts'
import type { IncomingRecord, OutgoingRecord } from '../../transport.ts'

/** What a message is on the wire, without where it goes. */
export interface WireMessage {
  readonly content: Buffer
  readonly options: WireProperties
}

/** Properties of a message of ours, in the driver's words. */
export interface WireProperties {
  readonly persistent: true
  readonly headers: Readonly<Record<string, string>>
  /** Seconds. */
  readonly timestamp: number
  readonly contentType?: string
  readonly messageId?: string
  readonly type?: string
  readonly correlationId?: string
}

/** Our own headers, beside those of the record. */
export const ownHeaders = {
  /** Unique to one message of one publisher; the same when it is sent again. */
  place: 'treaty-place',
  /** Epoch milliseconds at which it was published. */
  at: 'treaty-at',
  /** The dead letter that came back to its lane. */
  replay: 'treaty-replay',
  /** What that letter was counted as. */
  replayAs: 'treaty-replay-as',
} as const
const ownNames: ReadonlySet<string> = new Set(Object.values(ownHeaders))

/** CloudEvents' AMQP binding, section 3.1.3.1: `cloudEvents:`; `cloudEvents_` where a client takes no colon. */
const cloudEvents = 'cloudEvents:'
const cloudEventsTolerated = 'cloudEvents_'
const kept = 'treaty-own-'
/**
 * Names that mean something else here, so that a caller's header of that name travels behind a prefix: CC and BCC would make the broker send
 * copies elsewhere.
 */
const isOthers =
  /^(CC|BCC|treaty-(place|at|replay|replay-as|wait-.*)|x-(delivery-count|acquired-count|death|first-death-.*|last-death-.*))$/
/** Said by a property of the message, unless that is too short for it. */
const contentTypeHeader = 'content-type'
/** Written by the broker. */
const writtenByBroker = /^x-(delivery-count|acquired-count|death|first-death-.*|last-death-.*)$/
/** AMQP's short string, and what the client has room for in one table of headers. */
const shortBytesMax = 255
const headersBytesMax = 60_000

/** Why a record cannot be put on the wire; undefined: it can. */
export function refusalOf(record: OutgoingRecord, bodyBytesMax: number): string | undefined {
  const bytes = record.body.byteLength
  if (bytes > bodyBytesMax) return `has a body of ${bytes} bytes, and ${bodyBytesMax} are allowed`
  const { id, type, key = '', contentType, correlationId = '', causationId = '' } = record
  let headerBytes = 300
  for (const text of [id, type, key, contentType, correlationId, causationId]) {
    headerBytes += Buffer.byteLength(text)
  }
  for (const [name, value] of Object.entries(record.headers)) {
    const nameBytes = Buffer.byteLength(name)
    if (nameBytes + kept.length > shortBytesMax)
      return `has a header whose name has ${nameBytes} bytes`
    headerBytes += nameBytes + Buffer.byteLength(value) + kept.length + 6
  }
  if (headerBytes <= headersBytesMax) return undefined
  return `has headers of ${headerBytes} bytes, and ${headersBytesMax} are allowed`
}

/** A record as it is published: what other programs look for stands in the message's own properties too. */
export function toWire(record: OutgoingRecord, own: Readonly<Record<string, string>>): WireMessage {
  const { contentType, id, type, correlationId, body } = record
  const hasType = isShort(contentType)
  const headers = emptyHeaders()
  const given = toBrokerHeaders(record, cloudEvents)
  for (const name of Object.keys(given)) {
    if (name === contentTypeHeader && hasType) continue
    headers[isOthers.test(name) ? `${kept}${name}` : name] = given[name] as string
  }
  Object.assign(headers, own)
  const options: { -readonly [Name in keyof WireProperties]: WireProperties[Name] } = {
    persistent: true,
    headers,
    timestamp: Math.floor(Number(own[ownHeaders.at] ?? 0) / 1000),
  }
  if (hasType) options.contentType = contentType
  if (isShort(id)) options.messageId = id
  if (isShort(type)) options.type = type
  if (isShort(correlationId)) options.correlationId = correlationId
  return {
    content: Buffer.isBuffer(body)
      ? body
      : Buffer.from(body.buffer, body.byteOffset, body.byteLength),
    options,
  }
}

/** There, and fit for a property. */
function isShort(value: string | undefined): value is string {
  if (value === undefined || value === '') return false
  return value.length * 3 <= shortBytesMax || Buffer.byteLength(value) <= shortBytesMax
}

/** A message as it was read from a lane. */
export interface ReadMessage {
  readonly record: IncomingRecord
  /** Its name in the lane, the same whenever it is read. */
  readonly id: string
  /** The name is its own for sure: no other message will ever have it. */
  readonly isUnique: boolean
  readonly replay?: { readonly letter: string; readonly as: 'dead' | 'expired' }
}

/** Nothing is taken for granted: other programs write to our channels too. */
export function fromWire(message: ConsumeMessage, address: string, now: number): ReadMessage {
  const { properties, content } = message
  const own = emptyHeaders()
  const headers = textHeaders(properties.headers ?? {}, own)
  const place = own[ownHeaders.place]
  const stated = Number(own[ownHeaders.at] ?? millisecondsOf(properties.timestamp))
  const at = Number.isFinite(stated) ? stated : 0
  const id = place ?? digestOf(message)
  const letter = own[ownHeaders.replay]
  const as = own[ownHeaders.replayAs] === 'expired' ? 'expired' : 'dead'
  const read = fromBrokerHeaders(
    {
      headers,
      body: content,
      address,
      position: place === undefined ? `${padded(at)}-${id}` : positionOf(at, place),
      publishedAt: at > 0 ? at : now,
      ...given('contentType', properties.contentType),
      ...given('id', properties.messageId),
    },
    cloudEvents,
  )
  return {
    record: completed(read, properties),
    id,
    isUnique: place !== undefined,
    ...(letter === undefined ? {} : { replay: { letter, as } }),
  }
}

/** What the headers do not say, properties may. */
function completed(
  read: IncomingRecord,
  { type, correlationId }: ConsumeMessage['properties'],
): IncomingRecord {
  if (read.type !== '' && read.correlationId !== undefined) return read
  return {
    ...read,
    ...(read.type === '' ? given('type', type) : {}),
    ...(read.correlationId === undefined ? given('correlationId', correlationId) : {}),
  }
}

/** Sorts as it was published: by the publisher's clock, then in the order in which it published. */
export function positionOf(at: number, place: string): string {
  return `${padded(at)}-${place.slice(place.lastIndexOf('.') + 1).padStart(10, '0')}`
}

function padded(at: number): string {
  return String(Math.max(0, Math.trunc(at))).padStart(13, '0')
}

/** The same message has the same digest whenever it comes; two that are alike in everything are told apart by who reads them. */
function digestOf({ properties, content }: ConsumeMessage): string {
  const { messageId, timestamp, type, headers = {} } = properties
  const own = Object.entries(headers).filter(([name]) => !writtenByBroker.test(name))
  return `~${createHash('sha256')
    .update(JSON.stringify([messageId, timestamp, type, own]))
    .update(content)
    .digest('base64url')
    .slice(0, 22)}`
}

/** Every value as text: tables, numbers, instants, bytes and nothing are possible. Our own go into `apart`, where that is given. */
export function textHeaders(
  headers: Readonly<Record<string, unknown>>,
  apart?: Record<string, string>,
): Record<string, string> {
  const texts = emptyHeaders()
  for (const name of Object.keys(headers)) {
    const text = textOf(headers[name])
    if (apart !== undefined && ownNames.has(name)) apart[name] = text
    else if (name.startsWith(cloudEventsTolerated)) {
      texts[`${cloudEvents}${name.slice(cloudEventsTolerated.length)}`] = text
    } else if (!(name.startsWith('x-') && writtenByBroker.test(name))) texts[name] = text
  }
  return texts
}

/** Without a prototype: `__proto__` is a name like any other. */
function emptyHeaders(): Record<string, string> {
  return Object.create(null) as Record<string, string>
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return ''
  if (Buffer.isBuffer(value)) return value.toString()
  if (typeof value !== 'object') return String(value)
  const { '!': kind, value: inner } = value as { '!'?: unknown; value?: unknown }
  // Seconds, and CloudEvents' time has a form.
  const isInstant = kind === 'timestamp' && Math.abs(Number(inner)) < 8e12
  return isInstant ? new Date(Number(inner) * 1000).toISOString() : JSON.stringify(value)
}

function millisecondsOf(timestamp: unknown): number {
  if (typeof timestamp !== 'number' || !(timestamp > 0)) return 0
  // Some clients write milliseconds where AMQP has seconds.
  return timestamp > 1e11 ? timestamp : timestamp * 1000
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function given<Name extends string>(name: Name, value: unknown): { [Key in Name]?: string } {
  const known = text(value)
  return (known === undefined ? {} : { [name]: known }) as { [Key in Name]?: string }
}
