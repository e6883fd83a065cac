import { existsSync } from 'node:fs'
import type { Clock } from '../core/clock.ts'
import { systemClock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import { systemRandom } from '../core/random.ts'
import type { MigrationReport } from './migration-report.ts'
import { createSqliteAccess } from './sqlite-access.ts'
import { claimsTable, createSqliteClaims } from './sqlite-claims.ts'
import type { Durability } from './sqlite-connect.ts'
import { countersTable, createSqliteCounters } from './sqlite-counters.ts'
import { mapSqliteError } from './sqlite-errors.ts'
import { openSqliteFile, type SqliteFile } from './sqlite-file.ts'
import { createSqliteLocks, locksTable } from './sqlite-locks.ts'
import { createSqliteLog, logTable } from './sqlite-log.ts'
import { type ComponentMigrations, migrate, readVersions } from './sqlite-migrations.ts'
import { createSqliteRecords, recordsTable } from './sqlite-records.ts'
import { tokensTable } from './sqlite-tokens.ts'
import type { Store } from './store.ts'

/** The store's tables. Version 1 is what the first release writes; append, never edit. */
const storeMigrations: ComponentMigrations = {
  component: 'store',
  migrations: [
    [recordsTable, logTable, tokensTable, claimsTable, locksTable, countersTable].join(';'),
  ],
}

export interface SqliteStoreOptions {
  /** Also the clock of leases: processes on one file need clocks that agree, as on one machine they do. */
  readonly clock?: Clock
  readonly random?: Random
  /** Default `full`. Only where `target` is a path. */
  readonly durability?: Durability
  /** Milliseconds to wait, blocking, for a lock while opening. Default 5000. Only where `target` is a path. */
  readonly openWaitMs?: number
}

/**
 * The store on SQLite: a file's path, `:memory:`, `memory:NAME`, or a file that is open already (the
 * broker's), which then stays open when the store closes.
 *
 * Each write is one transaction, durable when its promise resolves.
 *
 * @throws STORE_BUSY, STORE_CORRUPT, STORE_FULL, STORE_TOO_NEW, STORE_UNAVAILABLE
 */
export async function openSqliteStore(
  target: string | SqliteFile,
  options: SqliteStoreOptions = {},
): Promise<Store> {
  const { clock = systemClock, random = systemRandom, ...fileOptions } = options
  const isOwner = typeof target === 'string'
  const file = isOwner
    ? openSqliteFile(target, { clock, ...fileOptions, migrations: [storeMigrations] })
    : migrated(target, clock)
  const access = createSqliteAccess(file, { clock, random })
  return {
    kind: file.isMemory ? 'memory' : 'sqlite',
    records: createSqliteRecords(access),
    log: createSqliteLog(access),
    claims: createSqliteClaims(access),
    locks: createSqliteLocks(access),
    counters: createSqliteCounters(access),
    backup: file.backup,
    async close() {
      access.flush()
      if (isOwner) file.close()
    },
  }
}

function migrated(file: SqliteFile, clock: Clock): SqliteFile {
  try {
    migrate(file.db, { path: file.path, components: [storeMigrations], now: () => clock.now() })
    return file
  } catch (error) {
    throw mapSqliteError(error, file.path)
  }
}

/**
 * Brings the tables of a file to the newest version, or says what would be done (`dryRun`, which makes no file).
 *
 * @throws as {@link openSqliteStore}
 */
export function migrateSqliteStore(
  path: string,
  options: SqliteStoreOptions & { readonly dryRun?: boolean } = {},
): readonly MigrationReport[] {
  const { component, migrations } = storeMigrations
  const report = (from: number) => [{ component, from, to: migrations.length }]
  if (options.dryRun === true && !existsSync(path)) return report(0)
  const { clock = systemClock, durability, openWaitMs } = options
  const file = openSqliteFile(path, {
    clock,
    ...(durability === undefined ? {} : { durability }),
    ...(openWaitMs === undefined ? {} : { openWaitMs }),
  })
  try {
    const from = readVersions(file.db).get(component) ?? 0
    if (options.dryRun !== true || from > migrations.length) migrated(file, clock)
    return report(from)
  } finally {
    file.close()
  }
}
