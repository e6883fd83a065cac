import { fileURLToPath } from 'node:url'
import { TreatyError } from '../core/errors.ts'
import type { MigrationReport } from './migration-report.ts'
import { migratePostgresStore, openPostgresStore, type PostgresStoreOptions } from './postgres.ts'
import { isPostgresUrl, readPostgresUrl } from './postgres-url.ts'
import { migrateSqliteStore, openSqliteStore, type SqliteStoreOptions } from './sqlite.ts'
import type { Store } from './store.ts'

/** What the kinds of stores take; each looks at its own. */
export interface OpenStoreOptions extends SqliteStoreOptions, PostgresStoreOptions {}

/**
 * The store that a URL names: `sqlite:FILE`, a plain path, `file:` URLs, `memory:` (private),
 * `memory:NAME` (shared in this process) or `postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME`.
 *
 * @throws STORE_UNAVAILABLE for a kind that is not there, DRIVER_MISSING, and the STORE_ codes of opening
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<Store> {
  if (isPostgresUrl(url)) return openPostgresStore(url, options)
  return openSqliteStore(sqlitePath(url), options)
}

/**
 * Brings the tables of a store to the newest version, which opening it does too, or says what would be done
 * (`dryRun`, which changes nothing).
 *
 * @throws STORE_TOO_NEW and what {@link openStore} throws
 */
export async function migrateStore(
  url: string,
  options: OpenStoreOptions & { readonly dryRun?: boolean } = {},
): Promise<readonly MigrationReport[]> {
  if (isPostgresUrl(url)) return migratePostgresStore(url, options)
  return migrateSqliteStore(sqlitePath(url), options)
}

/**
 * The store of a URL for people: never user, password or parameters.
 *
 * @throws STORE_URL_INVALID, STORE_UNAVAILABLE
 */
export function storeName(url: string): string {
  return isPostgresUrl(url) ? readPostgresUrl(url).name : sqlitePath(url)
}

/**
 * The path that {@link openStore} and the embedded broker open for a URL.
 *
 * @throws STORE_UNAVAILABLE
 */
export function sqlitePath(url: string): string {
  if (url.startsWith('memory:')) return url
  if (url.startsWith('sqlite:')) return filePath(url.slice('sqlite:'.length).replace(/^\/\//, ''))
  if (url.startsWith('file:')) return fileURLToPath(url)
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase()
  if (scheme === undefined) return filePath(url)
  // The URL itself is not repeated: it may hold a password.
  throw new TreatyError(
    'STORE_UNAVAILABLE',
    isPostgresUrl(url)
      ? 'a store on PostgreSQL is no file'
      : `there is no store for URLs of the kind ${scheme}://`,
    { hint: 'Use sqlite:FILE, a path, memory: or a postgres:// URL.', details: { scheme } },
  )
}

function filePath(path: string): string {
  if (path.length > 0) return path
  throw new TreatyError('STORE_UNAVAILABLE', 'the URL of the store names no file', {
    hint: 'Write sqlite:FILE, for example `sqlite:./treaty.db`.',
  })
}
