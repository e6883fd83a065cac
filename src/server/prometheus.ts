/** One sample of a metric: its labels and its value. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
  /** Appended to the metric's name: `_bucket`, `_sum`, `_count` of a histogram. */
  readonly suffix?: string
}
/** One family of samples, written with its help and type. */
export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: readonly Sample[]
}

/** Media type of {@link exposition}. */
export const expositionContentType = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * Metrics as Prometheus reads them. A family without samples is left out.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4)
 */
export function exposition(metrics: readonly Metric[]): string {
  const lines: string[] = []
  for (const metric of metrics) {
    if (metric.samples.length === 0) continue
    lines.push(
      `# HELP ${metric.name} ${metric.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
    )
    lines.push(`# TYPE ${metric.name} ${metric.type}`)
    for (const sample of metric.samples) {
      lines.push(
        `${metric.name}${sample.suffix ?? ''}${labelText(sample.labels)} ${numberText(sample.value)}`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

function labelText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(
    ([name, value]) => `${name}="${escapeLabel(value)}"`,
  )
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  return String(value)
}

/** A counter with labels. */
export interface Counter {
  add(labels: Readonly<Record<string, string>>, by?: number): void
  metric(): Metric
}

/** At most `seriesMax` sets of labels are kept; what comes beyond is counted under the value `other` of each label. */
export function createCounter(name: string, help: string, seriesMax = 1000): Counter {
  const series = new Map<string, { labels: Readonly<Record<string, string>>; value: number }>()
  return {
    add(given, by = 1) {
      const isKnown = series.has(JSON.stringify(given)) || series.size < seriesMax
      const other = () => Object.fromEntries(Object.keys(given).map((label) => [label, 'other']))
      const labels = isKnown ? given : other()
      const key = JSON.stringify(labels)
      const entry = series.get(key) ?? { labels, value: 0 }
      series.set(key, entry)
      entry.value += by
    },
    metric: () => ({ name, help, type: 'counter', samples: [...series.values()] }),
  }
}

/** Counts observations into buckets; upper bounds in the metric's unit, ascending. */
export interface Histogram {
  observe(labels: Readonly<Record<string, string>>, value: number): void
  samples(): Sample[]
}

/** At most `seriesMax` sets of labels are kept, so that a hostile client cannot fill the memory with new ones. */
export function createHistogram(bounds: readonly number[], seriesMax = 500): Histogram {
  const series = new Map<
    string,
    { labels: Readonly<Record<string, string>>; buckets: number[]; sum: number; count: number }
  >()
  return {
    observe(labels, value) {
      const key = JSON.stringify(labels)
      let entry = series.get(key)
      if (!entry) {
        if (series.size >= seriesMax) return
        entry = { labels, buckets: bounds.map(() => 0), sum: 0, count: 0 }
        series.set(key, entry)
      }
      entry.sum += value
      entry.count += 1
      for (const [at, bound] of bounds.entries()) {
        if (value <= bound) entry.buckets[at] = (entry.buckets[at] ?? 0) + 1
      }
    },
    samples() {
      return [...series.values()].flatMap(({ labels, buckets, sum, count }) => [
        ...bounds.map((bound, at) => ({
          suffix: '_bucket',
          labels: { ...labels, le: String(bound) },
          value: buckets[at] ?? 0,
        })),
        { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: count },
        { suffix: '_sum', labels, value: sum },
        { suffix: '_count', labels, value: count },
      ])
    },
  }
}
