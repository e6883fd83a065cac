import type { Style } from '../style.ts'
import { renderTable } from '../table.ts'
import type { LatencyMeasurement, ThroughputMeasurement } from './measure.ts'
import type { Bucket, Distribution } from './quantiles.ts'

const barMax = 40

const quantiles = ({ p50, p90, p99, p999, max }: Distribution) =>
  [p50, p90, p99, p999, max].map((ms) => String(ms))

/** The distributions, and the histogram of the end-to-end latencies. */
export function latencyText(latency: LatencyMeasurement, style: Style): string {
  const table = renderTable(
    ['one at a time, ms', 'count', 'p50', 'p90', 'p99', 'p99.9', 'max'],
    [
      ['publish', String(latency.publishMs.count), ...quantiles(latency.publishMs)],
      ['end to end', String(latency.endToEndMs.count), ...quantiles(latency.endToEndMs)],
    ],
    style,
  )
  return `${table}\n\n${histogramText(latency.histogram, style)}\n`
}

function histogramText(buckets: readonly Bucket[], { dim }: Style): string {
  const most = Math.max(1, ...buckets.map(({ count }) => count))
  const width = Math.max(...buckets.map(({ toMs }) => `${toMs}`.length), 1)
  return buckets
    .map(({ toMs, count }) => {
      const bar = '#'.repeat(Math.ceil((count / most) * barMax))
      return `${dim(`up to ${`${toMs}`.padStart(width)} ms`)}  ${bar.padEnd(barMax)}  ${count}`
    })
    .join('\n')
}

/** One size of batch, as a line. */
export function throughputText(row: ThroughputMeasurement, { bold, dim }: Style): string {
  const { batch, perSecond, endToEndMs } = row
  const size = `${batch} ${batch === 1 ? 'message' : 'messages'} a call`.padEnd(22)
  return `${size}  ${bold(String(perSecond).padStart(7))} a second  ${dim(`p50 ${endToEndMs.p50} ms, p99 ${endToEndMs.p99} ms`)}`
}
