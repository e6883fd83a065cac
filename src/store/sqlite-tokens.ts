import type { StatementSync } from 'node:sqlite'

/**
 * The migration that makes the table of this file: one row, the last token given out. One sequence
 * for claims and locks, which never goes back, so that a token of a row deleted since is never met again.
 */
export const tokensTable = `
  CREATE TABLE store_tokens (last INTEGER NOT NULL) STRICT;
  INSERT INTO store_tokens VALUES (0)`

/** A number greater than all before it; to be taken inside the transaction that uses it. */
export function nextToken(prepare: (sql: string) => StatementSync): number {
  return Number(prepare('UPDATE store_tokens SET last = last + 1 RETURNING last').get()?.last)
}
