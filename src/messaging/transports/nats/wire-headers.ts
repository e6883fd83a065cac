import { decodePercent } from './names.ts'

/**
 * Headers of NATS are lines of ASCII: names without colons and blanks, values without line breaks, blanks at the ends lost. The
 * CloudEvents binding writes other text with percent signs, and so do we, for every name and value.
 */

const safeValue = /^[\x21-\x24\x26-\x7e](?:[\x20-\x24\x26-\x7e]*[\x21-\x24\x26-\x7e])?$/
const safeName = /^[\x21-\x24\x26-\x39\x3b-\x7e]+$/
/** What the server itself puts beside ours. */
const serversOwn = /^nats-/i

/** One value as a line of ASCII. */
export function headerValue(text: string): string {
  if (text === '' || safeValue.test(text)) return text
  return percent(text, (byte) => byte > 0x20 && byte < 0x7f && byte !== 0x25)
}

function headerName(text: string): string {
  // A caller's header must not be taken for an order to the server.
  if (serversOwn.test(text))
    return `%${text.charCodeAt(0).toString(16).toUpperCase()}${headerName(text.slice(1))}`
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
  let block = 'NATS/1.0\r\n'
  for (const name in orders) block += `${name}: ${orders[name]}\r\n`
  for (const name in headers) {
    const value = headers[name] as string
    block += `${headerName(name)}: ${headerValue(value)}\r\n`
  }
  return Buffer.from(`${block}\r\n`, 'latin1')
}

/** A message's headers as they were before {@link headerBlock}; the server's own are left out. */
export function readHeaders(
  lines: Iterable<readonly [name: string, value: string]>,
): Record<string, string> {
  const list = [...lines].filter(([name]) => !serversOwn.test(name))
  const isOurs = list.some(([name]) => name === 'treaty-id' || name === 'treaty-letter')
  const headers = new Map<string, string>()
  for (const [name, value] of list) {
    const isEncoded = isOurs || /^ce-/i.test(name)
    // Other people's libraries write names in the case that they like.
    const known = isOurs ? decodePercent(name) : lowerWhereKnown(name)
    if (!headers.has(known)) headers.set(known, isEncoded ? decodePercent(value) : value)
  }
  return Object.fromEntries(headers)
}

function lowerWhereKnown(name: string): string {
  return /^(ce-|content-type$|treaty-)/i.test(name) ? name.toLowerCase() : name
}
