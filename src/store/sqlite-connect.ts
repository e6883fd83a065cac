import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { TreatyError } from '../core/errors.ts'
import { isStorageError, mapSqliteError } from './sqlite-errors.ts'
import { applicationId } from './sqlite-migrations.ts'

/** Milliseconds that one statement waits for the write lock, and blocks this thread, before STORE_BUSY. */
const busyTimeoutMs = 250

/**
 * `full`: a commit survives power loss (WAL is synced at each commit). `normal`: it survives the
 * end of the process; power loss may take the last commits, never the file's integrity.
 */
export type Durability = 'full' | 'normal'

export interface ConnectOptions {
  readonly durability: Durability
  /** Milliseconds to wait for a lock while opening, where waiting may block. */
  readonly openWaitMs: number
}

/** A configured connection to a private database in memory. */
export function connectMemory(): DatabaseSync {
  const db = new DatabaseSync(':memory:', connectionOptions(busyTimeoutMs))
  db.exec('PRAGMA temp_store = MEMORY')
  return db
}

/**
 * A configured connection to the file at `path`, which is created, with its folders, when absent. It waits for locks as long
 * as `openWaitMs` until {@link endOpening}.
 *
 * @throws STORE_UNAVAILABLE, STORE_BUSY, STORE_CORRUPT, STORE_FULL
 */
export function connectFile(path: string, options: ConnectOptions): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    preparePath(path)
    db = new DatabaseSync(path, connectionOptions(options.openWaitMs))
    configure(db, path, options)
    return db
  } catch (error) {
    db?.close()
    throw mapSqliteError(error, path)
  }
}

/** Ends the patience of opening: from now on a statement that waits blocks this thread for a moment only. */
export function endOpening(db: DatabaseSync): void {
  db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`)
}

/** A second, reading connection: a snapshot that does not stop the writers. */
export function connectReader(path: string): DatabaseSync {
  return new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs })
}

function connectionOptions(timeout: number) {
  return { timeout, enableForeignKeyConstraints: true, enableDoubleQuotedStringLiterals: false }
}

function preparePath(path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  // SQLite falls back to reading where it may not write; that would be found out only later.
  if (existsSync(path)) accessSync(path, constants.R_OK | constants.W_OK)
}

function configure(db: DatabaseSync, path: string, options: ConnectOptions): void {
  const { durability, openWaitMs } = options
  if (readPragma(db, 'page_count') === 0) {
    // Only effective before the first page is written.
    db.exec('PRAGMA auto_vacuum = INCREMENTAL')
    db.exec(`PRAGMA application_id = ${applicationId}`)
  }
  switchToWal(db, path, openWaitMs)
  db.exec(`
    PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'};
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -32768;
    PRAGMA temp_store = MEMORY`)
  // No mmap: with it an I/O error or a full volume ends the process (SIGBUS) instead of failing a statement.
  db.exec('PRAGMA mmap_size = 0')
}

function readPragma(db: DatabaseSync, name: string): unknown {
  const row = db.prepare(`PRAGMA ${name}`).get()
  return row === undefined ? undefined : Object.values(row)[0]
}

/**
 * Two processes that switch the same new file at the same time refuse each other at once, without
 * the busy timeout; the loser finds the file switched a moment later.
 */
function switchToWal(db: DatabaseSync, path: string, waitMs: number): void {
  const pauseMs = 5
  for (let triesLeft = Math.ceil(waitMs / pauseMs); ; triesLeft -= 1) {
    try {
      const mode = readPragma(db, 'journal_mode = WAL')
      if (mode === 'wal') return
      throw new TreatyError('STORE_UNAVAILABLE', `the store ${path} cannot use a write-ahead log`, {
        hint: 'Put the store on a local file system: network file systems lack the locks it needs.',
        details: { path, mode: String(mode) },
      })
    } catch (error) {
      const isBusy = isStorageError(error) && mapSqliteError(error).code === 'STORE_BUSY'
      if (!isBusy || triesLeft <= 0) throw error
      blockFor(pauseMs)
    }
  }
}

/** Opening is synchronous, so its pauses are too; they happen only when processes start at the same instant. */
function blockFor(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}
