import { randomUUID } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import type { Load } from './bus-load.ts'
import type { OpenedSide } from './bus-treaty.ts'
import { timed } from './measure.ts'
import { messageBytes } from './orders.ts'

/**
 * The floor below every queue on node:sqlite: rows of the same size inserted and deleted, in batches of the
 * same size, with the same durability, and nothing else: no index, no lease, no validation, no JSON.
 *
 * `isPipelined`: a batch is inserted in the transaction that deletes the one before, as group commit does;
 * else in a transaction of its own.
 */
export function bareSide(
  name: string,
  options: { readonly file: string; readonly load: Load; readonly isPipelined: boolean },
): OpenedSide {
  const { file, load, isPipelined } = options
  const db = new DatabaseSync(file)
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
    CREATE TABLE log (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, body BLOB NOT NULL)`)
  const insert = db.prepare('INSERT INTO log (id, body) VALUES (?, ?)')
  const remove = db.prepare('DELETE FROM log WHERE seq = ?')
  const bodies = Array.from({ length: load.batch }, () => Buffer.alloc(messageBytes, 'x'))
  const ids = Array.from({ length: load.batch }, () => randomUUID())

  const insertBatch = (): (number | bigint)[] =>
    bodies.map((body, n) => insert.run(ids[n] as string, body).lastInsertRowid)
  const removeBatch = (seqs: readonly (number | bigint)[]) => {
    for (const seq of seqs) remove.run(seq)
  }
  const transaction = <T>(work: () => T): T => {
    db.exec('BEGIN IMMEDIATE')
    const result = work()
    db.exec('COMMIT')
    return result
  }
  const loop = () => {
    let before: (number | bigint)[] = []
    for (let sent = 0; sent < load.messages; sent += load.batch) {
      if (isPipelined) {
        before = transaction(() => {
          removeBatch(before)
          return insertBatch()
        })
      } else {
        const seqs = transaction(insertBatch)
        transaction(() => removeBatch(seqs))
      }
    }
    transaction(() => removeBatch(before))
  }
  return {
    name,
    round: () => timed(Math.ceil(load.messages / load.batch) * load.batch, loop),
    close: async () => db.close(),
  }
}
