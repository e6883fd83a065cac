import { formatDuration } from '../../core/duration.ts'
import { valueAt } from '../../core/json.ts'
import type { BusStats, DeadLetterSummary, SettledEvent } from '../../messaging/index.ts'
import { eventText } from '../event-text.ts'
import type { Style } from '../style.ts'
import { renderTable } from '../table.ts'
import type { ServiceEvent } from './supervisor.ts'

/** Hours, minutes and seconds of this machine's time zone. */
export function timeOfDay(epochMs: number): string {
  return new Date(epochMs).toTimeString().slice(0, 8)
}

/** One line of the log: time, what it is about, what happened. */
export function logLine(style: Style, epochMs: number, subject: string, text: string): string {
  return ` ${style.dim(timeOfDay(epochMs))}  ${subject.padEnd(28)} ${text}`
}

/** `{name}: {total.amount}` with the values of the data; what is not there stays empty. */
export function fillTemplate(template: string, data: unknown): string {
  return template.replaceAll(/\{([^{}]+)\}/g, (_, path: string) => {
    const value = valueAt(data, path.trim())
    if (value === undefined || value === null) return ''
    return typeof value === 'string' ? value : JSON.stringify(value)
  })
}

/** What happened to a service, in a sentence; undefined for what it printed itself. */
export function serviceText(event: ServiceEvent, style: Style): string {
  if (event.kind === 'line') return style.dim(event.text)
  if (event.kind === 'started') {
    return event.starts === 1
      ? `${style.green(style.symbols.ok)} started ${style.dim(`pid ${event.pid}`)}`
      : `${style.green(style.symbols.ok)} started again ${style.dim(`pid ${event.pid}, start ${event.starts}`)}`
  }
  const again = event.againInMs === undefined ? '' : `, again in ${formatDuration(event.againInMs)}`
  return `${style.red(style.symbols.fail)} ended: ${event.how}${again}`
}

/** What a handler made of a message. */
export function settledText(event: SettledEvent, style: Style): string {
  const { consumer, outcome, error, attempt } = event
  const head = `${style.symbols.arrow} ${consumer}`
  const elapsed = style.dim(`${Math.round(event.elapsedMs)} ms`)
  if (outcome === 'ack') return `${head}  ${style.green(style.symbols.ok)} ${elapsed}`
  if (outcome !== 'retry')
    return `${head}  ${style.yellow(style.symbols.warn)} ${outcome} ${elapsed}`
  const again =
    event.retryAfterMs === undefined ? '' : `, again in ${Math.round(event.retryAfterMs)} ms`
  const why = error === undefined ? '' : `: ${error.message}`
  return `${head}  ${style.red(style.symbols.fail)} attempt ${attempt} failed${again}${why}`
}

/** Why a message died, as far as one line allows. */
export function deadText(letter: DeadLetterSummary, style: Style): string {
  const finding = letter.findings?.[0]
  const pointer = finding?.pointer ?? ''
  const where = pointer === '' || finding?.message.startsWith('/') ? '' : `${pointer} `
  const why = finding ? `${where}${finding.message}` : (letter.message ?? '')
  const after = letter.attempts > 1 ? ` after ${letter.attempts} attempts` : ''
  return `${style.red(style.symbols.fail)} dead${after}: ${letter.reason} ${why}`.trimEnd()
}

const columns = [
  'published',
  'deliveries',
  'handled',
  'skipped',
  'retried',
  'dead',
  'expired',
  'waiting',
] as const

/** Events of one domain that a table still shows one by one. */
const domainEventsMax = 12

type Counts = Readonly<Record<(typeof columns)[number], number>>

/** Large domains (`github.…`) become one row each: the table is to be read, `treaty stats` has them all. */
function ledgerRows(byEvent: Readonly<Record<string, Counts>>): [string, Counts][] {
  const domains = Map.groupBy(Object.entries(byEvent), ([event]) => event.split('.')[0] ?? event)
  return [...domains].flatMap(([domain, rows]): [string, Counts][] =>
    rows.length <= domainEventsMax
      ? rows
      : [[`${domain}.* (${rows.length} events)`, sumOf(rows.map(([, row]) => row))]],
  )
}

function sumOf(rows: readonly Counts[]): Counts {
  const sum = (column: (typeof columns)[number]) =>
    rows.reduce((total, row) => total + row[column], 0)
  return Object.fromEntries(columns.map((column) => [column, sum(column)])) as unknown as Counts
}

/** What a ledger told before; what has not moved since is left out. */
export type LedgerBefore = Pick<BusStats, 'byEvent'> | undefined

/** The ledger by event, with its sums; columns that are zero everywhere are left out, except those that matter. */
export function ledgerTable(stats: BusStats, style: Style, before?: LedgerBefore): string {
  const always = new Set<string>(['published', 'handled', 'dead', 'waiting'])
  const shown = columns.filter((column) => always.has(column) || stats[column] > 0)
  const told = new Map(ledgerRows(before?.byEvent ?? {}))
  const moved = ledgerRows(stats.byEvent).filter(([event, row]) => {
    const known = told.get(event)
    return !known || columns.some((column) => known[column] !== row[column])
  })
  const rows = [...moved, ['together', stats] as const].map(([event, row]) => [
    eventText(event),
    ...shown.map((column) => String(row[column])),
  ])
  const widths = shown.map((column, at) =>
    Math.max(column.length, ...rows.map((row) => (row[at + 1] ?? '').length)),
  )
  const right = (cells: readonly string[]) =>
    cells.map((text, at) => text.padStart(widths[at] ?? 0))
  const aligned = rows.map(([event = '', ...numbers]) => [event, ...right(numbers)])
  return indent(renderTable(['event', ...right(shown)], aligned, style))
}

/** The ledger when everything has come to rest; the second time only what has moved since. */
export function restText(
  { stats, before, url }: { stats: BusStats; before: LedgerBefore; url: string },
  style: Style,
): string {
  const again = before ? 'At rest again; above is what has moved' : 'At rest: nothing waits'
  return `\n${ledgerTable(stats, style, before)}\n\n  ${again}. Serving ${url} until Ctrl-C.\n`
}

/** The counts in one line. */
export function countsText(stats: BusStats): string {
  const parts = [
    `${stats.published} published`,
    `${stats.handled} handled`,
    `${stats.waiting} waiting`,
  ]
  if (stats.retried > 0) parts.push(`${stats.retried} retried`)
  parts.push(`${stats.dead} dead`)
  return parts.join(' · ')
}

/** `7 services`, `1 service`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')
}
