import type { PostgresMigrations } from '../../store/index.ts'

/**
 * The table of the outbox on PostgreSQL. `xid` tells the relay which transactions came first; a row is deleted once it is sent, so the table
 * is as large as the backlog. Version 1 is what the first release writes; append, never edit.
 */
const tables = (s: string) => `
  CREATE TABLE ${s}.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    shard smallint NOT NULL,
    chain text COLLATE "C",
    message_id text NOT NULL,
    event text NOT NULL,
    address text NOT NULL,
    envelope text NOT NULL,
    body bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    failures integer NOT NULL DEFAULT 0,
    next_at timestamptz,
    parked_at timestamptz,
    error text
  ) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
  CREATE INDEX outbox_shard ON ${s}.outbox (shard, id) WHERE parked_at IS NULL;
  CREATE INDEX outbox_xid ON ${s}.outbox (xid);
  CREATE INDEX outbox_next ON ${s}.outbox (shard, next_at) WHERE next_at IS NOT NULL;
  CREATE INDEX outbox_parked ON ${s}.outbox (shard, id) WHERE parked_at IS NOT NULL`

export const outboxMigrations: PostgresMigrations = { component: 'outbox', migrations: [tables] }

/** Name of the channel on which commits are told. */
export function channelOf(schema: string): string {
  return `treaty_outbox_${schema}`.slice(0, 63)
}

/** First half of the advisory locks' names; the second is the shard. */
export function lockClass(quotedSchema: string): string {
  return `hashtext('${quotedSchema} outbox')`
}

/**
 * What keeps the rows of a chain back, and from which row on: a transaction that may still be followed by an earlier one, a message that
 * waits for its next try, and, under `block`, one that is parked. $1 is the shard, $2 whether parked rows block.
 */
const held = (s: string) => `
  snapshot AS MATERIALIZED (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xmin),
  held AS MATERIALIZED (
    SELECT chain, min(id) AS first FROM (
      SELECT chain, id FROM ${s}.outbox, snapshot WHERE xid >= snapshot.xmin AND shard = $1 AND chain IS NOT NULL
      UNION ALL
      SELECT chain, id FROM ${s}.outbox
      WHERE shard = $1 AND next_at > clock_timestamp() AND chain IS NOT NULL
      UNION ALL
      SELECT chain, id FROM ${s}.outbox
      WHERE $2 AND shard = $1 AND parked_at IS NOT NULL AND chain IS NOT NULL
    ) AS one GROUP BY chain
  )`

/**
 * Rows that may be sent, oldest number first. In the order of numbers and not of (xid, id): where one transaction waits for the row lock of
 * another, its xid may be the lower one although its message comes later, and the numbers are drawn in the order that the lock gives.
 */
export const readSql = (s: string) => `
  WITH ${held(s)}
  SELECT line.id, line.chain, line.failures, line.message_id, line.event, line.address, line.envelope, line.body
  FROM ${s}.outbox AS line LEFT JOIN held ON held.chain = line.chain
  WHERE line.shard = $1 AND line.parked_at IS NULL
    AND (held.first IS NULL OR line.id < held.first)
    AND (line.next_at IS NULL OR line.next_at <= clock_timestamp())
  ORDER BY line.id LIMIT $3`

/** Shards with something that is not parked, by a look at the index alone. */
export const pendingSql = (s: string, shards: number) => `
  SELECT shard FROM generate_series(0, ${shards - 1}) AS one (shard)
  WHERE EXISTS (SELECT FROM ${s}.outbox AS line WHERE line.shard = one.shard AND parked_at IS NULL)`
