import { byIndexOnly, lockOf } from './locks.ts'

/** Rows of one kind that one call handles at most, so that the group's lock is held for a short time. */
const rowsMax = 1000
/** Every so many slots the oldest ready message goes first, whatever its priority. */
const guardEvery = 16

/**
 * `bus_tend` (what is due becomes ready, what has expired ends, what has arrived finds its place) and `bus_claim`, which
 * begins with it. A claim need not be on disk when it returns: lost with the server, the rows are ready again.
 */
export const claimFunctions = (s: string): string => `
  -- True: a bound was reached, so there is more to do. With the group's lock for oneself.
  CREATE FUNCTION ${s}.bus_tend(the_group integer, the_shard integer) RETURNS boolean
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
    SET ready_at = NULL, state = CASE WHEN line.state = 3 OR line.chain IS NULL THEN 0 ELSE 6 END
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

    WITH arrived AS MATERIALIZED (
      SELECT seq, chain FROM ${s}.bus_delivery WHERE grp = the_group AND state = 6
      ORDER BY seq LIMIT ${rowsMax * 4} FOR UPDATE SKIP LOCKED
    ), heads AS (
      SELECT chain, min(seq) AS seq FROM arrived GROUP BY chain
    ), free AS MATERIALIZED (
      SELECT heads.seq FROM heads WHERE NOT EXISTS (
        SELECT FROM ${s}.bus_delivery AS other WHERE other.grp = the_group AND other.chain = heads.chain
          AND other.chain IS NOT NULL AND other.state NOT IN (5, 6))
    )
    UPDATE ${s}.bus_delivery AS line
    SET state = CASE WHEN line.seq IN (SELECT seq FROM free) THEN 0 ELSE 2 END
    FROM arrived WHERE line.seq = arrived.seq AND line.grp = the_group;
    GET DIAGNOSTICS handled = ROW_COUNT;
    RETURN has_more OR handled = ${rowsMax * 4};
  END $f$;

  -- Milliseconds until something of the group falls due or expires; NULL: nothing will.
  CREATE FUNCTION ${s}.bus_next_due(the_group integer) RETURNS bigint LANGUAGE sql VOLATILE AS $f$
    SELECT greatest(0, least(
      (SELECT min(ready_at) FROM ${s}.bus_delivery WHERE grp = the_group AND ready_at IS NOT NULL),
      (SELECT expires_at FROM ${s}.bus_delivery
       WHERE grp = the_group AND expires_at IS NOT NULL AND state NOT IN (1, 4)
       ORDER BY expires_at LIMIT 1)
    ) - ${s}.bus_now())
  $f$;

  -- The first line returned says how it stands; each further one is a delivery.
  CREATE FUNCTION ${s}.bus_claim(
    the_owner bigint, the_group integer, wanted integer, slots integer, the_shard integer
  ) RETURNS TABLE (
    standing text, seq bigint, attempts integer, deliveries integer, first_failed_at bigint,
    address text, id text, type text, key text, content_type text, headers text, priority smallint,
    expires_at bigint, deliver_at bigint, correlation_id text, causation_id text,
    published_at bigint, body bytea
  ) LANGUAGE plpgsql ${byIndexOnly} AS $f$
  #variable_conflict use_column
  DECLARE
    most integer;
    guarded integer := (slots + wanted) / ${guardEvery} - slots / ${guardEvery};
    crashed ${s}.bus_delivery[];
    picked bigint[];
    has_more boolean;
  BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM ${lockOf.groupAlone(s, 'the_group')};
    IF NOT EXISTS (SELECT FROM ${s}.bus_owner WHERE id = the_owner AND lease_until > ${s}.bus_now()) THEN
      RETURN;
    END IF;
    SELECT deliveries_max INTO most FROM ${s}.bus_group WHERE id = the_group;
    has_more := ${s}.bus_tend(the_group, the_shard);

    WITH top AS (
      SELECT seq FROM ${s}.bus_delivery WHERE grp = the_group AND state = 0
      ORDER BY priority DESC, seq LIMIT wanted FOR UPDATE SKIP LOCKED
    ), kept AS (
      SELECT line.seq FROM top JOIN ${s}.bus_delivery AS line ON line.seq = top.seq AND line.grp = the_group
      ORDER BY line.priority DESC, line.seq
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
    standing := json_build_object('hasMore', has_more,
      'dueIn', CASE WHEN NOT has_more THEN ${s}.bus_next_due(the_group) END)::text;
    RETURN NEXT;
    standing := NULL;
    RETURN QUERY
      SELECT NULL::text, line.seq, line.attempts, line.deliveries, line.first_failed_at, topic.address,
        message.id, message.type, message.key, message.content_type, message.headers, line.priority,
        line.expires_at, message.deliver_at, message.correlation_id, message.causation_id,
        message.published_at, message.body
      FROM unnest(picked) WITH ORDINALITY AS chosen (seq, place)
      JOIN ${s}.bus_delivery AS line ON line.seq = chosen.seq AND line.grp = the_group
        AND line.state = 1 AND line.owner = the_owner
      JOIN ${s}.bus_log AS message ON message.seq = line.seq
      JOIN ${s}.bus_topic AS topic ON topic.id = message.topic
      ORDER BY chosen.place;
  END $f$`
