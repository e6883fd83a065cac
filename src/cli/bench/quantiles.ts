/** A distribution in milliseconds. */
export interface Distribution {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}
/** Values up to `toMs`, and above the bucket before. */
export interface Bucket {
  readonly toMs: number
  readonly count: number
}

/** Quantiles by nearest rank; all zero without values. */
export function distributionOf(values: readonly number[]): Distribution {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number) =>
    rounded(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0)
  return {
    count: sorted.length,
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    p999: at(0.999),
    max: rounded(sorted.at(-1) ?? 0),
  }
}

/** Buckets whose bounds are 1, 2, 5, 10 … times a power of ten, from the first to the last that has values. */
export function histogramOf(values: readonly number[]): Bucket[] {
  const counts = new Map<number, number>()
  for (const value of values) {
    const bound = boundOf(value)
    counts.set(bound, (counts.get(bound) ?? 0) + 1)
  }
  const last = Math.max(...counts.keys())
  const buckets: Bucket[] = []
  for (let bound = Math.min(...counts.keys()); bound <= last; bound = boundOf(bound * 1.5)) {
    buckets.push({ toMs: bound, count: counts.get(bound) ?? 0 })
  }
  return buckets
}

/** The least of 1, 2, 5 times a power of ten that is not below the value. */
function boundOf(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 0.001)))
  const factor = [1, 2, 5, 10].find((one) => one * power >= value * (1 - 1e-9)) ?? 10
  return Number((factor * power).toPrecision(1))
}

function rounded(ms: number): number {
  return Number(ms.toPrecision(4))
}
