import { checkKey } from './keys.ts'
import { type SqliteAccess, untilOf } from './sqlite-access.ts'
import { nextToken } from './sqlite-tokens.ts'
import type { LockStore } from './store.ts'

/** The migration that makes the table of this file. */
export const locksTable = `
  CREATE TABLE store_locks (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT`

export function createSqliteLocks(access: SqliteAccess): LockStore {
  const { prepare, write, now } = access
  return {
    async acquire(name, holder, leaseMs) {
      checkKey('name', name)
      checkKey('holder', holder)
      return write(() => {
        const row = prepare('SELECT until_ms FROM store_locks WHERE name = ?').get(name)
        if (row !== undefined && Number(row.until_ms) > now()) return undefined
        const fence = nextToken(prepare)
        prepare(
          `INSERT INTO store_locks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
           SET holder = excluded.holder, fence = excluded.fence, until_ms = excluded.until_ms`,
        ).run(name, holder, fence, untilOf(now(), leaseMs))
        return { name, fence }
      })
    },
    async renew({ name, fence }, leaseMs) {
      return write(() => {
        const result = prepare(
          'UPDATE store_locks SET until_ms = ? WHERE name = ? AND fence = ?',
        ).run(untilOf(now(), leaseMs), name, fence)
        return result.changes === 1
      })
    },
    async release({ name, fence }) {
      return write(() => {
        const result = prepare('DELETE FROM store_locks WHERE name = ? AND fence = ?').run(
          name,
          fence,
        )
        return result.changes === 1
      })
    },
  }
}
