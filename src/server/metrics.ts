import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock } from '../core/clock.ts'
import type { BusStats, CountRow, TransportStats } from '../messaging/index.ts'
import type { Histogram, Metric, Sample } from './prometheus.ts'

const counters = [
  ['deliveries', 'Messages handed to a consumer, counted once for each message and consumer.'],
  ['handled', 'Deliveries that a handler acknowledged.'],
  ['skipped', 'Deliveries of events that the consumer does not list.'],
  ['retried', 'Failed attempts that were followed by another.'],
  ['dead', 'Deliveries that became dead letters.'],
  ['expired', 'Deliveries whose time to live passed first.'],
] as const

/**
 * Stands for the event of messages that say no type, as other programs write them: Prometheus takes an empty label for one that
 * is not there, and then nobody sees them.
 */
const untyped = '(no type)'
const eventLabel = (event: string) => (event === '' ? untyped : event)

/** What the store knows: counters by event and consumer. They live in the store, so they survive restarts. */
export function ledgerMetrics(stats: BusStats): Metric[] {
  const published: Sample[] = Object.entries(stats.byEvent).map(([event, row]) => ({
    labels: { event: eventLabel(event) },
    value: row.published,
  }))
  const consumed = stats.rows.filter((row) => row.deliveries > 0)
  return [
    {
      name: 'treaty_messages_published_total',
      help: 'Messages that the broker acknowledged as durable.',
      type: 'counter',
      samples: published,
    },
    ...counters.map(
      ([name, help]): Metric => ({
        name: `treaty_deliveries_${name === 'deliveries' ? '' : `${name}_`}total`,
        help,
        type: 'counter',
        samples: consumed.map((row) => ({ labels: rowLabels(row), value: row[name] })),
      }),
    ),
    {
      name: 'treaty_deliveries_waiting',
      help: 'Deliveries that are neither handled nor given up: ready, with a handler, or waiting for a retry.',
      type: 'gauge',
      samples: consumed.map((row) => ({ labels: rowLabels(row), value: row.waiting })),
    },
  ]
}

/** The empty consumer stands for what was refused before any consumer. */
function rowLabels(row: CountRow): Record<string, string> {
  return { event: eventLabel(row.event), consumer: row.consumer ?? '' }
}

/** What waits where, by durable group. */
export function groupMetrics(stats: TransportStats): Metric[] {
  const gauge = (
    name: string,
    help: string,
    value: (group: TransportStats['groups'][number]) => number | null,
  ): Metric => ({
    name: `treaty_group_${name}`,
    help,
    type: 'gauge',
    samples: stats.groups.flatMap((group) => {
      const found = value(group)
      return found === null ? [] : [{ labels: { group: group.group }, value: found }]
    }),
  })
  return [
    gauge('ready', 'Deliveries that can be handed out now.', (group) => group.ready),
    gauge('in_flight', 'Deliveries that are with a handler.', (group) => group.inFlight),
    gauge(
      'delayed',
      'Deliveries that wait for a retry or a delayed publish.',
      (group) => group.delayed,
    ),
    gauge(
      'blocked',
      'Deliveries that wait behind an earlier one of the same key.',
      (group) => group.blocked,
    ),
    gauge('oldest_age_seconds', 'Age of the oldest delivery that waits.', (group) =>
      group.oldestAgeMs === null ? null : group.oldestAgeMs / 1000,
    ),
  ]
}

/** What this process uses. Names are those that Prometheus client libraries agree on. */
export interface ProcessMetrics {
  read(): Metric[]
  close(): void
}
export function createProcessMetrics(clock: Clock, version: string): ProcessMetrics {
  const startedAt = clock.now() / 1000
  const lag = monitorEventLoopDelay({ resolution: 20 })
  lag.enable()
  const one = (
    name: string,
    type: 'counter' | 'gauge',
    help: string,
    value: number,
    labels?: Record<string, string>,
  ): Metric => ({
    name,
    type,
    help,
    samples: [labels ? { labels, value } : { value }],
  })
  return {
    read() {
      const cpu = process.cpuUsage()
      const memory = process.memoryUsage()
      return [
        one('treaty_build_info', 'gauge', 'Version that runs; the value is always 1.', 1, {
          version,
          node: process.version,
        }),
        one(
          'process_cpu_seconds_total',
          'counter',
          'CPU time used, user and system.',
          (cpu.user + cpu.system) / 1e6,
        ),
        one('process_resident_memory_bytes', 'gauge', 'Memory held by the process.', memory.rss),
        one(
          'process_start_time_seconds',
          'gauge',
          'Start of the process, in seconds since 1970.',
          startedAt,
        ),
        one('nodejs_heap_used_bytes', 'gauge', 'JavaScript heap in use.', memory.heapUsed),
        one(
          'nodejs_eventloop_lag_p99_seconds',
          'gauge',
          'Delay of the event loop, 99th percentile since the start.',
          lag.percentile(99) / 1e9,
        ),
      ]
    },
    close() {
      lag.disable()
    },
  }
}

/** Requests of this process, with their durations. */
export function requestMetrics(durations: Histogram): Metric {
  return {
    name: 'http_server_request_duration_seconds',
    help: 'Time from the request line to the end of the answer.',
    type: 'histogram',
    samples: durations.samples(),
  }
}
