import type { IncomingRecord, OutgoingRecord } from '../transport.ts'

/** Before a caller's own header that has the name of one of ours. */
const kept = 'treaty-own-'

/** How a broker's binding of CloudEvents 1.0 spells the attributes of the binary mode; we spell them as HTTP does. */
export type CloudEventsPrefix = 'ce-' | 'ce_' | 'cloudEvents:'

const fields = {
  id: 'treaty-id',
  type: 'treaty-type',
  key: 'treaty-key',
  priority: 'treaty-priority',
  expiresAt: 'treaty-expires-at',
  deliverAt: 'treaty-deliver-at',
  correlationId: 'treaty-correlation-id',
  causationId: 'treaty-causation-id',
} as const
/** Written for brokers that have no field for it. */
const contentTypeField = 'content-type'
const ours: ReadonlySet<string> = new Set([...Object.values(fields), contentTypeField])
/** A header of the envelope `none`, which says id, type and correlation in headers of the same names as ours. */
const bareMark = 'treaty-source'
const shared = [fields.id, fields.type, fields.correlationId] as const
const none: Readonly<Record<string, string>> = Object.freeze({})

/** A record's fields and headers as headers of a broker's message; the body travels as it is. */
export function toBrokerHeaders(
  record: OutgoingRecord,
  cloudEvents: CloudEventsPrefix,
): Record<string, string> {
  const { key, priority, expiresAt, deliverAt, correlationId, causationId } = record
  // One by one, in one order: objects of the same shape, for each message of each broker.
  const headers: Record<string, string> = {
    [contentTypeField]: record.contentType,
    [fields.id]: record.id,
    [fields.type]: record.type,
  }
  if (key !== undefined) headers[fields.key] = key
  if (priority !== undefined) headers[fields.priority] = String(priority)
  if (expiresAt !== undefined) headers[fields.expiresAt] = String(expiresAt)
  if (deliverAt !== undefined) headers[fields.deliverAt] = String(deliverAt)
  if (correlationId !== undefined) headers[fields.correlationId] = correlationId
  if (causationId !== undefined) headers[fields.causationId] = causationId
  for (const _name in record.headers) return withCallers(headers, record.headers, cloudEvents)
  return headers
}

function withCallers(
  own: Readonly<Record<string, string>>,
  callers: Readonly<Record<string, string>>,
  cloudEvents: CloudEventsPrefix,
): Record<string, string> {
  const headers = Object.assign(emptyHeaders(), own)
  const isBare = callers[bareMark] !== undefined
  for (const [name, value] of Object.entries(callers)) {
    if (isBare && headers[name] === value) continue
    if (ours.has(name)) headers[`${kept}${name}`] = value
    else if (name.startsWith('ce-')) headers[`${cloudEvents}${name.slice(3)}`] = value
    else headers[name] = value
  }
  return { ...headers }
}

/** What a broker knows of a message beside its headers. */
export interface BrokerMessage {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly address: string
  readonly position: string
  readonly publishedAt: number
  /** The broker's own key. */
  readonly key?: string
  /** The broker's own field, where it has one. */
  readonly contentType?: string
  /** The id to take where neither a header nor the body names one. Default `<address>/<position>`. */
  readonly id?: string
}

/**
 * The record of a message on a broker. Other people's programs write to our channels too, so nothing is taken for granted: identity and
 * type are looked for in our headers, then in those of CloudEvents, then in a JSON body. What stays unknown is an
 * empty type, and the reader decides.
 */
export function fromBrokerHeaders(
  message: BrokerMessage,
  cloudEvents: CloudEventsPrefix,
): IncomingRecord {
  const own: OwnHeaders = {}
  const headers = takeHeaders(message.headers, own, cloudEvents)
  const hints = own.type === undefined ? foreignHints(headers, message.body) : noHints
  const record: Writable<IncomingRecord> = {
    id: own.id ?? hints.id ?? message.id ?? `${message.address}/${message.position}`,
    type: own.type ?? hints.type ?? '',
    address: message.address,
    position: message.position,
    publishedAt: message.publishedAt,
    body: message.body,
    headers,
    contentType: message.contentType ?? own.contentType ?? 'application/json',
  }
  const key = own.key ?? message.key
  if (key !== undefined) record.key = key
  if (own.correlationId !== undefined) record.correlationId = own.correlationId
  if (own.causationId !== undefined) record.causationId = own.causationId
  if (own.priority !== undefined) setNumber(record, 'priority', own.priority)
  if (own.expiresAt !== undefined) setNumber(record, 'expiresAt', own.expiresAt)
  if (own.deliverAt !== undefined) setNumber(record, 'deliverAt', own.deliverAt)
  return record
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] }

/** What our own headers say, as text. */
type OwnHeaders = { [Name in keyof typeof fields | 'contentType']?: string }

function setNumber(
  record: Writable<IncomingRecord>,
  field: 'priority' | 'expiresAt' | 'deliverAt',
  text: string,
): void {
  const value = Number(text)
  if (Number.isFinite(value)) record[field] = value
}

/** The field of ours that a header is; undefined: it is the caller's. A switch, because it is asked for each header of each message. */
function ownField(name: string): keyof OwnHeaders | undefined {
  switch (name) {
    case fields.id:
      return 'id'
    case fields.type:
      return 'type'
    case fields.key:
      return 'key'
    case fields.correlationId:
      return 'correlationId'
    case contentTypeField:
      return 'contentType'
    case fields.causationId:
      return 'causationId'
    case fields.priority:
      return 'priority'
    case fields.expiresAt:
      return 'expiresAt'
    case fields.deliverAt:
      return 'deliverAt'
    default:
      return undefined
  }
}

/** Puts what is ours into `own`, and gives the rest, as the caller had it. */
function takeHeaders(
  all: Readonly<Record<string, string>>,
  own: OwnHeaders,
  cloudEvents: CloudEventsPrefix,
): Readonly<Record<string, string>> {
  let headers: Record<string, string> | undefined
  for (const name of Object.keys(all)) {
    const value = all[name] as string
    const field = ownField(name)
    if (field !== undefined) {
      own[field] = value
      continue
    }
    headers ??= emptyHeaders()
    if (name.startsWith(kept)) headers[name.slice(kept.length)] = value
    else if (name.startsWith(cloudEvents)) headers[`ce-${name.slice(cloudEvents.length)}`] = value
    else headers[name] = value
  }
  if (headers === undefined) return none
  if (headers[bareMark] !== undefined) {
    for (const name of shared) {
      const value = all[name]
      if (value !== undefined) headers[name] ??= value
    }
  }
  return { ...headers }
}

/** Without a prototype: `__proto__` is a name like any other. */
function emptyHeaders(): Record<string, string> {
  return Object.create(null) as Record<string, string>
}

function present<Fields extends Record<string, unknown>>(
  values: Fields,
): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as never
}

interface Hints {
  readonly id?: string
  readonly type?: string
}
const noHints: Hints = {}

/** Identity and type of a message that was not written by Treaty. */
function foreignHints(headers: Readonly<Record<string, string>>, body: Uint8Array): Hints {
  const type = headers['ce-type']
  if (type !== undefined) return present({ type, id: headers['ce-id'] })
  if (body[0] !== 0x7b) return {} // No JSON object begins otherwise than with a brace.
  try {
    const value = JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>
    return present({
      type: textOf(value.type) ?? textOf(value.eventType),
      id: textOf(value.id) ?? textOf(value.eventId),
    })
  } catch {
    return {} // No JSON: the reader says so, with the bytes.
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
