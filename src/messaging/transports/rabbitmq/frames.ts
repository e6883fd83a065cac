import type { ConfirmChannel } from 'amqplib'
import type { WireMessage, WireProperties } from './wire.ts'

/** One message to be published, and who is told what became of it. */
export interface Publishing {
  readonly exchange: string
  readonly routingKey: string
  readonly wire: WireMessage
  /** Null: the broker has it. */
  readonly confirmed: (error: unknown) => void
  /** The driver cannot encode it; nothing was sent. */
  readonly unfit: () => void
}

/** What of the driver's channel we write to ourselves. */
interface Inside {
  readonly ch: number
  pushConfirmCallback(confirmed: (error: unknown) => void): void
  readonly connection: {
    readonly frameMax: number
    readonly channels: readonly ({
      channel: unknown
      buffer: { write(chunk: Buffer): void }
    } | null)[]
  }
}

/** A chunk that the connection writes at once; other channels have their turn between two of them. */
const chunkBytes = 65_536
const frameOverhead = 8
const frameEnd = 0xce
const frameEndCharacter = '\xce'

/**
 * Publishes in this order on a channel that confirms. The driver encodes field by field and writes frame by frame; here the frames of many messages are
 * one piece of memory. AMQP 0-9-1, sections 4.2.3 (frames) and 4.2.6 (content); a driver that looks different inside is called message by message.
 *
 * @throws whatever the driver throws for a channel that is over
 */
export function publishAll(channel: ConfirmChannel, messages: readonly Publishing[]): void {
  const inside = insideOf(channel)
  let heads: string[] = []
  let gathered: Publishing[] = []
  let bytes = 0
  const flush = () => {
    if (inside !== undefined && gathered.length > 0) send(inside, gathered, heads, bytes)
    heads = []
    gathered = []
    bytes = 0
  }
  for (const message of messages) {
    const { content } = message.wire
    if (inside === undefined || content.length + frameOverhead > inside.connection.frameMax) {
      flush()
      publishOne(channel, message)
      continue
    }
    const head = headOf(inside.ch, message)
    heads.push(head)
    gathered.push(message)
    bytes += head.length + content.length + 1
    if (bytes >= chunkBytes) flush()
  }
  flush()
}

/** Undefined: the driver is not the one that we know, or the channel is over. */
function insideOf(channel: ConfirmChannel): Inside | undefined {
  const { ch, connection, pushConfirmCallback } = channel as unknown as Partial<Inside>
  if (ch === undefined || typeof pushConfirmCallback !== 'function') return undefined
  const place = connection?.channels?.[ch]
  const isKnown = place?.channel === channel && typeof place.buffer?.write === 'function'
  return isKnown ? (channel as unknown as Inside) : undefined
}

function publishOne(channel: ConfirmChannel, message: Publishing): void {
  const { exchange, routingKey, wire, confirmed, unfit } = message
  try {
    channel.publish(exchange, routingKey, wire.content, wire.options, confirmed)
  } catch (cause) {
    if (!(cause instanceof RangeError || cause instanceof TypeError)) throw cause
    unfit()
  }
}

function send(
  inside: Inside,
  messages: readonly Publishing[],
  heads: readonly string[],
  bytes: number,
): void {
  const chunk = Buffer.allocUnsafe(bytes)
  let at = 0
  messages.forEach(({ wire: { content } }, index) => {
    at += chunk.write(heads[index] as string, at, 'latin1')
    if (content.length === 0) return
    chunk.set(content, at)
    at += content.length
    chunk[at] = frameEnd
    at += 1
  })
  inside.connection.channels[inside.ch]?.buffer.write(chunk.subarray(0, at))
  for (const { confirmed } of messages) inside.pushConfirmCallback(confirmed)
}

/** All of a message before the bytes of its body, one character for each byte: methods, properties, and how long the body is. */
function headOf(channel: number, { exchange, routingKey, wire }: Publishing): string {
  const { content, options } = wire
  const number = u16(channel)
  // basic.publish: class 60, method 40, a reserved number, neither mandatory nor immediate.
  const method = `\0\x3c\0\x28\0\0${short(exchange)}${short(routingKey)}\0`
  // Class 60, a weight that is always 0, and the length of the body in eight bytes.
  const header = `\0\x3c\0\0\0\0\0\0${u32(content.length)}${properties(options)}`
  const frames = `\x01${number}${u32(method.length)}${method}${frameEndCharacter}\x02${number}${u32(header.length)}${header}${frameEndCharacter}`
  return content.length === 0 ? frames : `${frames}\x03${number}${u32(content.length)}`
}

/** Which properties there are, as bits, and their values in the order of the specification. */
function properties(options: WireProperties): string {
  const { contentType, correlationId, messageId, type, timestamp } = options
  // Headers, how durable it is, and its time are always there.
  let flags = 0x2000 | 0x1000 | 0x40
  let values = ''
  if (contentType !== undefined) {
    flags |= 0x8000
    values += short(contentType)
  }
  values += `${table(options.headers)}\x02`
  if (correlationId !== undefined) {
    flags |= 0x400
    values += short(correlationId)
  }
  if (messageId !== undefined) {
    flags |= 0x80
    values += short(messageId)
  }
  values += u32(Math.floor(timestamp / 2 ** 32)) + u32(timestamp % 2 ** 32)
  if (type !== undefined) {
    flags |= 0x20
    values += short(type)
  }
  return u16(flags) + values
}

function table(headers: Readonly<Record<string, string>>): string {
  let fields = ''
  for (const name of Object.keys(headers)) {
    const value = octets(headers[name] as string)
    fields += `${short(name)}S${u32(value.length)}${value}`
  }
  return u32(fields.length) + fields
}

function short(text: string): string {
  const value = octets(text)
  return String.fromCharCode(value.length) + value
}

const isAscii = /^[\0-\x7f]*$/

/** The bytes of a text in UTF-8, each as a character. */
function octets(text: string): string {
  return isAscii.test(text) ? text : Buffer.from(text).toString('latin1')
}

function u16(value: number): string {
  return String.fromCharCode((value >>> 8) & 255, value & 255)
}

function u32(value: number): string {
  return value < 256
    ? `\0\0\0${String.fromCharCode(value)}`
    : String.fromCharCode(
        (value >>> 24) & 255,
        (value >>> 16) & 255,
        (value >>> 8) & 255,
        value & 255,
      )
}
