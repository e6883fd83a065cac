import { arrivalSql } from './leases.ts'
import { byIndexOnly, lockOf } from './locks.ts'

/**
 * `bus_publish`: stores a batch and gives every group its deliveries, in the order of the arrays. Who gets what is decided
 * here and not by the client, whose view of the topology may be old. The bodies come in one piece, of which each is a part: in an array they
 * would be text, and twice as long. A column that is the same for all is an array of one, one without values is NULL: reading arrays is a good
 * part of the work. `bus_publish_alike` is what remains for messages of one type and channel, as nearly all batches are.
 */
export const publishFunctions = (s: string): string => `
  CREATE OR REPLACE FUNCTION ${s}.bus_publish_alike(
    the_shard integer, the_address text, the_seqs bigint[], ids text[], the_type text, the_keys text[],
    content_types text[], the_headers text[], priorities integer[], expiries bigint[],
    delivers bigint[], correlations text[], causations text[], starts integer[], sizes integer[], bodies bytea, now_ms bigint
  ) RETURNS integer[] LANGUAGE plpgsql ${byIndexOnly} AS $f$
  #variable_conflict use_column
  DECLARE
    the_topic record;
    team record;
    touched integer[];
    consumers text[] := ARRAY[''];
    kinds text[] := ARRAY['published'];
    counted text[];
  BEGIN
    SELECT id, ordering, retention_ms INTO the_topic FROM ${s}.bus_topic WHERE address = the_address;
    FOR team IN
      SELECT sub.grp, one.consumer, sub.types IS NULL OR the_type = ANY (sub.types) AS is_wanted
      FROM ${s}.bus_subscription AS sub JOIN ${s}.bus_group AS one ON one.id = sub.grp
      WHERE sub.topic = the_topic.id
    LOOP
      consumers := consumers || team.consumer;
      kinds := kinds || CASE WHEN team.is_wanted THEN 'waiting' ELSE 'skipped' END;
      CONTINUE WHEN NOT team.is_wanted;
      touched := touched || team.grp;
      INSERT INTO ${s}.bus_delivery (seq, grp, topic, type, state, priority, ready_at, chain, expires_at)
      SELECT seq, team.grp, the_topic.id, the_type,
        CASE WHEN deliver_at > now_ms THEN 5 ELSE ${arrivalSql({ chain: 'chain', priority: 'priority', expiresAt: 'expires_at' })} END,
        priority, CASE WHEN deliver_at > now_ms THEN deliver_at END, chain, expires_at
      FROM (
        SELECT seq, ${s}.bus_chain(the_topic.ordering, the_topic.id, key) AS chain, expires_at, deliver_at,
          coalesce(priority, priorities[1]) AS priority
        FROM unnest(the_seqs, the_keys, priorities, expiries, delivers) AS one (seq, key, priority, expires_at, deliver_at)
      ) AS input;
    END LOOP;
    IF the_topic.retention_ms IS NOT NULL OR touched IS NOT NULL THEN
      INSERT INTO ${s}.bus_log (seq, topic, id, type, key, content_type, headers, priority,
        expires_at, deliver_at, correlation_id, causation_id, published_at, kept, body)
      SELECT seq, the_topic.id, message_id, the_type, key, coalesce(content_type, content_types[1]), headers,
        coalesce(priority, priorities[1]), expires_at, deliver_at, correlation_id, causation_id, now_ms,
        the_topic.retention_ms IS NOT NULL, substring(bodies FROM start FOR size)
      FROM unnest(the_seqs, ids, the_keys, content_types, the_headers, priorities, expiries, delivers, correlations, causations,
        starts, sizes) AS one (seq, message_id, key, content_type, headers, priority, expires_at, deliver_at, correlation_id,
        causation_id, start, size);
    END IF;
    WITH added AS (
      UPDATE ${s}.bus_count AS present SET
        published = present.published + CASE kind WHEN 'published' THEN cardinality(ids) ELSE 0 END,
        deliveries = present.deliveries + CASE kind WHEN 'published' THEN 0 ELSE cardinality(ids) END,
        waiting = present.waiting + CASE kind WHEN 'waiting' THEN cardinality(ids) ELSE 0 END,
        skipped = present.skipped + CASE kind WHEN 'skipped' THEN cardinality(ids) ELSE 0 END
      FROM (SELECT * FROM unnest(consumers, kinds) AS one (consumer, kind) ORDER BY consumer COLLATE "C") AS one
      WHERE present.event = the_type AND present.consumer = one.consumer AND present.shard = the_shard
      RETURNING present.consumer
    )
    SELECT array_agg(consumer) INTO counted FROM added;
    IF cardinality(consumers) > coalesce(cardinality(counted), 0) THEN
      PERFORM ${s}.bus_tally(the_shard, array_agg(the_type), array_agg(consumer), array_agg(counter), array_agg(amount))
      FROM unnest(consumers, kinds) AS one (consumer, kind)
      CROSS JOIN LATERAL (VALUES (kind, cardinality(ids)::bigint),
        ('deliveries', CASE kind WHEN 'published' THEN 0 ELSE cardinality(ids) END)) AS each (counter, amount)
      WHERE counted IS NULL OR consumer <> ALL (counted);
    END IF;
    RETURN touched;
  END $f$;

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
        SELECT id INTO the_topic FROM ${s}.bus_topic WHERE address = coalesce(addresses[i], addresses[1]);
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

    IF cardinality(addresses) = 1 AND cardinality(the_types) = 1 AND windows IS NULL THEN
      touched := ${s}.bus_publish_alike(the_shard, addresses[1], seqs, ids, the_types[1], the_keys, content_types, the_headers,
        priorities, expiries, delivers, correlations, causations, starts, sizes, bodies, now_ms);
      RETURN;
    END IF;

    WITH input AS MATERIALIZED (
      SELECT topic.id AS topic, topic.retention_ms,
        ${s}.bus_chain(topic.ordering, topic.id, one.key) AS chain, one.seq, one.message_id, one.key, one.headers,
        one.expires_at, one.deliver_at, one.correlation_id, one.causation_id, one.start, one.size,
        coalesce(one.type, the_types[1]) AS type, coalesce(one.content_type, content_types[1]) AS content_type,
        coalesce(one.priority, priorities[1]) AS priority
      FROM unnest(seqs, duplicates, addresses, ids, the_types, the_keys, content_types, the_headers,
        priorities, expiries, delivers, correlations, causations, starts, sizes)
        AS one (seq, duplicate, address, message_id, type, key, content_type, headers,
          priority, expires_at, deliver_at, correlation_id, causation_id, start, size)
      LEFT JOIN ${s}.bus_topic AS topic ON topic.address = coalesce(one.address, addresses[1])
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
