import { checkKey } from './keys.ts'
import { type SqliteAccess, untilOf } from './sqlite-access.ts'
import { nextToken } from './sqlite-tokens.ts'
import type { ClaimStore } from './store.ts'

/** The migration that makes the table of this file. */
export const claimsTable = `
  CREATE TABLE store_claims (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    token INTEGER NOT NULL,
    is_done INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX store_claims_done ON store_claims (until_ms) WHERE is_done = 1`

/** Completions deleted in one transaction: few enough that writers beside it wait for milliseconds. */
const purgeChunk = 1000

export function createSqliteClaims(access: SqliteAccess): ClaimStore {
  const { prepare, write, now } = access

  const purgeSome = (): number => {
    const result = prepare(
      `DELETE FROM store_claims WHERE (scope, key) IN (
         SELECT scope, key FROM store_claims WHERE is_done = 1 AND until_ms <= ? LIMIT ${purgeChunk})`,
    ).run(Math.trunc(now()))
    return Number(result.changes)
  }

  return {
    async claim(scope, key, leaseMs) {
      check(scope, key)
      return write(() => {
        const row = prepare(
          'SELECT is_done, until_ms FROM store_claims WHERE scope = ? AND key = ?',
        ).get(scope, key)
        const untilMs = Number(row?.until_ms ?? 0)
        if (row !== undefined && untilMs > now()) {
          return row.is_done === 1 ? { state: 'done' } : { state: 'running', untilMs }
        }
        const token = nextToken(prepare)
        prepare(
          `INSERT INTO store_claims VALUES (?, ?, ?, 0, ?) ON CONFLICT DO UPDATE
           SET token = excluded.token, is_done = 0, until_ms = excluded.until_ms`,
        ).run(scope, key, token, untilOf(now(), leaseMs))
        return { state: 'claimed', token }
      })
    },
    async complete(scope, key, token, keepMs) {
      check(scope, key)
      return write(() => {
        const result = prepare(
          'UPDATE store_claims SET is_done = 1, until_ms = ? WHERE scope = ? AND key = ? AND token = ?',
        ).run(untilOf(now(), keepMs), scope, key, token)
        return result.changes === 1
      })
    },
    async release(scope, key, token) {
      check(scope, key)
      return write(() => {
        const result = prepare(
          'DELETE FROM store_claims WHERE scope = ? AND key = ? AND token = ? AND is_done = 0',
        ).run(scope, key, token)
        return result.changes === 1
      })
    },
    async purge() {
      let purged = 0
      for (;;) {
        const chunk = await write(purgeSome)
        purged += chunk
        if (chunk < purgeChunk) return purged
      }
    },
  }
}

function check(scope: string, key: string): void {
  checkKey('scope', scope)
  checkKey('key', key)
}
