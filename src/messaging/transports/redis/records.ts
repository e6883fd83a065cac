import { TreatyError } from '../../../core/errors.ts'
import { fromBrokerHeaders, toBrokerHeaders } from '../../lanes/broker-headers.ts'
import type { IncomingRecord, OutgoingRecord } from '../../transport.ts'
import type { Argument, Reply } from './link.ts'

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
/** Where other programs put their content. */
const foreignBodies = [bodyField, 'data', 'payload', 'message', 'value']

/** Why a record cannot be stored; undefined: it can. Codes: MESSAGE_TOO_LARGE, OPTION_INVALID */
export function refusalOf(record: OutgoingRecord, bytesMax: number): TreatyError | undefined {
  const bytes = record.body.byteLength
  if (bytes > bytesMax) return tooLarge(record, `has a body of ${bytes} bytes`, bytesMax)
  const { length } = JSON.stringify(record.headers)
  if (length > headersCharactersMax) {
    return tooLarge(record, `has headers of ${length} characters`, headersCharactersMax)
  }
  const { length: headers } = Object.keys(record.headers)
  if (headers > headersMax) return tooLarge(record, `has ${headers} headers`, headersMax)
  const { id, type, key = '', contentType, correlationId = '', causationId = '' } = record
  const texts = { id, type, key, contentType, correlationId, causationId }
  const wrong = Object.entries(texts).find(([, text]) => !text.isWellFormed())
  if (wrong === undefined) return undefined
  return new TreatyError(
    'OPTION_INVALID',
    `the ${wrong[0]} of a message holds half of a surrogate pair, which has no bytes`,
    { hint: 'Use well-formed text.', details: { field: wrong[0] } },
  )
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
  const [ms = '0', number = '0'] = entry.split('-')
  return `${ms.padStart(15, '0')}-${number.padStart(6, '0')}.${String(lane).padStart(3, '0')}`
}

/** An entry as it was read. */
export interface ReadEntry {
  readonly record: IncomingRecord
  /** Not written by Treaty: not counted yet, and perhaps in the wrong lane. */
  readonly isForeign: boolean
  /** The only group that it is for. */
  readonly to?: string
}

export function readEntry(place: EntryPlace, fields: readonly Reply[]): ReadEntry {
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

interface Parts {
  readonly headers: Record<string, string>
  readonly body: Uint8Array
  readonly publishedAt?: number
  readonly to?: string
}

/** Undefined: Treaty has not written it. */
function ownParts(fields: readonly Reply[]): Parts | undefined {
  if (String(fields[0]) !== mark || String(fields[2]) !== bodyField) return undefined
  const packed = textsOf(String(fields[1]))
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
function textsOf(json: string): Record<string, string> | undefined {
  try {
    const value: unknown = JSON.parse(json)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const isText = Object.values(value).every((each) => typeof each === 'string')
    return isText ? (value as Record<string, string>) : undefined
  } catch {
    return undefined
  }
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
