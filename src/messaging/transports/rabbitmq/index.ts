import type { Random } from '../../../core/random.ts'
import type { Capabilities, Transport, TransportOptions } from '../../transport.ts'
import { createBroker } from './broker.ts'
import { readRabbitmqUrl } from './url.ts'

export { isRabbitmqUrl } from './url.ts'

/** Largest body of one message unless another bound is given: what RabbitMQ 4 takes by default. */
const messageBytesMaxDefault = 16_777_216
const patienceMsDefault = 10_000

export interface RabbitmqTransportOptions extends TransportOptions {
  /** `amqp://USER:PASSWORD@HOST:PORT/VHOST?queues=quorum|classic&prefix=TEXT`, or `amqps://…?ca=FILE&servername=NAME` with TLS. */
  readonly url: string
  /** Spreads repeated tries. */
  readonly random?: Random
  /** Largest body of one message, in bytes. Default 16 MiB; the broker's own bound is `max_message_size`. */
  readonly messageBytesMax?: number
  /** Milliseconds after which a publish that the broker does not confirm is given up: no connection, or an alarm. Default 10 000. */
  readonly publishPatienceMs?: number
}

const queueDocs = 'https://www.rabbitmq.com/docs/queues'
const quorumDocs = 'https://www.rabbitmq.com/docs/quorum-queues'
const semanticsDocs = 'https://www.rabbitmq.com/docs/semantics'
const reliabilityDocs = 'https://www.rabbitmq.com/docs/reliability'
const confirmDocs = 'https://www.rabbitmq.com/docs/confirms'
const ttlDocs = 'https://www.rabbitmq.com/docs/ttl'
const sacDocs = 'https://www.rabbitmq.com/docs/consumers#single-active-consumer'

function rabbitmqCapabilities(messageBytesMax: number): Capabilities {
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
    publishDedupWindowMs: 0,
    batchPublish: true,
    batchSettle: true,
    transactions: 'none',
    historyReplay: false,
    multiProcess: true,
    releaseOnDisconnect: true,
    messageBytesMax,
    headers: true,
    denials: {
      publishDedupWindowMs: `Exchanges and queues recognise no message that comes twice; who publishes again after a lost confirmation makes a copy (${reliabilityDocs}).`,
      transactions: `A transaction of AMQP covers publishing and acknowledging in one queue, and quorum queues refuse it (${semanticsDocs}, ${quorumDocs}).`,
      historyReplay: `A queue forgets what was acknowledged, and a group that is made later begins empty, whatever its start says (${queueDocs}).`,
    },
    emulations: {
      orderSurvivesRetry:
        'What waits for its retry stays first of its key, in the lane that its owner holds; the key waits with it.',
      orderSurvivesDead:
        'Under onDead: block the key of a dead letter is marked in the state of its lane until replay or discard.',
      nativeDelayMsMax:
        'A delayed message waits in a queue of those that wait as long, and a process that consumes moves it on when it is due.',
      nativeDeadLetter: `Dead-lettering of the broker drops what is said about a failure; a letter is published to a queue of its group and confirmed before the message is acknowledged (${confirmDocs}).`,
      orderedByKey: `A channel is a number of queues for each group, each with one active consumer (${sacDocs}).`,
      priorityLevels: `Quorum queues know two levels at most, and only from 4.0 on (${quorumDocs}); urgent messages overtake within what was read ahead.`,
      ttl: `The broker expires messages without counting them (${ttlDocs}); the time is looked at before a handler starts.`,
      deliveryCount: `Counts of the broker rise for messages that were only read ahead too (${quorumDocs}); the count is written before a message starts that came back from a process that vanished.`,
      'stats().counts': `Exact as far as Treaty published: messages of other programs that wait have no type until they are read, and one that ended in the very moment in which its process was killed may count twice. A publisher that is killed may have counted up to 20 ms less than it published; it comes right when that is read. The broker lists no messages without handing them out (${queueDocs}).`,
    },
  }
}

/**
 * A broker in RabbitMQ 3.10 or newer, on quorum queues or, with `?queues=classic`, on classic ones, for any number of processes.
 *
 * @throws BROKER_URL_INVALID
 */
export function createRabbitmqTransport(options: RabbitmqTransportOptions): Transport {
  const {
    messageBytesMax = messageBytesMaxDefault,
    publishPatienceMs = patienceMsDefault,
    url,
    ...rest
  } = options
  return createBroker({
    ...rest,
    place: readRabbitmqUrl(url),
    patienceMs: publishPatienceMs,
    capabilities: rabbitmqCapabilities(messageBytesMax),
  })
}
