import type { SqliteFile } from '../../../store/index.ts'
import { recordColumns } from './records.ts'

/** Columns of a row that may be claimed, in the order of {@link ClaimRow}. */
const claimColumns =
  'seq, priority, attempts, deliveries, releases, chain, expires_at, first_failed_at'

/** A delivery row on its way out. */
export type ClaimRow = readonly [
  seq: number,
  priority: number,
  attempts: number,
  deliveries: number,
  releases: number,
  chain: string | null,
  expiresAt: number | null,
  firstFailedAt: number | null,
]

/**
 * The statements of the hot path. Those that run once a second are prepared where they are used.
 */
const texts = {
  readMeta: 'SELECT next_seq, generation, topology FROM bus_meta WHERE id = 1',
  writeMeta: 'UPDATE bus_meta SET next_seq = ?, generation = ? WHERE id = 1',
  readOwner: 'SELECT lease_until FROM bus_owner WHERE id = ?',
  renewOwner: 'UPDATE bus_owner SET heartbeat_at = ?, lease_until = ? WHERE id = ?',
  insertLog: `INSERT INTO bus_log (${recordColumns}, kept, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  readLog: `SELECT ${recordColumns} FROM bus_log WHERE seq = ?`,
  deleteLog: 'DELETE FROM bus_log WHERE seq = ? AND kept = 0',
  deleteLogUnlessNeeded: `
    DELETE FROM bus_log WHERE seq = ?1 AND kept = 0 AND NOT EXISTS (
      SELECT 1 FROM bus_delivery WHERE seq = ?1
        AND grp IN (SELECT grp FROM bus_subscription WHERE topic = ?2))`,
  insertDelivery: `
    INSERT INTO bus_delivery (grp, seq, state, priority, attempts, deliveries, releases, ready_at, chain, expires_at)
    VALUES (?, ?, ?, ?, 0, 0, 0, ?, ?, ?)`,
  chainHolder:
    'SELECT seq FROM bus_delivery INDEXED BY bus_delivery_chain WHERE grp = ? AND chain = ? AND chain IS NOT NULL LIMIT 1',
  chainHead: `
    SELECT seq, state FROM bus_delivery INDEXED BY bus_delivery_chain
    WHERE grp = ? AND chain = ? AND chain IS NOT NULL ORDER BY seq LIMIT 1`,
  makeReady: 'UPDATE bus_delivery SET state = 0 WHERE grp = ? AND seq = ?',
  topReady: `
    SELECT ${claimColumns} FROM bus_delivery INDEXED BY bus_delivery_ready
    WHERE grp = ? AND state = 0 ORDER BY priority DESC, seq LIMIT ?`,
  lowestReady:
    'SELECT priority FROM bus_delivery WHERE grp = ? AND state = 0 ORDER BY priority LIMIT 1',
  oldestReadyOfPriority: `
    SELECT ${claimColumns} FROM bus_delivery INDEXED BY bus_delivery_ready
    WHERE grp = ? AND state = 0 AND priority = ? ORDER BY seq LIMIT ?`,
  lease: `
    UPDATE bus_delivery SET state = 1, owner = ?, deliveries = deliveries + 1 WHERE grp = ? AND seq = ?`,
  leaseRange: `
    UPDATE bus_delivery INDEXED BY bus_delivery_ready
    SET state = 1, owner = ?, deliveries = deliveries + 1
    WHERE grp = ? AND state = 0 AND priority = ? AND seq BETWEEN ? AND ?`,
  deleteDelivery: 'DELETE FROM bus_delivery WHERE grp = ? AND seq = ?',
  deleteLeased:
    'DELETE FROM bus_delivery WHERE grp = ? AND seq = ? AND owner = ? AND deliveries = ?',
  retryLeased: `
    UPDATE bus_delivery SET state = ?, ready_at = ?, owner = NULL, attempts = attempts + 1,
      first_failed_at = coalesce(first_failed_at, ?)
    WHERE grp = ? AND seq = ? AND owner = ? AND deliveries = ?`,
  releaseLeased: `
    UPDATE bus_delivery SET state = ?, ready_at = ?, owner = NULL, releases = releases + 1
    WHERE grp = ? AND seq = ? AND owner = ? AND deliveries = ?`,
  touchLeased:
    'SELECT 1 FROM bus_delivery WHERE grp = ? AND seq = ? AND owner = ? AND deliveries = ?',
  keepAsDead: `
    UPDATE bus_delivery SET state = 4, owner = NULL, ready_at = NULL, expires_at = NULL WHERE grp = ? AND seq = ?`,
  due: `
    SELECT seq, state FROM bus_delivery WHERE grp = ? AND ready_at IS NOT NULL AND ready_at <= ?
    ORDER BY ready_at LIMIT ?`,
  nextDue: 'SELECT min(ready_at) FROM bus_delivery WHERE grp = ? AND ready_at IS NOT NULL',
  expired: `
    SELECT grp, seq, state, chain, attempts, first_failed_at FROM bus_delivery
    WHERE expires_at IS NOT NULL AND expires_at <= ? AND state NOT IN (1, 4) ORDER BY expires_at LIMIT ?`,
  nextExpiry: `
    SELECT expires_at FROM bus_delivery WHERE expires_at IS NOT NULL AND state NOT IN (1, 4)
    ORDER BY expires_at LIMIT 1`,
  makeDue:
    'UPDATE bus_delivery SET state = ?, ready_at = NULL, chain = ? WHERE grp = ? AND seq = ?',
  makeDelayedReady: 'UPDATE bus_delivery SET state = 0, ready_at = NULL WHERE grp = ? AND seq = ?',
  writeInbox: `
    INSERT INTO bus_inbox (grp, key, until) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET until = max(until, excluded.until)`,
  readInbox: 'SELECT 1 FROM bus_inbox WHERE grp = ? AND key = ? AND until > ?',
  readDedup: 'SELECT seq FROM bus_dedup WHERE topic = ? AND id = ? AND until > ?',
  writeDedup: `
    INSERT INTO bus_dedup (topic, id, seq, until) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET seq = excluded.seq, until = excluded.until WHERE until <= ?`,
  hasReady: 'SELECT 1 FROM bus_delivery WHERE grp = ? AND state = 0 LIMIT 1',
} as const

/** Those whose rows are read as arrays: faster than objects. */
const asArrays = [
  'readMeta',
  'readOwner',
  'readLog',
  'chainHead',
  'topReady',
  'lowestReady',
  'oldestReadyOfPriority',
  'due',
  'nextDue',
  'expired',
  'nextExpiry',
  'readDedup',
] as const satisfies readonly (keyof typeof texts)[]

export type Statements = Readonly<Record<keyof typeof texts, ReturnType<SqliteFile['prepare']>>>

/** The texts by name, for the test that looks at their query plans. */
export const statementTexts: Readonly<Record<keyof typeof texts, string>> = texts

export function prepareStatements(file: SqliteFile): Statements {
  const names = Object.keys(texts) as (keyof typeof texts)[]
  const statements = Object.fromEntries(names.map((name) => [name, file.prepare(texts[name])]))
  for (const name of asArrays) statements[name]?.setReturnArrays(true)
  return statements as Statements
}
