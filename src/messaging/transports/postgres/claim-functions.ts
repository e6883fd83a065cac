import { arrivalSql, heldSql, leaseRowMax } from './leases.ts'
import { byIndexOnly, lockOf } from './locks.ts'

/** Rows of one kind that one call handles at most, so that the group's lock is held for a short time. */
const rowsMax = 1000
/** Every so many slots the oldest ready message goes first, whatever its priority. */
const guardEvery = 16

/** Messages of one chain that are leased to one process at a time. */
const depthMax = 16
/** Messages that a claim looks at when none at the front can go. */
const lookMax = 5000

/** SQL: a row by its key, one look for each, however small the table looks when the plan is made. */
const rowOf = (s: string, table: string, where: string) =>
  `CROSS JOIN LATERAL (SELECT * FROM ${s}.${table} WHERE ${where} LIMIT 1)`

/** The chains of a group that have a row by itself, whatever it does; read only where there is one at all. */
const busyChains = (s: string, candidates: string) => `
      SELECT one.chain FROM (SELECT DISTINCT chain FROM ${candidates} WHERE chain IS NOT NULL) AS one
      CROSS JOIN LATERAL (
        SELECT FROM ${s}.bus_delivery AS other WHERE other.grp = the_group AND other.chain = one.chain
          AND other.chain IS NOT NULL AND other.state NOT IN (5, 6, 7) LIMIT 1
      ) AS holder
      WHERE EXISTS (SELECT FROM ${s}.bus_delivery AS any_row
        WHERE any_row.grp = the_group AND any_row.chain IS NOT NULL AND any_row.state NOT IN (5, 6, 7))`

/**
 * What has arrived and is not leased, oldest first; which of it is of a chain that somebody else has or that has a row by itself; and how many
 * of its chain are leased to us before it. One statement and one snapshot: a settlement or a crash is seen whole or not at all.
 * From the beginning each time, although the index is full of what has gone: below any floor a publish may be that was slow to commit, and what
 * depends on it must not go before it.
 */
const candidates = (s: string, look: string) => `
    held AS MATERIALIZED (${heldSql(s, 'the_group')}),
    seen AS MATERIALIZED (
      SELECT seq, chain FROM ${s}.bus_delivery WHERE grp = the_group AND state = 6
      ORDER BY seq LIMIT ${look} + (SELECT count(*) FROM held)
    ),
    loose AS MATERIALIZED (SELECT seq, chain FROM seen WHERE seq NOT IN (SELECT seq FROM held)),
    stuck AS MATERIALIZED (${busyChains(s, 'loose')}),
    foreign_chains AS MATERIALIZED (SELECT chain FROM held WHERE owner <> the_owner AND chain IS NOT NULL),
    ranked AS MATERIALIZED (
      SELECT seq, chain, is_loose,
        CASE WHEN chain IS NULL THEN 1
          ELSE row_number() OVER (PARTITION BY chain ORDER BY is_loose, seq) END AS depth
      FROM (
        SELECT seq, chain, true AS is_loose FROM loose
        UNION ALL SELECT seq, chain, false FROM held WHERE owner = the_owner AND chain IS NOT NULL
      ) AS both_kinds
    )`

/**
 * `bus_tend` (what is due becomes ready, what has expired ends, what has arrived finds its place) and `bus_claim`, which
 * begins with it. A claim need not be on disk when it returns: lost with the server, the rows are ready again.
 */
export const claimFunctions = (s: string): string => `
  -- True: priorities or times to live are about, so that arrivals are looked at one by one.
  CREATE OR REPLACE FUNCTION ${s}.bus_is_mixed(the_group integer) RETURNS boolean
  LANGUAGE plpgsql ${byIndexOnly} AS $f$
  BEGIN
    RETURN EXISTS (SELECT FROM ${s}.bus_delivery WHERE grp = the_group AND state = 7)
      OR EXISTS (SELECT FROM ${s}.bus_delivery WHERE grp = the_group AND state = 0 AND priority > 1)
      OR EXISTS (SELECT FROM ${s}.bus_delivery WHERE grp = the_group AND state = 0 AND priority < 1);
  END $f$;

  -- True: a bound was reached, so there is more to do. With the claims' lock and the group's for oneself.
  CREATE OR REPLACE FUNCTION ${s}.bus_tend(the_group integer, the_shard integer) RETURNS boolean
  LANGUAGE plpgsql ${byIndexOnly} AS $f$
  #variable_conflict use_column
  DECLARE
    now_ms bigint := ${s}.bus_now();
    has_more boolean := false;
    expired ${s}.bus_delivery[];
    handled integer;
  BEGIN
    WITH due AS (
      SELECT seq FROM ${s}.bus_delivery WHERE grp = the_group AND ready_at <= now_ms
      ORDER BY ready_at LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED
    )
    UPDATE ${s}.bus_delivery AS line
    SET ready_at = NULL, state = CASE WHEN line.state = 3 THEN 0
      ELSE ${arrivalSql({ chain: 'line.chain', priority: 'line.priority', expiresAt: 'line.expires_at' })} END
    FROM due WHERE line.seq = due.seq AND line.grp = the_group;
    GET DIAGNOSTICS handled = ROW_COUNT;
    has_more := has_more OR handled = ${rowsMax};

    WITH over AS (
      SELECT line FROM ${s}.bus_delivery AS line
      WHERE grp = the_group AND expires_at <= now_ms AND state NOT IN (1, 4)
      ORDER BY expires_at LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED
    )
    SELECT array_agg(line) INTO expired FROM over;
    IF expired IS NOT NULL THEN
      handled := cardinality(expired);
      has_more := has_more OR handled = ${rowsMax};
      PERFORM ${s}.bus_bury(the_shard, expired, array_fill('EXPIRED'::text, ARRAY[handled]),
        array_fill('{"message":"its time to live passed before it was handled"}'::text, ARRAY[handled]),
        array_fill(NULL::text, ARRAY[handled]), array_fill('expired'::text, ARRAY[handled]),
        (SELECT array_agg(attempts) FROM unnest(expired)));
    END IF;

    IF NOT ${s}.bus_is_mixed(the_group) THEN
      RETURN has_more;
    END IF;
    WITH held AS MATERIALIZED (${heldSql(s, 'the_group')}), arrived AS MATERIALIZED (
      SELECT seq, chain FROM (
        (SELECT seq, chain FROM ${s}.bus_delivery WHERE grp = the_group AND state = 6
         ORDER BY seq LIMIT ${rowsMax * 4} + (SELECT count(*) FROM held))
        UNION ALL
        (SELECT seq, chain FROM ${s}.bus_delivery WHERE grp = the_group AND state = 7
         ORDER BY seq LIMIT ${rowsMax * 4})
      ) AS both_kinds WHERE seq NOT IN (SELECT seq FROM held) ORDER BY seq LIMIT ${rowsMax * 4}
    ), heads AS (
      SELECT chain, min(seq) AS seq FROM arrived WHERE chain IS NOT NULL GROUP BY chain
    ), free AS MATERIALIZED (
      SELECT heads.seq FROM heads WHERE chain NOT IN (SELECT chain FROM held WHERE chain IS NOT NULL)
        AND NOT EXISTS (
          SELECT FROM ${s}.bus_delivery AS other WHERE other.grp = the_group AND other.chain = heads.chain
            AND other.chain IS NOT NULL AND other.state NOT IN (5, 6, 7))
    )
    UPDATE ${s}.bus_delivery AS line
    SET state = CASE WHEN line.chain IS NULL OR line.seq IN (SELECT seq FROM free) THEN 0 ELSE 2 END
    FROM arrived WHERE line.seq = arrived.seq AND line.grp = the_group;
    GET DIAGNOSTICS handled = ROW_COUNT;
    RETURN has_more OR handled = ${rowsMax * 4};
  END $f$;

  -- Milliseconds until something of the group falls due or expires; NULL: nothing will.
  CREATE OR REPLACE FUNCTION ${s}.bus_next_due(the_group integer) RETURNS bigint
  LANGUAGE plpgsql ${byIndexOnly} AS $f$
  DECLARE
    due bigint := least(
      (SELECT ready_at FROM ${s}.bus_delivery WHERE grp = the_group AND ready_at IS NOT NULL ORDER BY ready_at LIMIT 1),
      (SELECT expires_at FROM ${s}.bus_delivery
       WHERE grp = the_group AND expires_at IS NOT NULL AND state NOT IN (1, 4)
       ORDER BY expires_at LIMIT 1));
  BEGIN
    RETURN CASE WHEN due IS NOT NULL THEN greatest(0, due - ${s}.bus_now()) END;
  END $f$;

  -- Leases row by row what is ready; the numbers, in the order in which they go out.
  CREATE OR REPLACE FUNCTION ${s}.bus_claim_rows(
    the_owner bigint, the_group integer, wanted integer, slots integer, the_shard integer,
    OUT picked bigint[], OUT has_more boolean
  ) LANGUAGE plpgsql ${byIndexOnly} AS $f$
  #variable_conflict use_column
  DECLARE
    most integer;
    guarded integer := (slots + wanted) / ${guardEvery} - slots / ${guardEvery};
    crashed ${s}.bus_delivery[];
  BEGIN
    SELECT deliveries_max INTO most FROM ${s}.bus_group WHERE id = the_group;
    has_more := ${s}.bus_tend(the_group, the_shard);
    WITH top AS (
      SELECT seq, priority FROM ${s}.bus_delivery WHERE grp = the_group AND state = 0
      ORDER BY priority DESC, seq LIMIT wanted FOR UPDATE SKIP LOCKED
    ), kept AS (
      SELECT seq FROM top ORDER BY priority DESC, seq
      LIMIT (SELECT count(*) FROM top) - CASE WHEN (SELECT count(*) FROM top) < wanted THEN 0 ELSE guarded END
    ), oldest AS (
      SELECT seq FROM ${s}.bus_delivery WHERE grp = the_group AND state = 0 AND guarded > 0
      ORDER BY seq LIMIT wanted FOR UPDATE SKIP LOCKED
    ), others AS (
      SELECT seq FROM oldest WHERE seq NOT IN (SELECT seq FROM kept) ORDER BY seq
      LIMIT wanted - (SELECT count(*) FROM kept)
    )
    SELECT array_agg(seq) INTO picked
    FROM (SELECT seq FROM kept UNION ALL SELECT seq FROM others) AS chosen;

    SELECT array_agg(line) INTO crashed FROM ${s}.bus_delivery AS line
    WHERE grp = the_group AND seq = ANY (picked) AND deliveries - releases >= most;
    IF crashed IS NOT NULL THEN
      PERFORM ${s}.bus_bury(the_shard, crashed, array_agg('CRASH_LOOP'::text),
        array_agg(json_build_object('message',
          'it was handed out ' || deliveries - releases || ' times and never settled')::text),
        array_agg(NULL::text), array_agg('dead'::text), array_agg(greatest(attempts, deliveries - releases)))
      FROM unnest(crashed);
    END IF;
    UPDATE ${s}.bus_delivery SET state = 1, owner = the_owner, deliveries = deliveries + 1
    WHERE grp = the_group AND seq = ANY (picked) AND state = 0
      AND deliveries - releases < most;
    has_more := has_more OR crashed IS NOT NULL OR coalesce(cardinality(picked) >= wanted, false);
  END $f$;

  -- Leases in bulk what has arrived, of chains that are free or ours. Where the front is full of messages that cannot go, it looks further,
  -- and then sets those aside, row by row, that wait for a single row of their chain or are too many of one that somebody has.
  CREATE OR REPLACE FUNCTION ${s}.bus_claim_bulk(
    the_owner bigint, the_group integer, wanted integer, the_no bigint,
    OUT picked bigint[], OUT its_chains text[], OUT has_more boolean, OUT has_leftover boolean
  ) LANGUAGE plpgsql ${byIndexOnly} AS $f$
  #variable_conflict use_column
  DECLARE
    look integer := wanted + 100;
    found_loose integer;
    aside integer;
  BEGIN
    LOOP
      WITH ${candidates(s, 'look')}, chosen AS (
        SELECT seq, chain FROM ranked WHERE is_loose AND depth <= ${depthMax} AND (chain IS NULL
          OR chain NOT IN (SELECT chain FROM stuck) AND chain NOT IN (SELECT chain FROM foreign_chains))
        ORDER BY seq LIMIT wanted
      )
      SELECT array_agg(seq ORDER BY seq), array_agg(chain ORDER BY seq), (SELECT count(*) FROM loose)
      INTO picked, its_chains, found_loose FROM chosen;
      EXIT WHEN picked IS NOT NULL OR found_loose < look OR look >= ${lookMax};
      look := ${lookMax};
    END LOOP;
    has_more := coalesce(cardinality(picked) >= wanted, false);
    has_leftover := found_loose > coalesce(cardinality(picked), 0);
    IF picked IS NOT NULL THEN
      INSERT INTO ${s}.bus_lease (owner, no, grp, seqs, chains)
      SELECT the_owner, the_no + (place - 1) / ${leaseRowMax}, the_group,
        array_agg(seq ORDER BY place), array_agg(chain ORDER BY place)
      FROM unnest(picked, its_chains) WITH ORDINALITY AS one (seq, chain, place)
      GROUP BY (place - 1) / ${leaseRowMax};
    ELSIF found_loose >= look THEN
      PERFORM ${lockOf.groupAlone(s, 'the_group')};
      WITH ${candidates(s, 'look')}
      UPDATE ${s}.bus_delivery AS line SET state = 2
      FROM ranked WHERE line.seq = ranked.seq AND line.grp = the_group AND ranked.is_loose
        -- All of a chain, so that nothing is left before them, and only of one that has a holder, whose end lets them go.
        AND (ranked.chain IN (SELECT chain FROM stuck) OR ranked.chain IN (SELECT chain FROM held WHERE chain IS NOT NULL)
          AND ranked.chain IN (SELECT chain FROM ranked GROUP BY chain HAVING count(*) > ${depthMax}));
      GET DIAGNOSTICS aside = ROW_COUNT;
      has_more := aside > 0;
    END IF;
  END $f$;

  -- The first line returned says how it stands; each further one is a delivery. Those with a lease are leased in bulk.
  CREATE OR REPLACE FUNCTION ${s}.bus_claim(
    the_owner bigint, the_group integer, wanted integer, slots integer, the_shard integer, the_no bigint
  ) RETURNS TABLE (
    standing text, seq bigint, lease bigint, chain text, attempts integer, deliveries integer, first_failed_at bigint,
    address text, id text, type text, key text, content_type text, headers text, priority smallint,
    expires_at bigint, deliver_at bigint, correlation_id text, causation_id text,
    published_at bigint, body bytea
  ) LANGUAGE plpgsql ${byIndexOnly} AS $f$
  #variable_conflict use_column
  DECLARE
    picked bigint[];
    bulk bigint[];
    bulk_chains text[];
    has_more boolean := false;
    bulk_has_more boolean := false;
    leftover boolean := true;
  BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM ${lockOf.claimsAlone(s, 'the_group')};
    IF NOT EXISTS (SELECT FROM ${s}.bus_owner WHERE id = the_owner AND lease_until > ${s}.bus_now()) THEN
      RETURN;
    END IF;
    IF ${s}.bus_has_rows(the_group) THEN
      PERFORM ${lockOf.groupAlone(s, 'the_group')};
      SELECT one.picked, one.has_more INTO picked, has_more
      FROM ${s}.bus_claim_rows(the_owner, the_group, wanted, slots, the_shard) AS one;
    END IF;
    IF coalesce(cardinality(picked), 0) < wanted AND NOT ${s}.bus_is_mixed(the_group) THEN
      SELECT one.picked, one.its_chains, one.has_more, one.has_leftover
      INTO bulk, bulk_chains, bulk_has_more, leftover
      FROM ${s}.bus_claim_bulk(
        the_owner, the_group, wanted - coalesce(cardinality(picked), 0), the_no) AS one;
      has_more := has_more OR bulk_has_more;
    END IF;

    -- It may have been taken for dead while we waited: what it gets now nobody would ever free.
    PERFORM FROM ${s}.bus_owner WHERE id = the_owner FOR KEY SHARE;
    IF NOT FOUND THEN
      DELETE FROM ${s}.bus_lease WHERE owner = the_owner;
      UPDATE ${s}.bus_delivery SET state = 0, owner = NULL, deliveries = deliveries - 1
      WHERE grp = the_group AND seq = ANY (picked) AND state = 1 AND owner = the_owner;
      RETURN;
    END IF;

    standing := json_build_object('hasMore', has_more, 'hasLeftover', leftover,
      'dueIn', CASE WHEN NOT has_more THEN ${s}.bus_next_due(the_group) END)::text;
    RETURN NEXT;
    IF picked IS NOT NULL THEN
      RETURN QUERY
        SELECT NULL::text, line.seq, NULL::bigint, NULL::text, line.attempts, line.deliveries, line.first_failed_at,
          topic.address, message.id, message.type, message.key, message.content_type, message.headers, line.priority,
          line.expires_at, message.deliver_at, message.correlation_id, message.causation_id,
          message.published_at, message.body
        FROM unnest(picked) WITH ORDINALITY AS chosen (seq, place)
        ${rowOf(s, 'bus_delivery', 'seq = chosen.seq AND grp = the_group AND state + 0 = 1 AND owner + 0 = the_owner')} AS line
        ${rowOf(s, 'bus_log', 'seq = chosen.seq')} AS message
        JOIN ${s}.bus_topic AS topic ON topic.id = message.topic
        ORDER BY chosen.place;
    END IF;
    IF bulk IS NOT NULL THEN
      RETURN QUERY
        SELECT NULL::text, chosen.seq, the_no + (chosen.place - 1) / ${leaseRowMax}, chosen.chain, 0, 1, NULL::bigint,
          topic.address, message.id, message.type, message.key, message.content_type, message.headers, message.priority,
          NULL::bigint, message.deliver_at, message.correlation_id, message.causation_id,
          message.published_at, message.body
        FROM unnest(bulk, bulk_chains) WITH ORDINALITY AS chosen (seq, chain, place)
        ${rowOf(s, 'bus_log', 'seq = chosen.seq')} AS message
        JOIN ${s}.bus_topic AS topic ON topic.id = message.topic
        ORDER BY chosen.place;
    END IF;
  END $f$;

  -- True: a claim has more to do than to lease in bulk.
  CREATE OR REPLACE FUNCTION ${s}.bus_has_rows(the_group integer) RETURNS boolean
  LANGUAGE plpgsql ${byIndexOnly} AS $f$
  BEGIN
    RETURN EXISTS (SELECT FROM ${s}.bus_delivery WHERE grp = the_group AND state = 0)
      OR EXISTS (SELECT FROM ${s}.bus_delivery WHERE grp = the_group AND state = 7)
      OR EXISTS (SELECT FROM ${s}.bus_delivery WHERE grp = the_group AND ready_at <= ${s}.bus_now())
      OR EXISTS (SELECT FROM ${s}.bus_delivery
        WHERE grp = the_group AND expires_at <= ${s}.bus_now() AND state NOT IN (1, 4));
  END $f$`
