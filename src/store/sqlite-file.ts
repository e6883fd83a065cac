import { existsSync, mkdirSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { backup, type DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Clock } from '../core/clock.ts'
import { systemClock } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import { type ChangeFeed, createChangeFeed } from './sqlite-changes.ts'
import { connectFile, connectMemory, connectReader, type Durability } from './sqlite-connect.ts'
import { isStorageError, mapSqliteError } from './sqlite-errors.ts'
import { type ComponentMigrations, migrate } from './sqlite-migrations.ts'

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
    return { key, db: connectMemory(), statements: new Map(), users: 0 }
  }
  const absolute = resolve(path)
  const { durability = 'full', openWaitMs = 5000 } = options
  const db = connectFile(absolute, { durability, openWaitMs })
  return { key: realpathSync(absolute), db, statements: new Map(), users: 0 }
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
    transaction: (work) => runTransaction(connection, work),
    notifyLocal() {
      for (const other of siblings) if (other !== feed) other.notify()
    },
    backup: (file) => backUp(connection, resolve(file)),
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

function runTransaction<T>(connection: Connection, work: () => T): T {
  const { db, key } = connection
  const isNested = db.isTransaction
  try {
    db.exec(isNested ? 'SAVEPOINT part' : 'BEGIN IMMEDIATE')
    const result = work()
    if (result instanceof Promise) {
      throw new TreatyError('UNFORESEEN', 'the work of a transaction returned a promise', {
        hint: 'Await before the transaction; everything inside it must be synchronous',
      })
    }
    db.exec(isNested ? 'RELEASE part' : 'COMMIT')
    return result
  } catch (error) {
    // A full disk or an I/O error may have rolled everything back already.
    if (db.isOpen && db.isTransaction)
      db.exec(isNested ? 'ROLLBACK TO part; RELEASE part' : 'ROLLBACK')
    throw isStorageError(error) ? mapSqliteError(error, key) : error
  }
}

async function backUp(connection: Connection, target: string): Promise<void> {
  const { key, db } = connection
  const isMemory = isInMemory(connection)
  if (target === key) {
    throw new TreatyError('STORE_UNAVAILABLE', `the store ${key} cannot be its own backup`, {
      hint: 'Name another file',
    })
  }
  const partial = `${target}.partial`
  let reader: DatabaseSync | undefined
  try {
    mkdirSync(dirname(target), { recursive: true })
    rmSync(partial, { force: true })
    // One step for all pages: a copy in several steps begins anew whenever another process commits.
    // It runs on a thread of its own, on a connection of its own, beside the writers.
    reader = isMemory ? undefined : connectReader(key)
    await backup(reader ?? db, partial, { rate: 0x7fffffff })
    renameSync(partial, target)
  } catch (error) {
    throw mapSqliteError(error, target)
  } finally {
    reader?.close()
    if (existsSync(partial)) rmSync(partial, { force: true })
  }
}
