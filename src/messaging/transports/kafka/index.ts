import type { Capabilities, Transport, TransportOptions } from '../../transport.ts'
import { createBroker } from './broker.ts'
import type { KafkaDriver } from './kafka-driver.ts'

export { isKafkaUrl } from './url.ts'

/** Largest body of one message unless another bound is given; topics are made so that it fits. */
const messageBytesMaxDefault = 1_048_576

export interface KafkaTransportOptions extends TransportOptions {
  /**
   * `kafka://USER:PASSWORD@HOST:PORT,HOST:PORT?mechanism=SCRAM-SHA-512`, or `kafka+ssl://…`. Options: `mechanism`, `idempotence=false`,
   * `prefix`, `replicas`, and with TLS `ca`, `cert`, `key`, `servername`.
   */
  readonly url: string
  /**
   * The session timeout of group members, in milliseconds: 6000 at least, which is the lowest that brokers allow by default; a shorter one is
   * raised to it. Default 6000.
   */
  readonly leaseMs?: number
  /** Largest body of one message, in bytes. Default 1 MiB. */
  readonly messageBytesMax?: number
  /** Loads the client package; injected in tests. */
  readonly load?: () => Promise<KafkaDriver>
}

const documentation = 'https://kafka.apache.org/documentation'

/** What the broker on Kafka can do. */
function kafkaCapabilities(messageBytesMax: number): Capabilities {
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
    priorityLevels: 1,
    ttl: true,
    publishDedupWindowMs: 0,
    batchPublish: true,
    batchSettle: true,
    transactions: 'none',
    historyReplay: true,
    multiProcess: true,
    releaseOnDisconnect: true,
    messageBytesMax,
    headers: true,
    denials: {
      priorityLevels: `Kafka keeps the messages of a partition in one order and knows no priorities (${documentation}/#intro_concepts_and_terms). Of what a consumer has read ahead, higher priorities start first all the same.`,
      publishDedupWindowMs: `Kafka recognises a repeat only within one session of an idempotent producer, by its sequence number and not by the id of the message (${documentation}/#semantics). Consumers recognise repeats by their inbox.`,
      transactions: `Transactions of Kafka span its own topics and offsets, never the effect of a handler on another system (${documentation}/#semantics). Use the inbox with a store that has transactions.`,
    },
    emulations: {
      orderSurvivesRetry:
        'What waits for its retry stays first of its key, in the lane that its owner holds; the key waits with it.',
      orderSurvivesDead:
        'Under onDead: block the key of a dead letter is marked in the state of its lane until replay or discard.',
      orderedByKey: `A topic keeps the order of a partition (${documentation}/#intro_concepts_and_terms); within it one message of a key is with a handler at a time, and the partition of a key is chosen by Treaty.`,
      nativeDelayMsMax:
        'A delayed message stays at its place in the log; its key waits with it, and its lane once everything that was read ahead waits.',
      nativeDeadLetter: `Kafka has none for consumers (${documentation}/#semantics); a letter is written to a topic of its group and confirmed before the offset passes the message.`,
      deliveryCount:
        'How far messages may have started is written with the offset; what lies within it after a crash is counted before it starts again.',
      ttl: 'A topic forgets by age alone; the time to live is looked at before a handler starts.',
      releaseOnDisconnect: 'A member that closes gives its partitions back and says so.',
    },
  }
}

/**
 * A broker on Apache Kafka 3.1 or newer. Lanes are partitions with one owner each, found by the classic group protocol and fenced by commits
 * under its generation; what is known of unfinished messages travels in the metadata of the committed offset. Order of a key is kept through
 * retries and, with `onDead: block`, through dead letters.
 */
export function createKafkaTransport(options: KafkaTransportOptions): Transport {
  const { messageBytesMax = messageBytesMaxDefault, ...rest } = options
  return createBroker({ ...rest, capabilities: kafkaCapabilities(messageBytesMax) })
}
