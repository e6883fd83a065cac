import type { Contract } from '../contracts/index.ts'
import { type Clock, delay } from '../core/clock.ts'
import { isJsonObject, type JsonObject } from '../core/json.ts'
import {
  type Bus,
  type BusHealth,
  commandGroupName,
  groupName,
  type OutboxStatus,
  summarize,
} from '../messaging/index.ts'
import { groupMetrics, ledgerMetrics } from './metrics.ts'
import type { Metric } from './prometheus.ts'

/** Milliseconds for an answer of the broker or the outbox: below the ten seconds that Prometheus waits for all of it. */
const answerMsMax = 5000

/**
 * What the bus, its broker and its outbox say of themselves. Never throws: what does not answer is missing, and `treaty_transport_up` or
 * `treaty_outbox_up` is 0.
 */
export async function busMetrics(bus: Bus, clock: Clock): Promise<Metric[]> {
  const [stats, health, dead, outbox] = await Promise.all([
    answerOf(bus.transport.stats(), clock),
    answerOf(bus.health(), clock),
    answerOf(bus.dead.count(), clock),
    answerOf(bus.outboxDesk?.status() ?? Promise.resolve(undefined), clock),
  ])
  const labels = { transport: bus.transport.name }
  return [
    gauge('treaty_transport_up', 'Whether the broker answers: 1 or 0.', [
      { labels, value: stats === noAnswer ? 0 : 1 },
    ]),
    gauge('treaty_bus_ready', 'Whether work can come in: broker and consumers are ready. 1 or 0.', [
      { labels, value: health !== noAnswer && health.ready ? 1 : 0 },
    ]),
    gauge(
      'treaty_consumer_ready',
      'Whether a consumer of this process is assigned and polling: 1 or 0.',
      health === noAnswer
        ? []
        : health.consumers.map(({ consumer, ready }) => ({
            labels: { consumer },
            value: ready ? 1 : 0,
          })),
    ),
    ...(health === noAnswer ? [] : brokerMetrics(health, labels)),
    ...(stats === noAnswer
      ? []
      : [...ledgerMetrics(summarize(stats.counts)), ...groupMetrics(stats)]),
    gauge(
      'treaty_dead_letters',
      'Dead letters that are neither replayed nor discarded, those of no consumer too.',
      dead === noAnswer ? [] : [{ value: dead }],
    ),
    promised(bus.contracts),
    ...(bus.outboxDesk === undefined
      ? []
      : outboxMetrics(outbox === noAnswer ? undefined : outbox)),
  ]
}

const noAnswer: unique symbol = Symbol('no answer')

async function answerOf<T>(asked: Promise<T>, clock: Clock): Promise<T | typeof noAnswer> {
  const isOver = new AbortController()
  const tooLate = async (): Promise<typeof noAnswer> => {
    await delay(clock, answerMsMax, isOver.signal)
    return noAnswer
  }
  try {
    return await Promise.race<T | typeof noAnswer>([asked, tooLate()])
  } catch {
    return noAnswer // Why it failed is what /health says.
  } finally {
    isOver.abort()
  }
}

function gauge(name: string, help: string, samples: Metric['samples']): Metric {
  return { name, help, type: 'gauge', samples }
}

function brokerMetrics({ broker, drift }: BusHealth, labels: Record<string, string>): Metric[] {
  const { version, clockAheadMs, unsafe } = broker ?? {}
  const parts = 'Parts of the topology that are other than the contracts need, seen once a minute.'
  return [
    gauge('treaty_topology_drift', parts, [{ labels, value: drift.length }]),
    gauge(
      'treaty_transport_info',
      'What the broker says of itself; the value is always 1.',
      version === undefined ? [] : [{ labels: { ...labels, version }, value: 1 }],
    ),
    gauge(
      'treaty_transport_clock_ahead_seconds',
      'How far the clock of the broker is ahead of this host, seen once a minute.',
      clockAheadMs === undefined ? [] : [{ labels, value: clockAheadMs / 1000 }],
    ),
    gauge(
      'treaty_transport_unsafe_settings',
      'Settings of the broker with which acknowledged messages can be lost.',
      unsafe === undefined ? [] : [{ labels, value: unsafe.length }],
    ),
  ]
}

/** What the contracts promise, so that an alert compares with it. */
function promised(contracts: readonly Contract[]): Metric {
  const samples = contracts.flatMap((contract) => {
    const ofAll = contract.sla.latency?.withinMs
    const consumers = Object.values(contract.consumers).flatMap((consumer) => {
      const withinMs = promisedMs(consumer.sla) ?? ofAll
      const group = groupName(contract, consumer.name)
      return withinMs === undefined ? [] : [{ labels: { group }, value: withinMs / 1000 }]
    })
    const commands = Object.values(contract.commands).map((command) => ({
      labels: { group: commandGroupName(contract, command) },
      value: command.timeoutMs / 1000,
    }))
    return [...consumers, ...commands]
  })
  const help = 'Within how long a message is to be handled, as the contract says.'
  return gauge('treaty_group_sla_seconds', help, samples)
}

/** The longest of the percentiles that are promised, or the lag: beyond it the promise is certainly broken. */
function promisedMs(sla: JsonObject | undefined): number | undefined {
  const times = [sla?.processing, sla?.lag]
    .filter(isJsonObject)
    .flatMap((group) => Object.values(group))
    .filter((value) => typeof value === 'number')
  return times.length === 0 ? undefined : Math.max(...times)
}

function outboxMetrics(status: OutboxStatus | undefined): Metric[] {
  const up = gauge('treaty_outbox_up', 'Whether the database of the outbox answers: 1 or 0.', [
    { value: status === undefined ? 0 : 1 },
  ])
  if (status === undefined) return [up]
  const one = (name: string, help: string, value: number) =>
    gauge(`treaty_outbox_${name}`, help, [{ value }])
  return [
    up,
    one(
      'backlog',
      'Messages that are committed and not yet sent, without the parked.',
      status.backlog,
    ),
    one(
      'oldest_age_seconds',
      'Age of the oldest of them; 0: nothing waits.',
      (status.oldestAgeMs ?? 0) / 1000,
    ),
    one(
      'failing',
      'Messages that failed and are tried again, and those behind them.',
      status.failing,
    ),
    one('parked', 'Messages that the broker refused too often.', status.parked),
    one('relays', 'Shards that a relay holds, in whichever process.', status.relays),
  ]
}
