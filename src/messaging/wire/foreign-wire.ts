import { hash } from 'node:crypto'
import type { Contract, EnvelopeKind, Message } from '../../contracts/index.ts'
import { decodeEnvelope } from '../../contracts/index.ts'
import { uuidFromDigest } from '../../core/ids.ts'
import type { IncomingRecord } from '../transport.ts'

type Wire = Parameters<typeof decodeEnvelope>[0]

/**
 * The message in a record. What our own programs wrote comes back as it was; see {@link wireOf} for what others may write. An id of
 * theirs that is no UUID becomes one that is always the same for it, and stays readable as `metadata.original_id`; a time that they
 * left out is the broker's, a correlation that they left out is the message itself.
 *
 * @throws UNDECODABLE
 */
export function messageOf(record: IncomingRecord, contract: Contract): Message {
  const { wire, kind } = wireOf(record, contract)
  const message = decodeEnvelope(wire, kind)
  const isOpen = kind === 'none' || kind.startsWith('cloudevents')
  if (!isOpen || (isUuid(message.id) && message.timestamp && message.correlation_id)) return message
  const timestamp = message.timestamp || new Date(record.publishedAt).toISOString()
  return withUuid({ ...message, timestamp })
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)
}

/** CloudEvents 1.0 says that source and id together identify an event. */
function withUuid(message: Message): Message {
  const uuid = (text: string) =>
    isUuid(text) ? text : uuidFromDigest(hash('sha256', `${message.source}\n${text}`, 'buffer'))
  const { id, correlation_id, metadata } = message
  return {
    ...message,
    id: uuid(id),
    correlation_id: uuid(correlation_id || id),
    ...(isUuid(id) ? {} : { metadata: { ...metadata, original_id: id } }),
  }
}

/**
 * A record as it is to be decoded. Other programs write to the same channels: CloudEvents in either form, whatever form the contract
 * writes, and under the envelope `none` data alone, for which the broker's own facts stand in.
 */
function wireOf(
  record: IncomingRecord,
  contract: Contract,
): { readonly wire: Wire; readonly kind: EnvelopeKind } {
  const { envelope } = contract
  if (envelope.startsWith('cloudevents')) return { wire: record, kind: cloudEventsKind(record) }
  if (envelope !== 'none' || record.headers['treaty-type'] !== undefined) {
    return { wire: record, kind: envelope }
  }
  const { id, correlationId = id, publishedAt } = record
  const known = {
    'treaty-id': id,
    'treaty-type': record.type || onlyTypeOn(record.address, contract),
    'treaty-source': 'unknown',
    'treaty-timestamp': new Date(publishedAt).toISOString(),
    'treaty-correlation-id': correlationId,
  }
  return { wire: { ...record, headers: { ...known, ...record.headers } }, kind: envelope }
}

/** The type of a message that names none, where its channel carries no other; else empty, and no contract knows that. */
function onlyTypeOn(address: string, { channels, events }: Contract): string {
  const types = Object.values(events).filter(
    ({ channel }) => (channels[channel]?.address ?? channel) === address,
  )
  return types.length === 1 ? (types[0]?.name ?? '') : ''
}

/** CloudEvents 1.0: a message is structured exactly where its content type says so. */
function cloudEventsKind({ contentType, headers }: IncomingRecord): EnvelopeKind {
  const isStructured = /^application\/cloudevents/i.test(contentType)
  if (isStructured) return 'cloudevents-structured'
  return headers['ce-specversion'] === undefined ? 'cloudevents-structured' : 'cloudevents-binary'
}
