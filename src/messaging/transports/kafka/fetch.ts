import type { API, Reader } from '@platformatic/kafka'
import type { KafkaDriver } from './kafka-driver.ts'
import { type AbortedTransaction, type LogRecord, readBatches } from './log-record.ts'

/** What a fetch gave for one partition. */
export interface FetchedPartition {
  readonly partition: number
  /** 0, or a code of Kafka's. */
  readonly errorCode: number
  /** Offset behind the last message that every reader may see. */
  readonly end: number
  readonly start: number
  /** The records from an offset on, and where to read on. */
  read(from: number): { readonly records: LogRecord[]; readonly next: number }
}
export interface FetchedTopic {
  readonly topic: string
  readonly partitions: readonly FetchedPartition[]
}
type FetchArguments = Parameters<KafkaDriver['fetchV12']['createRequest']>
type FetchApi = API<FetchArguments, readonly FetchedTopic[]>

const apis = new WeakMap<object, FetchApi>()
const noBytes = Buffer.alloc(0)

/**
 * The request "fetch", version 12, whose answer is not taken apart into a buffer for each key, value and header. Errors of a partition are
 * with it, and reject nothing.
 */
export function fetchApi(driver: KafkaDriver): FetchApi {
  const known = apis.get(driver)
  if (known !== undefined) return known
  const { api, createRequest } = driver.fetchV12
  const parse = (_id: number, _key: number, _version: number, reader: Reader) =>
    parseAnswer(driver, reader)
  const made = driver.createAPI(api.key, api.version, createRequest, parse) as FetchApi
  apis.set(driver, made)
  return made
}

/** @see https://kafka.apache.org/protocol.html#The_Messages_Fetch */
function parseAnswer(driver: KafkaDriver, reader: Reader): readonly FetchedTopic[] {
  reader.readInt32() // How long the broker held back the answer.
  const errorCode = reader.readInt16()
  reader.readInt32() // The session, which we have none of.
  const topics = reader.readArray((each) => ({
    topic: each.readString(),
    partitions: each.readArray((part) => parsePartition(driver, part)),
  }))
  if (errorCode !== 0) throw new driver.ProtocolError(errorCode)
  return topics
}

function parsePartition(driver: KafkaDriver, reader: Reader): FetchedPartition {
  const partition = reader.readInt32()
  const errorCode = reader.readInt16()
  reader.readInt64() // What is replicated, also of transactions that are open.
  const end = Number(reader.readInt64())
  const start = Number(reader.readInt64())
  const aborted: readonly AbortedTransaction[] =
    reader.readNullableArray((each) => ({
      producerId: each.readInt64(),
      firstOffset: each.readInt64(),
    })) ?? []
  reader.readInt32() // A replica that would be nearer.
  const size = reader.readUnsignedVarInt() - 1
  const at = reader.position
  const bytes = size > 0 ? reader.buffer.subarray(at, at + size).buffer : noBytes
  reader.skip(Math.max(0, size))
  const inflate = (method: number, packed: Buffer) => inflated(driver, method, packed)
  return {
    partition,
    errorCode,
    end,
    start,
    read: (from) => readBatches(bytes, { from, aborted, inflate }),
  }
}

function inflated(driver: KafkaDriver, method: number, packed: Buffer): Buffer {
  const algorithms: Readonly<
    Record<number, { decompressSync(bytes: Buffer): Buffer } | undefined>
  > = driver.compressionsAlgorithmsByBitmask
  const algorithm = algorithms[method]
  if (algorithm !== undefined) return algorithm.decompressSync(packed)
  throw new driver.UnsupportedCompressionError(
    `the records are compressed in a way that is not known here: ${method}`,
  )
}
