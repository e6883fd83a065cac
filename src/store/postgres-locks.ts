import { checkKey } from './keys.ts'
import type { PostgresAccess } from './postgres-access.ts'
import { leaseOf, sqlAfterMs } from './postgres-leases.ts'
import type { LockStore } from './store.ts'

/** The migration that makes the table and the function of this file; a function for the reason of claims. */
export const locksTable = (schema: string): string => `
  CREATE TABLE ${schema}.store_locks (
    name text COLLATE "C" PRIMARY KEY,
    holder text NOT NULL,
    fence bigint NOT NULL,
    until timestamptz NOT NULL
  ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
  CREATE FUNCTION ${schema}.store_acquire(the_name text, the_holder text, lease_ms double precision)
  RETURNS bigint LANGUAGE plpgsql AS $acquire$
  DECLARE
    present timestamptz;
    drawn bigint;
  BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('${schema}.lock ' || the_name, 0));
    SELECT until INTO present FROM ${schema}.store_locks WHERE name = the_name FOR UPDATE;
    IF present > clock_timestamp() THEN
      RETURN NULL;
    END IF;
    drawn := nextval('${schema}.store_tokens');
    INSERT INTO ${schema}.store_locks VALUES (the_name, the_holder, drawn, ${sqlAfterMs('lease_ms')})
    ON CONFLICT (name) DO UPDATE
    SET holder = excluded.holder, fence = excluded.fence, until = excluded.until;
    RETURN drawn;
  END $acquire$`

export function createPostgresLocks(access: PostgresAccess): LockStore {
  const { schema, write } = access
  const table = `${schema}.store_locks`
  return {
    async acquire(name, holder, leaseMs) {
      checkKey('name', name)
      checkKey('holder', holder)
      const [row] = await write(`SELECT ${schema}.store_acquire($1, $2, $3) AS fence`, [
        name,
        holder,
        leaseOf(leaseMs),
      ])
      const fence = row?.fence ?? null
      return fence === null ? undefined : { name, fence: Number(fence) }
    },
    async renew({ name, fence }, leaseMs) {
      const rows = await write(
        `UPDATE ${table} SET until = ${sqlAfterMs('$3::double precision')}
         WHERE name = $1 AND fence = $2 RETURNING 1`,
        [name, fence, leaseOf(leaseMs)],
      )
      return rows.length === 1
    },
    async release({ name, fence }) {
      const rows = await write(`DELETE FROM ${table} WHERE name = $1 AND fence = $2 RETURNING 1`, [
        name,
        fence,
      ])
      return rows.length === 1
    },
  }
}
