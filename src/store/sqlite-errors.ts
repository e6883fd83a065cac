import type { Clock } from '../core/clock.ts'
import { delay, systemClock } from '../core/clock.ts'
import type { ErrorCode } from '../core/errors.ts'
import { errorMessage, isTreatyError, TreatyError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'
import { systemRandom } from '../core/random.ts'

interface SqliteError extends Error {
  readonly code: 'ERR_SQLITE_ERROR'
  /** SQLite's extended result code; the low byte is the primary one. */
  readonly errcode: number
}

interface Verdict {
  readonly code: ErrorCode
  readonly problem: string
  readonly hint: string
}

const busy: Verdict = {
  code: 'STORE_BUSY',
  problem: 'is locked by another process',
  hint: 'Try again; if it stays locked, find the process that keeps a transaction open on the file.',
}
const full: Verdict = {
  code: 'STORE_FULL',
  problem: 'cannot grow because the disk is full',
  hint: 'Free space on the volume of the store and try again.',
}
const corrupt: Verdict = {
  code: 'STORE_CORRUPT',
  problem: 'is damaged or not a SQLite database',
  hint: 'Restore the file from a backup (treaty store backup), or name another file.',
}
const readOnly: Verdict = {
  code: 'STORE_UNAVAILABLE',
  problem: 'cannot be written',
  hint: 'Check owner and permissions of the file and of its folder, and that the volume is not mounted read-only.',
}
const unreachable: Verdict = {
  code: 'STORE_UNAVAILABLE',
  problem: 'cannot be opened',
  hint: 'Check that the folder exists, that the path names a file, and its permissions.',
}
const failing: Verdict = {
  code: 'STORE_UNAVAILABLE',
  problem: 'cannot be read or written by the operating system',
  hint: 'Check the volume of the store; network file systems are not supported.',
}

/** Primary result codes that say something about the file or its volume, not about a statement. */
const verdicts: Readonly<Record<number, Verdict>> = {
  3: readOnly, // SQLITE_PERM
  5: busy, // SQLITE_BUSY
  6: busy, // SQLITE_LOCKED
  8: readOnly, // SQLITE_READONLY
  10: failing, // SQLITE_IOERR
  11: corrupt, // SQLITE_CORRUPT
  13: full, // SQLITE_FULL
  14: unreachable, // SQLITE_CANTOPEN
  15: busy, // SQLITE_PROTOCOL: too many processes open the WAL at the same instant
  23: readOnly, // SQLITE_AUTH
  26: corrupt, // SQLITE_NOTADB
}
/** SQLITE_IOERR_SHMSIZE: the index beside the WAL could not grow, which a full volume causes. */
const ioShmSize = 10 | (19 << 8)

function isSqliteError(error: unknown): error is SqliteError {
  return error instanceof Error && (error as Partial<SqliteError>).code === 'ERR_SQLITE_ERROR'
}

function verdictOf(error: unknown): Verdict | undefined {
  if (isSqliteError(error)) {
    return error.errcode === ioShmSize ? full : verdicts[error.errcode & 0xff]
  }
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return undefined
  return error.code === 'ENOSPC' || error.code === 'EDQUOT' ? full : unreachable
}

/**
 * True when the database file or its volume is the problem: locked, full, damaged, unreachable;
 * found by SQLite or by the operating system.
 * False for a wrong statement or a broken constraint, which are the caller's.
 */
export function isStorageError(error: unknown): boolean {
  return verdictOf(error) !== undefined
}

/**
 * The same problem in Treaty's words, with SQLite's own as `cause`. A TreatyError comes back as it is.
 *
 * Codes: STORE_BUSY, STORE_FULL, STORE_CORRUPT, STORE_UNAVAILABLE; UNFORESEEN for a statement that
 * SQLite refuses, which is a defect of the caller.
 *
 * @param path Named in the message, so that the reader knows which file.
 */
export function mapSqliteError(error: unknown, path?: string): TreatyError {
  if (isTreatyError(error)) return error
  const subject = path === undefined ? 'the store' : `the store ${path}`
  const verdict = verdictOf(error)
  if (verdict === undefined) {
    return new TreatyError('UNFORESEEN', `${subject} refused a statement: ${errorMessage(error)}`, {
      cause: error,
    })
  }
  return new TreatyError(verdict.code, `${subject} ${verdict.problem}`, {
    hint: verdict.hint,
    details: {
      ...(path === undefined ? {} : { path }),
      sqlite: errorMessage(error),
      ...(isSqliteError(error) ? { errcode: error.errcode } : {}),
    },
    cause: error,
  })
}

/** How long to go on while another process holds the write lock. */
export interface BusyOptions {
  readonly clock?: Clock
  readonly random?: Random
  /** Milliseconds in all, from the first refusal. Default 5000. */
  readonly waitMs?: number
}

/**
 * Runs `work`, again while it fails with STORE_BUSY, after random pauses of 1 to 50 ms so that
 * rivals do not meet again. `work` must leave nothing behind when it throws: a transaction.
 *
 * @throws STORE_BUSY when the lock was not had within `waitMs`, and whatever else `work` throws
 */
export async function withBusyRetry<T>(work: () => T, options: BusyOptions = {}): Promise<T> {
  const { clock = systemClock, random = systemRandom, waitMs = 5000 } = options
  let deadline: number | undefined
  for (let pauseMs = 4; ; pauseMs = Math.min(50, pauseMs * 2)) {
    try {
      return work()
    } catch (error) {
      const mapped = isStorageError(error) ? mapSqliteError(error) : error
      if (!isTreatyError(mapped) || mapped.code !== 'STORE_BUSY') throw mapped
      deadline ??= clock.monotonic() + waitMs
      if (clock.monotonic() >= deadline) throw mapped
      await delay(clock, 1 + random() * pauseMs)
    }
  }
}
