import { afterPrefix, checkKey } from './keys.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { CounterStore } from './store.ts'

/** The migration that makes the table of this file. */
export const countersTable = `
  CREATE TABLE store_counters (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID, STRICT`

export function createSqliteCounters(access: SqliteAccess): CounterStore {
  const { prepare, read, write } = access
  return {
    async add(increments) {
      const entries = Object.entries(increments)
      for (const [name] of entries) checkKey('counter', name)
      if (entries.length === 0) return
      await write(() => {
        const upsert = prepare(
          `INSERT INTO store_counters VALUES (?, ?)
           ON CONFLICT DO UPDATE SET value = value + excluded.value`,
        )
        for (const [name, increment] of entries) upsert.run(name, increment)
      })
    },
    async read(prefix) {
      const rows = await read(() =>
        prepare(
          `SELECT name, value FROM store_counters
           WHERE name >= ?1 AND (?2 IS NULL OR name < ?2) ORDER BY name`,
        ).all(prefix, afterPrefix(prefix) ?? null),
      )
      return Object.fromEntries(rows.map((row) => [String(row.name), Number(row.value)]))
    },
  }
}
