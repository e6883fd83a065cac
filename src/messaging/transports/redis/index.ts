import type { Random } from '../../../core/random.ts'
import type { Capabilities, Transport, TransportOptions } from '../../transport.ts'
import { createBroker } from './broker.ts'
import { readRedisUrl } from './url.ts'

export { isRedisUrl } from './url.ts'

/** Largest body of one message unless another bound is given. */
const messageBytesMaxDefault = 16_777_216

export interface RedisTransportOptions extends TransportOptions {
  /** `redis://USER:PASSWORD@HOST:PORT/DATABASE?prefix=TEXT&replicas=NUMBER`, or `rediss://…?ca=FILE&servername=NAME` with TLS. */
  readonly url: string
  /** Spreads repeated tries. */
  readonly random?: Random
  /** Largest body of one message, in bytes. Default 16 MiB; the server takes 512 MB in one value. */
  readonly messageBytesMax?: number
}

const scripting = 'https://redis.io/docs/latest/develop/programmability/eval-intro/'
const streams = 'https://redis.io/docs/latest/develop/data-types/streams/'

const replication = 'https://redis.io/docs/latest/operate/oss_and_stack/management/replication/'

function redisCapabilities(messageBytesMax: number): Capabilities {
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
    publishDedupWindowMs: Number.MAX_SAFE_INTEGER,
    batchPublish: true,
    batchSettle: true,
    transactions: 'none',
    historyReplay: true,
    multiProcess: true,
    releaseOnDisconnect: true,
    messageBytesMax,
    headers: true,
    denials: {
      failover: `What was acknowledged is on the disk of the primary; replicas follow behind (${replication}). When one of them is promoted, by Sentinel or by hand, what it had not received is lost. With ?replicas=1 in the URL a publish waits until so many have it (WAIT): a smaller window, not none.`,
      transactions: `A script is one step and cannot wait for a handler's own work, and nothing else of Redis can be rolled back (${scripting}).`,
    },
    emulations: {
      orderSurvivesRetry:
        'What waits for its retry stays first of its key, in the lane that its owner holds; the key waits with it.',
      orderSurvivesDead:
        'Under onDead: block the key of a dead letter is marked in the state of its lane until replay or discard.',
      releaseOnDisconnect: 'A replica that closes gives its lanes back and calls the others.',
      nativeDelayMsMax:
        'A sorted set holds what is delayed; a process that consumes the channel moves it when it is due.',
      nativeDeadLetter: `Streams have none (${streams}); a dead letter is written in the same script as the settlement.`,
      orderedByKey: 'A channel is a number of streams; each has one fenced owner for each group.',
      priorityLevels:
        'Urgent messages without an order to keep have streams of their own; keyed ones overtake within what was read ahead.',
      ttl: 'An entry has no time to live of its own; it is looked at before a handler starts.',
      publishDedupWindowMs:
        'The id is remembered in a key with a time to live, in the script that publishes.',
      deliveryCount:
        'The count is written before a message starts that was pending when its process vanished.',
    },
  }
}

/**
 * A broker in Redis 7 or newer, or Valkey, for any number of processes. Refuses a server that would lose what it has
 * acknowledged: `appendonly yes` and `maxmemory-policy noeviction` are needed, `appendfsync always` is recommended.
 *
 * @throws BROKER_URL_INVALID
 */
export function createRedisTransport(options: RedisTransportOptions): Transport {
  const { messageBytesMax = messageBytesMaxDefault, url, ...rest } = options
  return createBroker({
    ...rest,
    place: readRedisUrl(url),
    capabilities: redisCapabilities(messageBytesMax),
  })
}
