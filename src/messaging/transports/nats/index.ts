import type { Capabilities, Transport, TransportOptions } from '../../transport.ts'
import { createBroker } from './broker.ts'
import { duplicateWindowMs } from './streams.ts'

export { isNatsUrl } from './url.ts'

export interface NatsTransportOptions extends TransportOptions {
  /**
   * `nats://USER:PASSWORD@HOST:4222` or `tls://…`, with the options `token`, `creds`, `nkey`, `ca`, `cert`, `key`, `tls_first`, `verify`,
   * `namespace` (first token of all that is ours; default `treaty`) and `replicas` (copies of each stream; default 1).
   */
  readonly url: string
}

/** `max_payload` of a server that says nothing else. */
const payloadMaxDefault = 1_048_576
/** Kept free of the payload for headers, which count into it, also those of a dead letter. */
const headersBytes = 49_152

function natsCapabilities(payloadMax = payloadMaxDefault): Capabilities {
  return {
    durable: true,
    competingConsumers: true,
    fanOutGroups: true,
    nativeDelayMsMax: Number.MAX_SAFE_INTEGER,
    nativeDeadLetter: true,
    deliveryCount: true,
    orderedByKey: 'partition',
    orderSurvivesRetry: true,
    orderSurvivesDead: true,
    priorityLevels: 4,
    ttl: true,
    publishDedupWindowMs: duplicateWindowMs,
    batchPublish: true,
    batchSettle: true,
    transactions: 'none',
    historyReplay: true,
    multiProcess: true,
    releaseOnDisconnect: true,
    messageBytesMax: Math.max(1024, payloadMax - headersBytes),
    headers: true,
    denials: {
      transactions:
        'A stream has no tables of the application, and a batch is atomic within one stream alone, so no effect can be committed with an acknowledgement: use idempotent handlers or the outbox (https://docs.nats.io/nats-concepts/jetstream).',
      durability:
        'A message is acknowledged once it is written to the file store; with the default sync_interval of two minutes the last of them can be lost when power fails. Set sync_interval: always, or keep 3 replicas (https://docs.nats.io/running-a-nats-service/configuration/resource_management).',
    },
    emulations: {
      orderSurvivesRetry:
        'What waits for its retry stays first of its key, in the lane that its owner holds; the key waits with it.',
      orderSurvivesDead:
        'Under onDead: block the key of a dead letter is marked in the state of its lane until replay or discard.',
      ttl: 'The time to live is looked at before a handler starts.',
      orderedByKey:
        'A channel is a number of subjects of one stream; each has one owner for each group, fenced by compare-and-set, because acknowledgements of a durable consumer are neither ordered nor fenced (https://docs.nats.io/nats-concepts/jetstream/consumers).',
      nativeDeadLetter:
        'JetStream tells of messages that were delivered too often, and keeps none of them; a letter is written to a stream and confirmed before the message counts as ended.',
      deliveryCount:
        'How far messages may have started is written with the state of the lane; what lies within it after a crash is counted before it starts again.',
      priorityLevels: 'Urgent messages overtake within what was read ahead.',
      releaseOnDisconnect: 'A replica that closes gives its lanes back and calls the others.',
    },
  }
}

/**
 * NATS JetStream from 2.9 on, best from 2.12 on, for any number of processes. A channel is a stream, its lanes are subjects of
 * it; the state of each lane is one small document that its owner writes by compare-and-set.
 */
export function createNatsTransport(options: NatsTransportOptions): Transport {
  return createBroker({ ...options, capabilities: natsCapabilities })
}
