import type { DependencySnapshot } from '../http/index.ts'
import type { Metric, Sample } from './prometheus.ts'

const states = ['closed', 'half_open', 'open'] as const
type Snapshots = readonly DependencySnapshot[]

const numbers: readonly (readonly [
  name: string,
  type: Metric['type'],
  help: string,
  value: (snapshot: DependencySnapshot) => number | undefined,
])[] = [
  [
    'breaker_rejected_total',
    'counter',
    'Calls that an open breaker turned away.',
    ({ breaker }) => breaker?.rejected,
  ],
  [
    'rate_limit_available',
    'gauge',
    'Calls that the rate limit would let through at once.',
    ({ rateLimit }) => rateLimit?.available,
  ],
  [
    'rate_limit_waiting',
    'gauge',
    'Calls that wait for the rate limit.',
    ({ rateLimit }) => rateLimit?.waiting,
  ],
  [
    'rate_limit_admitted_total',
    'counter',
    'Calls that the rate limit let through.',
    ({ rateLimit }) => rateLimit?.admitted,
  ],
  [
    'rate_limit_refused_total',
    'counter',
    'Calls that the rate limit refused.',
    ({ rateLimit }) => rateLimit?.refused,
  ],
  [
    'bulkhead_running',
    'gauge',
    'Calls under way within the bulkhead.',
    ({ bulkhead }) => bulkhead?.running,
  ],
  [
    'bulkhead_waiting',
    'gauge',
    'Calls that wait for a place in the bulkhead.',
    ({ bulkhead }) => bulkhead?.waiting,
  ],
  [
    'bulkhead_rejected_total',
    'counter',
    'Calls that a full bulkhead refused.',
    ({ bulkhead }) => bulkhead?.rejected,
  ],
]

/**
 * Calls to neighbours: breakers, limiters, bulkheads. Several clients of one name are one dependency: what they counted is
 * added, and of their breakers the worst counts.
 */
export function dependencyMetrics(snapshots: Snapshots): Metric[] {
  const byName = [...Map.groupBy(snapshots, ({ name }) => name)].toSorted(([left], [right]) =>
    left < right ? -1 : 1,
  )
  const samplesOf = (value: (typeof numbers)[number][3]) =>
    byName.flatMap(([dependency, all]): Sample[] => {
      const values = all.map(value).filter((found) => found !== undefined)
      if (values.length === 0) return []
      return [{ labels: { dependency }, value: values.reduce((sum, each) => sum + each, 0) }]
    })
  return [
    {
      name: 'treaty_http_breaker_state',
      type: 'gauge',
      help: 'State of the circuit breaker: 1 at the state that it is in, 0 at the others.',
      samples: byName.flatMap(([dependency, all]) => stateSamples(dependency, all)),
    },
    ...numbers.map(([name, type, help, value]): Metric => {
      return { name: `treaty_http_${name}`, type, help, samples: samplesOf(value) }
    }),
    {
      name: 'treaty_http_events_total',
      type: 'counter',
      help: 'What the policies around calls did: retry, timeout, hedged, fallback and the rest.',
      samples: byName.flatMap(([dependency, all]) => eventSamples(dependency, all)),
    },
  ]
}

function stateSamples(dependency: string, all: Snapshots): Sample[] {
  const found = all.flatMap(({ breaker }) => (breaker ? [states.indexOf(breaker.state)] : []))
  if (found.length === 0) return []
  const worst = states[Math.max(...found)]
  return states.map((state) => ({
    labels: { dependency, state },
    value: state === worst ? 1 : 0,
  }))
}

function eventSamples(dependency: string, all: Snapshots): Sample[] {
  const sums = new Map<string, number>()
  for (const { events } of all) {
    for (const [event, count] of Object.entries(events)) {
      sums.set(event, (sums.get(event) ?? 0) + count)
    }
  }
  return [...sums].map(([event, value]) => ({ labels: { dependency, event }, value }))
}
