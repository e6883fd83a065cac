import type { OutgoingRecord } from '../../transport.ts'
import { headersOf } from './messages.ts'
import {
  encodePair,
  encodeTail,
  type RecordTail,
  roomFor,
  roomForBytes,
  type TailWriter,
} from './record-tail.ts'

/** Pairs of name and text that are the same in many messages, such as their types. */
const pairsMax = 1000
/** Room for the headers that are written from numbers and for every name. */
const fixedBytes = 400
const contentTypePairs = new Map<string, Buffer>()
const typePairs = new Map<string, Buffer>()
const idName = 'treaty-id'

/**
 * A message as it stands in a record. Its key is the record's, which needs no header beside it; what has no headers of its own is written
 * without any list of headers being made.
 */
export function encodeMessage(writer: TailWriter, record: OutgoingRecord): RecordTail {
  for (const _ in record.headers) return encodeWithHeaders(writer, record)
  const { id, body, contentType, type, key } = record
  writer.begin(
    fixedBytes +
      roomForBytes(body) +
      roomFor(key) +
      roomFor(id) +
      roomFor(contentType) +
      roomFor(type) +
      roomFor(record.correlationId) +
      roomFor(record.causationId),
  )
  if (key === undefined) writer.blob(undefined)
  else writer.text(key)
  writer.blob(body)
  writer.varint(3 + countOfOptional(record))
  writer.raw(pairOf(contentTypePairs, 'content-type', contentType))
  writer.text(idName)
  writer.text(id)
  writer.raw(pairOf(typePairs, 'treaty-type', type))
  optional(writer, 'treaty-priority', record.priority)
  optional(writer, 'treaty-expires-at', record.expiresAt)
  optional(writer, 'treaty-deliver-at', record.deliverAt)
  optional(writer, 'treaty-correlation-id', record.correlationId)
  optional(writer, 'treaty-causation-id', record.causationId)
  return writer.end(body.byteLength)
}

function encodeWithHeaders(writer: TailWriter, record: OutgoingRecord): RecordTail {
  const { key, ...keyless } = record
  const headers = headersOf(keyless)
  const { body: value } = record
  if (key === undefined) return encodeTail(writer, { value, headers })
  return encodeTail(writer, { key: Buffer.from(key), value, headers })
}

function countOfOptional(record: OutgoingRecord): number {
  let count = 0
  if (record.priority !== undefined) count += 1
  if (record.expiresAt !== undefined) count += 1
  if (record.deliverAt !== undefined) count += 1
  if (record.correlationId !== undefined) count += 1
  if (record.causationId !== undefined) count += 1
  return count
}

function optional(writer: TailWriter, name: string, value: string | number | undefined): void {
  if (value === undefined) return
  writer.text(name)
  writer.text(typeof value === 'string' ? value : String(value))
}

function pairOf(pairs: Map<string, Buffer>, name: string, text: string): Buffer {
  const known = pairs.get(text)
  if (known !== undefined) return known
  if (pairs.size >= pairsMax) pairs.clear()
  const made = encodePair(name, text)
  pairs.set(text, made)
  return made
}
