import { createHash } from 'node:crypto'
import type { DeadFilter, DeadLetter, DeadLetterSummary } from '../../transport.ts'
import { type DeadPlace, type Places, textOf } from './names.ts'
import type { Stored } from './stored.ts'
import { headerBlock, headerValue, readHeaders } from './wire-headers.ts'

/** What is kept of a dead letter beside what everybody sees. */
export interface LetterOrigin {
  /** Where it still holds its place, under `onDead: block`. */
  readonly blocked?: { readonly lane: string; readonly seq: number }
  readonly causationId?: string
  readonly priority?: number
}

type Kept = Omit<
  DeadLetterSummary,
  'id' | 'group' | 'consumer' | 'event' | 'reason' | 'contentType'
> &
  LetterOrigin

const field = 'treaty-letter'
const stackField = 'treaty-letter-stack'
const headersField = 'treaty-letter-headers'
const textMax = 4000
const stackMax = 8000
/** Bytes of headers for the record's own ones and for the findings, beside the rest. */
const roomForHeaders = 24_576

/** The name of a letter: the same for a repeat, so that one death is one letter. */
export function letterId(...parts: readonly (string | number)[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 24)
}

/** A letter as a message: the body as it was, everything else in headers. */
export function letterMessage(
  letter: Omit<DeadLetter, 'id'>,
  origin: LetterOrigin,
): { readonly headers: Record<string, string>; readonly body: Uint8Array } {
  const { body, headers, stack, contentType, group, consumer, event, reason, ...rest } = letter
  const { message } = rest
  const kept: Kept = {
    ...rest,
    ...origin,
    ...(message === undefined ? {} : { message: message.slice(0, textMax) }),
  }
  const fits = (text: string) => headerValue(text).length <= roomForHeaders
  const summary = JSON.stringify(kept)
  const { findings, ...withoutFindings } = kept
  return {
    body,
    headers: {
      [field]: fits(summary) ? summary : JSON.stringify(withoutFindings),
      [headersField]: JSON.stringify(headers),
      'content-type': contentType,
      ...(stack === undefined ? {} : { [stackField]: stack.slice(0, stackMax) }),
    },
  }
}

/** The block of a letter's headers, with less of what explains it where it would be too large. */
export function letterBlock(
  headers: Readonly<Record<string, string>>,
  orders: Readonly<Record<string, string>>,
  bytesMax: number,
): Uint8Array {
  const whole = headerBlock(headers, orders)
  if (whole.byteLength <= bytesMax) return whole
  const { [stackField]: _stack, ...less } = headers
  const shorter = headerBlock(less, orders)
  if (shorter.byteLength <= bytesMax) return shorter
  return headerBlock({ ...less, [headersField]: '{}' }, orders)
}

/** What the subject of a letter says. */
export function deadPlaceOf(subject: string): DeadPlace {
  const [group, consumer, event, reason, id] = subject.split('.').slice(-5)
  return {
    group: textOf(group ?? ''),
    consumer: textOf(consumer ?? ''),
    event: textOf(event ?? '') ?? '',
    reason: textOf(reason ?? '') ?? '',
    id: textOf(id ?? '') ?? '',
  }
}

export type StoredLetter = DeadLetterSummary & LetterOrigin & { readonly seq: number }

export function summaryOf(stored: Stored): StoredLetter {
  const headers = readHeaders(stored.headers())
  const kept = JSON.parse(headers[field] ?? '{}') as Kept
  return {
    ...kept,
    ...deadPlaceOf(stored.subject),
    contentType: headers['content-type'] ?? 'application/octet-stream',
    seq: stored.seq,
  }
}

/** What callers get of a letter in a list. */
export function publicSummary(letter: StoredLetter): DeadLetterSummary {
  const { seq, blocked, causationId, priority, ...summary } = letter
  return summary
}

export function wholeLetter(stored: Stored): DeadLetter & LetterOrigin & { readonly seq: number } {
  const headers = readHeaders(stored.headers())
  const stack = headers[stackField]
  return {
    ...summaryOf(stored),
    ...(stack === undefined ? {} : { stack }),
    body: stored.data,
    headers: JSON.parse(headers[headersField] ?? '{}') as Record<string, string>,
  }
}

/** The subjects that a filter leaves. */
export function filterSubject(places: Places, filter: DeadFilter): string {
  const { consumer, event, reason } = filter
  return places.deadFilter({
    ...(consumer === undefined ? {} : { consumer }),
    ...(event === undefined ? {} : { event }),
    ...(reason === undefined ? {} : { reason }),
  })
}

/** The part of a filter that subjects cannot say. */
export function isInTime({ failedAt }: { readonly failedAt: number }, filter: DeadFilter): boolean {
  const { failedAfter = Number.NEGATIVE_INFINITY, failedBefore = Number.POSITIVE_INFINITY } = filter
  return failedAt >= failedAfter && failedAt <= failedBefore
}
