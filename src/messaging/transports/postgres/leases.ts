import { byIndexOnly } from './locks.ts'

/**
 * Two ways to lease a delivery.
 *
 * In bulk, the usual one: rows stay as they arrived (state 6), and a claim writes their numbers and chains into a few rows of `bus_lease`. A
 * message then costs its insert and its delete, nothing between. A chain that is named in a lease is its owner's alone: the claim takes
 * several messages of it, and the owner hands them out one after another.
 *
 * Row by row, for all that needs more: priorities, times to live, retries, chains with a dead head, what a crash left.
 * A row that leaves state 6 never comes back to it, so that an old lease that still names it means nothing.
 */
export const leaseTable = (s: string): string => `
  CREATE TABLE ${s}.bus_lease (
    owner bigint NOT NULL,
    no bigint NOT NULL,
    grp integer NOT NULL,
    seqs bigint[] NOT NULL,
    chains text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (owner, no)
  ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
  CREATE INDEX bus_lease_group ON ${s}.bus_lease (grp);
  ALTER TABLE ${s}.bus_owner ADD COLUMN is_watched boolean NOT NULL DEFAULT false,
    ADD COLUMN renewed_at bigint NOT NULL DEFAULT 0;
  DROP INDEX ${s}.bus_delivery_chain;
  CREATE INDEX bus_delivery_chain ON ${s}.bus_delivery (grp, chain, seq)
    WHERE chain IS NOT NULL AND state NOT IN (5, 6, 7);
  CREATE INDEX bus_delivery_placing ON ${s}.bus_delivery (grp, seq) WHERE state = 7`

/** As `bus_chain` of version 1, in a form that the planner can put in place of the call. */
export const chainFunction = (s: string): string => `
  CREATE OR REPLACE FUNCTION ${s}.bus_chain(ordering text, topic integer, key text) RETURNS text
  LANGUAGE sql IMMUTABLE AS $f$
    SELECT CASE WHEN ordering = 'per-channel' THEN topic::text
                WHEN ordering = 'none' OR key IS NULL THEN NULL
                WHEN octet_length(key) <= 200 THEN topic::text || ':' || key
                ELSE topic::text || '#' || md5(key) END
  $f$`

/** Messages in one row of `bus_lease`: few enough that the row needs no other place. */
export const leaseRowMax = 50

/** SQL: what a group's leases name. */
export const heldSql = (s: string, group: string): string =>
  `SELECT lease.owner, one.seq, one.chain FROM ${s}.bus_lease AS lease
   CROSS JOIN LATERAL unnest(lease.seqs, lease.chains) AS one (seq, chain) WHERE lease.grp = ${group}`

/** SQL: the arguments `nos` and `the_seqs`, one row for each lease. */
const groupedSql = `SELECT no, array_agg(seq) AS seqs FROM unnest(nos, the_seqs) AS one (no, seq)
      WHERE no IS NOT NULL GROUP BY no`

/** SQL: the state in which a delivery that is not delayed begins. */
export const arrivalSql = (row: { chain: string; priority: string; expiresAt: string }): string =>
  `CASE WHEN ${row.priority} = 1 AND ${row.expiresAt} IS NULL THEN 6 WHEN ${row.chain} IS NULL THEN 0 ELSE 7 END`

/**
 * `bus_unlease`: takes messages out of the leases of an owner, and makes them rows by themselves: blocked, and then the first of each chain
 * ready, unless another message of it is still out. `delivered` and `released` are added to the counts of the first, the
 * only one that may have been with a handler. With the group's lock alone, or together in the settlement of the one before them. `bus_trim`: takes numbers out of leases, and
 * leases that are empty away.
 */
export const leaseFunctions = (s: string): string => `
  CREATE OR REPLACE FUNCTION ${s}.bus_trim(the_owner bigint, nos bigint[], the_seqs bigint[]) RETURNS void
  LANGUAGE plpgsql ${byIndexOnly} AS $f$
  #variable_conflict use_column
  BEGIN
    DELETE FROM ${s}.bus_lease AS lease USING (${groupedSql}) AS gone
    WHERE lease.owner = the_owner AND lease.no = gone.no AND lease.seqs <@ gone.seqs;
    IF NOT EXISTS (SELECT FROM ${s}.bus_lease WHERE owner = the_owner AND no = ANY (nos)) THEN
      RETURN;
    END IF;
    UPDATE ${s}.bus_lease AS lease SET (seqs, chains) = (
      SELECT array_agg(one.seq), array_agg(one.chain) FROM unnest(lease.seqs, lease.chains) AS one (seq, chain)
      WHERE one.seq <> ALL (gone.seqs)
    )
    FROM (${groupedSql}) AS gone WHERE lease.owner = the_owner AND lease.no = gone.no;
  END $f$;

  CREATE OR REPLACE FUNCTION ${s}.bus_unlease(
    the_owner bigint, the_group integer, nos bigint[], the_seqs bigint[], delivered integer, released integer
  ) RETURNS void LANGUAGE plpgsql ${byIndexOnly} AS $f$
  #variable_conflict use_column
  DECLARE
    ahead text[];
  BEGIN
    -- Chains of which an earlier message stays leased: its settlement lets the next one go.
    WITH held AS MATERIALIZED (
      SELECT one.seq, line.chain, one.seq = ANY (the_seqs) AS is_leaving
      FROM ${s}.bus_lease AS lease CROSS JOIN LATERAL unnest(lease.seqs) AS one (seq)
      JOIN ${s}.bus_delivery AS line ON line.seq = one.seq AND line.grp = the_group AND line.state + 0 = 6
      WHERE lease.owner = the_owner AND lease.grp = the_group AND line.chain IS NOT NULL
    )
    SELECT coalesce(array_agg(chain), ARRAY[]::text[]) INTO ahead FROM (
      SELECT chain FROM held GROUP BY chain
      HAVING min(seq) FILTER (WHERE NOT is_leaving) < min(seq) FILTER (WHERE is_leaving)
    ) AS one;

    WITH leased AS MATERIALIZED (
      SELECT one.seq FROM ${s}.bus_lease AS lease CROSS JOIN LATERAL unnest(lease.seqs) AS one (seq)
      WHERE lease.owner = the_owner AND lease.no = ANY (nos)
    ), leaving AS MATERIALIZED (
      SELECT line.seq, line.chain, row_number() OVER (PARTITION BY line.chain ORDER BY line.seq) AS place
      FROM (SELECT DISTINCT unnest(the_seqs) AS seq) AS one
      JOIN ${s}.bus_delivery AS line ON line.seq = one.seq AND line.grp = the_group AND line.state + 0 = 6
      WHERE one.seq IN (SELECT seq FROM leased)
    ), moved AS (
      UPDATE ${s}.bus_delivery AS line SET
        state = CASE WHEN leaving.chain IS NULL THEN 0 ELSE 2 END,
        deliveries = line.deliveries + CASE WHEN leaving.chain IS NULL OR leaving.place = 1 THEN delivered ELSE 0 END,
        releases = line.releases + CASE WHEN leaving.chain IS NULL OR leaving.place = 1 THEN released ELSE 0 END
      FROM leaving WHERE line.seq = leaving.seq AND line.grp = the_group AND line.state + 0 = 6
      RETURNING line.chain
    )
    SELECT array_agg(DISTINCT chain) INTO ahead FROM moved WHERE chain IS NOT NULL AND chain <> ALL (ahead);
    PERFORM ${s}.bus_promote(array_agg(the_group), array_agg(chain)) FROM unnest(ahead) AS one (chain)
    WHERE NOT EXISTS (SELECT FROM ${s}.bus_delivery AS other WHERE other.grp = the_group AND other.chain = one.chain
      AND other.chain IS NOT NULL AND other.state NOT IN (5, 6, 7) AND other.state IN (0, 1, 3, 4));
    PERFORM ${s}.bus_trim(the_owner, nos, the_seqs);
  END $f$`
