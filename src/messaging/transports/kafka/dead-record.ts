import { createHash } from 'node:crypto'
import type { LaneLetter } from '../../lanes/driver.ts'
import type { DeadLetter, DeadLetterSummary, OutgoingRecord } from '../../transport.ts'
import type { LogRecord } from './log-record.ts'
import { foreignMessage, headersOf, marks } from './messages.ts'

/** What somebody has begun with a dead letter; it lies in the letter's own record, so that it outlives them. */
export interface Asked {
  /** `replaying`: it may be in the lane already. The others ask the owner of a lane that waits for it. */
  readonly how: 'replaying' | 'replay' | 'discard'
  /** With `replaying`: the partition, and the offset from which on the replay is if it was written. */
  readonly partition?: number
  readonly from?: number
}

/** What is said of the failure, beside the message itself. */
export interface DeadFacts
  extends Omit<DeadLetter, 'id' | 'body' | 'headers' | 'contentType' | 'key' | 'correlationId'> {
  /** How it was counted. */
  readonly counted: 'dead' | 'expired'
  /** Its key waits for it, in its lane. */
  readonly isBlocked?: boolean
}

/** A dead letter in its topic. */
export interface DeadRecord {
  readonly id: string
  readonly facts: DeadFacts
  readonly asked: Asked | undefined
  readonly message: OutgoingRecord
}

/** The name of a letter: the same for the same message of the same group, so that one written twice is one. */
export function letterId(parts: readonly (string | number | Uint8Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) {
    const bytes = typeof part === 'object' ? part : Buffer.from(String(part))
    hash.update(`${bytes.byteLength}:`).update(bytes)
  }
  return hash.digest('base64url').slice(0, 27)
}

/** Headers and value of a dead letter's record. */
export function encodeDead(
  message: OutgoingRecord,
  facts: DeadFacts,
  asked?: Asked,
): { value: Buffer; headers: Map<string, string> } {
  const headers = headersOf(message)
  headers.set(marks.dead, JSON.stringify(facts))
  if (asked !== undefined) headers.set(marks.asked, JSON.stringify(asked))
  return { value: Buffer.from(message.body), headers }
}

/** Undefined for a record that is none of ours. */
export function decodeDead(record: LogRecord): DeadRecord | undefined {
  const texts = record.texts()
  const text = texts[marks.dead]
  if (text === undefined || record.key === null) return undefined
  const asked = texts[marks.asked]
  try {
    const facts = JSON.parse(text) as DeadFacts
    return {
      id: record.key.toString(),
      facts,
      asked: asked === undefined ? undefined : (JSON.parse(asked) as Asked),
      message: foreignMessage(withoutKey(record), { address: facts.address, partition: 0 }, texts),
    }
  } catch {
    return undefined
  }
}

/** The key of the record is the letter's; the message's own is in its headers. */
function withoutKey(record: LogRecord): LogRecord {
  const { offset, timestamp, value, own } = record
  return { offset, timestamp, value, own, key: null, texts: () => record.texts() }
}

export function factsOf(
  letter: LaneLetter,
  counted: DeadFacts['counted'],
  isBlocked = false,
): DeadFacts {
  const { body, headers, contentType, key, correlationId, ...facts } = letter
  return { ...facts, counted, ...(isBlocked ? { isBlocked } : {}) }
}

export function summaryOf({ id, facts, message }: DeadRecord): DeadLetterSummary {
  const { counted, isBlocked, stack, ...rest } = facts
  return {
    ...rest,
    id,
    contentType: message.contentType,
    ...(message.key === undefined ? {} : { key: message.key }),
    ...(message.correlationId === undefined ? {} : { correlationId: message.correlationId }),
  }
}

export function letterOf(dead: DeadRecord): DeadLetter {
  const { facts, message } = dead
  return {
    ...summaryOf(dead),
    ...(facts.stack === undefined ? {} : { stack: facts.stack }),
    body: message.body,
    headers: message.headers,
  }
}
