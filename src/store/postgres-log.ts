import type { Json } from '../core/json.ts'
import { checkKey } from './keys.ts'
import type { PostgresAccess } from './postgres-access.ts'
import { rowLimit } from './postgres-records.ts'
import type { LogStore } from './store.ts'

/**
 * The migration that makes the tables of this file. The row of a stream is what appends to it queue
 * at, so that positions have no gaps and times do not run backwards.
 */
export const logTables = (schema: string): string => `
  CREATE TABLE ${schema}.store_streams (
    stream text COLLATE "C" PRIMARY KEY,
    length bigint NOT NULL,
    last_at timestamptz NOT NULL
  ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
  CREATE TABLE ${schema}.store_log (
    stream text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    at timestamptz NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (stream, position)
  )`

export function createPostgresLog(access: PostgresAccess): LogStore {
  const { schema, read, write } = access
  const streams = `${schema}.store_streams`
  const grow = {
    any: `
      INSERT INTO ${streams} AS present VALUES ($1, cardinality($2::text[]), clock_timestamp())
      ON CONFLICT (stream) DO UPDATE SET length = present.length + excluded.length,
        last_at = greatest(present.last_at, clock_timestamp())`,
    empty: `
      INSERT INTO ${streams} VALUES ($1, cardinality($2::text[]), clock_timestamp())
      ON CONFLICT DO NOTHING`,
    expected: `
      UPDATE ${streams} SET length = length + cardinality($2::text[]),
        last_at = greatest(last_at, clock_timestamp())
      WHERE stream = $1 AND length = $3`,
  }
  const appendTo = (growing: string) => `
    WITH grown AS (${growing} RETURNING length, last_at), added AS (
      INSERT INTO ${schema}.store_log
      SELECT $1, length - cardinality($2::text[]) + place, last_at, value
      FROM grown, unnest($2::text[]) WITH ORDINALITY AS one (value, place)
    )
    SELECT length - cardinality($2::text[]) + 1 AS first FROM grown`
  const appendAny = appendTo(grow.any)
  const appendToEmpty = appendTo(grow.empty)
  const appendExpected = appendTo(grow.expected)

  const lengthOf = async (stream: string) => {
    const [row] = await read(`SELECT length FROM ${streams} WHERE stream = $1`, [stream])
    return Number(row?.length ?? 0)
  }

  return {
    async append(stream, values, { expect } = {}) {
      checkKey('stream', stream)
      if (values.length === 0) {
        const length = await lengthOf(stream)
        return expect === undefined || expect === length ? length + 1 : undefined
      }
      const texts = values.map((value) => JSON.stringify(value))
      const [row] =
        expect === undefined
          ? await write(appendAny, [stream, texts])
          : expect === 0
            ? await write(appendToEmpty, [stream, texts])
            : await write(appendExpected, [stream, texts, expect])
      return row === undefined ? undefined : Number(row.first)
    },
    async read(stream, { after = 0, limit }) {
      checkKey('stream', stream)
      const rows = await read(
        `SELECT position, floor(extract(epoch FROM at) * 1000) AS at, value FROM ${schema}.store_log
         WHERE stream = $1 AND position > $2 ORDER BY position LIMIT $3`,
        [stream, after, rowLimit(limit)],
      )
      return rows.map((row) => ({
        position: Number(row.position),
        at: Number(row.at),
        value: JSON.parse(String(row.value)) as Json,
      }))
    },
    async length(stream) {
      checkKey('stream', stream)
      return lengthOf(stream)
    },
  }
}
