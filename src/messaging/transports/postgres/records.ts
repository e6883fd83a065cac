import { TreatyError } from '../../../core/errors.ts'
import type { Row } from '../../../store/index.ts'
import type { IncomingRecord, OutgoingRecord } from '../../transport.ts'
import { positionOf } from '../sqlite/position.ts'
import { parseHeaders } from '../sqlite/records.ts'

/** Headers of one record, in characters of their JSON: a bound of their own, beside the body's. */
const headersCharactersMax = 262_144
const priorityNormal = 1
const priorityMax = 3

/** Milliseconds as the database keeps them. */
export function wholeMs(ms: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.ceil(ms)))
}

/**
 * Why a record cannot be stored; undefined: it can. One by one, so that it does not stop the others of its batch.
 *
 * Codes: MESSAGE_TOO_LARGE, OPTION_INVALID
 */
export function refusalOf(record: OutgoingRecord, bytesMax: number): TreatyError | undefined {
  const bytes = record.body.byteLength
  if (bytes > bytesMax) return tooLarge(record, `has a body of ${bytes} bytes`, bytesMax)
  const { length } = JSON.stringify(record.headers)
  if (length > headersCharactersMax) {
    return tooLarge(record, `has headers of ${length} characters`, headersCharactersMax)
  }
  const { id, type, key = '', contentType, correlationId = '', causationId = '' } = record
  const texts = { id, type, key, contentType, correlationId, causationId }
  const wrong = Object.entries(texts).find(
    ([, text]) => text.includes('\0') || !text.isWellFormed(),
  )
  if (wrong === undefined) return undefined
  return new TreatyError(
    'OPTION_INVALID',
    `the ${wrong[0]} of a message holds NUL or half of a surrogate pair, which PostgreSQL cannot keep`,
    { hint: 'Use well-formed text without the character NUL.', details: { field: wrong[0] } },
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

/**
 * The arguments of `bus_publish` after the shard: one array for each column, and the bodies. An array of one is the same for all, none at
 * all is NULL for all.
 */
export function publishArguments(records: readonly OutgoingRecord[]): unknown[] {
  const column = <T>(value: (record: OutgoingRecord) => T) => records.map(value)
  const unlessEmpty = <T>(values: readonly (T | null)[]) =>
    values.some((value) => value !== null) ? values : null
  const alike = <T>(values: readonly T[]) =>
    values.every((value) => value === values[0]) ? values.slice(0, 1) : values
  const orNull = (ms: number | undefined) => (ms === undefined ? null : wholeMs(ms))
  let end = 1
  const starts = column(({ body }) => {
    end += body.byteLength
    return end - body.byteLength
  })
  return [
    alike(column(({ address }) => address)),
    column(({ id }) => id),
    alike(column(({ type }) => type)),
    unlessEmpty(column(({ key }) => key ?? null)),
    alike(column(({ contentType }) => contentType)),
    column(({ headers }) => JSON.stringify(headers)),
    alike(column(({ priority }) => levelOf(priority))),
    unlessEmpty(column(({ expiresAt }) => orNull(expiresAt))),
    unlessEmpty(column(({ deliverAt }) => orNull(deliverAt))),
    unlessEmpty(column(({ correlationId }) => correlationId ?? null)),
    unlessEmpty(column(({ causationId }) => causationId ?? null)),
    unlessEmpty(column(({ dedupWindowMs }) => orNull(dedupWindowMs))),
    starts,
    column(({ body }) => body.byteLength),
    Buffer.concat(column(({ body }) => body)),
  ]
}

export function levelOf(priority: number | undefined): number {
  return Math.min(Math.max(Math.trunc(priority ?? priorityNormal), 0), priorityMax)
}

const optional = (row: Row, column: string) => row[column] ?? undefined

/** A row of `bus_log` with its channel's address, in the columns that `bus_claim` gives. */
export function recordOf(row: Row): IncomingRecord {
  const text = (column: string) => optional(row, column) as string | undefined
  const number = (column: string) => {
    const value = optional(row, column)
    return value === undefined ? undefined : Number(value)
  }
  const [key, correlationId, causationId] = [
    text('key'),
    text('correlation_id'),
    text('causation_id'),
  ]
  const [expiresAt, deliverAt] = [number('expires_at'), number('deliver_at')]
  return {
    id: String(row.id),
    address: String(row.address),
    type: String(row.type),
    ...(key === undefined ? {} : { key }),
    body: row.body as Uint8Array,
    headers: parseHeaders(String(row.headers)),
    contentType: String(row.content_type),
    priority: Number(row.priority),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(deliverAt === undefined ? {} : { deliverAt }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(causationId === undefined ? {} : { causationId }),
    position: positionOf(Number(row.seq)),
    publishedAt: Number(row.published_at),
  }
}
