/** One measured side. */
export interface Row {
  readonly name: string
  /** Operations a second; the median of the rounds. */
  readonly rate: number
  /** Against the side that the bench names; the median of the rounds' own ratios. Null: that side itself. */
  readonly ratio: number | null
  /** CPU time for one operation, in microseconds, of all processes that take part. */
  readonly cpuMicros: number | null
  /** Half of the operations took at most so many milliseconds; absent where a bench does not say. */
  readonly p50Ms?: number
  /** 99th percentile of one operation's time, in milliseconds. */
  readonly p99Ms: number | null
}

/** What was to be reached. */
export interface Bar {
  readonly name: string
  readonly bar: number
  readonly value: number | null
  readonly met: boolean
}

export interface Report {
  readonly bench: string
  readonly bars: readonly Bar[]
  readonly rows: readonly Row[]
  /** Settings and reservations, printed above the table. */
  readonly notes: readonly string[]
  /** Further lines, printed under the table. */
  readonly details?: readonly string[]
}

/** A bar that is met from `bar` upwards; not measured counts as not met. */
export function atLeast(name: string, bar: number, value: number | null): Bar {
  return { name, bar, value: rounded(value), met: value !== null && value >= bar }
}

/** A bar that is met up to `bar`. */
export function atMost(name: string, bar: number, value: number | null): Bar {
  return { name, bar, value: rounded(value), met: value !== null && value <= bar }
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(4))
}

function shown(value: number | null, digits: number): string {
  return value === null ? '–' : value.toLocaleString('en', { maximumFractionDigits: digits })
}

/** The table as people read it, and as bench/README.md keeps it (Markdown). */
export function renderTable(report: Report): string {
  const hasMedians = report.rows.some(({ p50Ms }) => p50Ms !== undefined)
  const milliseconds = (ms: number | null) => shown(ms, ms !== null && ms < 1 ? 4 : 1)
  const cells = report.rows.map((row) => [
    row.name,
    shown(row.rate, 0),
    shown(row.ratio, 2),
    shown(row.cpuMicros, 2),
    ...(hasMedians ? [milliseconds(row.p50Ms ?? null)] : []),
    milliseconds(row.p99Ms),
  ])
  const head = [
    report.bench,
    'per second',
    'ratio',
    'CPU µs each',
    ...(hasMedians ? ['p50 ms'] : []),
    'p99 ms',
  ]
  const widths = head.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => (row[column] ?? '').length)),
  )
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join(' | ')} |`
  const rule = `| ${widths.map((width, n) => (n === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  const bars = report.bars.map(
    ({ name, bar, value, met }) =>
      `${met ? 'met    ' : 'NOT MET'}  ${name}: ${shown(value, 3)} (bar ${shown(bar, 3)})`,
  )
  return [
    ...report.notes.map((note) => `- ${note}`),
    '',
    line(head),
    rule,
    ...cells.map(line),
    '',
    ...(report.details ?? []),
    ...bars,
  ].join('\n')
}

/** The last line of the output: the same numbers for programs. */
export function renderJson({ bench, bars, rows }: Report): string {
  const plain = rows.map((row) => ({
    name: row.name,
    rate: Math.round(row.rate),
    ratio: rounded(row.ratio),
    cpuMicros: rounded(row.cpuMicros),
    ...(row.p50Ms === undefined ? {} : { p50Ms: rounded(row.p50Ms) }),
    p99Ms: rounded(row.p99Ms),
  }))
  return JSON.stringify({ bench, bars, rows: plain })
}
