import { fileURLToPath } from 'node:url'
import { TreatyError } from '../core/errors.ts'
import { openSqliteStore, type SqliteStoreOptions } from './sqlite.ts'
import type { Store } from './store.ts'

/**
 * The store that a URL names: `sqlite:FILE`, a plain path, `file:` URLs, `memory:` (private) or
 * `memory:NAME` (shared in this process). PostgreSQL follows.
 *
 * @throws STORE_UNAVAILABLE for a kind that is not there, and the STORE_ codes of opening
 */
export async function openStore(url: string, options: SqliteStoreOptions = {}): Promise<Store> {
  return openSqliteStore(sqlitePath(url), options)
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
  const isPostgres = scheme === 'postgres' || scheme === 'postgresql'
  throw new TreatyError(
    'STORE_UNAVAILABLE',
    isPostgres
      ? 'the store on PostgreSQL follows in a later release'
      : `there is no store for URLs of the kind ${scheme}://`,
    { hint: 'Use sqlite:FILE, a path, or memory:', details: { scheme } },
  )
}

function filePath(path: string): string {
  if (path.length > 0) return path
  throw new TreatyError('STORE_UNAVAILABLE', 'the URL of the store names no file', {
    hint: 'Write sqlite:FILE, for example sqlite:./treaty.db',
  })
}
