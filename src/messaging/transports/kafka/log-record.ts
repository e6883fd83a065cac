import { Cursor, type OwnHeaders, readOwnHeaders } from './own-headers.ts'

/**
 * One record of a log as Kafka keeps it. Its bytes share a few kilobytes with its neighbours, so they may be kept without keeping a whole answer of
 * the broker; its headers are looked at when somebody asks.
 */
export interface LogRecord {
  readonly offset: number
  /** Epoch milliseconds. */
  readonly timestamp: number
  readonly key: Buffer | null
  /** Null: a tombstone. */
  readonly value: Buffer | null
  /** Undefined where other headers than ours are there, or too few of ours. */
  readonly own: OwnHeaders | undefined
  /** Texts of all headers, by name; of those with one name the last counts. */
  texts(): Record<string, string>
}

/** Bytes that records share: as much as one of them can keep in memory beyond itself. */
const slabBytes = 8192
const headBytes = 61
const isControl = 1 << 5
const isTransactional = 1 << 4
const isLogTime = 1 << 3
const compressionMask = 7

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
}
export interface BatchReading {
  /** Records before it are passed over: batches may begin earlier. */
  readonly from: number
  readonly aborted: readonly AbortedTransaction[]
  /** Unpacks compressed records; `method` is Kafka's number of the compression. */
  inflate(method: number, bytes: Buffer): Buffer
}

/**
 * The records of what a fetch gave for one partition, without those of transactions that were given up and without markers. The last batch may be
 * cut off.
 *
 * @see https://kafka.apache.org/documentation/#recordbatch
 */
export function readBatches(
  bytes: Buffer,
  reading: BatchReading,
): { readonly records: LogRecord[]; readonly next: number } {
  const records: LogRecord[] = []
  const isGivenUp = followAborted(reading.aborted)
  let next = reading.from
  let at = 0
  while (bytes.byteLength - at >= headBytes) {
    const end = at + 12 + bytes.readInt32BE(at + 8)
    if (end > bytes.byteLength) break
    const first = bytes.readBigInt64BE(at)
    const attributes = bytes.readInt16BE(at + 21)
    next = Math.max(next, Number(first) + bytes.readInt32BE(at + 23) + 1)
    const given = { first, attributes, producerId: bytes.readBigInt64BE(at + 43) }
    const isOut = isGivenUp(given) || (attributes & isControl) !== 0
    if (!isOut) readRecords(bytes.subarray(at, end), reading, records)
    at = end
  }
  return { records, next }
}

/** KIP-98: a transaction that was given up reaches from its first offset to its abort marker. */
function followAborted(aborted: readonly AbortedTransaction[]) {
  const open = [...aborted].sort((one, two) => Number(one.firstOffset - two.firstOffset))
  const dead = new Set<bigint>()
  return (batch: { first: bigint; attributes: number; producerId: bigint }): boolean => {
    while (open[0] !== undefined && open[0].firstOffset <= batch.first) {
      dead.add((open.shift() as AbortedTransaction).producerId)
    }
    if ((batch.attributes & isControl) !== 0) {
      dead.delete(batch.producerId)
      return true
    }
    return (batch.attributes & isTransactional) !== 0 && dead.has(batch.producerId)
  }
}

function readRecords(batch: Buffer, { from, inflate }: BatchReading, into: LogRecord[]): void {
  const attributes = batch.readInt16BE(21)
  const method = attributes & compressionMask
  const packed = batch.subarray(headBytes)
  const bytes = method === 0 ? packed : inflate(method, packed)
  const first = Number(batch.readBigInt64BE(0))
  const count = batch.readInt32BE(57)
  const isBrokersTime = (attributes & isLogTime) !== 0
  const time = Number(batch.readBigInt64BE(isBrokersTime ? 35 : 27))
  const cursor = new Cursor(bytes, 0)
  let slab = bytes
  let slabFrom = 0
  let slabTo = 0
  for (let index = 0; index < count; index += 1) {
    const size = cursor.varint()
    const begin = cursor.at
    const end = begin + size
    cursor.at += 1
    const later = cursor.varint()
    const offset = first + cursor.varint()
    if (offset >= from) {
      if (end > slabTo) {
        slabFrom = begin
        slabTo = Math.min(bytes.byteLength, Math.max(end, begin + slabBytes))
        // Not from Node's pool, which is larger and shared with anybody.
        slab = Buffer.allocUnsafeSlow(slabTo - slabFrom)
        bytes.copy(slab, 0, slabFrom, slabTo)
      }
      const timestamp = isBrokersTime ? time : time + later
      const place = { slab, at: cursor.at - slabFrom }
      into.push(new StoredRecord(offset, timestamp, place))
    }
    cursor.at = end
  }
}

/** Knows where its parts are, and makes them when they are asked for. */
class StoredRecord implements LogRecord {
  readonly offset: number
  readonly timestamp: number
  readonly #bytes: Buffer
  readonly #keyAt: number
  readonly #keyBytes: number
  readonly #valueAt: number
  readonly #valueBytes: number
  readonly #headersAt: number
  readonly #count: number
  #own: OwnHeaders | undefined
  #isOwnRead = false

  constructor(
    offset: number,
    timestamp: number,
    { slab, at }: { readonly slab: Buffer; readonly at: number },
  ) {
    const cursor = new Cursor(slab, at)
    this.offset = offset
    this.timestamp = timestamp
    this.#bytes = slab
    this.#keyBytes = cursor.varint()
    this.#keyAt = cursor.at
    cursor.at += Math.max(0, this.#keyBytes)
    this.#valueBytes = cursor.varint()
    this.#valueAt = cursor.at
    cursor.at += Math.max(0, this.#valueBytes)
    this.#count = cursor.varint()
    this.#headersAt = cursor.at
  }

  get key(): Buffer | null {
    if (this.#keyBytes < 0) return null
    return this.#bytes.subarray(this.#keyAt, this.#keyAt + this.#keyBytes)
  }

  get value(): Buffer | null {
    if (this.#valueBytes < 0) return null
    return this.#bytes.subarray(this.#valueAt, this.#valueAt + this.#valueBytes)
  }

  get own(): OwnHeaders | undefined {
    if (!this.#isOwnRead) {
      this.#own = readOwnHeaders(this.#bytes, this.#headersAt, this.#count)
      this.#isOwnRead = true
    }
    return this.#own
  }

  texts(): Record<string, string> {
    const texts = Object.create(null) as Record<string, string>
    const cursor = new Cursor(this.#bytes, this.#headersAt)
    for (let index = 0; index < this.#count; index += 1) {
      const name = textAt(cursor)
      const text = textAt(cursor)
      if (name !== undefined) texts[name] = text ?? ''
    }
    return { ...texts }
  }
}

function textAt(cursor: Cursor): string | undefined {
  const size = cursor.varint()
  if (size < 0) return undefined
  const from = cursor.at
  cursor.at += size
  return cursor.bytes.toString('utf8', from, from + size)
}
