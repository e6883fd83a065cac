import { fromBrokerHeaders, toBrokerHeaders } from '../../lanes/broker-headers.ts'
import type { IncomingRecord, OutgoingRecord } from '../../transport.ts'
import { positionOf } from './names.ts'
import type { LogRecord } from './reader.ts'

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

/** Texts of the headers; of those with one name the last counts, as everywhere with Kafka. */
export function headerTexts(record: LogRecord): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const [name, value] of record.headers) {
    if (name !== null) texts[name.toString()] = value?.toString() ?? ''
  }
  return texts
}

/** The message of a record, with bytes of its own. Whatever another program wrote is a message too. */
export function messageOf(
  record: LogRecord,
  at: { readonly address: string; readonly partition: number },
  texts: Readonly<Record<string, string>> = headerTexts(record),
): IncomingRecord {
  const { key, value, offset, timestamp } = record
  return fromBrokerHeaders(
    {
      headers: unmarked(texts),
      // A view would keep the whole answer of the broker in memory.
      body: new Uint8Array(value ?? []),
      address: at.address,
      position: positionOf(at.partition, offset),
      publishedAt: timestamp,
      ...(key === null ? {} : { key: key.toString() }),
    },
    cloudEvents,
  )
}

function unmarked(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (!Object.keys(texts).some((name) => markNames.has(name))) return texts
  return Object.fromEntries(Object.entries(texts).filter(([name]) => !markNames.has(name)))
}

/** The type alone, without the costs of a whole message where the header says it. */
export function typeOf(record: LogRecord): string {
  const own = textOf(record, 'treaty-type')
  return own ?? messageOf(record, { address: '', partition: 0 }).type
}

/** The text of one header. */
export function textOf(record: LogRecord, name: string): string | undefined {
  let text: string | undefined
  for (const [key, value] of record.headers) {
    if (key !== null && key.length === name.length && key.toString() === name) {
      text = value?.toString() ?? ''
    }
  }
  return text
}
