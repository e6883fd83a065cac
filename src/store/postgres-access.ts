import type { Pool, PoolClient } from 'pg'
import type { Clock } from '../core/clock.ts'
import { delay, systemClock } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'
import { systemRandom } from '../core/random.ts'
import { loadPostgresDriver } from './postgres-driver.ts'
import { endsConnection, mapPostgresError, postgresFate } from './postgres-errors.ts'
import { type PostgresPlace, readPostgresUrl } from './postgres-url.ts'

/** How to reach PostgreSQL. */
export interface PostgresAccessOptions {
  /** For waiting; leases are measured on the clock of the server. */
  readonly clock?: Clock
  readonly random?: Random
  /** Connections at most, opened as they are needed. Default 10. */
  readonly poolMax?: number
  /** Milliseconds for which a call goes on trying while the server cannot be reached. Default 5000. */
  readonly waitMs?: number
  /** The same for the first connection, where a wrong address is likelier than a restart. Default 1000. */
  readonly openWaitMs?: number
  /** Milliseconds after which a statement is given up. Default 30 000. */
  readonly statementMs?: number
}

export type Row = Readonly<Record<string, unknown>>
/**
 * Runs one statement. With a name each connection parses it once and keeps it, for what runs often; the name must always mean the
 * same text.
 */
export type Query = (
  sql: string,
  values?: readonly unknown[],
  name?: string,
) => Promise<readonly Row[]>

/** A connection of the driver, as users of `pg` know it. */
export interface PostgresClient {
  query(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: readonly Row[]; readonly rowCount: number | null }>
}

/** Statements on a pool of connections, with errors in Treaty's words. */
export interface PostgresAccess {
  readonly place: PostgresPlace
  /** The quoted schema, for statements: `treaty` is `"treaty"`. */
  readonly schema: string
  /** A statement that changes nothing: sent again when the connection is lost. */
  readonly read: Query
  /**
   * One statement that writes, in a transaction of its own. Sent again only where it certainly had no effect:
   * not yet sent, or undone by the server.
   *
   * @throws STORE_UNAVAILABLE with `details.outcome: 'unknown'` when the connection was lost in the middle
   */
  readonly write: Query
  /**
   * Statements in one transaction, which ends with the promise of `work`; again from the start where `write` would, unless
   * `once` is true. `client` is the driver's own connection, for the work of others.
   */
  transaction<T>(
    work: (query: Query, client: PostgresClient) => Promise<T>,
    options?: { readonly once?: boolean },
  ): Promise<T>
  /** Waits for what runs, then closes the connections. Safe to call twice. */
  close(): Promise<void>
}

const poolMaxDefault = 10
const waitMsDefault = 5000
const openWaitMsDefault = 1000
const statementMsDefault = 30_000
/** Milliseconds for one connection to be made, handshake and login included. */
const connectMs = 5000

const ignore = () => undefined

/**
 * Connects when the first statement needs it.
 *
 * @throws STORE_URL_INVALID, DRIVER_MISSING
 */
export async function openPostgresAccess(
  url: string,
  options: PostgresAccessOptions = {},
): Promise<PostgresAccess> {
  const place = readPostgresUrl(url)
  const { Pool } = await loadPostgresDriver()
  const pool = new Pool({
    connectionString: place.connection,
    fallback_application_name: 'treaty',
    max: options.poolMax ?? poolMaxDefault,
    connectionTimeoutMillis: connectMs,
    // Without it a statement whose connection dies at the wrong moment never settles.
    query_timeout: options.statementMs ?? statementMsDefault,
    keepAlive: true,
    allowExitOnIdle: true,
  })
  // The pool has dropped the connection already; the next statement makes a new one.
  pool.on('error', ignore)
  // An error event without a listener ends the process, and nobody else listens while a connection passes from the pool to a statement, and
  // between two statements of a transaction.
  pool.on('connect', (client) => client.on('error', ignore))
  return createAccess(place, pool, options)
}

function createAccess(
  place: PostgresPlace,
  pool: Pool,
  options: PostgresAccessOptions,
): PostgresAccess {
  const { clock = systemClock, random = systemRandom } = options
  let waitMs = options.openWaitMs ?? openWaitMsDefault
  let closing: Promise<void> | undefined

  const connect = async (): Promise<PoolClient> => {
    if (closing !== undefined) throw closed(place)
    const client = await pool.connect()
    waitMs = options.waitMs ?? waitMsDefault
    return client
  }
  const insist = async <T>(
    work: (client: PoolClient) => Promise<T>,
    isRepeatable: (error: unknown) => boolean,
  ): Promise<T> => {
    const begun = clock.monotonic()
    for (let pauseMs = 10; ; pauseMs = Math.min(500, pauseMs * 2)) {
      const attempt = await tryOnce(connect, work)
      if ('value' in attempt) return attempt.value
      const { error, wasSent } = attempt
      const mayRepeat = wasSent ? isRepeatable(error) : postgresFate(error) !== 'refused'
      if (!mayRepeat || closing !== undefined || clock.monotonic() >= begun + waitMs) {
        throw mapPostgresError(error, place.name)
      }
      await delay(clock, pauseMs * (0.5 + random()))
    }
  }
  const isUndone = (error: unknown) => postgresFate(error) === 'undone'
  const isNotRefused = (error: unknown) => postgresFate(error) !== 'refused'
  const run = (sql: string, values: readonly unknown[], name?: string) => (client: PoolClient) =>
    runOne(client, { text: sql, values, name })

  return {
    place,
    schema: `"${place.schema}"`,
    read: (sql, values = [], name) => insist(run(sql, values, name), isNotRefused),
    write: (sql, values = [], name) => insist(run(sql, values, name), isUndone),
    transaction: (work, { once = false } = {}) =>
      insist((client) => inTransaction(client, work), once ? () => false : isUndone),
    close() {
      closing ??= pool.end()
      return closing
    },
  }
}

async function runOne(
  client: PoolClient,
  { text, values, name }: { text: string; values: readonly unknown[]; name: string | undefined },
): Promise<readonly Row[]> {
  const { rows } = await client.query({
    text,
    values: [...values],
    ...(name === undefined ? {} : { name }),
  })
  return rows as readonly Row[]
}

type Attempt<T> = { readonly value: T } | { readonly error: unknown; readonly wasSent: boolean }

async function tryOnce<T>(
  connect: () => Promise<PoolClient>,
  work: (client: PoolClient) => Promise<T>,
): Promise<Attempt<T>> {
  let client: PoolClient
  try {
    client = await connect()
  } catch (error) {
    return { error, wasSent: false }
  }
  try {
    const value = await work(client)
    client.release()
    return { value }
  } catch (error) {
    // A statement given up may still run there: only a connection that answered goes back to the pool.
    client.release(endsConnection(error))
    return { error, wasSent: true }
  }
}

async function inTransaction<T>(
  client: PoolClient,
  work: (query: Query, client: PostgresClient) => Promise<T>,
): Promise<T> {
  await client.query('BEGIN')
  try {
    const value = await work(
      async (sql, values = [], name) => {
        if (values.length > 0) return runOne(client, { text: sql, values, name })
        // Without values PostgreSQL takes several statements at once, as migrations are.
        return (await client.query(sql)).rows as readonly Row[]
      },
      client as unknown as PostgresClient,
    )
    await client.query('COMMIT')
    return value
  } catch (error) {
    // Where the connection is gone the server rolls back by itself.
    if (!endsConnection(error)) await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

function closed(place: PostgresPlace): TreatyError {
  return new TreatyError('STORE_UNAVAILABLE', `the store ${place.name} has been closed`, {
    hint: 'Open the store again, or close it after its last use',
  })
}
