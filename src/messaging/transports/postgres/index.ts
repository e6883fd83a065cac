import { TreatyError } from '../../../core/errors.ts'
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

/** Fewer would leave nothing for publishers beside claims, settlements and signs of life. */
const poolMaxLeast = 2
const poolMaxMost = 1000

/** Largest body of one message unless another bound is given. */
const messageBytesMaxDefault = 16_777_216

export interface PostgresTransportOptions extends TransportOptions {
  /** `postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME`, as of the store, whose schema it may share. */
  readonly url: string
  /** Spreads repeated tries. */
  readonly random?: Random
  /** Largest body of one message, in bytes. Default 16 MiB. */
  readonly messageBytesMax?: number
  /** Connections at most, beside the one that listens; `?poolMax=` in the URL says the same. Default 10. */
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
 * A broker in PostgreSQL 13 or newer, for any number of processes: leases in bulk on the clock of the server, woken by NOTIFY; an owner whose
 * connections end is noticed before its lease ends. Order of a key is kept through retries and, with `onDead: block`, through dead letters.
 *
 * An effect gets `{ query(text, values) }` on the connection whose transaction ends with the acknowledgement; it may be async.
 */
export function createPostgresTransport(options: PostgresTransportOptions): Transport {
  const { messageBytesMax = messageBytesMaxDefault, ...rest } = options
  return createBroker({
    ...rest,
    ...readPoolMax(options),
    capabilities: postgresCapabilities(messageBytesMax),
  })
}

/** Takes our own parameter out of the URL: the rest of it is the store's and the driver's. @throws STORE_URL_INVALID */
function readPoolMax({ url, poolMax }: PostgresTransportOptions): {
  url: string
  poolMax?: number
} {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const text = parsed?.searchParams.get('poolMax')
  if (parsed === undefined || text === null || text === undefined) {
    return poolMax === undefined ? { url } : { url, poolMax }
  }
  const count = Number(text)
  if (!/^\d+$/.test(text) || count < poolMaxLeast || count > poolMaxMost) {
    throw new TreatyError(
      'STORE_URL_INVALID',
      `the parameter poolMax of the URL is no number of connections`,
      {
        hint: `Use a whole number from ${poolMaxLeast} to ${poolMaxMost}.`,
      },
    )
  }
  parsed.searchParams.delete('poolMax')
  return { url: parsed.href, poolMax: poolMax ?? count }
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
  const access = await openPostgresAccess(
    readPoolMax({ url }).url,
    options.clock ? { clock: options.clock } : {},
  )
  try {
    const migrate = options.dryRun === true ? planPostgresMigration : migratePostgres
    return await migrate(access, [brokerMigrations])
  } finally {
    await access.close()
  }
}
