import { TreatyError } from '../core/errors.ts'
import type { MigrationReport } from './migration-report.ts'
import {
  openPostgresAccess,
  type PostgresAccess,
  type PostgresAccessOptions,
} from './postgres-access.ts'
import { backupPostgres } from './postgres-backup.ts'
import { claimsTable, createPostgresClaims } from './postgres-claims.ts'
import { countersTable, createPostgresCounters } from './postgres-counters.ts'
import { tokenSequence } from './postgres-leases.ts'
import { createPostgresLocks, locksTable } from './postgres-locks.ts'
import { createPostgresLog, logTables } from './postgres-log.ts'
import {
  migratePostgres,
  type PostgresMigrations,
  planPostgresMigration,
} from './postgres-migrations.ts'
import { createPostgresRecords, recordsTable } from './postgres-records.ts'
import type { Store } from './store.ts'

/** The store's tables on PostgreSQL. Version 1 is what the first release writes; append, never edit. */
const storeMigrations: PostgresMigrations = {
  component: 'store',
  migrations: [
    (schema) =>
      [recordsTable, logTables, tokenSequence, claimsTable, locksTable, countersTable]
        .map((part) => part(schema))
        .join(';'),
  ],
}

export interface PostgresStoreOptions extends PostgresAccessOptions {
  /**
   * `apply`: missing tables are made when the store is opened. `verify`: they must be there, made by
   * `treaty store migrate` with a user who may. Default `apply`.
   */
  readonly migrations?: 'apply' | 'verify'
}

/**
 * The store on PostgreSQL 13 or newer: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with `?schema=NAME` for another schema than
 * `treaty` and the driver's own parameters for TLS (`sslmode`, `sslrootcert`). Secrets come resolved.
 *
 * Each write is one transaction, durable when its promise resolves. Leases are measured on the clock of the server, so that clients need
 * no clocks that agree. A lost server is looked for again for `waitMs`; a write that was under way when the connection broke rejects with
 * `details.outcome: 'unknown'`.
 *
 * @throws STORE_URL_INVALID, DRIVER_MISSING, STORE_UNAVAILABLE, STORE_ACCESS_DENIED, STORE_TLS_FAILED, STORE_TOO_NEW,
 * STORE_OUTDATED
 */
export async function openPostgresStore(
  url: string,
  options: PostgresStoreOptions = {},
): Promise<Store> {
  const access = await openPostgresAccess(url, options)
  try {
    if (options.migrations === 'verify') await requireTables(access)
    else await migratePostgres(access, [storeMigrations])
  } catch (error) {
    await access.close()
    throw error
  }
  return {
    kind: 'postgres',
    records: createPostgresRecords(access),
    log: createPostgresLog(access),
    claims: createPostgresClaims(access),
    locks: createPostgresLocks(access),
    counters: createPostgresCounters(access),
    backup: (file) => backupPostgres(access.place, file),
    close: access.close,
  }
}

async function requireTables(access: PostgresAccess): Promise<void> {
  const report = await planPostgresMigration(access, [storeMigrations])
  const behind = report.find(({ from, to }) => from < to)
  if (behind === undefined) return
  throw new TreatyError(
    'STORE_OUTDATED',
    `the store ${access.place.name} has version ${behind.from} of its tables, and this Treaty needs ${behind.to}`,
    { hint: 'Run treaty store migrate.', details: { ...behind } },
  )
}

/**
 * Brings the tables to the newest version, or says what would be done (`dryRun`).
 *
 * @throws as {@link openPostgresStore}
 */
export async function migratePostgresStore(
  url: string,
  options: PostgresAccessOptions & { readonly dryRun?: boolean } = {},
): Promise<readonly MigrationReport[]> {
  const access = await openPostgresAccess(url, options)
  try {
    const migrate = options.dryRun === true ? planPostgresMigration : migratePostgres
    return await migrate(access, [storeMigrations])
  } finally {
    await access.close()
  }
}
