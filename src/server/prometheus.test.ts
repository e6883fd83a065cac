import { describe, expect, test } from 'vitest'
import { createHistogram, exposition } from './prometheus.ts'

describe('exposition', () => {
  test('escapes labels and help, and leaves out what has no samples', () => {
    const text = exposition([
      {
        name: 'a_total',
        help: 'One\\two\nthree.',
        type: 'counter',
        samples: [{ labels: { event: 'a"b\\c\nd' }, value: 1 }],
      },
      { name: 'b', help: 'None.', type: 'gauge', samples: [] },
      {
        name: 'c',
        help: 'Odd.',
        type: 'gauge',
        samples: [{ value: Number.POSITIVE_INFINITY }, { value: Number.NaN }],
      },
    ])
    expect(text).toBe(
      '# HELP a_total One\\\\two\\nthree.\n# TYPE a_total counter\na_total{event="a\\"b\\\\c\\nd"} 1\n' +
        '# HELP c Odd.\n# TYPE c gauge\nc +Inf\nc NaN\n',
    )
  })
})

describe('a histogram', () => {
  test('counts into cumulative buckets', () => {
    const histogram = createHistogram([1, 5])
    for (const value of [0.5, 1, 3, 9]) histogram.observe({ route: '/' }, value)
    expect(
      histogram.samples().map((sample) => [sample.suffix, sample.labels?.le ?? '', sample.value]),
    ).toEqual([
      ['_bucket', '1', 2],
      ['_bucket', '5', 3],
      ['_bucket', '+Inf', 4],
      ['_sum', '', 13.5],
      ['_count', '', 4],
    ])
  })

  test('keeps no more series than its limit', () => {
    const histogram = createHistogram([1], 2)
    for (const route of ['a', 'b', 'c']) histogram.observe({ route }, 1)
    expect(new Set(histogram.samples().map((sample) => sample.labels?.route))).toEqual(
      new Set(['a', 'b']),
    )
  })
})
