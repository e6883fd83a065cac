import { realpathSync } from 'node:fs'
import { isTreatyError, TreatyError } from '../../../core/errors.ts'
import { mapSqliteError, type SqliteFile } from '../../../store/index.ts'
import type { OutgoingRecord } from '../../transport.ts'
import type { Engine, Turn } from './engine.ts'
import { createLocalGroups } from './local-groups.ts'
import { prepareRecord, publishRecord } from './publish.ts'
import { createRecordCache } from './records.ts'
import { prepareStatements } from './statements.ts'
import { createTally } from './tally.ts'
import { readTopology } from './topology-view.ts'
import { newTurn } from './turn.ts'

type Database = SqliteFile['db']

/** Engines over connections of callers; as short-lived as these are. */
const guests = new WeakMap<Database, Engine>()

/**
 * Publishes within a transaction of the caller's, on the caller's own connection to our file: or, where the connection is ours,
 * within the effect that runs just now. Undefined: the connection is to something else.
 */
export function publishWithin(
  host: Engine,
  tx: unknown,
  records: readonly OutgoingRecord[],
): readonly { id: string }[] | undefined {
  if (tx === host.file.db) {
    if (host.effectRecords === undefined) throw noTransaction()
    for (const record of records) prepareRecord(host, record)
    host.effectRecords.push(...records)
  } else {
    if (!isSameFile(host.file, tx)) return undefined
    if (!tx.isTransaction) throw noTransaction()
    for (const record of records) prepareRecord(host, record)
    const guest = guests.get(tx) ?? createGuest(host, tx)
    guests.set(tx, guest)
    publishAsGuest(guest, records)
  }
  return records.map(({ id }) => ({ id }))
}

function noTransaction(): TreatyError {
  return new TreatyError(
    'OUTBOX_NO_TRANSACTION',
    'the outbox was given a database that is in no transaction',
    { hint: 'Run BEGIN IMMEDIATE before, and COMMIT after, what belongs together.' },
  )
}

function isSameFile(file: SqliteFile, tx: unknown): tx is Database {
  if (file.isMemory || typeof tx !== 'object' || tx === null || !('location' in tx)) return false
  const path = (tx as Database).location()
  try {
    return path !== null && realpathSync(path) === file.path
  } catch {
    return false // Deleted meanwhile: whatever it is, it is not ours.
  }
}

/** As much of an engine as publishing takes: it hands nothing out and owns nothing. */
function createGuest(host: Engine, db: Database): Engine {
  const statements = new Map<string, ReturnType<SqliteFile['prepare']>>()
  const prepare: SqliteFile['prepare'] = (sql) => {
    const known = statements.get(sql)
    if (known !== undefined) return known
    const statement = db.prepare(sql)
    // Whatever the caller has made the default of this connection.
    statement.setReadBigInts(false)
    statement.setReturnArrays(false)
    statements.set(sql, statement)
    return statement
  }
  const file: SqliteFile = { ...host.file, db, prepare }
  return {
    ...host,
    file,
    sql: prepareStatements(file),
    tally: createTally(file),
    records: createRecordCache(),
    local: createLocalGroups(),
    leases: new Set(),
    ephemeral: new Map(),
    effectRecords: undefined,
  }
}

/** A part of the caller's transaction that is done as a whole or not at all. */
function publishAsGuest(guest: Engine, records: readonly OutgoingRecord[]): void {
  const { db } = guest.file
  try {
    db.exec('SAVEPOINT treaty_publish')
    const turn = beginAsGuest(guest)
    for (const record of records) {
      const result = publishRecord(guest, turn, record)
      if ('error' in result) throw result.error
    }
    guest.tally.flush()
    guest.sql.writeMeta.run(turn.nextSeq, turn.generation + 1)
    db.exec('RELEASE treaty_publish')
  } catch (error) {
    guest.tally.discard()
    // A full disk or a snapshot that is too old may have ended the caller's transaction already.
    if (db.isTransaction) db.exec('ROLLBACK TO treaty_publish; RELEASE treaty_publish')
    throw isTreatyError(error) ? error : mapSqliteError(error, guest.file.path)
  }
}

function beginAsGuest(guest: Engine): Turn {
  const turn = newTurn(guest)
  const [nextSeq, generation, version] = guest.sql.readMeta.get() as unknown as readonly [
    number,
    number,
    number,
  ]
  turn.nextSeq = nextSeq
  turn.generation = generation
  if (version !== guest.topology.version) guest.topology = readTopology(guest.file, version)
  // The lock comes with the first write: a snapshot that is too old for it is refused here, before anything else.
  guest.sql.writeMeta.run(nextSeq, generation)
  return turn
}
