import type { Random } from '../../../core/random.ts'
import {
  type MigrationReport,
  migratePostgres,
  openPostgresAccess,
  planPostgresMigration,
} from '../../../store/index.ts'
import type { Capabilities, Transport, TransportOptions } from '../../transport.ts'
import { createBroker } from './broker.ts'
import { brokerMigrations } from './schema.ts'

/** Largest body of one message unless another bound is given. */
const messageBytesMaxDefault = 16_777_216

export interface PostgresTransportOptions extends TransportOptions {
  /** `postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME`, as of the store, whose schema it may share. */
  readonly url: string
  /** Spreads repeated tries. */
  readonly random?: Random
  /** Largest body of one message, in bytes. Default 16 MiB. */
  readonly messageBytesMax?: number
  /** Connections at most, beside the one that listens. Default 10. */
  readonly poolMax?: number
}

/** What the broker on PostgreSQL can do. It denies nothing. */
function postgresCapabilities(messageBytesMax: number): Capabilities {
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
    transactions: 'async',
    historyReplay: true,
    multiProcess: true,
    releaseOnDisconnect: true,
    messageBytesMax,
    headers: true,
    denials: {},
  }
}

/**
 * A broker in PostgreSQL 13 or newer, for any number of processes: claims with SKIP LOCKED, woken by NOTIFY, leases on the
 * clock of the server. Order of a key is kept through retries and, with `onDead: block`, through dead letters.
 *
 * An effect gets `{ query(text, values) }` on the connection whose transaction ends with the acknowledgement; it may be async.
 */
export function createPostgresTransport(options: PostgresTransportOptions): Transport {
  const { messageBytesMax = messageBytesMaxDefault, ...rest } = options
  return createBroker({ ...rest, capabilities: postgresCapabilities(messageBytesMax) })
}

/**
 * Brings the tables of the broker to the newest version, which connecting does too, or says what would be done (`dryRun`).
 *
 * @throws STORE_TOO_NEW, and the STORE_ codes of reaching the server
 */
export async function migratePostgresTransport(
  url: string,
  options: TransportOptions & { readonly dryRun?: boolean } = {},
): Promise<readonly MigrationReport[]> {
  const access = await openPostgresAccess(url, options.clock ? { clock: options.clock } : {})
  try {
    const migrate = options.dryRun === true ? planPostgresMigration : migratePostgres
    return await migrate(access, [brokerMigrations])
  } finally {
    await access.close()
  }
}
