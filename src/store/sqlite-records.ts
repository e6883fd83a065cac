import type { Json } from '../core/json.ts'
import { afterPrefix, checkKey } from './keys.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { RecordStore, StoredRecord } from './store.ts'

/** The migration that makes the table of this file. */
export const recordsTable = `
  CREATE TABLE store_records (
    collection TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (collection, key)
  ) STRICT`

export function createSqliteRecords(access: SqliteAccess): RecordStore {
  const { prepare, read, write } = access
  const find = (collection: string, key: string) =>
    prepare('SELECT key, value, revision FROM store_records WHERE collection = ? AND key = ?').get(
      collection,
      key,
    )
  const revisionOf = (collection: string, key: string) =>
    Number(find(collection, key)?.revision ?? 0)

  return {
    async get(collection, key) {
      check(collection, key)
      const row = await read(() => find(collection, key))
      return row === undefined ? undefined : toRecord(row)
    },
    async put(collection, key, value, options = {}) {
      check(collection, key)
      const text = JSON.stringify(value)
      return write(() => {
        const present = revisionOf(collection, key)
        if (options.expect !== undefined && options.expect !== present) return undefined
        const revision = present + 1
        prepare(
          `INSERT INTO store_records VALUES (?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET value = excluded.value, revision = excluded.revision`,
        ).run(collection, key, text, revision)
        return { key, value: JSON.parse(text) as Json, revision }
      })
    },
    async delete(collection, key, options = {}) {
      check(collection, key)
      return write(() => {
        const present = revisionOf(collection, key)
        if (present === 0) return false
        if (options.expect !== undefined && options.expect !== present) return false
        prepare('DELETE FROM store_records WHERE collection = ? AND key = ?').run(collection, key)
        return true
      })
    },
    async list(collection, { prefix = '', after = '', limit }) {
      checkKey('collection', collection)
      const end = afterPrefix(prefix)
      const rows = await read(() =>
        prepare(
          `SELECT key, value, revision FROM store_records
           WHERE collection = ?1 AND key > ?2 AND key >= ?3 AND (?4 IS NULL OR key < ?4)
           ORDER BY key LIMIT ?5`,
        ).all(collection, after, prefix, end ?? null, Math.max(0, limit)),
      )
      return rows.map(toRecord)
    },
  }
}

function check(collection: string, key: string): void {
  checkKey('collection', collection)
  checkKey('key', key)
}

function toRecord(row: Record<string, unknown>): StoredRecord {
  return {
    key: String(row.key),
    value: JSON.parse(String(row.value)) as Json,
    revision: Number(row.revision),
  }
}
