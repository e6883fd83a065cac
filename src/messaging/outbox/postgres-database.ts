import type { Clock } from '../../core/clock.ts'
import { systemClock } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import {
  endsConnection,
  loadPostgresDriver,
  type MigrationReport,
  mapPostgresError,
  migratePostgres,
  openPostgresAccess,
  type PostgresAccess,
  planPostgresMigration,
  type Row,
} from '../../store/index.ts'
import type {
  OutboxDatabase,
  OutboxOptions,
  OutboxResult,
  OutboxShard,
  ParkedMessage,
} from './outbox.ts'
import { channelOf, lockClass, outboxMigrations, pendingSql, readSql } from './postgres-schema.ts'
import { keyOf, recordOf, shardCount } from './rows.ts'

type Client = InstanceType<Awaited<ReturnType<typeof loadPostgresDriver>>['Client']>

const connectMs = 5000
const statementMs = 30_000

export interface OpenOutboxOptions extends Pick<OutboxOptions, 'onParked'> {
  readonly clock?: Clock
  /** `verify`: the table must be there, made by `treaty store migrate` or by an earlier start. */
  readonly tables: 'create' | 'verify'
}

/**
 * The outbox in a PostgreSQL database. Its locks are those of one connection of its own, on which it also listens, reads and
 * deletes: when that is lost, the locks are, and nothing can be deleted any more under their cover.
 *
 * @throws STORE_OUTDATED under `verify`, STORE_URL_INVALID, DRIVER_MISSING, and the STORE_ codes of reaching the server
 */
export async function openPostgresOutbox(
  url: string,
  options: OpenOutboxOptions,
): Promise<OutboxDatabase> {
  const { clock = systemClock } = options
  const access = await openPostgresAccess(url, { clock, poolMax: 2 })
  try {
    if (options.tables === 'create') await migratePostgres(access, [outboxMigrations])
    else await requireTables(access)
  } catch (error) {
    await access.close()
    throw error
  }
  return new PostgresOutbox(access, options.onParked === 'block')
}

/** As `migrateOutbox`. */
export async function migratePostgresOutbox(
  url: string,
  { clock, dryRun }: { readonly clock?: Clock; readonly dryRun?: boolean },
): Promise<readonly MigrationReport[]> {
  const access = await openPostgresAccess(url, clock ? { clock } : {})
  try {
    const migrate = dryRun === true ? planPostgresMigration : migratePostgres
    return await migrate(access, [outboxMigrations])
  } finally {
    await access.close()
  }
}

async function requireTables(access: PostgresAccess): Promise<void> {
  const [plan] = await planPostgresMigration(access, [outboxMigrations])
  if (plan === undefined || plan.from >= plan.to) return
  throw new TreatyError(
    'STORE_OUTDATED',
    plan.from === 0
      ? `the database ${access.place.name} has no outbox`
      : `the outbox of ${access.place.name} has version ${plan.from}, and ${plan.to} is needed`,
    {
      hint: 'Name the database of your application, or run treaty store migrate --outbox URL with a user who may create tables.',
    },
  )
}

class PostgresOutbox implements OutboxDatabase {
  readonly #access: PostgresAccess
  readonly #blocks: boolean
  readonly #held = new Set<number>()
  #wake: () => void = () => undefined
  #connecting: Promise<Client> | undefined
  #last: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(access: PostgresAccess, blocks: boolean) {
    this.#access = access
    this.#blocks = blocks
  }

  get name(): string {
    return this.#access.place.name
  }
  onWake(listener: () => void): void {
    this.#wake = listener
  }

  async pending(): Promise<readonly number[]> {
    const rows = await this.#query(pendingSql(this.#access.schema, shardCount))
    return rows.map((row) => Number(row.shard)).filter((shard) => !this.#held.has(shard))
  }

  async alone<T>(shard: number, work: (shard: OutboxShard) => Promise<T>): Promise<T | undefined> {
    const name = `${lockClass(this.#access.schema)}, ${shard}`
    const client = await this.#client()
    // The lock is the connection's: a second one of ours would be granted, too.
    if (this.#held.has(shard)) return undefined
    this.#held.add(shard)
    try {
      const [row] = await this.#query(`SELECT pg_try_advisory_lock(${name}) AS is_ours`, [], client)
      if (row?.is_ours !== true) return undefined
      try {
        return await work(this.#shard(shard, client))
      } finally {
        await this.#query(`SELECT pg_advisory_unlock(${name})`, [], client).catch(() => undefined)
      }
    } finally {
      this.#held.delete(shard)
    }
  }

  #shard(shard: number, client: Client): OutboxShard {
    const { schema } = this.#access
    return {
      read: async (limit) => {
        const rows = await this.#query(readSql(schema), [shard, this.#blocks, limit], client)
        return rows.map((row) => ({
          id: String(row.id),
          chain: row.chain as string | null,
          failures: Number(row.failures),
          record: recordOf({
            messageId: String(row.message_id),
            event: String(row.event),
            address: String(row.address),
            envelope: String(row.envelope),
            body: row.body as Uint8Array,
          }),
        }))
      },
      finish: (result) => this.#finish(client, result),
    }
  }

  /** One statement, so that it is one transaction. On the connection that has the lock, or not at all. */
  async #finish(client: Client, { sent, failed }: OutboxResult): Promise<void> {
    const { schema } = this.#access
    const column = <T>(value: (one: OutboxResult['failed'][number]) => T) => failed.map(value)
    await this.#query(
      `WITH gone AS (DELETE FROM ${schema}.outbox WHERE id = ANY ($1::bigint[]))
       UPDATE ${schema}.outbox AS line SET error = one.error,
         failures = failures + CASE WHEN one.counts THEN 1 ELSE 0 END,
         next_at = clock_timestamp() + one.retry_ms * interval '1 millisecond',
         parked_at = CASE WHEN one.retry_ms IS NULL THEN clock_timestamp() END
       FROM unnest($2::bigint[], $3::text[], $4::boolean[], $5::double precision[])
         AS one (id, error, counts, retry_ms)
       WHERE line.id = one.id`,
      [
        sent,
        column(({ id }) => id),
        column(({ error }) => error.replaceAll('\0', '')),
        column(({ counts }) => counts),
        column(({ retryMs }) => retryMs ?? null),
      ],
      client,
    )
  }

  async status() {
    const { schema, read } = this.#access
    const [row] = await read(
      `SELECT count(*) FILTER (WHERE parked_at IS NULL) AS backlog,
         count(*) FILTER (WHERE parked_at IS NOT NULL) AS parked,
         count(*) FILTER (WHERE parked_at IS NULL AND next_at IS NOT NULL) AS failing,
         extract(epoch FROM clock_timestamp() - min(written_at) FILTER (WHERE parked_at IS NULL)) * 1000 AS oldest,
         (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND classid = ${lockClass(schema)}::bit(32)::bigint::oid) AS relays
       FROM ${schema}.outbox`,
    )
    const oldest = row?.oldest ?? null
    return {
      database: this.name,
      backlog: Number(row?.backlog ?? 0),
      oldestAgeMs: oldest === null ? null : Math.max(0, Math.round(Number(oldest))),
      failing: Number(row?.failing ?? 0),
      parked: Number(row?.parked ?? 0),
      relays: Number(row?.relays ?? 0),
    }
  }

  async parked(page: { limit: number; cursor?: string }) {
    const { schema, read } = this.#access
    const rows = await read(
      `SELECT id, message_id, event, address, envelope, failures, error,
         extract(epoch FROM written_at) * 1000 AS written, extract(epoch FROM parked_at) * 1000 AS parked
       FROM ${schema}.outbox WHERE parked_at IS NOT NULL AND id > $1 ORDER BY id LIMIT $2`,
      [page.cursor ?? '0', page.limit + 1],
    )
    const items = rows.slice(0, page.limit).map(parkedOf)
    const last = items.at(-1)
    return rows.length > page.limit && last ? { items, next: last.id } : { items }
  }

  async retry(id: string): Promise<boolean> {
    const { schema } = this.#access
    return this.#change(
      `UPDATE ${schema}.outbox SET parked_at = NULL, next_at = NULL, failures = 0
       WHERE id = $1 AND parked_at IS NOT NULL RETURNING pg_notify('${this.#channel}', '')`,
      id,
    )
  }
  async discard(id: string): Promise<boolean> {
    const { schema } = this.#access
    return this.#change(
      `DELETE FROM ${schema}.outbox WHERE id = $1 AND parked_at IS NOT NULL RETURNING pg_notify('${this.#channel}', '')`,
      id,
    )
  }

  async #change(sql: string, id: string): Promise<boolean> {
    if (!/^\d{1,18}$/.test(id)) return false
    return (await this.#access.write(sql, [id])).length === 1
  }

  get #channel(): string {
    return channelOf(this.#access.place.schema)
  }

  async #query(sql: string, values: unknown[] = [], on?: Client): Promise<readonly Row[]> {
    const client = on ?? (await this.#client())
    const run = () => client.query(sql, values)
    // Shards share the connection, and it takes one statement at a time.
    const result = this.#last.then(run, run)
    this.#last = result
    try {
      return (await result).rows as Row[]
    } catch (error) {
      // A statement that was given up may still hold the connection: its locks must not stay ours.
      if (endsConnection(error)) {
        this.#connecting = undefined
        void client.end().catch(() => undefined)
      }
      throw mapPostgresError(error, this.name)
    }
  }

  #client(): Promise<Client> {
    if (this.#isClosed) {
      throw new TreatyError('BUS_CLOSED', `the outbox of ${this.name} was closed`)
    }
    this.#connecting ??= this.#connect().catch((error) => {
      this.#connecting = undefined
      throw mapPostgresError(error, this.name)
    })
    return this.#connecting
  }

  async #connect(): Promise<Client> {
    const { Client } = await loadPostgresDriver()
    const client = new Client({
      connectionString: this.#access.place.connection,
      fallback_application_name: 'treaty outbox',
      connectionTimeoutMillis: connectMs,
      query_timeout: statementMs,
      keepAlive: true,
    })
    const lost = () => {
      // The next round makes another connection; the locks of this one are free.
      this.#connecting = undefined
      void client.end().catch(() => undefined)
    }
    client.on('notification', () => this.#wake())
    client.on('error', lost)
    client.on('end', lost)
    await client.connect()
    await client.query(`LISTEN "${this.#channel}"`)
    return client
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const client = await this.#connecting?.catch(() => undefined)
    client?.removeAllListeners('end')
    await client?.end().catch(() => undefined)
    await this.#access.close()
  }
}

function parkedOf(row: Row): ParkedMessage {
  return {
    id: String(row.id),
    messageId: String(row.message_id),
    event: String(row.event),
    address: String(row.address),
    key: keyOf(String(row.envelope)),
    failures: Number(row.failures),
    writtenAt: Math.round(Number(row.written)),
    parkedAt: Math.round(Number(row.parked)),
    error: String(row.error ?? ''),
  }
}
