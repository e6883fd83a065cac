import { realpathSync } from 'node:fs'
import type { Clock } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'
import { redactUrl } from '../../core/secret.ts'
import {
  isPostgresUrl,
  type MigrationReport,
  readPostgresUrl,
  sqlitePath,
} from '../../store/index.ts'
import type { OutboxDatabase, OutboxOptions } from './outbox.ts'

/** Where an outbox is, as its URL says. */
export type OutboxPlace =
  | { readonly kind: 'postgres'; readonly url: string; readonly schema: string }
  | { readonly kind: 'sqlite'; readonly path: string }

/** @throws OPTION_INVALID for what is no database with transactions of the caller's · STORE_URL_INVALID */
export function outboxPlace(url: string): OutboxPlace {
  if (isPostgresUrl(url)) return { kind: 'postgres', url, schema: readPostgresUrl(url).schema }
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1]?.toLowerCase()
  if (scheme === undefined || scheme === 'sqlite' || scheme === 'file') {
    return { kind: 'sqlite', path: sqlitePath(url) }
  }
  throw new TreatyError('OPTION_INVALID', `"${redactUrl(url)}" is no database for an outbox`, {
    hint: 'Give postgres://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:FILE: the database of your own transactions.',
    details: { option: 'outbox.url' },
  })
}

/** True when both name one file; a file that is not there yet is compared by its path. */
export function isSamePath(a: string, b: string): boolean {
  const real = (path: string) => {
    try {
      return realpathSync(path)
    } catch {
      return path
    }
  }
  return real(a) === real(b)
}

/**
 * Opens the outbox of a URL; its tables are made (`create`) or must be there (`verify`).
 *
 * @throws OPTION_INVALID, STORE_OUTDATED, and the STORE_ codes of opening
 */
export async function openOutbox(
  url: string,
  options: Pick<OutboxOptions, 'onParked'> & {
    readonly clock: Clock
    readonly random: Random
    readonly tables: 'create' | 'verify'
  },
): Promise<OutboxDatabase> {
  const place = outboxPlace(url)
  if (place.kind === 'postgres') {
    const { openPostgresOutbox } = await import('./postgres-database.ts')
    return openPostgresOutbox(place.url, options)
  }
  const { openSqliteOutbox } = await import('./sqlite-database.ts')
  return openSqliteOutbox(place.path, options)
}

/**
 * Brings the tables of an outbox to the newest version, which opening a bus with it does too, or says what would be done (`dryRun`).
 *
 * @throws OPTION_INVALID, STORE_TOO_NEW, and the STORE_ codes of opening
 */
export async function migrateOutbox(
  url: string,
  options: { readonly clock?: Clock; readonly dryRun?: boolean } = {},
): Promise<readonly MigrationReport[]> {
  const place = outboxPlace(url)
  if (place.kind === 'postgres') {
    const { migratePostgresOutbox } = await import('./postgres-database.ts')
    return migratePostgresOutbox(place.url, options)
  }
  const { migrateSqliteOutbox } = await import('./sqlite-database.ts')
  return migrateSqliteOutbox(place.path, options)
}
