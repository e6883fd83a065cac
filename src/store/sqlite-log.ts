import type { Json } from '../core/json.ts'
import { checkKey } from './keys.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { LogStore } from './store.ts'

/** The migration that makes the table of this file. */
export const logTable = `
  CREATE TABLE store_log (
    stream TEXT NOT NULL,
    position INTEGER NOT NULL,
    at INTEGER NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (stream, position)
  ) STRICT`

export function createSqliteLog(access: SqliteAccess): LogStore {
  const { prepare, read, write, now } = access
  // Entries are never deleted, so the last position is the length.
  const lengthOf = (stream: string) =>
    Number(
      prepare('SELECT max(position) AS length FROM store_log WHERE stream = ?').get(stream)
        ?.length ?? 0,
    )

  return {
    async append(stream, values, options = {}) {
      checkKey('stream', stream)
      const texts = values.map((value) => JSON.stringify(value))
      return write(() => {
        const length = lengthOf(stream)
        if (options.expect !== undefined && options.expect !== length) return undefined
        const insert = prepare('INSERT INTO store_log VALUES (?, ?, ?, ?)')
        const at = Math.trunc(now())
        for (const [index, text] of texts.entries())
          insert.run(stream, length + 1 + index, at, text)
        return length + 1
      })
    },
    async read(stream, { after = 0, limit }) {
      checkKey('stream', stream)
      const rows = await read(() =>
        prepare(
          `SELECT position, at, value FROM store_log
           WHERE stream = ? AND position > ? ORDER BY position LIMIT ?`,
        ).all(stream, after, Math.max(0, limit)),
      )
      return rows.map((row) => ({
        position: Number(row.position),
        at: Number(row.at),
        value: JSON.parse(String(row.value)) as Json,
      }))
    },
    async length(stream) {
      checkKey('stream', stream)
      return read(() => lengthOf(stream))
    },
  }
}
