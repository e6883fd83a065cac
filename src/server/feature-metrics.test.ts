import { describe, expect, it } from 'vitest'
import { createBreaker, createDependency, runningDependencies } from '../http/index.ts'
import { openStore } from '../store/index.ts'
import { createSender } from '../webhooks/index.ts'
import { dependencyMetrics } from './http-metrics.ts'
import { createCounter, exposition } from './prometheus.ts'
import { createWebhookMetrics } from './webhook-metrics.ts'

const lines = (text: string) => text.split('\n').filter((line) => !line.startsWith('#'))

describe('metrics of webhooks', () => {
  it('count requests, signatures, secrets and attempts, in seconds and with _total', async () => {
    const store = await openStore('memory:')
    const sender = await createSender({ store, dispatch: false })
    await sender.endpoints.add({ url: 'https://8.8.8.8/' })
    const metrics = createWebhookMetrics()
    const source = 'github'
    metrics.onReceiver({ source, outcome: 'published', status: 200, secretIndex: 1, elapsedMs: 3 })
    metrics.onReceiver({
      source,
      outcome: 'unverified',
      status: 401,
      reason: 'stale',
      elapsedMs: 0.4,
    })
    const one = { endpointId: 'ep', messageId: 'm', type: 'x' }
    metrics.onSender({ kind: 'attempt', ...one, attempt: 1, outcome: 'delivered', elapsedMs: 20 })
    metrics.onSender({ kind: 'exhausted', ...one, attempts: 3 })
    metrics.onSender({ kind: 'filter.failed', ...one, error: 'no such key' })
    metrics.onSender({ kind: 'endpoint.disabled', endpointId: 'ep', reason: 'gone' })

    const text = exposition(await metrics.read({ sender }))
    const expected = [
      'treaty_webhook_requests_total{source="github",outcome="published"} 1',
      'treaty_webhook_signature_failures_total{source="github",reason="stale"} 1',
      'treaty_webhook_verified_total{source="github",secret="1"} 1',
      'treaty_webhook_request_duration_seconds_bucket{source="github",le="0.005"} 2',
      'treaty_webhook_request_duration_seconds_count{source="github"} 2',
      'treaty_webhook_attempts_total{endpoint="ep",outcome="delivered"} 1',
      'treaty_webhook_attempt_duration_seconds_sum{endpoint="ep"} 0.02',
      'treaty_webhook_exhausted_total{endpoint="ep"} 1',
      'treaty_webhook_filter_failures_total{endpoint="ep"} 1',
      'treaty_webhook_endpoint_disabled_total{endpoint="ep",reason="gone"} 1',
      'treaty_webhook_endpoints{state="active"} 1',
      'treaty_webhook_deliveries_in_flight 0',
      'treaty_webhook_dispatching 0',
    ]
    for (const line of expected) expect(lines(text)).toContain(line)
    await sender.close()
    await store.close()
  })

  it('of more endpoints than there is room for are counted as other', () => {
    const counter = createCounter('x_total', 'x', 2)
    for (const endpoint of ['a', 'b', 'c', 'd', 'a']) counter.add({ endpoint })
    expect(lines(exposition([counter.metric()]))).toEqual([
      'x_total{endpoint="a"} 2',
      'x_total{endpoint="b"} 1',
      'x_total{endpoint="other"} 2',
      '',
    ])
  })
})

describe('metrics of calls', () => {
  it('show breakers, limits and events by dependency, several of one name as one', () => {
    const { breaker, ...rest } = createDependency(
      { rateLimit: { ratePerSecond: 10, burst: 5 }, bulkhead: { concurrent: 2, queue: 0 } },
      { name: 'shop' },
    )
    const open = createBreaker({ minCalls: 1 })
    open.open()
    const snapshots = [
      rest.snapshot(),
      { name: 'shop', breaker: open.snapshot(), events: { retry: 2 } },
    ]
    const text = lines(exposition(dependencyMetrics(snapshots)))

    expect(breaker?.snapshot().state).toBe('closed')
    expect(text).toContain('treaty_http_breaker_state{dependency="shop",state="open"} 1')
    expect(text).toContain('treaty_http_breaker_state{dependency="shop",state="closed"} 0')
    expect(text).toContain('treaty_http_rate_limit_available{dependency="shop"} 5')
    expect(text).toContain('treaty_http_bulkhead_running{dependency="shop"} 0')
    expect(text).toContain('treaty_http_events_total{dependency="shop",event="retry"} 2')
    expect(text.filter((line) => line.includes('state="open"'))).toHaveLength(1)
  })

  it('see every dependency that somebody holds', () => {
    const held = createDependency({}, { name: 'held by this test' })
    const names = runningDependencies().map(({ name }) => name)
    expect(names).toContain(held.name)
  })
})
