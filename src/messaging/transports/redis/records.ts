import { TreatyError } from '../../../core/errors.ts'
import { fromBrokerHeaders, toBrokerHeaders } from '../../lanes/broker-headers.ts'
import type { IncomingRecord, OutgoingRecord } from '../../transport.ts'
import type { Argument, Reply } from './resp.ts'

/** Headers of one record, in characters of their JSON: a bound of their own, beside the body's. */
const headersCharactersMax = 262_144
/** A script takes some thousand values in one call. */
const headersMax = 1000

/**
 * The first field of an entry that Treaty has written: its headers, ours and the caller's, as one JSON object of texts, because a
 * script pays for each field of each entry that it reads. Attributes of CloudEvents are fields of their own, for other programs.
 */
const mark = 'treaty'
const bodyField = 'body'
/** What stands in that object beside the headers; no header begins so. */
const ours = {
  /** The only group that it is for. */
  to: ':to',
  /** Epoch milliseconds at which it was published, where the entry itself is younger. */
  publishedAt: ':published-at',
} as const
/** What the content is where nothing is said. */
const jsonType = 'application/json'
/** Where other programs put their content. */
const foreignBodies = [bodyField, 'data', 'payload', 'message', 'value']

/** Why a record cannot be stored; undefined: it can. Codes: MESSAGE_TOO_LARGE, OPTION_INVALID */
export function refusalOf(record: OutgoingRecord, bytesMax: number): TreatyError | undefined {
  const bytes = record.body.byteLength
  if (bytes > bytesMax) return tooLarge(record, `has a body of ${bytes} bytes`, bytesMax)
  if (hasHeaders(record)) {
    const { length } = JSON.stringify(record.headers)
    if (length > headersCharactersMax) {
      return tooLarge(record, `has headers of ${length} characters`, headersCharactersMax)
    }
    const { length: headers } = Object.keys(record.headers)
    if (headers > headersMax) return tooLarge(record, `has ${headers} headers`, headersMax)
  }
  const wrong = texts.find((name) => record[name]?.isWellFormed() === false)
  if (wrong === undefined) return undefined
  return new TreatyError(
    'OPTION_INVALID',
    `the ${wrong} of a message holds half of a surrogate pair, which has no bytes`,
    { hint: 'Use well-formed text.', details: { field: wrong } },
  )
}

const texts = ['id', 'type', 'key', 'contentType', 'correlationId', 'causationId'] as const

function hasHeaders({ headers }: OutgoingRecord): boolean {
  for (const _ in headers) return true
  return false
}

function tooLarge(record: OutgoingRecord, what: string, max: number): TreatyError {
  return new TreatyError(
    'MESSAGE_TOO_LARGE',
    `the message '${record.id}' ${what}, and ${max} are allowed`,
    {
      hint: 'Send a reference to the content instead of the content, or raise messageBytesMax.',
      details: { id: record.id, address: record.address, max },
    },
  )
}

/** A record as the fields of an entry: name, value, name, value. `publishedAt`: where that is not the time of the entry. */
export function fieldsOf(record: OutgoingRecord, publishedAt?: number): Argument[] {
  // Most have none of the caller's own: nothing can be mistaken for something else, and no map is needed.
  if (!hasHeaders(record)) {
    return [mark, plainHeadOf(record, publishedAt), bodyField, bytesOf(record.body)]
  }
  const packed: Record<string, string> = {}
  const events: string[] = []
  for (const [name, value] of Object.entries(toBrokerHeaders(record, 'ce-'))) {
    if (name.startsWith('ce-')) events.push(name, value)
    else packed[name.startsWith(':') ? `:${name}` : name] = value
  }
  if (publishedAt !== undefined) packed[ours.publishedAt] = String(publishedAt)
  // Other programs look for it beside the attributes of CloudEvents.
  if (events.length > 0) events.push('content-type', record.contentType)
  return [mark, JSON.stringify(packed), bodyField, bytesOf(record.body), ...events]
}

/** What {@link toBrokerHeaders} gives for a record without headers, as JSON; tested against it. */
function plainHeadOf(record: OutgoingRecord, publishedAt: number | undefined): string {
  const { priority, expiresAt, deliverAt } = record
  return JSON.stringify({
    'content-type': record.contentType === jsonType ? undefined : record.contentType,
    'treaty-id': record.id,
    'treaty-type': record.type,
    'treaty-key': record.key,
    'treaty-priority': priority === undefined ? undefined : String(priority),
    'treaty-expires-at': expiresAt === undefined ? undefined : String(expiresAt),
    'treaty-deliver-at': deliverAt === undefined ? undefined : String(deliverAt),
    'treaty-correlation-id': record.correlationId,
    'treaty-causation-id': record.causationId,
    [ours.publishedAt]: publishedAt === undefined ? undefined : String(publishedAt),
  })
}

export function bytesOf(body: Uint8Array): Buffer {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

/** Where an entry is: as sortable text, and as the broker names it. */
export interface EntryPlace {
  readonly address: string
  readonly lane: number
  /** `<milliseconds>-<number>`. */
  readonly entry: string
}

/** Sortable within the whole broker, in the order of time. */
export function positionOf(entry: string, lane: number): string {
  const dash = entry.indexOf('-')
  const [ms, number] = dash < 0 ? [entry, '0'] : [entry.slice(0, dash), entry.slice(dash + 1)]
  return `${zeros(ms, 15)}-${zeros(number, 6)}.${zeros(String(lane), 3)}`
}

function zeros(digits: string, width: number): string {
  return digits.length < width ? manyZeros.slice(digits.length - width) + digits : digits
}
const manyZeros = '000000000000000'

/** An entry as it was read. */
export interface ReadEntry {
  readonly record: IncomingRecord
  /** Not written by Treaty: not counted yet, and perhaps in the wrong lane. */
  readonly isForeign: boolean
  /** The only group that it is for. */
  readonly to?: string
}

export function readEntry(place: EntryPlace, fields: readonly Reply[]): ReadEntry {
  const isOurs = fields.length === 4 && isText(fields[0], mark) && isText(fields[2], bodyField)
  if (isOurs) return readParts(place, fields[1] as Buffer, fields[3] as Buffer)
  return readAny(place, fields)
}

/** An entry of the two fields that Treaty writes for most messages. */
export function readParts(place: EntryPlace, head: Buffer, body: Buffer): ReadEntry {
  return plainEntry(place, head, body) ?? readAny(place, [markBytes, head, bodyBytes, body])
}
const markBytes = Buffer.from(mark)
const bodyBytes = Buffer.from(bodyField)

function readAny(place: EntryPlace, fields: readonly Reply[]): ReadEntry {
  const { address, lane, entry } = place
  const own = ownParts(fields)
  const { headers, body, publishedAt, to } = own ?? foreignParts(fields)
  const key = own === undefined ? (headers['ce-partitionkey'] ?? headers.key) : undefined
  const record = fromBrokerHeaders(
    {
      headers,
      body,
      address,
      position: positionOf(entry, lane),
      publishedAt: publishedAt ?? Number(entry.split('-')[0]),
      ...(key === undefined ? {} : { key }),
    },
    'ce-',
  )
  return { record, isForeign: own === undefined, ...(to === undefined ? {} : { to }) }
}

const noHeaders: Readonly<Record<string, string>> = Object.freeze({})
type Draft = { -readonly [Field in keyof IncomingRecord]: IncomingRecord[Field] }

/** An entry of Treaty's without headers of a caller's, as most are. Undefined: it is none, and has to be looked at with more care. */
function plainEntry(place: EntryPlace, head: Buffer, body: Buffer): ReadEntry | undefined {
  const packed = parsed(head)
  if (packed === undefined) return
  const { address, lane, entry } = place
  const record: Draft = {
    id: '',
    type: '',
    address,
    position: positionOf(entry, lane),
    publishedAt: Number(entry.slice(0, entry.indexOf('-'))),
    body,
    headers: noHeaders,
    contentType: jsonType,
  }
  for (const name in packed) {
    const value = packed[name]
    if (typeof value !== 'string' || !takes(record, name, value)) return
  }
  // An empty type is somebody else's, whose id is perhaps in the body.
  return record.type === '' || record.id === '' ? undefined : { record, isForeign: false }
}

/** False for what is no field of a record, or none that {@link plainHeadOf} writes. */
function takes(record: Draft, name: string, value: string): boolean {
  switch (name) {
    case 'content-type':
      record.contentType = value
      return true
    case 'treaty-id':
      record.id = value
      return true
    case 'treaty-type':
      record.type = value
      return true
    case 'treaty-key':
      record.key = value
      return true
    case 'treaty-correlation-id':
      record.correlationId = value
      return true
    case 'treaty-causation-id':
      record.causationId = value
      return true
    default:
      return false
  }
}

function isText(bytes: Reply | undefined, text: string): boolean {
  if (!Buffer.isBuffer(bytes) || bytes.length !== text.length) return false
  for (let at = 0; at < text.length; at += 1) {
    if (bytes[at] !== text.charCodeAt(at)) return false
  }
  return true
}

function parsed(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString())
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return
    return value as Readonly<Record<string, unknown>>
  } catch {
    return // No JSON: somebody else has written it.
  }
}

interface Parts {
  readonly headers: Record<string, string>
  readonly body: Uint8Array
  readonly publishedAt?: number
  readonly to?: string
}

/** Undefined: Treaty has not written it. */
function ownParts(fields: readonly Reply[]): Parts | undefined {
  if (!isText(fields[0], mark) || !isText(fields[2], bodyField)) return undefined
  const packed = textsOf(fields[1] as Buffer)
  if (packed === undefined) return undefined
  const { [ours.publishedAt]: publishedAt, [ours.to]: to, ...rest } = packed
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(rest)) {
    headers[name.startsWith('::') ? name.slice(1) : name] = value
  }
  for (let at = 4; at + 1 < fields.length; at += 2) {
    const name = String(fields[at])
    if (name.startsWith('ce-')) headers[name] = String(fields[at + 1])
  }
  return {
    headers,
    body: fields[3] as Buffer,
    ...(publishedAt === undefined ? {} : { publishedAt: Number(publishedAt) }),
    ...(to === undefined ? {} : { to }),
  }
}

/** Undefined for what is no object of texts: somebody else has written it. */
function textsOf(json: Buffer): Record<string, string> | undefined {
  const value = parsed(json)
  if (value === undefined) return undefined
  const areTexts = Object.values(value).every((each) => typeof each === 'string')
  return areTexts ? (value as Record<string, string>) : undefined
}

/** An outsider's content is where outsiders put it; what is beside it are headers. */
function foreignParts(fields: readonly Reply[]): Parts {
  const values = new Map<string, Buffer>()
  for (let at = 0; at + 1 < fields.length; at += 2) {
    values.set(String(fields[at]), fields[at + 1] as Buffer)
  }
  const bodyName = foreignBodies.find((name) => values.has(name))
  const headers: Record<string, string> = {}
  for (const [name, value] of values) if (name !== bodyName) headers[name] = String(value)
  if (bodyName !== undefined) return { headers, body: values.get(bodyName) as Buffer }
  // Plain fields and no content: the fields are the content.
  return { headers, body: Buffer.from(JSON.stringify(headers)) }
}

/** The fields under which an outsider's message goes into its lane. */
export function adoptedFields({ record }: ReadEntry): Argument[] {
  return fieldsOf(record, record.publishedAt)
}
