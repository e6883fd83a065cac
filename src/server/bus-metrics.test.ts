import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { defineContract } from '../contracts/index.ts'
import { TreatyError } from '../core/errors.ts'
import { type Bus, type OutboxDesk, openBus } from '../messaging/index.ts'
import { fakeClock } from '../testing/index.ts'
import { busMetrics } from './bus-metrics.ts'
import { ledgerMetrics } from './metrics.ts'
import { exposition } from './prometheus.ts'

const contract = defineContract({
  treaty: 1,
  id: 'shop.orders',
  version: '1.0.0',
  status: 'active',
  purpose: 'Tells every service that an order was placed.',
  owner: { team: 'orders', contact: 'orders@example.com' },
  channels: { orders: { address: 'shop.orders' } },
  events: {
    'order.placed': { channel: 'orders', purpose: 'Sent once.', schema: { type: 'object' } },
  },
  producers: { shop: {} },
  consumers: {
    billing: {
      accepts: '^1.0.0',
      events: { 'order.placed': {} },
      sla: { processing: { p99: '30s', p50: '1s' } },
    },
    shipping: { accepts: '^1.0.0', events: { 'order.placed': {} } },
  },
  sla: { latency: { percentile: 99, within: '5s' } },
})

async function shown(bus: Bus): Promise<string[]> {
  const text = exposition(await busMetrics(bus, fakeClock()))
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

const refused = () => Promise.reject(new TreatyError('TRANSPORT_FAILED', 'it is away'))

describe('busMetrics', () => {
  it('say that the broker answers, what waits, since when, and what was promised', async () => {
    await using bus = (await openBus({ contracts: [contract], transport: 'memory:' })) as Bus
    await bus.consume('billing', { '*': () => undefined })
    await bus.publish('order.placed', {})
    const lines = await shown(bus)

    expect(lines).toContain('treaty_transport_up{transport="memory"} 1')
    expect(lines).toContain('treaty_bus_ready{transport="memory"} 1')
    expect(lines).toContain('treaty_consumer_ready{consumer="billing"} 1')
    expect(lines).toContain('treaty_dead_letters 0')
    expect(lines).toContain('treaty_group_ready{group="shop.orders.shipping"} 1')
    expect(lines).toContain('treaty_group_sla_seconds{group="shop.orders.billing"} 30')
    expect(lines).toContain('treaty_group_sla_seconds{group="shop.orders.shipping"} 5')
    expect(lines.filter((line) => line.startsWith('treaty_outbox'))).toEqual([])
  })

  it('name messages that say no type, which were counted under an empty label that nobody sees', () => {
    const row = {
      published: 2,
      deliveries: 2,
      handled: 0,
      skipped: 0,
      retried: 0,
      dead: 2,
      expired: 0,
      waiting: 0,
    }
    const rows = [{ event: '', consumer: 'billing', ...row }]
    const text = exposition(ledgerMetrics({ ...row, byEvent: { '': row }, rows }))

    expect(text).toContain('treaty_messages_published_total{event="(no type)"} 2')
    expect(text).toContain('treaty_deliveries_dead_total{event="(no type)",consumer="billing"} 2')
  })

  it('say that the broker is away instead of failing with it', async () => {
    await using bus = (await openBus({ contracts: [contract], transport: 'memory:' })) as Bus
    const transport = { ...bus.transport, name: 'memory', stats: refused } as Bus['transport']
    const dead = { ...bus.dead, count: refused }
    const lines = await shown({ ...bus, transport, dead, health: refused })

    expect(lines).toContain('treaty_transport_up{transport="memory"} 0')
    expect(lines).toContain('treaty_bus_ready{transport="memory"} 0')
    expect(lines.some((line) => line.startsWith('treaty_group_ready'))).toBe(false)
    expect(lines.some((line) => line.startsWith('treaty_dead_letters'))).toBe(false)
  })

  it('wait at most five seconds for a broker that says nothing', async () => {
    await using bus = (await openBus({ contracts: [contract], transport: 'memory:' })) as Bus
    const clock = fakeClock()
    const silent = { ...bus.transport, name: 'memory', stats: () => new Promise<never>(() => {}) }
    const asked = busMetrics({ ...bus, transport: silent as unknown as Bus['transport'] }, clock)
    await clock.advance(5000)

    expect(exposition(await asked)).toContain('treaty_transport_up{transport="memory"} 0')
  })

  it('tell of the outbox: what waits, since when, what is parked, and whether it answers', async () => {
    await using bus = (await openBus({ contracts: [contract], transport: 'memory:' })) as Bus
    const status = {
      backlog: 7,
      oldestAgeMs: 1500,
      failing: 2,
      parked: 1,
      relays: 8,
      database: 'x',
    }
    const desk = { status: async () => status } as unknown as OutboxDesk
    const lines = await shown({ ...bus, outboxDesk: desk })

    expect(lines.filter((line) => line.startsWith('treaty_outbox'))).toEqual([
      'treaty_outbox_up 1',
      'treaty_outbox_backlog 7',
      'treaty_outbox_oldest_age_seconds 1.5',
      'treaty_outbox_failing 2',
      'treaty_outbox_parked 1',
      'treaty_outbox_relays 8',
    ])
    const away = { status: refused } as unknown as OutboxDesk
    expect(await shown({ ...bus, outboxDesk: away })).toContain('treaty_outbox_up 0')
  })
})

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string }
}

describe('docs/reference/alerts.yaml', () => {
  const file = readFileSync(`${import.meta.dirname}/../../docs/reference/alerts.yaml`, 'utf8')
  const { groups } = parse(file) as { groups: { name: string; rules: Rule[] }[] }
  const rules = groups.flatMap((group) => group.rules)
  const documented = readFileSync(`${import.meta.dirname}/../../docs/reference/metrics.md`, 'utf8')

  it('asks only for metrics that are documented', () => {
    const metrics = new Set(
      rules.flatMap(({ expr }) => expr.match(/\b(treaty|nodejs|process|http)_[a-z0-9_]+/g) ?? []),
    )
    expect([...metrics].filter((name) => !documented.includes(`\`${name}\``))).toEqual([])
    expect(metrics.size).toBeGreaterThan(10)
  })

  it('has a name, a severity, a summary and what to do for each alert', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
    for (const { alert, labels, annotations } of rules) {
      expect(alert).toMatch(/^Treaty[A-Z]/)
      expect(['page', 'ticket']).toContain(labels.severity)
      expect(annotations.summary).not.toBe('')
      expect(annotations.description).toMatch(/[a-z]/)
    }
  })

  it('has one for everything that may be stuck', () => {
    const asked = rules.map(({ expr }) => expr).join('\n')
    for (const name of [
      'treaty_group_oldest_age_seconds',
      'treaty_group_sla_seconds',
      'treaty_dead_letters',
      'treaty_deliveries_dead_total',
      'treaty_transport_up',
      'treaty_consumer_ready',
      'treaty_outbox_parked',
      'treaty_outbox_oldest_age_seconds',
      'treaty_outbox_relays',
      'treaty_webhook_endpoints',
      'treaty_webhook_exhausted_total',
      'treaty_http_breaker_state',
    ]) {
      expect(asked).toContain(name)
    }
  })
})
