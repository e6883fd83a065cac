import { decodePercent } from './names.ts'

/**
 * Headers of NATS are lines of ASCII: names without colons and blanks, values without line breaks, blanks at the ends lost. The
 * CloudEvents binding writes other text with percent signs, and so do we, for every name and value.
 */

const safeValue = /^[\x21-\x24\x26-\x7e](?:[\x20-\x24\x26-\x7e]*[\x21-\x24\x26-\x7e])?$/
const safeName = /^[\x21-\x24\x26-\x39\x3b-\x7e]+$/
/** What the server itself puts beside ours. */
const serversOwn = /^nats-/i

/** Names that were seen, as they are written: there are few of them, and each message has most of them. */
const namesKnown = new Map<string, string>()
const namesMax = 1000

/** Printable ASCII without blanks and percent signs: what nearly every value is. */
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code < 0x21 || code > 0x7e || code === 0x25) return false
  }
  return true
}

/** One value as a line of ASCII. */
export function headerValue(text: string): string {
  if (isPlain(text) || safeValue.test(text)) return text
  return percent(text, (byte) => byte > 0x20 && byte < 0x7f && byte !== 0x25)
}

function headerName(text: string): string {
  const known = namesKnown.get(text)
  if (known !== undefined) return known
  const name = writtenName(text)
  if (namesKnown.size < namesMax) namesKnown.set(text, name)
  return name
}

function writtenName(text: string): string {
  // A caller's header must not be taken for an order to the server.
  if (serversOwn.test(text))
    return `%${text.charCodeAt(0).toString(16).toUpperCase()}${writtenName(text.slice(1))}`
  if (safeName.test(text)) return text
  return percent(text, (byte) => byte > 0x20 && byte < 0x7f && byte !== 0x25 && byte !== 0x3a)
}

function percent(text: string, isPlain: (byte: number) => boolean): string {
  let line = ''
  for (const byte of Buffer.from(text)) {
    line += isPlain(byte)
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return line
}

/** The header block of a message, as it goes over the wire; `orders` are the headers that the server obeys. */
export function headerBlock(
  headers: Readonly<Record<string, string>>,
  orders: Readonly<Record<string, string>> = {},
): Uint8Array {
  return blockOf(headerLines(headers), orders)
}

/** The lines of headers, all ASCII: to be measured, and made a block of by {@link blockOf}. */
export function headerLines(headers: Readonly<Record<string, string>>): string {
  let lines = ''
  for (const name in headers) {
    lines += `${headerName(name)}: ${headerValue(headers[name] as string)}\r\n`
  }
  return lines
}

/** As {@link headerBlock}, of lines that are made already. */
export function blockOf(lines: string, orders: Readonly<Record<string, string>>): Uint8Array {
  let block = 'NATS/1.0\r\n'
  for (const name in orders) block += `${name}: ${orders[name]}\r\n`
  return Buffer.from(`${block}${lines}\r\n`, 'latin1')
}

/** A message's headers as they were before {@link headerBlock}; the server's own are left out. */
export function readHeaders(
  lines: Iterable<readonly [name: string, value: string]>,
): Record<string, string> {
  const list: (readonly [name: string, value: string])[] = []
  let isOurs = false
  for (const line of lines) {
    const [name] = line
    if (isServersOwn(name)) continue
    isOurs ||= name === 'treaty-id' || name === 'treaty-letter'
    list.push(line)
  }
  const headers: Record<string, string> = {}
  for (const [name, value] of list) {
    const isEncoded = isOurs || /^ce-/i.test(name)
    // Other people's libraries write names in the case that they like.
    const known = isOurs ? decodePercent(name) : lowerWhereKnown(name)
    const text = isEncoded ? decodePercent(value) : value
    if (known === '__proto__') define(headers, known, text)
    else if (!Object.hasOwn(headers, known)) headers[known] = text
  }
  return headers
}

/** What begins with another letter is none of the server's: no pattern is needed to see that. */
function isServersOwn(name: string): boolean {
  return (name.charCodeAt(0) | 0x20) === 0x6e && serversOwn.test(name)
}

/** Sets what an assignment would not: a name that objects have from birth. */
function define(headers: Record<string, string>, name: string, value: string): void {
  if (Object.hasOwn(headers, name)) return
  const isOrdinary = { enumerable: true, configurable: true, writable: true }
  Object.defineProperty(headers, name, { value, ...isOrdinary })
}

function lowerWhereKnown(name: string): string {
  return /^(ce-|content-type$|treaty-)/i.test(name) ? name.toLowerCase() : name
}
