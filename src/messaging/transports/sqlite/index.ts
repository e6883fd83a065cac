import type { Random } from '../../../core/random.ts'
import type { Durability } from '../../../store/index.ts'
import type { Capabilities, Transport, TransportOptions } from '../../transport.ts'
import { createBroker } from './broker.ts'

/** Largest body of one message unless another bound is given. */
const messageBytesMaxDefault = 16_777_216

export interface SqliteTransportOptions extends TransportOptions {
  /** The database file; made, with its folders, when absent. On a local disk, never NFS or SMB. */
  readonly path: string
  /**
   * `full` (default): what was acknowledged survives power loss. `normal`: it survives the end of
   * the process; power loss may take the last commits.
   */
  readonly durability?: Durability
  /** Spreads the retries of processes that want the write lock at the same time. */
  readonly random?: Random
  /** Largest body of one message, in bytes. Default 16 MiB. */
  readonly messageBytesMax?: number
  /** Milliseconds that a write waits for a locked file before STORE_BUSY. Default 10 000. */
  readonly busyWaitMs?: number
}

/** What the embedded broker can do, on a file. It denies nothing. */
export function embeddedCapabilities(messageBytesMax = messageBytesMaxDefault): Capabilities {
  return {
    durable: true,
    competingConsumers: true,
    fanOutGroups: true,
    nativeDelayMsMax: Number.MAX_SAFE_INTEGER,
    nativeDeadLetter: true,
    deliveryCount: true,
    orderedByKey: 'native',
    orderSurvivesRetry: true,
    orderSurvivesDead: true,
    priorityLevels: 4,
    ttl: true,
    publishDedupWindowMs: Number.MAX_SAFE_INTEGER,
    batchPublish: true,
    batchSettle: true,
    transactions: 'sync',
    historyReplay: true,
    multiProcess: true,
    releaseOnDisconnect: true,
    messageBytesMax,
    headers: true,
    denials: {},
  }
}

/**
 * The embedded broker: a durable bus in one SQLite file, shared by any number of processes on one
 * machine.
 *
 * Publishes, settlements and leases of one turn of the event loop share a transaction and its
 * sync to disk. Order of a key is kept through retries and, with `onDead: block`, through dead
 * letters.
 */
export function createSqliteTransport(options: SqliteTransportOptions): Transport {
  const { messageBytesMax, ...rest } = options
  return createBroker({
    ...rest,
    name: 'sqlite',
    capabilities: embeddedCapabilities(messageBytesMax),
  })
}
