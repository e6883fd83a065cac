import type { Clock } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'
import {
  type ComponentMigrations,
  mapSqliteError,
  openSqliteFile,
  type SqliteFile,
  withBusyRetry,
} from '../../store/index.ts'
import type { TransactionEffect } from '../transport.ts'
import { type InboxDatabase, purgeChunk, purgeEvery } from './inbox.ts'

const inboxMigrations: ComponentMigrations = {
  component: 'inbox',
  migrations: [
    `CREATE TABLE treaty_inbox (
       consumer TEXT NOT NULL,
       key TEXT NOT NULL,
       until INTEGER NOT NULL,
       PRIMARY KEY (consumer, key)
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX treaty_inbox_until ON treaty_inbox (until)`,
  ],
}

/** The inbox in an SQLite file of the caller's. Effects are synchronous there, with the database as `tx`. */
export function openSqliteInbox(
  path: string,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): InboxDatabase {
  const file = openSqliteFile(path, { clock, migrations: [inboxMigrations] })
  let completions = 0
  return {
    async seen(group, keys) {
      try {
        const find = file.prepare(
          'SELECT 1 FROM treaty_inbox WHERE consumer = ? AND key = ? AND until > ?',
        )
        const now = Math.trunc(clock.now())
        return keys.map((key) => find.get(group, key, now) !== undefined)
      } catch (error) {
        throw mapSqliteError(error, path)
      }
    },
    complete(row, effects) {
      completions += 1
      return withBusyRetry(
        () => {
          if (completions % purgeEvery === 0) purge(file, clock.now())
          return file.transaction(() => completeOne(file, { ...row, now: clock.now() }, effects))
        },
        { clock, random },
      )
    },
    async close() {
      file.close()
    },
  }
}

function completeOne(
  file: SqliteFile,
  row: { group: string; key: string; keepMs: number; now: number },
  effects: readonly TransactionEffect[],
): boolean {
  const { group, key, keepMs, now } = row
  const { changes } = file
    .prepare(
      `INSERT INTO treaty_inbox VALUES (?1, ?2, ?3) ON CONFLICT (consumer, key) DO UPDATE
       SET until = ?3 WHERE until <= ?4`,
    )
    .run(group, key, Math.ceil(now + keepMs), Math.trunc(now))
  if (Number(changes) === 0) return false
  for (const effect of effects) {
    const returned: unknown = effect(file.db)
    if (typeof returned !== 'object' || returned === null || !('then' in returned)) continue
    throw new TreatyError('EFFECT_INVALID', 'the effect of an acknowledgement returned a promise', {
      hint: 'Make the effect synchronous, and leave BEGIN, COMMIT and ROLLBACK to Treaty.',
    })
  }
  return true
}

function purge(file: SqliteFile, now: number): void {
  file
    .prepare(
      `DELETE FROM treaty_inbox WHERE (consumer, key) IN (
         SELECT consumer, key FROM treaty_inbox WHERE until <= ? LIMIT ${purgeChunk})`,
    )
    .run(Math.trunc(now))
}
