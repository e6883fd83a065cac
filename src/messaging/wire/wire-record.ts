import type { Message } from '../../contracts/index.ts'
import { encodeEnvelope, normalizePriority } from '../../contracts/index.ts'
import type { Finding } from '../../core/finding.ts'
import { valueAt } from '../../core/json.ts'
import type { KnownEvent } from '../catalogue.ts'
import { dedupWindowMsDefault } from '../topology/topology.ts'
import type { DeadLetter, OutgoingRecord } from '../transport.ts'
import { priorityLevels } from '../transport.ts'

/**
 * A message that came from outside as a record to publish. Priority and time to live are what its
 * metadata says; the time to live counts from the message's own timestamp.
 *
 * @param how `rawBody`: the outsider's own bytes, which travel as they are. `dedup`: its id may come again.
 */
export function recordFor(
  message: Message,
  known: KnownEvent,
  how: { headers: Readonly<Record<string, string>>; rawBody?: Uint8Array; dedup: boolean },
): OutgoingRecord {
  // What travels as it came need not be written anew.
  const head = how.rawBody === undefined ? message : { ...message, data: null }
  const wire = encodeEnvelope(head, known.contract.envelope)
  const key =
    known.keyPath === undefined ? undefined : keyText(valueAt(message.data, known.keyPath))
  const priority = normalizePriority(message.metadata?.priority)
  const expiresAt = expiryOf(message)
  const cause = message.metadata?.causation_id
  return {
    id: message.id,
    address: known.address,
    type: message.type,
    body: how.rawBody ?? wire.body,
    headers: { ...how.headers, ...wire.headers },
    contentType: wire.contentType,
    correlationId: message.correlation_id,
    ...(key === undefined ? {} : { key }),
    ...(priority === undefined ? {} : { priority: priorityLevels.indexOf(priority) }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(cause === undefined ? {} : { causationId: cause }),
    ...(how.dedup ? { dedupWindowMs: dedupWindowMsDefault } : {}),
  }
}

/** The partition key as text; undefined where there is none. */
export function keyText(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function expiryOf(message: Message): number | undefined {
  const seconds = message.metadata?.ttl_seconds
  const sentAt = Date.parse(message.timestamp)
  return typeof seconds === 'number' && !Number.isNaN(sentAt) ? sentAt + seconds * 1000 : undefined
}

/** Bytes that were refused before they became a message, as a dead letter without a consumer. */
export function refusedLetter(refused: {
  readonly messageId: string
  readonly event: string
  readonly known: KnownEvent | undefined
  readonly reason: string
  readonly findings: readonly Finding[]
  readonly body: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  readonly source: string
  readonly at: number
}): Omit<DeadLetter, 'id'> {
  const { messageId, event, known, reason, findings, body, headers, source, at } = refused
  const first = findings.find((finding) => finding.severity === 'error')
  return {
    messageId,
    event,
    consumer: null,
    group: null,
    reason,
    message: `refused at ingest${first ? `: ${first.message}` : ''}`,
    findings,
    ...(known === undefined
      ? {}
      : { contract: known.contract.id, contractVersion: known.contract.version }),
    attempts: 0,
    firstFailedAt: at,
    failedAt: at,
    address: known?.address ?? event,
    body,
    headers: { ...headers, 'treaty-source': source },
    contentType: headers['content-type'] ?? 'application/json',
  }
}
