import type { IncomingRecord } from '../../transport.ts'
import { positionOf } from './position.ts'

/** Upper bounds of what is remembered; past them the oldest are read from the file again. */
const recordsMax = 20_000
const bytesMax = 16_777_216

/**
 * Records that were published here a moment ago, by seq: a consumer in the same process gets the
 * object itself, and its row is never read.
 */
export interface RecordCache {
  get(seq: number): IncomingRecord | undefined
  add(seq: number, record: IncomingRecord): void
  delete(seq: number): void
}

export function createRecordCache(): RecordCache {
  const records = new Map<number, IncomingRecord>()
  let bytes = 0
  const drop = (seq: number) => {
    const record = records.get(seq)
    if (record === undefined) return
    records.delete(seq)
    bytes -= record.body.byteLength
  }
  return {
    get: (seq) => records.get(seq),
    delete: drop,
    add(seq, record) {
      drop(seq)
      records.set(seq, record)
      bytes += record.body.byteLength
      for (const oldest of records.keys()) {
        if (records.size <= recordsMax && bytes <= bytesMax) break
        drop(oldest)
      }
    },
  }
}

/** Columns of `bus_log` in the order that {@link recordOfRow} expects. */
export const recordColumns =
  'seq, topic, id, type, key, content_type, headers, priority, expires_at, deliver_at, correlation_id, causation_id, published_at, body'

/** One row of `bus_log`, as an array of {@link recordColumns}. */
export type LogRow = readonly [
  seq: number,
  topic: number,
  id: string,
  type: string,
  key: string | null,
  contentType: string,
  headers: string,
  priority: number,
  expiresAt: number | null,
  deliverAt: number | null,
  correlationId: string | null,
  causationId: string | null,
  publishedAt: number,
  body: Uint8Array | null,
]

const noHeaders: Readonly<Record<string, string>> = Object.freeze({})

/** Headers as they were stored. */
export function parseHeaders(text: string): Readonly<Record<string, string>> {
  return text === '{}' ? noHeaders : (JSON.parse(text) as Record<string, string>)
}

export function recordOfRow(row: LogRow, address: string): IncomingRecord {
  const [seq, , id, type, key, contentType, headers, priority] = row
  const [, , , , , , , , expiresAt, deliverAt, correlationId, causationId, publishedAt, body] = row
  return {
    id,
    address,
    type,
    ...(key === null ? {} : { key }),
    body: body ?? new Uint8Array(0),
    headers: parseHeaders(headers),
    contentType,
    priority,
    ...(expiresAt === null ? {} : { expiresAt }),
    ...(deliverAt === null ? {} : { deliverAt }),
    ...(correlationId === null ? {} : { correlationId }),
    ...(causationId === null ? {} : { causationId }),
    position: positionOf(seq),
    publishedAt,
  }
}
