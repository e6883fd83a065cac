import { checkKey } from './keys.ts'
import type { PostgresAccess } from './postgres-access.ts'
import { leaseOf, sqlAfterMs } from './postgres-leases.ts'
import { foldName } from './postgres-names.ts'
import type { ClaimStore } from './store.ts'

/**
 * The migration that makes the table and the function of this file. The claim is a function because its steps
 * need an order: a token is drawn only by whoever holds the key's lock, so that tokens of a key grow also
 * where a row was released or purged in between.
 */
export const claimsTable = (schema: string): string => `
  CREATE TABLE ${schema}.store_claims (
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    token bigint NOT NULL,
    is_done boolean NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (scope, key)
  ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
  CREATE INDEX store_claims_done ON ${schema}.store_claims (until) WHERE is_done;
  CREATE FUNCTION ${schema}.store_claim(the_scope text, the_key text, lease_ms double precision,
    OUT claimed bigint, OUT done boolean, OUT until_ms double precision
  ) LANGUAGE plpgsql AS $claim$
  DECLARE
    present ${schema}.store_claims;
  BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('${schema}.claim ' || the_scope || ' ' || the_key, 0));
    SELECT * INTO present FROM ${schema}.store_claims WHERE scope = the_scope AND key = the_key FOR UPDATE;
    IF FOUND AND present.until > clock_timestamp() THEN
      done := present.is_done;
      until_ms := ceil(extract(epoch FROM present.until) * 1000);
      RETURN;
    END IF;
    claimed := nextval('${schema}.store_tokens');
    INSERT INTO ${schema}.store_claims
    VALUES (the_scope, the_key, claimed, false, ${sqlAfterMs('lease_ms')})
    ON CONFLICT (scope, key) DO UPDATE
    SET token = excluded.token, is_done = false, until = excluded.until;
  END $claim$`

/** Completions deleted in one transaction: few enough that it stays short. */
const purgeChunk = 1000

export function createPostgresClaims(access: PostgresAccess): ClaimStore {
  const { schema, write } = access
  const table = `${schema}.store_claims`

  return {
    async claim(scope, key, leaseMs) {
      check(scope, key)
      const [row] = await write(`SELECT * FROM ${schema}.store_claim($1, $2, $3)`, [
        foldName(scope),
        key,
        leaseOf(leaseMs),
      ])
      if (row !== undefined && row.claimed !== null) {
        return { state: 'claimed', token: Number(row.claimed) }
      }
      if (row?.done === true) return { state: 'done' }
      return { state: 'running', untilMs: Number(row?.until_ms) }
    },
    async complete(scope, key, token, keepMs) {
      check(scope, key)
      const rows = await write(
        `UPDATE ${table} SET is_done = true, until = ${sqlAfterMs('$4::double precision')}
         WHERE scope = $1 AND key = $2 AND token = $3 RETURNING 1`,
        [foldName(scope), key, token, leaseOf(keepMs)],
      )
      return rows.length === 1
    },
    async release(scope, key, token) {
      check(scope, key)
      const rows = await write(
        `DELETE FROM ${table} WHERE scope = $1 AND key = $2 AND token = $3 AND NOT is_done RETURNING 1`,
        [foldName(scope), key, token],
      )
      return rows.length === 1
    },
    async purge() {
      let purged = 0
      for (;;) {
        const rows = await write(
          `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM ${table} WHERE is_done AND until <= clock_timestamp()
             LIMIT ${purgeChunk} FOR UPDATE SKIP LOCKED))
           RETURNING 1`,
        )
        purged += rows.length
        if (rows.length < purgeChunk) return purged
      }
    },
  }
}

function check(scope: string, key: string): void {
  checkKey('scope', scope)
  checkKey('key', key)
}
