import { isUtf8 } from 'node:buffer'
import { errorMessage, TreatyError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import { limits } from '../../core/limits.ts'

const openBrace = 0x7b
const openBracket = 0x5b

function asBuffer(body: Uint8Array): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

function holdsMoreThan(text: string, bracket: string, allowed: number): boolean {
  let count = 0
  for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
    count += 1
    if (count > allowed) return true
  }
  return false
}

/** What has few brackets cannot nest deeply: the usual message is done here. Searching text costs a third of searching bytes. */
function mayNestTooDeep(text: string, depthMax: number): boolean {
  const half = depthMax >> 1
  return holdsMoreThan(text, '{', half) || holdsMoreThan(text, '[', half)
}

/** True when JSON text nests more than `depthMax` levels (default 128); reads brackets only, so it is right for JSON and harmless for anything else. */
export function nestsTooDeep(body: Uint8Array, depthMax: number = limits.depthMax): boolean {
  const bytes = asBuffer(body)
  // Brackets are ASCII: as Latin-1 they are where they were, and nothing else becomes one.
  return mayNestTooDeep(bytes.toString('latin1'), depthMax) && isNestedDeeper(bytes, depthMax)
}

function isNestedDeeper(bytes: Buffer, depthMax: number): boolean {
  let depth = 0
  let isInString = false
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (isInString) {
      if (byte === 0x5c) at += 1
      else if (byte === 0x22) isInString = false
    } else if (byte === 0x22) isInString = true
    else if (byte === openBrace || byte === openBracket) {
      depth += 1
      if (depth > depthMax) return true
    } else if (byte === 0x7d || byte === 0x5d) depth -= 1
  }
  return false
}

/** The error of bytes that are no message. */
export function undecodable(message: string, cause?: unknown): TreatyError {
  return new TreatyError('UNDECODABLE', message, {
    hint: 'Check that both sides use the same envelope, and JSON in UTF-8.',
    ...(cause === undefined ? {} : { cause }),
  })
}

/**
 * The JSON value that bytes hold. Invalid UTF-8 is refused instead of replaced; a field called `__proto__` is data.
 *
 * @throws UNDECODABLE when they are not UTF-8, not JSON, or nest more than `depthMax` levels (default 128)
 */
export function decodeJson(body: Uint8Array, depthMax: number = limits.depthMax): unknown {
  const bytes = asBuffer(body)
  if (!isUtf8(bytes)) throw undecodable('the body is not UTF-8')
  const text = bytes.toString('utf8')
  if (mayNestTooDeep(text, depthMax) && isNestedDeeper(bytes, depthMax))
    throw undecodable(`the body nests more than ${depthMax} levels deep`)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw undecodable(`the body is not JSON: ${errorMessage(error)}`, error)
  }
}

/** As {@link decodeJson}. @throws UNDECODABLE also when it is not an object */
export function decodeJsonObject(body: Uint8Array, depthMax?: number): JsonObject {
  const value = decodeJson(body, depthMax)
  if (!isJsonObject(value)) {
    const found = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`
    throw undecodable(`the body must be an object, found ${found}`)
  }
  return value
}
