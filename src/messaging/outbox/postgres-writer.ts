import { TreatyError } from '../../core/errors.ts'
import type { PostgresHandle } from './outbox.ts'
import { channelOf } from './postgres-schema.ts'
import type { OutboxColumns } from './rows.ts'

/** Rows of one statement; PostgreSQL takes 65 535 parameters. */
const rowsMax = 1000

/**
 * Writes rows in the transaction of `tx`, numbered in their order, and has the commit told to the relays.
 *
 * @throws OUTBOX_NO_TRANSACTION for a pool, and what the handle throws
 */
export async function writePostgres(
  tx: PostgresHandle,
  schema: string,
  rows: readonly OutboxColumns[],
): Promise<void> {
  if ('totalCount' in tx && 'idleCount' in tx) {
    throw new TreatyError(
      'OUTBOX_NO_TRANSACTION',
      'the outbox was given a pool, whose statements each take another connection',
      { hint: 'Give it the client that your BEGIN went through: await pool.connect().' },
    )
  }
  for (let from = 0; from < rows.length; from += rowsMax) {
    const some = rows.slice(from, from + rowsMax)
    const values = some.flatMap((row) => [
      row.shard,
      row.chain,
      row.messageId,
      row.event,
      row.address,
      row.envelope,
      Buffer.from(row.body.buffer, row.body.byteOffset, row.body.byteLength),
    ])
    const places = some.map((_, at) => {
      const parameter = (column: number) => `$${at * 7 + column}`
      return `(${parameter(1)}::smallint, ${parameter(2)}, ${[3, 4, 5, 6].map(parameter).join(', ')}, ${parameter(7)}::bytea)`
    })
    await tx.query(
      `WITH added AS (
         INSERT INTO "${schema}".outbox (shard, chain, message_id, event, address, envelope, body)
         VALUES ${places.join(', ')} RETURNING 1)
       SELECT pg_notify('${channelOf(schema)}', '') FROM (SELECT count(*) FROM added) AS told`,
      values,
    )
  }
}
