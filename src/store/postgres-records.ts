import type { Json } from '../core/json.ts'
import { afterPrefix, checkKey } from './keys.ts'
import type { PostgresAccess, Row } from './postgres-access.ts'
import { foldName } from './postgres-names.ts'
import type { RecordStore, StoredRecord } from './store.ts'

/**
 * The migration that makes the table of this file. Values are text: jsonb keeps neither NUL nor the
 * order of members. The collation C is the order of code points.
 */
export const recordsTable = (schema: string): string => `
  CREATE TABLE ${schema}.store_records (
    collection text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (collection, key)
  ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)`

export function createPostgresRecords(access: PostgresAccess): RecordStore {
  const { read, write } = access
  const table = `${access.schema}.store_records`
  const anyway = `
    INSERT INTO ${table} AS present VALUES ($1, $2, $3, 1)
    ON CONFLICT (collection, key) DO UPDATE
    SET value = excluded.value, revision = present.revision + 1 RETURNING revision`
  const whereAbsent = `
    INSERT INTO ${table} VALUES ($1, $2, $3, 1) ON CONFLICT DO NOTHING RETURNING revision`
  const whereExpected = `
    UPDATE ${table} SET value = $3, revision = revision + 1
    WHERE collection = $1 AND key = $2 AND revision = $4 RETURNING revision`

  return {
    async get(collection, key) {
      check(collection, key)
      const [row] = await read(
        `SELECT key, value, revision FROM ${table} WHERE collection = $1 AND key = $2`,
        [foldName(collection), key],
      )
      return row === undefined ? undefined : toRecord(row)
    },
    async put(collection, key, value, { expect } = {}) {
      check(collection, key)
      const text = JSON.stringify(value)
      const values = [foldName(collection), key, text]
      const [row] =
        expect === undefined
          ? await write(anyway, values)
          : expect === 0
            ? await write(whereAbsent, values)
            : await write(whereExpected, [...values, expect])
      if (row === undefined) return undefined
      return { key, value: JSON.parse(text) as Json, revision: Number(row.revision) }
    },
    async delete(collection, key, { expect } = {}) {
      check(collection, key)
      const rows = await write(
        `DELETE FROM ${table} WHERE collection = $1 AND key = $2 AND ($3::bigint IS NULL OR revision = $3)
         RETURNING 1`,
        [foldName(collection), key, expect ?? null],
      )
      return rows.length === 1
    },
    async list(collection, { prefix = '', after = '', limit }) {
      checkKey('collection', collection)
      const rows = await read(
        `SELECT key, value, revision FROM ${table}
         WHERE collection = $1 AND key > $2 AND key >= $3 AND ($4::text IS NULL OR key < $4)
         ORDER BY key LIMIT $5`,
        [foldName(collection), after, prefix, afterPrefix(prefix) ?? null, rowLimit(limit)],
      )
      return rows.map(toRecord)
    },
  }
}

/** A limit that PostgreSQL takes: none below zero, nothing endless. */
export function rowLimit(limit: number): number {
  return Math.trunc(Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, limit)))
}

function check(collection: string, key: string): void {
  checkKey('collection', collection)
  checkKey('key', key)
}

function toRecord(row: Row): StoredRecord {
  return {
    key: String(row.key),
    value: JSON.parse(String(row.value)) as Json,
    revision: Number(row.revision),
  }
}
