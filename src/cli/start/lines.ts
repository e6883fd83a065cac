import { formatDuration } from '../../core/duration.ts'
import { valueAt } from '../../core/json.ts'
import type { BusStats, DeadLetterSummary } from '../../messaging/index.ts'
import type { Style } from '../style.ts'
import { renderTable } from '../table.ts'
import type { ServiceEvent } from './supervisor.ts'

/** Hours, minutes and seconds of this machine's time zone. */
export function timeOfDay(epochMs: number): string {
  return new Date(epochMs).toTimeString().slice(0, 8)
}

/** One line of the log: time, what it is about, what happened. */
export function logLine(style: Style, epochMs: number, subject: string, text: string): string {
  return ` ${style.dim(timeOfDay(epochMs))}  ${subject.padEnd(26)} ${text}`
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

/** Why a message died, as far as one line allows. */
export function deadText(letter: DeadLetterSummary, style: Style): string {
  const finding = letter.findings?.[0]
  const where = finding?.pointer ? `${finding.pointer} ` : ''
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

/** The ledger by event, with its sums; columns that are zero everywhere are left out, except those that matter. */
export function ledgerTable(stats: BusStats, style: Style): string {
  const always = new Set<string>(['published', 'handled', 'dead', 'waiting'])
  const shown = columns.filter((column) => always.has(column) || stats[column] > 0)
  const cells = (row: Readonly<Record<(typeof columns)[number], number>>) =>
    shown.map((column) => String(row[column]))
  const rows = Object.entries(stats.byEvent).map(([event, row]) => [event, ...cells(row)])
  rows.push(['together', ...cells(stats)])
  const widths = shown.map((column, at) =>
    Math.max(column.length, ...rows.map((row) => (row[at + 1] ?? '').length)),
  )
  const right = rows.map(([event, ...numbers]) => [
    event ?? '',
    ...numbers.map((text, at) => text.padStart(widths[at] ?? 0)),
  ])
  return indent(
    renderTable(
      ['event', ...shown.map((column, at) => column.padStart(widths[at] ?? 0))],
      right,
      style,
    ),
  )
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
