import { TreatyError } from '../../core/errors.ts'
import type { SqliteHandle } from './outbox.ts'
import type { OutboxColumns } from './rows.ts'

/** Writes rows in the transaction of `tx`, numbered in their order. @throws OUTBOX_NO_TRANSACTION, and what SQLite throws */
export function writeSqlite(tx: SqliteHandle, rows: readonly OutboxColumns[], now: number): void {
  requireTransaction(tx)
  const insert = tx.prepare(
    `INSERT INTO treaty_outbox (shard, chain, message_id, event, address, envelope, body, written_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const at = Math.trunc(now)
  for (const { shard, chain, messageId, event, address, envelope, body } of rows) {
    insert.run(shard, chain, messageId, event, address, envelope, body, at)
  }
}

/** @throws OUTBOX_NO_TRANSACTION */
export function requireTransaction(tx: SqliteHandle): void {
  if (tx.isTransaction) return
  throw new TreatyError(
    'OUTBOX_NO_TRANSACTION',
    'the outbox was given a database that is in no transaction',
    { hint: 'Run BEGIN IMMEDIATE before, and COMMIT after, what belongs together.' },
  )
}
