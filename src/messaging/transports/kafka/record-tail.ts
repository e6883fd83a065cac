/** What of a record does not depend on its place in a batch, encoded: key, value and headers. */
export interface RecordTail {
  /** Holds other records too. */
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
  /** Bytes of the value alone. */
  readonly valueBytes: number
}

/** What of a record goes into a batch. */
export interface BatchRecord {
  readonly key?: Buffer
  /** Null: a tombstone. */
  readonly value: Uint8Array | null
  readonly headers: ReadonlyMap<string, string>
}

const slabBytes = 65_536
/** More bytes than the length of a text or blob, or a count, ever takes. */
const lengthBytes = 5
/** The most bytes of UTF-8 that one unit of a string takes. */
const unitBytes = 3

/**
 * Encodes records one behind the other into slabs, so that a message costs no buffer of its own, and no string is measured before it is
 * written. `begin`, then key, value, count of headers and headers in this order, then `end`.
 */
export class TailWriter {
  #slab: Buffer = Buffer.allocUnsafeSlow(slabBytes)
  #from = 0
  #at = 0

  /** @param bytesMax at least what will be written: see {@link roomFor} */
  begin(bytesMax: number): void {
    if (this.#slab.byteLength - this.#at < bytesMax) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(slabBytes, bytesMax))
      this.#at = 0
    }
    this.#from = this.#at
  }

  varint(value: number): void {
    this.#at = writeVarint(this.#slab, this.#at, value)
  }

  blob(bytes: Uint8Array | null | undefined): void {
    if (bytes === null || bytes === undefined) {
      this.varint(-1)
      return
    }
    this.varint(bytes.byteLength)
    this.#slab.set(bytes, this.#at)
    this.#at += bytes.byteLength
  }

  text(text: string): void {
    const slab = this.#slab
    // Right for ASCII, which nearly all of it is.
    const guess = varintSize(text.length)
    const begin = this.#at + guess
    const size = slab.write(text, begin)
    const needed = varintSize(size)
    if (needed !== guess) slab.copyWithin(this.#at + needed, begin, begin + size)
    this.#at = writeVarint(slab, this.#at, size) + size
  }

  /** What is encoded already. */
  raw(bytes: Buffer): void {
    this.#slab.set(bytes, this.#at)
    this.#at += bytes.byteLength
  }

  end(valueBytes: number): RecordTail {
    return { bytes: this.#slab, from: this.#from, to: this.#at, valueBytes }
  }
}

/** Bytes that suffice for a text. */
export function roomFor(text: string | undefined): number {
  return text === undefined ? lengthBytes : text.length * unitBytes + lengthBytes
}

/** Bytes that suffice for a blob. */
export function roomForBytes(bytes: Uint8Array | null | undefined): number {
  return (bytes?.byteLength ?? 0) + lengthBytes
}

export function encodeTail(writer: TailWriter, { key, value, headers }: BatchRecord): RecordTail {
  let room = roomForBytes(key) + roomForBytes(value) + lengthBytes
  for (const [name, text] of headers) room += roomFor(name) + roomFor(text)
  writer.begin(room)
  writer.blob(key)
  writer.blob(value)
  writer.varint(headers.size)
  for (const [name, text] of headers) {
    writer.text(name)
    writer.text(text)
  }
  return writer.end(value?.byteLength ?? 0)
}

/** Name and value of a header as they stand in a record. */
export function encodePair(name: string, text: string): Buffer {
  const writer = new TailWriter()
  writer.begin(roomFor(name) + roomFor(text))
  writer.text(name)
  writer.text(text)
  const { bytes, from, to } = writer.end(0)
  return Buffer.from(bytes.subarray(from, to))
}

/** Bytes of a number in zigzag and groups of seven bits. */
export function varintSize(value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  let size = 1
  while (rest > 0x7f) {
    rest >>>= 7
    size += 1
  }
  return size
}

/** @returns the place behind it */
export function writeVarint(bytes: Buffer, from: number, value: number): number {
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
