/** What the headers of a message say where they are only our own, none of which is a mark; texts as they stand there. */
export interface OwnHeaders {
  id: string
  type: string
  contentType: string | undefined
  key: string | undefined
  priority: string | undefined
  expiresAt: string | undefined
  deliverAt: string | undefined
  correlationId: string | undefined
  causationId: string | undefined
}

const names: readonly (readonly [field: keyof OwnHeaders, name: string])[] = [
  ['id', 'treaty-id'],
  ['type', 'treaty-type'],
  ['contentType', 'content-type'],
  ['key', 'treaty-key'],
  ['priority', 'treaty-priority'],
  ['expiresAt', 'treaty-expires-at'],
  ['deliverAt', 'treaty-deliver-at'],
  ['correlationId', 'treaty-correlation-id'],
  ['causationId', 'treaty-causation-id'],
]
interface Name {
  readonly field: keyof OwnHeaders
  readonly bytes: Buffer
}
const longest = Math.max(...names.map(([, name]) => name.length))
/** By length, so that most of what is not ours is seen without looking at it. */
const byLength: readonly (readonly Name[])[] = Array.from({ length: longest + 1 }, (_, length) =>
  names.flatMap(([field, name]) =>
    name.length === length ? [{ field, bytes: Buffer.from(name) }] : [],
  ),
)

/** Texts that many messages have in common, such as their type: found again by their bytes, they cost no new string. */
class Repeated {
  readonly #slots: { readonly bytes: Buffer; readonly text: string }[] = []

  text(bytes: Buffer, from: number, to: number): string {
    const slot = (to - from) % 64
    const known = this.#slots[slot]
    if (known?.bytes.byteLength === to - from && isAt(known.bytes, bytes, from)) return known.text
    const text = bytes.toString('utf8', from, to)
    this.#slots[slot] = { bytes: Buffer.from(bytes.subarray(from, to)), text }
    return text
  }
}
const types = new Repeated()
const contentTypes = new Repeated()
const repeatedBytesMax = 200

/** True where bytes go on with those that are wanted. */
function isAt(wanted: Buffer, bytes: Buffer, from: number): boolean {
  // Names of ours begin alike.
  for (let at = wanted.byteLength - 1; at >= 0; at -= 1) {
    if (wanted[at] !== bytes[from + at]) return false
  }
  return true
}

/** Place in bytes that are read as Kafka's numbers of variable length. */
export class Cursor {
  readonly bytes: Buffer
  at: number

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes
    this.at = at
  }

  /** A number in zigzag and groups of seven bits; exact up to 2 ** 53. */
  varint(): number {
    const first = this.bytes[this.at] as number
    this.at += 1
    if (first < 0x80) return (first >>> 1) ^ -(first & 1)
    let value = first & 0x7f
    let scale = 128
    for (;;) {
      const byte = this.bytes[this.at]
      if (byte === undefined) throw new RangeError('a record of Kafka ends in the middle')
      this.at += 1
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
      scale *= 128
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
}

/**
 * Reads headers without making any list of them. Undefined where there is another header than ours, or id or type are missing: then the
 * general way has to look at them. Of two with one name the last counts, as everywhere with Kafka.
 */
export function readOwnHeaders(bytes: Buffer, from: number, count: number): OwnHeaders | undefined {
  const cursor = new Cursor(bytes, from)
  const own: OwnHeaders = {
    id: '',
    type: '',
    contentType: undefined,
    key: undefined,
    priority: undefined,
    expiresAt: undefined,
    deliverAt: undefined,
    correlationId: undefined,
    causationId: undefined,
  }
  let hasId = false
  let hasType = false
  for (let index = 0; index < count; index += 1) {
    const length = cursor.varint()
    const field = fieldAt(bytes, cursor.at, cursor.at + length)
    if (field === undefined) return undefined
    cursor.at += length
    const size = Math.max(0, cursor.varint())
    own[field] = textOf(field, cursor, size)
    cursor.at += size
    if (field === 'id') hasId = true
    else if (field === 'type') hasType = true
  }
  return hasId && hasType ? own : undefined
}

function fieldAt(bytes: Buffer, from: number, to: number): keyof OwnHeaders | undefined {
  const candidates = byLength[to - from]
  if (candidates === undefined) return undefined
  for (const { field, bytes: name } of candidates) if (isAt(name, bytes, from)) return field
  return undefined
}

function textOf(field: keyof OwnHeaders, { bytes, at }: Cursor, size: number): string {
  if (size <= repeatedBytesMax) {
    if (field === 'type') return types.text(bytes, at, at + size)
    if (field === 'contentType') return contentTypes.text(bytes, at, at + size)
  }
  return bytes.toString('utf8', at, at + size)
}
