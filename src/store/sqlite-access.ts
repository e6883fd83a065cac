import type { StatementSync } from 'node:sqlite'
import type { Clock } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'
import { mapSqliteError, withBusyRetry } from './sqlite-errors.ts'
import type { SqliteFile } from './sqlite-file.ts'
import { createGroupCommit } from './sqlite-group-commit.ts'

/** What the primitives of the SQLite store are made of. */
export interface SqliteAccess {
  prepare(sql: string): StatementSync
  /** Epoch milliseconds on the store's clock. */
  now(): number
  /** Runs statements that change nothing. Rejects in Treaty's words. */
  read<T>(work: () => T): Promise<T>
  /** Runs `work` in one transaction, or as a part of one with others, again while another process holds the lock. */
  write<T>(work: () => T): Promise<T>
  /** Starts the writes that wait for the end of the turn: before the file closes. */
  flush(): void
}

export function createSqliteAccess(
  file: SqliteFile,
  options: { clock: Clock; random: Random },
): SqliteAccess {
  const retry = <T>(work: () => T) =>
    withBusyRetry(() => {
      if (!file.db.isOpen) throw closed(file.path)
      return work()
    }, options).catch((error: unknown) => {
      throw mapSqliteError(error, file.path)
    })
  const { write, flush } = createGroupCommit(
    (work) => retry(() => file.transaction(work)),
    (work) => file.transaction(work),
  )
  return {
    prepare: file.prepare,
    now: () => options.clock.now(),
    read(work) {
      // Who reads after a write that it did not await has always seen it.
      flush()
      return retry(work)
    },
    write,
    flush,
  }
}

function closed(path: string): TreatyError {
  return new TreatyError('STORE_UNAVAILABLE', `the store ${path} has been closed`, {
    hint: 'Open the store again, or close it after its last use.',
  })
}

/** Milliseconds from now as an epoch time that SQLite keeps as a whole number. */
export function untilOf(now: number, forMs: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(now + forMs))
}
