import { fromBrokerHeaders, toBrokerHeaders } from '../../lanes/broker-headers.ts'
import type { IncomingRecord, OutgoingRecord } from '../../transport.ts'
import type { LogRecord } from './log-record.ts'
import { positionOf } from './names.ts'
import type { OwnHeaders } from './own-headers.ts'

/** How the Kafka binding of CloudEvents 1.0 writes attributes. */
const cloudEvents = 'ce_'

/** Headers that say what a record is for, beside those of its message. */
export const marks = {
  /** A replay: only this group handles it. */
  to: 'treaty-to',
  /** Id of the dead letter that was replayed. */
  replayOf: 'treaty-replay-of',
  /** How the dead letter was counted: `dead` or `expired`. */
  counted: 'treaty-counted',
  /** In a topic of dead letters: the record of the failure, as JSON. */
  dead: 'treaty-dead',
  /** In a topic of dead letters: what somebody has begun with it, as JSON. */
  asked: 'treaty-asked',
} as const

const markNames: ReadonlySet<string> = new Set(Object.values(marks))
/** Before a caller's own header that is called like a mark. */
const kept = 'treaty-own-'

/** A message's headers as Kafka keeps them. */
export function headersOf(record: OutgoingRecord): Map<string, string> {
  const headers = new Map<string, string>()
  const texts = toBrokerHeaders(record, cloudEvents)
  for (const name of Object.keys(texts)) {
    headers.set(markNames.has(name) ? `${kept}${name}` : name, texts[name] as string)
  }
  return headers
}

export function keyOf(record: { readonly key?: string }): { readonly key?: Buffer } {
  return record.key === undefined ? {} : { key: Buffer.from(record.key) }
}

/** The message of a record. Whatever another program wrote is a message too. */
export function messageOf(
  record: LogRecord,
  at: { readonly address: string; readonly partition: number },
): IncomingRecord {
  const { own } = record
  return own === undefined
    ? foreignMessage(record, at, record.texts())
    : ownMessage(record, at, own)
}

/** The same where headers have been read that may be none of ours. */
export function foreignMessage(
  { key, value, offset, timestamp }: LogRecord,
  at: { readonly address: string; readonly partition: number },
  texts: Readonly<Record<string, string>>,
): IncomingRecord {
  return fromBrokerHeaders(
    {
      headers: unmarked(texts),
      body: value ?? noBytes,
      address: at.address,
      position: positionOf(at.partition, offset),
      publishedAt: timestamp,
      ...(key === null ? {} : { key: key.toString() }),
    },
    cloudEvents,
  )
}

/** What {@link fromBrokerHeaders} makes of our own headers, without a list of them in between. */
function ownMessage(
  record: LogRecord,
  at: { readonly address: string; readonly partition: number },
  own: OwnHeaders,
): IncomingRecord {
  const { value, offset } = record
  const message: Writable<IncomingRecord> = {
    id: own.id,
    type: own.type,
    address: at.address,
    position: positionOf(at.partition, offset),
    publishedAt: record.timestamp,
    body: value ?? noBytes,
    headers: {},
    contentType: own.contentType ?? 'application/json',
  }
  const key = own.key ?? record.key?.toString()
  if (key !== undefined) message.key = key
  const priority = numberOf(own.priority)
  if (priority !== undefined) message.priority = priority
  const expiresAt = numberOf(own.expiresAt)
  if (expiresAt !== undefined) message.expiresAt = expiresAt
  const deliverAt = numberOf(own.deliverAt)
  if (deliverAt !== undefined) message.deliverAt = deliverAt
  if (own.correlationId !== undefined) message.correlationId = own.correlationId
  if (own.causationId !== undefined) message.causationId = own.causationId
  return message
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] }
const noBytes = new Uint8Array(0)

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  return Number.isFinite(value) ? value : undefined
}

function unmarked(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (!Object.keys(texts).some((name) => markNames.has(name))) return texts
  return Object.fromEntries(Object.entries(texts).filter(([name]) => !markNames.has(name)))
}

/** The type alone. */
export function typeOf(record: LogRecord): string {
  return record.own?.type ?? messageOf(record, { address: '', partition: 0 }).type
}

/** The text of one mark. */
export function markOf(record: LogRecord, name: string): string | undefined {
  return record.own === undefined ? record.texts()[name] : undefined
}
