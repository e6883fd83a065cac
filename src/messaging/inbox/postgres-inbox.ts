import type { Clock } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import {
  migratePostgres,
  openPostgresAccess,
  type PostgresAccess,
  type PostgresMigrations,
  planPostgresMigration,
} from '../../store/index.ts'
import { type InboxDatabase, purgeChunk, purgeEvery } from './inbox.ts'

const inboxMigrations: PostgresMigrations = {
  component: 'inbox',
  migrations: [
    (s) => `
      CREATE TABLE ${s}.inbox (
        consumer text COLLATE "C" NOT NULL,
        key text COLLATE "C" NOT NULL,
        until timestamptz NOT NULL,
        PRIMARY KEY (consumer, key)
      ) WITH (autovacuum_vacuum_scale_factor = 0.01);
      CREATE INDEX inbox_until ON ${s}.inbox (until)`,
  ],
}

/** The inbox in a PostgreSQL database; its clock is the server's. */
export async function openPostgresInbox(
  url: string,
  options: { readonly clock: Clock; readonly tables: 'create' | 'verify' },
): Promise<InboxDatabase> {
  const access = await openPostgresAccess(url, { clock: options.clock })
  try {
    if (options.tables === 'create') await migratePostgres(access, [inboxMigrations])
    else await requireTables(access)
  } catch (error) {
    await access.close()
    throw error
  }
  return inboxOver(access)
}

async function requireTables(access: PostgresAccess): Promise<void> {
  const [plan] = await planPostgresMigration(access, [inboxMigrations])
  if (plan === undefined || plan.from >= plan.to) return
  throw new TreatyError(
    'STORE_OUTDATED',
    `the inbox of ${access.place.name} has version ${plan.from}, and ${plan.to} is needed`,
    { hint: "Open the bus once with topology 'create', with a user who may create tables." },
  )
}

function inboxOver(access: PostgresAccess): InboxDatabase {
  const table = `${access.schema}.inbox`
  let completions = 0
  const purge = () =>
    access.write(
      `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
         SELECT ctid FROM ${table} WHERE until <= clock_timestamp() LIMIT ${purgeChunk} FOR UPDATE SKIP LOCKED))`,
    )
  return {
    async seen(group, keys) {
      const rows = await access.read(
        `SELECT key FROM ${table} WHERE consumer = $1 AND key = ANY ($2::text[]) AND until > clock_timestamp()`,
        [group, keys],
      )
      const known = new Set(rows.map((row) => String(row.key)))
      return keys.map((key) => known.has(key))
    },
    async complete({ group, key, keepMs }, effects) {
      const isNew = await access.transaction(
        async (query, client) => {
          // Whoever comes second waits here for the first to end, and then finds the row or its absence.
          const [row] = await query(
            `INSERT INTO ${table} VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
             ON CONFLICT (consumer, key) DO UPDATE SET until = excluded.until
             WHERE inbox.until <= clock_timestamp() RETURNING 1 AS is_new`,
            [group, key, keepMs],
          )
          if (row === undefined) return false
          for (const effect of effects) await effect(client)
          return true
        },
        // Effects are the caller's: whether they may run again is for the next attempt to find out.
        { once: true },
      )
      completions += 1
      if (completions % purgeEvery === 0) await purge().catch(() => undefined)
      return isNew
    },
    close: () => access.close(),
  }
}
