import type { API } from '@platformatic/kafka'
import type { KafkaDriver } from './kafka-driver.ts'
import { type RecordTail, varintSize, writeVarint } from './record-tail.ts'

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
  records: readonly RecordTail[],
  source: BatchSource,
  how: { readonly now: number; readonly crc: (bytes: Buffer) => number },
): Buffer {
  let total = headBytes
  for (let index = 0; index < records.length; index += 1) {
    const size = bodySize(records[index] as RecordTail, index)
    total += varintSize(size) + size
  }
  const bytes = Buffer.allocUnsafe(total)
  let at = headBytes
  for (let index = 0; index < records.length; index += 1) {
    const record = records[index] as RecordTail
    at = writeVarint(bytes, at, bodySize(record, index))
    bytes[at] = 0
    bytes[at + 1] = 0
    at = writeVarint(bytes, at + 2, index)
    at += record.bytes.copy(bytes, at, record.from, record.to)
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
function bodySize({ from, to }: RecordTail, index: number): number {
  return 2 + varintSize(index) + to - from
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
