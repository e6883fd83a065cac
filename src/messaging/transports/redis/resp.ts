/** What a server answers: bytes for every kind of text. */
export type Reply = null | number | Buffer | readonly Reply[]
export type Argument = string | number | Buffer

/** Texts up to this length are written character by character: a call into the runtime costs more. */
const shortMost = 24

const star = 0x2a
const dollar = 0x24
const cr = 0x0d
const lf = 0x0a
const zero = 0x30

/**
 * A command as the bytes that go to the server (RESP: an array of bulk strings). The driver's own way makes several texts and copies for
 * each argument, and a batch of messages has thousands.
 */
export function encodeCommand(parts: readonly Argument[]): Buffer {
  const lengths = new Array<number>(parts.length)
  const texts = new Array<string | Buffer>(parts.length)
  let size = 3 + digitsOf(parts.length)
  for (let at = 0; at < parts.length; at += 1) {
    const part = parts[at] as Argument
    const text = typeof part === 'number' ? String(part) : part
    const length = typeof text === 'string' ? bytesIn(text) : text.length
    texts[at] = text
    lengths[at] = length
    size += 5 + digitsOf(length) + length
  }
  const bytes = Buffer.allocUnsafe(size)
  let at = writeHead(bytes, 0, { sign: star, number: parts.length })
  for (let part = 0; part < texts.length; part += 1) {
    const text = texts[part] as string | Buffer
    const length = lengths[part] as number
    at = writeHead(bytes, at, { sign: dollar, number: length })
    at =
      typeof text === 'string' ? writeText(bytes, at, { text, length }) : at + text.copy(bytes, at)
    bytes[at] = cr
    bytes[at + 1] = lf
    at += 2
  }
  return bytes
}

function bytesIn(text: string): number {
  if (text.length > shortMost) return Buffer.byteLength(text)
  for (let at = 0; at < text.length; at += 1) {
    if (text.charCodeAt(at) > 0x7f) return Buffer.byteLength(text)
  }
  return text.length
}

function writeText(
  bytes: Buffer,
  at: number,
  { text, length }: { readonly text: string; readonly length: number },
): number {
  // More bytes than characters: it is not all ASCII.
  if (length !== text.length) return at + bytes.write(text, at, 'utf8')
  if (length > shortMost) return at + bytes.write(text, at, 'latin1')
  for (let offset = 0; offset < length; offset += 1) bytes[at + offset] = text.charCodeAt(offset)
  return at + length
}

function writeHead(
  bytes: Buffer,
  at: number,
  { sign, number }: { readonly sign: number; readonly number: number },
): number {
  bytes[at] = sign
  const digits = digitsOf(number)
  let rest = number
  for (let place = at + digits; place > at; place -= 1) {
    bytes[place] = zero + (rest % 10)
    rest = Math.floor(rest / 10)
  }
  bytes[at + digits + 1] = cr
  bytes[at + digits + 2] = lf
  return at + digits + 3
}

function digitsOf(number: number): number {
  let digits = 1
  for (let bound = 10; number >= bound; bound *= 10) digits += 1
  return digits
}
