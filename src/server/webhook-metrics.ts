import type { ReceiverEvent, Sender, SenderEvent } from '../webhooks/index.ts'
import { type Counter, createCounter, createHistogram, type Metric } from './prometheus.ts'

/** Counts what happens to webhooks in this process, by source and by endpoint. */
export interface WebhookMetrics {
  onReceiver(event: ReceiverEvent): void
  onSender(event: SenderEvent): void
  read(now: { readonly sender: Sender | undefined }): Promise<Metric[]>
}

/** Seconds. Providers give up after 3 to 30; a delivery that was stored takes milliseconds. */
const receiveBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const attemptBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15]

const counters = {
  requests: ['requests_total', 'Webhook requests that came in, by what became of them.'],
  refused: [
    'signature_failures_total',
    'Requests whose signature did not hold, by reason. The sender is told 401 only.',
  ],
  verified: [
    'verified_total',
    'Verified requests by position of the secret: one that stays at 0 can be taken away.',
  ],
  attempts: ['attempts_total', 'Attempts to deliver a webhook, by what became of them.'],
  exhausted: ['exhausted_total', 'Deliveries whose attempts are spent.'],
  filterFailures: [
    'filter_failures_total',
    'Messages that the filter of an endpoint could not judge.',
  ],
  disabled: ['endpoint_disabled_total', 'Times that an endpoint was disabled, by reason.'],
} as const

function createCounters() {
  const entries = Object.entries(counters).map(([key, [name, help]]) => [
    key,
    createCounter(`treaty_webhook_${name}`, help),
  ])
  return Object.fromEntries(entries) as Record<keyof typeof counters, Counter>
}

export function createWebhookMetrics(): WebhookMetrics {
  const count = createCounters()
  const receiving = createHistogram(receiveBounds)
  const attempting = createHistogram(attemptBounds)
  return {
    onReceiver({ source, outcome, reason, secretIndex, elapsedMs }) {
      count.requests.add({ source, outcome })
      if (reason !== undefined) count.refused.add({ source, reason })
      if (secretIndex !== undefined) count.verified.add({ source, secret: String(secretIndex) })
      receiving.observe({ source }, elapsedMs / 1000)
    },
    onSender(event) {
      if (event.kind === 'problem') return
      const { endpointId: endpoint } = event
      if (event.kind === 'attempt') {
        count.attempts.add({ endpoint, outcome: event.outcome })
        attempting.observe({ endpoint }, event.elapsedMs / 1000)
      } else if (event.kind === 'exhausted') count.exhausted.add({ endpoint })
      else if (event.kind === 'filter.failed') count.filterFailures.add({ endpoint })
      else if (event.kind === 'endpoint.disabled') {
        count.disabled.add({ endpoint, reason: event.reason })
      }
    },
    async read({ sender }) {
      return [
        ...Object.values(count).map((counter) => counter.metric()),
        {
          name: 'treaty_webhook_request_duration_seconds',
          help: 'Time from the whole body of a request to its answer: verified, and stored durably.',
          type: 'histogram',
          samples: receiving.samples(),
        },
        {
          name: 'treaty_webhook_attempt_duration_seconds',
          help: 'Time from the beginning of an attempt to the answer of the endpoint.',
          type: 'histogram',
          samples: attempting.samples(),
        },
        ...(sender === undefined ? [] : await senderGauges(sender)),
      ]
    },
  }
}

async function senderGauges(sender: Sender): Promise<Metric[]> {
  const { isDispatching, atWork, waiting, sent, filtered } = sender.stats()
  const gauge = (name: string, help: string, value: number): Metric => ({
    name: `treaty_webhook_${name}`,
    help,
    type: 'gauge',
    samples: [{ value }],
  })
  const counter = (name: string, help: string, value: number): Metric => ({
    ...gauge(name, help, value),
    type: 'counter',
  })
  const endpoints = await sender.endpoints.list()
  return [
    counter('messages_total', 'Messages that were given to the sender, and are durable.', sent),
    counter('filtered_total', 'Pairs of message and endpoint that a filter kept apart.', filtered),
    gauge('deliveries_in_flight', 'Deliveries under way.', atWork),
    gauge(
      'deliveries_waiting',
      'Deliveries held in memory that are not settled; those of disabled endpoints wait in the store.',
      waiting,
    ),
    gauge('dispatching', '1 where this process delivers for its store.', isDispatching ? 1 : 0),
    {
      name: 'treaty_webhook_endpoints',
      help: 'Endpoints by state.',
      type: 'gauge',
      samples: (['active', 'disabled', 'unverified'] as const).map((state) => ({
        labels: { state },
        value: endpoints.filter(({ status }) => status === state).length,
      })),
    },
  ]
}
