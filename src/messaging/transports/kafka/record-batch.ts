import type { API } from '@platformatic/kafka'
import type { KafkaDriver } from './kafka-driver.ts'

/** What of a record goes into a batch. */
export interface BatchRecord {
  readonly key?: Buffer
  /** Null: a tombstone. */
  readonly value: Buffer | null
  readonly headers: ReadonlyMap<string, string>
}
export interface BatchSource {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly sequence: number
}
/** A batch for one partition. */
export interface PartitionBatch {
  readonly topic: string
  readonly partition: number
  readonly bytes: Buffer
}

export const noSource: BatchSource = { producerId: -1n, producerEpoch: -1, sequence: -1 }

const headBytes = 61
const crcAt = 17
const attributesAt = 21
const magic = 2

/**
 * A batch of records of version 2, written into one buffer: the client's own way of many small ones costs several times as much.
 *
 * @see https://kafka.apache.org/documentation/#recordbatch
 */
export function encodeBatch(
  records: readonly BatchRecord[],
  source: BatchSource,
  how: { readonly now: number; readonly crc: (bytes: Buffer) => number },
): Buffer {
  const sizes = records.map(bodySize)
  let total = headBytes
  for (const size of sizes) total += varintSize(size) + size
  const bytes = Buffer.allocUnsafe(total)
  let at = headBytes
  for (const [index, record] of records.entries()) {
    at = writeVarint(bytes, at, sizes[index] as number)
    at = writeBody(bytes, at, { record, index })
  }
  bytes.writeBigInt64BE(0n, 0)
  bytes.writeInt32BE(total - 12, 8)
  bytes.writeInt32BE(-1, 12)
  bytes.writeInt8(magic, 16)
  bytes.writeInt16BE(0, attributesAt)
  bytes.writeInt32BE(records.length - 1, 23)
  bytes.writeBigInt64BE(BigInt(how.now), 27)
  bytes.writeBigInt64BE(BigInt(how.now), 35)
  bytes.writeBigInt64BE(source.producerId, 43)
  bytes.writeInt16BE(source.producerEpoch, 51)
  bytes.writeInt32BE(source.sequence, 53)
  bytes.writeInt32BE(records.length, 57)
  bytes.writeUInt32BE(how.crc(bytes.subarray(attributesAt)), crcAt)
  return bytes
}

/** Attributes and the time beside the batch's are zero. */
function bodySize({ key, value, headers }: BatchRecord, index: number): number {
  let size = 2 + varintSize(index) + blobSize(key) + blobSize(value) + varintSize(headers.size)
  for (const [name, text] of headers) size += textSize(name) + textSize(text)
  return size
}

function blobSize(bytes: Buffer | null | undefined): number {
  if (bytes === null || bytes === undefined) return 1
  return varintSize(bytes.byteLength) + bytes.byteLength
}

function textSize(text: string): number {
  const size = Buffer.byteLength(text)
  return varintSize(size) + size
}

function writeBody(
  bytes: Buffer,
  from: number,
  { record, index }: { record: BatchRecord; index: number },
): number {
  bytes[from] = 0
  bytes[from + 1] = 0
  let at = writeVarint(bytes, from + 2, index)
  at = writeBlob(bytes, at, record.key)
  at = writeBlob(bytes, at, record.value)
  at = writeVarint(bytes, at, record.headers.size)
  for (const [name, text] of record.headers) {
    at = writeText(bytes, at, name)
    at = writeText(bytes, at, text)
  }
  return at
}

function writeBlob(bytes: Buffer, at: number, blob: Buffer | null | undefined): number {
  if (blob === null || blob === undefined) return writeVarint(bytes, at, -1)
  const behind = writeVarint(bytes, at, blob.byteLength)
  bytes.set(blob, behind)
  return behind + blob.byteLength
}

function writeText(bytes: Buffer, at: number, text: string): number {
  const behind = writeVarint(bytes, at, Buffer.byteLength(text))
  return behind + bytes.write(text, behind)
}

/** Bytes of a number in zigzag and groups of seven bits. */
function varintSize(value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  let size = 1
  while (rest > 0x7f) {
    rest >>>= 7
    size += 1
  }
  return size
}

function writeVarint(bytes: Buffer, from: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  let at = from
  while (rest > 0x7f) {
    bytes[at] = (rest & 0x7f) | 0x80
    rest >>>= 7
    at += 1
  }
  bytes[at] = rest
  return at + 1
}

type ProduceArguments = [acks: number, timeoutMs: number, batches: readonly PartitionBatch[]]
type ProduceAnswer = ReturnType<KafkaDriver['produceV9']['parseResponse']>

/** The request "produce", version 9, for batches that are encoded already. */
export function produceApi(driver: KafkaDriver): API<ProduceArguments, ProduceAnswer> {
  const { api, parseResponse } = driver.produceV9
  const request = (...[acks, timeoutMs, batches]: ProduceArguments) => {
    const byTopic = [...Map.groupBy(batches, ({ topic }) => topic)]
    return driver.Writer.create()
      .appendString(null)
      .appendInt16(acks)
      .appendInt32(timeoutMs)
      .appendArray(byTopic, (writer, [topic, parts]) => {
        writer.appendString(topic).appendArray(parts, (inner, { partition, bytes }) => {
          inner
            .appendInt32(partition)
            .appendUnsignedVarInt(bytes.byteLength + 1)
            .append(bytes)
        })
      })
      .appendTaggedFields()
  }
  return driver.createAPI(api.key, api.version, request, parseResponse)
}
