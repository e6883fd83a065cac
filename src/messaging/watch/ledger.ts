import type { CountRow } from '../transport.ts'
import type { BusStats, EventCounts } from '../types.ts'

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

function add(sum: EventCounts, row: EventCounts): EventCounts {
  const next: Record<string, number> = {}
  for (const column of columns) next[column] = sum[column] + row[column]
  return next as unknown as EventCounts
}

const zero: EventCounts = {
  published: 0,
  deliveries: 0,
  handled: 0,
  skipped: 0,
  retried: 0,
  dead: 0,
  expired: 0,
  waiting: 0,
}

/** The ledger summed up: by event, and altogether. The identity of the rows holds for every sum. */
export function summarize(rows: readonly CountRow[]): BusStats {
  const byEvent: Record<string, EventCounts> = {}
  for (const row of rows) byEvent[row.event] = add(byEvent[row.event] ?? zero, row)
  const sorted = Object.fromEntries(Object.entries(byEvent).sort(([a], [b]) => (a < b ? -1 : 1)))
  return { ...Object.values(byEvent).reduce(add, zero), byEvent: sorted, rows }
}
