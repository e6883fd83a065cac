import { afterPrefix, checkKey } from './keys.ts'
import type { PostgresAccess } from './postgres-access.ts'
import type { CounterStore } from './store.ts'

/** The migration that makes the table of this file. */
export const countersTable = (schema: string): string => `
  CREATE TABLE ${schema}.store_counters (
    name text COLLATE "C" PRIMARY KEY,
    value double precision NOT NULL
  ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01)`

export function createPostgresCounters(access: PostgresAccess): CounterStore {
  const { read, write } = access
  const table = `${access.schema}.store_counters`
  return {
    async add(increments) {
      const entries = Object.entries(increments)
      for (const [name] of entries) checkKey('counter', name)
      if (entries.length === 0) return
      // In one order everywhere, so that two that add to the same counters do not wait for each other.
      await write(
        `INSERT INTO ${table} AS present
         SELECT name, value FROM unnest($1::text[], $2::double precision[]) AS one (name, value)
         ORDER BY name COLLATE "C"
         ON CONFLICT (name) DO UPDATE SET value = present.value + excluded.value`,
        [entries.map(([name]) => name), entries.map(([, increment]) => increment)],
      )
    },
    async read(prefix) {
      const rows = await read(
        `SELECT name, value FROM ${table}
         WHERE name >= $1 AND ($2::text IS NULL OR name < $2) ORDER BY name`,
        [prefix, afterPrefix(prefix) ?? null],
      )
      return Object.fromEntries(rows.map((row) => [String(row.name), Number(row.value)]))
    },
  }
}
