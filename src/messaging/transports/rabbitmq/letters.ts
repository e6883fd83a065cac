import { createHash } from 'node:crypto'
import type { ConsumeMessage, Options } from 'amqplib'
import type { Finding } from '../../../core/finding.ts'
import type { DeadLetter, OutgoingRecord } from '../../transport.ts'

/** Where a dead letter came from, beside what the port says of it. */
export interface LetterOrigin {
  readonly lane?: number
  /** Its name in the lane. */
  readonly entry?: string
  /** It still holds its place there. */
  readonly isBlocked?: boolean
  readonly countedAs?: 'dead' | 'expired'
  /** Fields of the record that a letter does not have. */
  readonly priority?: number
  readonly causationId?: string
}
export interface StoredLetter {
  readonly letter: DeadLetter
  readonly origin: LetterOrigin
}

const letterHeader = 'treaty-letter'
const kindHeader = 'treaty-kind'
/** What is said of the letter as a header; more goes before the body. */
const headerBytesMax = 40_000
const stackCharactersMax = 20_000
const findingsMax = 100

/** The same message that dies once is one letter, however often that is written. The first eight digits tell the group. */
export function letterId(group: string | null, ...parts: readonly string[]): string {
  return `${groupDigest(group)}${digest([group ?? '', ...parts].join('\n')).slice(0, 24)}`
}

/** What the ids of all letters of a group begin with. */
export function groupDigest(group: string | null): string {
  return group === null ? '00000000' : digest(group).slice(0, 8)
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/**
 * A dead letter as a message: the original bytes are its body, so that people and other programs can read them. Only where what is said about
 * it is too long for a header it stands before the bytes, behind its length.
 */
export function toMessage({ letter, origin }: StoredLetter): {
  readonly content: Buffer
  readonly options: Options.Publish
} {
  const { body, ...rest } = letter
  const about = Buffer.from(JSON.stringify({ letter: shortened(rest), origin }))
  const isShort = about.length <= headerBytesMax
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(about.length)
  return {
    content: isShort ? bytes : Buffer.concat([length, about, bytes]),
    options: {
      persistent: true,
      headers: {
        [kindHeader]: 'dead-letter',
        ...(isShort ? { [letterHeader]: about.toString() } : {}),
      },
      ...(Buffer.byteLength(letter.messageId) < 255 ? { messageId: letter.messageId } : {}),
      ...(isShort && Buffer.byteLength(letter.contentType) < 255
        ? { contentType: letter.contentType }
        : {}),
    },
  }
}

function shortened(letter: Omit<DeadLetter, 'body'>): Omit<DeadLetter, 'body'> {
  const { stack, findings } = letter as { stack?: string; findings?: readonly Finding[] }
  return {
    ...letter,
    ...(stack === undefined ? {} : { stack: stack.slice(0, stackCharactersMax) }),
    ...(findings === undefined ? {} : { findings: findings.slice(0, findingsMax) }),
  }
}

/** Undefined: the message is not one of ours. */
export function fromMessage({ content, properties }: ConsumeMessage): StoredLetter | undefined {
  const headers: Record<string, unknown> = properties.headers ?? {}
  if (headers[kindHeader] !== 'dead-letter') return undefined
  try {
    const about = headers[letterHeader]
    const length = about === undefined ? content.readUInt32BE(0) : 0
    const text = about === undefined ? content.subarray(4, 4 + length).toString() : String(about)
    const { letter, origin } = JSON.parse(text) as {
      letter: Omit<DeadLetter, 'body'>
      origin: LetterOrigin
    }
    const body = about === undefined ? content.subarray(4 + length) : content
    return { letter: { ...letter, body }, origin }
  } catch {
    return undefined
  }
}

/** The message that died, as it goes back to its lane or is published anew. */
export function recordOf({ letter, origin }: StoredLetter): OutgoingRecord {
  const { messageId, address, event, body, headers, contentType, key, correlationId } = letter
  const { priority, causationId } = origin
  return {
    id: messageId,
    address,
    type: event,
    body,
    headers,
    contentType,
    ...(key === undefined ? {} : { key }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(priority === undefined ? {} : { priority }),
    ...(causationId === undefined ? {} : { causationId }),
  }
}
