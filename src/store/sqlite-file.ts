import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Clock } from '../core/clock.ts'
import { systemClock } from '../core/clock.ts'
import { backUp } from './sqlite-backup.ts'
import { type ChangeFeed, createChangeFeed } from './sqlite-changes.ts'
import { connectFile, connectMemory, type Durability, endOpening } from './sqlite-connect.ts'
import { isStorageError, mapSqliteError } from './sqlite-errors.ts'
import { type ComponentMigrations, migrate } from './sqlite-migrations.ts'
import { createTransact } from './sqlite-transaction.ts'

/**
 * One SQLite database, opened the way Treaty needs it: WAL, group commits of the caller's making,
 * migrations done, changes by others noticed.
 *
 * Several processes may open the same file. It must lie on a local file system: NFS and SMB lack
 * the shared memory and the locks that the write-ahead log needs, and would damage it.
 */
export interface SqliteFile {
  /** Absolute path; `:memory:` or `memory:NAME` where there is no file. */
  readonly path: string
  readonly isMemory: boolean
  /** For statements that are made once and for pragmas; else use `prepare`. */
  readonly db: DatabaseSync
  /**
   * Runs `work` between BEGIN IMMEDIATE and COMMIT; a throw rolls back and is thrown on. Inside
   * another transaction it is a savepoint: a throw undoes this part alone. `work` must be synchronous.
   *
   * @throws STORE_BUSY after 250 ms (see {@link withBusyRetry}), STORE_FULL, STORE_CORRUPT, STORE_UNAVAILABLE
   */
  transaction<T>(work: () => T): T
  /** The statement of this text, prepared once. Do not keep an iterator open across calls. */
  prepare(sql: string): StatementSync
  /** True when another connection has committed since the last call (at first: since opening). About 3 µs. Always false for memory. */
  changed(): boolean
  /**
   * Calls `listener`, soon and coalesced, after somebody else has committed: another process, or
   * another instance in this process that says so with `notifyLocal`. Own commits are not reported.
   * Returns the way to stop listening. Never keeps the process alive.
   */
  onChange(listener: () => void): () => void
  /** Wakes the listeners of the other instances in this process on the same database, in a microtask. */
  notifyLocal(): void
  /**
   * Copies a consistent snapshot to `file` without stopping writers, which is then there whole or
   * not at all; an older backup of the name is replaced.
   *
   * @throws STORE_FULL, STORE_UNAVAILABLE
   */
  backup(file: string): Promise<void>
  /** Safe to call twice. The last instance of a `memory:NAME` ends it. */
  close(): void
}

export interface OpenSqliteOptions {
  readonly clock?: Clock
  /** Default `full`. */
  readonly durability?: Durability
  /** Tables to bring up to date. Default none. */
  readonly migrations?: readonly ComponentMigrations[]
  /** Milliseconds to wait, blocking, for a lock while opening. Default 5000. */
  readonly openWaitMs?: number
}

/** Statement texts are fixed in the source; a caller who builds them anew each time must not fill the memory. */
const statementsMax = 500

interface Connection {
  readonly key: string
  readonly db: DatabaseSync
  readonly statements: Map<string, StatementSync>
  readonly transact: <T>(work: () => T) => T
  users: number
}
/** Named databases in memory, shared by all who open the name. */
const sharedMemory = new Map<string, Connection>()
/** Who in this process uses which database, so that they can wake each other without the file system. */
const feedsByKey = new Map<string, Set<ChangeFeed>>()

/**
 * Opens a database: a file's path, `:memory:` (private), or `memory:NAME` (shared in this process:
 * the same underlying database for all who open the name, until the last of them closes).
 *
 * @throws STORE_BUSY, STORE_CORRUPT, STORE_FULL, STORE_TOO_NEW, STORE_UNAVAILABLE
 */
export function openSqliteFile(path: string, options: OpenSqliteOptions = {}): SqliteFile {
  const { clock = systemClock, migrations = [] } = options
  const connection = connect(path, options)
  try {
    migrate(connection.db, {
      path: connection.key,
      components: migrations,
      now: () => clock.now(),
    })
    endOpening(connection.db)
  } catch (error) {
    disconnect(connection)
    throw isStorageError(error) ? mapSqliteError(error, connection.key) : error
  }
  return createSqliteFile(connection, clock)
}

function connect(path: string, options: OpenSqliteOptions): Connection {
  const connection = sharedMemory.get(path) ?? newConnection(path, options)
  connection.users += 1
  if (isShared(connection)) sharedMemory.set(path, connection)
  return connection
}

function isShared(connection: Connection): boolean {
  return connection.key.startsWith('memory:')
}

function isInMemory(connection: Connection): boolean {
  return connection.key === ':memory:' || isShared(connection)
}

function newConnection(path: string, options: OpenSqliteOptions): Connection {
  const isPrivate = path === ':memory:' || path === 'memory:'
  if (isPrivate || path.startsWith('memory:')) {
    const key = isPrivate ? ':memory:' : path
    return connectionOf(key, connectMemory())
  }
  const absolute = resolve(path)
  const { durability = 'full', openWaitMs = 5000 } = options
  const db = connectFile(absolute, { durability, openWaitMs })
  return connectionOf(realpathSync(absolute), db)
}

function connectionOf(key: string, db: DatabaseSync): Connection {
  return { key, db, statements: new Map(), transact: createTransact(db), users: 0 }
}

function disconnect(connection: Connection): void {
  connection.users -= 1
  if (connection.users > 0) return
  if (isShared(connection)) sharedMemory.delete(connection.key)
  connection.statements.clear()
  connection.db.close()
}

function createSqliteFile(connection: Connection, clock: Clock): SqliteFile {
  const { key, db, statements } = connection
  const isMemory = isInMemory(connection)
  let isOpen = true

  const prepare = (sql: string): StatementSync => {
    const known = statements.get(sql)
    if (known !== undefined) return known
    if (statements.size >= statementsMax) statements.clear()
    const statement = db.prepare(sql)
    statements.set(sql, statement)
    return statement
  }
  // Each watches for itself, so that a caller's look does not hide a change from the listeners.
  const watchVersion = () => {
    const read = () => (isOpen ? Number(prepare('PRAGMA data_version').get()?.data_version) : 0)
    let seen = read()
    return () => {
      const last = seen
      seen = read()
      return isOpen && seen !== last
    }
  }
  const never = () => false
  const feed = createChangeFeed(
    isMemory
      ? { clock, changed: never }
      : { clock, walFile: `${key}-wal`, changed: watchVersion() },
  )
  const siblings = join(key, feed)

  return {
    path: key,
    isMemory,
    db,
    prepare,
    changed: isMemory ? never : watchVersion(),
    onChange: feed.add,
    transaction(work) {
      try {
        return connection.transact(work)
      } catch (error) {
        throw isStorageError(error) ? mapSqliteError(error, key) : error
      }
    },
    notifyLocal() {
      for (const other of siblings) if (other !== feed) other.notify()
    },
    backup: (file) => backUp({ db, path: key, isMemory }, resolve(file)),
    close() {
      if (!isOpen) return
      isOpen = false
      feed.stop()
      siblings.delete(feed)
      if (siblings.size === 0 && feedsByKey.get(key) === siblings) feedsByKey.delete(key)
      disconnect(connection)
    },
  }
}

/** Private databases share a key but nothing else, so each is alone. */
function join(key: string, feed: ChangeFeed): Set<ChangeFeed> {
  const siblings = feedsByKey.get(key) ?? new Set()
  siblings.add(feed)
  if (key !== ':memory:') feedsByKey.set(key, siblings)
  return siblings
}
