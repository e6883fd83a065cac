import { arrivalSql } from './leases.ts'
import { lockOf } from './locks.ts'

/**
 * `bus_publish`: stores a batch and gives every group its deliveries, in the order of the arrays. Who gets what is decided
 * here and not by the client, whose view of the topology may be old. The bodies come in one piece, of which each is a part: in an array they
 * would be text, and twice as long.
 */
export const publishFunctions = (s: string): string => `
  CREATE OR REPLACE FUNCTION ${s}.bus_publish(
    the_shard integer, addresses text[], ids text[], the_types text[], the_keys text[],
    content_types text[], the_headers text[], priorities integer[], expiries bigint[],
    delivers bigint[], correlations text[], causations text[], windows bigint[], starts integer[], sizes integer[],
    bodies bytea,
    OUT seqs bigint[], OUT duplicates boolean[], OUT touched integer[]
  ) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $f$
  #variable_conflict use_column
  DECLARE
    now_ms bigint;
    known bigint;
    the_topic integer;
    ignored text;
  BEGIN
    PERFORM ${lockOf.topologyTogether(s)};
    now_ms := ${s}.bus_now();
    SELECT array_agg(nextval('${s}.bus_seq')) INTO seqs FROM generate_series(1, cardinality(ids));
    duplicates := array_fill(false, ARRAY[cardinality(ids)]);
    IF EXISTS (SELECT FROM unnest(windows) AS one (width) WHERE width > 0) THEN
      FOR i IN 1..cardinality(ids) LOOP
        CONTINUE WHEN windows[i] IS NULL OR windows[i] <= 0;
        SELECT id INTO the_topic FROM ${s}.bus_topic WHERE address = addresses[i];
        CONTINUE WHEN NOT FOUND;
        INSERT INTO ${s}.bus_dedup AS present VALUES (the_topic, ids[i], seqs[i], now_ms + windows[i])
        ON CONFLICT (topic, id) DO UPDATE SET seq = excluded.seq, until = excluded.until
          WHERE present.until <= now_ms;
        IF NOT FOUND THEN
          SELECT seq INTO known FROM ${s}.bus_dedup WHERE topic = the_topic AND id = ids[i];
          seqs[i] := known;
          duplicates[i] := true;
        END IF;
      END LOOP;
    END IF;

    WITH input AS MATERIALIZED (
      SELECT topic.id AS topic, topic.retention_ms,
        ${s}.bus_chain(topic.ordering, topic.id, one.key) AS chain, one.*
      FROM unnest(seqs, duplicates, addresses, ids, the_types, the_keys, content_types, the_headers,
        priorities, expiries, delivers, correlations, causations, starts, sizes)
        AS one (seq, duplicate, address, message_id, type, key, content_type, headers,
          priority, expires_at, deliver_at, correlation_id, causation_id, start, size)
      LEFT JOIN ${s}.bus_topic AS topic ON topic.address = one.address
      WHERE NOT one.duplicate
    ), offered AS MATERIALIZED (
      SELECT input.seq, input.topic, input.type, input.chain, input.priority, input.expires_at,
        input.deliver_at, sub.grp, team.consumer,
        sub.types IS NULL OR input.type = ANY (sub.types) AS is_wanted
      FROM input
      JOIN ${s}.bus_subscription AS sub ON sub.topic = input.topic
      JOIN ${s}.bus_group AS team ON team.id = sub.grp
    ), routed AS (
      INSERT INTO ${s}.bus_delivery
        (seq, grp, topic, type, state, priority, ready_at, chain, expires_at)
      SELECT seq, grp, topic, type,
        CASE WHEN deliver_at > now_ms THEN 5 ELSE ${arrivalSql({ chain: 'chain', priority: 'priority', expiresAt: 'expires_at' })} END,
        priority, CASE WHEN deliver_at > now_ms THEN deliver_at END, chain, expires_at
      FROM offered WHERE is_wanted
      RETURNING grp
    ), logged AS (
      INSERT INTO ${s}.bus_log (seq, topic, id, type, key, content_type, headers, priority,
        expires_at, deliver_at, correlation_id, causation_id, published_at, kept, body)
      SELECT seq, topic, message_id, type, key, content_type, headers, priority,
        expires_at, deliver_at, correlation_id, causation_id, now_ms, retention_ms IS NOT NULL,
        substring(bodies FROM start FOR size)
      FROM input
      WHERE topic IS NOT NULL AND (retention_ms IS NOT NULL
        OR EXISTS (SELECT FROM offered WHERE offered.seq = input.seq AND is_wanted))
    ), counted AS (
      SELECT type AS event, '' AS consumer, 'published' AS counter, count(*) AS amount
      FROM input GROUP BY type
      UNION ALL
      SELECT type, consumer, 'deliveries', count(*) FROM offered GROUP BY type, consumer
      UNION ALL
      SELECT type, consumer, CASE WHEN is_wanted THEN 'waiting' ELSE 'skipped' END, count(*)
      FROM offered GROUP BY type, consumer, is_wanted
    )
    SELECT (SELECT array_agg(DISTINCT grp) FROM routed),
      ${s}.bus_tally(the_shard, array_agg(event), array_agg(consumer), array_agg(counter), array_agg(amount))::text
    INTO touched, ignored FROM counted;
  END $f$`
