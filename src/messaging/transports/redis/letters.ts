import type { DeadLetter, DeadLetterSummary } from '../../transport.ts'
import { readEntry } from './records.ts'
import type { Argument, Reply } from './resp.ts'

/** Where a letter's message was, as its id says. */
export interface LetterPlace {
  readonly address: string
  /** Empty: it came from no group. */
  readonly group: string
  /** Absent: it was in no lane. */
  readonly lane?: number
  readonly entry: string
}

/** A letter as the scripts take it. */
export interface LetterRow {
  readonly id: string
  readonly score: string
  readonly combo: string
  readonly summary: string
  readonly more: string
  readonly entry: string
  readonly until: number
}

const scoresPerMs = 4096
/** Letters of one millisecond keep their order. */
const counter = { value: 0 }

/** The same message, dying at the same place again, is the same letter. */
export function letterIdOf({ address, group, lane, entry }: LetterPlace): string {
  const place = lane === undefined ? entry : `${lane}-${entry}`
  return [address, group === '' ? '-' : group, place].map(encodeURIComponent).join('/')
}

/** Undefined for what was never the id of a letter. */
export function placeOfLetter(id: string): LetterPlace | undefined {
  const parts = id.split('/')
  if (parts.length !== 3) return undefined
  try {
    const [address = '', group = '', place = ''] = parts.map(decodeURIComponent)
    if (group === '-') return { address, group: '', entry: place }
    const [, lane, entry = ''] = /^(\d+)-(\d+-\d+)$/.exec(place) ?? []
    if (lane === undefined) return { address, group, entry: place }
    return { address, group, lane: Number(lane), entry }
  } catch {
    return undefined
  }
}

/** Name of the letters that share consumer, event and reason. */
export function comboOf(letter: Pick<DeadLetter, 'consumer' | 'event' | 'reason'>): string {
  return JSON.stringify([letter.consumer, letter.event, letter.reason])
}

export function scoreOf(ms: number, within: number): string {
  return String(Math.trunc(ms) * scoresPerMs + within)
}

export function rowOf(
  letter: DeadLetter,
  at: {
    readonly lane?: number
    readonly entry: string
    readonly counted: 'dead' | 'expired'
    readonly retentionMs: number
  },
): LetterRow {
  const { body: _, headers: __, stack, ...summary } = letter
  const { lane, entry, counted, retentionMs } = at
  counter.value = (counter.value + 1) % scoresPerMs
  return {
    id: letter.id,
    score: scoreOf(letter.failedAt, counter.value),
    combo: comboOf(letter),
    summary: jsonOf({ ...summary, lane, entry, counted }),
    more: jsonOf({ stack }),
    entry,
    until: Math.ceil(letter.failedAt + retentionMs),
  }
}

export function letterArguments(row: LetterRow): Argument[] {
  return [row.id, row.score, row.combo, row.summary, row.more, row.entry, row.until]
}

/** Half of a surrogate pair, in the text of an error, is more than the scripts' JSON can read. */
function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'string' ? each.toWellFormed() : each,
  )
}

/** Undefined for a row that was gone when it was read. */
export function summaryOf(row: Reply | undefined): DeadLetterSummary | undefined {
  if (row === null || row === undefined) return undefined
  // Score and combination are before it, each on a line of its own.
  const text = String(row)
  const json = text.slice(text.indexOf('\n', text.indexOf('\n') + 1) + 1)
  const { lane: _, entry: __, counted: ___, ...summary } = JSON.parse(json)
  return summary
}

/** A whole letter, of what the script found. */
export function letterOfParts(parts: readonly Reply[]): DeadLetter {
  const { lane, entry, counted: _, ...summary } = JSON.parse(String(parts[0]))
  const { stack } = JSON.parse(String(parts[1])) as { stack?: string }
  const fields = parts[2] as readonly Reply[]
  const place = { address: String(summary.address), lane: lane ?? 0, entry: entry ?? '0-0' }
  const { body, headers } = readEntry(place, fields).record
  return { ...summary, ...(stack === undefined ? {} : { stack }), body, headers }
}
