import { byIndexOnly } from './locks.ts'
import { columns } from './settle-functions.ts'

/**
 * What happens when delivery rows come to their end: `bus_promote`, `bus_finished`, `bus_bury`. Whoever calls them holds
 * the lock of the group.
 */
export const endFunctions = (s: string): string => `
  -- Chains that have lost their holder: the first row of each is next, unless it is dead and waits for a person. Or unless an earlier message
  -- of it is leased in bulk to anybody: to one who has died since, or to one who is about to give it back. Its end lets the chain go on.
  CREATE OR REPLACE FUNCTION ${s}.bus_promote(grps integer[], chains text[]) RETURNS void
  LANGUAGE plpgsql ${byIndexOnly} AS $f$
  BEGIN
    WITH named AS MATERIALIZED (
      SELECT lease.grp, one.chain, one.seq FROM ${s}.bus_lease AS lease
      CROSS JOIN LATERAL unnest(lease.seqs, lease.chains) AS one (seq, chain)
      WHERE lease.grp = ANY (grps) AND one.chain = ANY (bus_promote.chains)
    )
    UPDATE ${s}.bus_delivery AS line SET state = 0
    FROM (
      SELECT head.seq, lost.grp
      FROM (SELECT DISTINCT * FROM unnest(grps, chains) AS one (grp, chain) WHERE chain IS NOT NULL) AS lost
      CROSS JOIN LATERAL (
        SELECT seq, state FROM ${s}.bus_delivery AS link
        WHERE link.grp = lost.grp AND link.chain = lost.chain AND link.chain IS NOT NULL
          AND link.state NOT IN (5, 6, 7)
        ORDER BY seq LIMIT 1
      ) AS head
      WHERE head.state = 2 AND NOT EXISTS (
        SELECT FROM named
        CROSS JOIN LATERAL (SELECT state FROM ${s}.bus_delivery WHERE seq = named.seq AND grp = named.grp LIMIT 1) AS leased
        WHERE named.grp = lost.grp AND named.chain = lost.chain AND named.seq < head.seq AND leased.state = 6)
    ) AS next
    WHERE line.seq = next.seq AND line.grp = next.grp;
  END $f$;

  -- The same where it is not known whether the chain has a holder. With the group's lock for oneself.
  CREATE OR REPLACE FUNCTION ${s}.bus_resume(the_group integer, the_chain text) RETURNS void
  LANGUAGE plpgsql ${byIndexOnly} AS $f$
  BEGIN
    IF the_chain IS NOT NULL AND NOT EXISTS (
      SELECT FROM ${s}.bus_delivery WHERE grp = the_group AND chain = the_chain AND chain IS NOT NULL
        AND state NOT IN (5, 6, 7) AND state IN (0, 1, 3)
    ) THEN
      PERFORM ${s}.bus_promote(ARRAY[the_group], ARRAY[the_chain]);
    END IF;
  END $f$;

  -- Messages that nobody needs any more go; the topic of each is beside it.
  CREATE OR REPLACE FUNCTION ${s}.bus_forget(the_seqs bigint[], topics integer[]) RETURNS void
  LANGUAGE plpgsql ${byIndexOnly} AS $f$
  DECLARE
    single integer[];
    shared bigint[];
  BEGIN
    single := ARRAY(
      SELECT sub.topic FROM ${s}.bus_subscription AS sub
      WHERE sub.topic = ANY (ARRAY(SELECT DISTINCT unnest(topics))) GROUP BY sub.topic HAVING count(*) = 1);
    shared := ARRAY(SELECT seq FROM unnest(the_seqs, topics) AS one (seq, topic) WHERE topic <> ALL (single));
    IF cardinality(shared) > 0 THEN
      -- Two groups that finish the same message at the same time would each see the other's row.
      PERFORM FROM ${s}.bus_log WHERE seq = ANY (shared) AND NOT kept ORDER BY seq FOR UPDATE;
    END IF;
    DELETE FROM ${s}.bus_log AS message WHERE seq = ANY (the_seqs) AND NOT kept
      AND NOT EXISTS (SELECT FROM ${s}.bus_delivery AS line WHERE line.seq = message.seq);
  END $f$;

  -- After rows were deleted: messages that nobody needs any more go, and the next of each chain comes.
  CREATE OR REPLACE FUNCTION ${s}.bus_finished(gone ${s}.bus_delivery[]) RETURNS void
  LANGUAGE plpgsql ${byIndexOnly} AS $f$
  BEGIN
    PERFORM ${s}.bus_forget(array_agg(seq), array_agg(topic)) FROM unnest(gone);
    -- A blocked row that goes held nobody up.
    PERFORM ${s}.bus_promote(array_agg(grp), array_agg(chain))
    FROM unnest(gone) WHERE chain IS NOT NULL AND state IN (0, 1, 3);
  END $f$;

  -- Moves messages to the dead letters of their consumers, or drops them where they expired and the policy says so.
  CREATE OR REPLACE FUNCTION ${s}.bus_bury(
    the_shard integer, dying ${s}.bus_delivery[], reasons text[], failures text[], stacks text[],
    the_counts text[], failed integer[]
  ) RETURNS void LANGUAGE plpgsql ${byIndexOnly} AS $f$
  #variable_conflict use_column
  DECLARE
    now_ms bigint := ${s}.bus_now();
    gone ${s}.bus_delivery[];
  BEGIN
    INSERT INTO ${s}.bus_dead (grp, group_name, consumer, event, message_id, reason, attempts,
      first_failed_at, failed_at, address, seq, key, correlation_id, causation_id, content_type,
      counted, failure, stack, headers, priority, published_at, body)
    SELECT team.id, team.name, team.consumer, message.type, message.id, line.reason, line.failed,
      coalesce(line.first_failed_at, now_ms), now_ms, topic.address, line.seq, message.key,
      message.correlation_id, message.causation_id, message.content_type,
      line.counted, line.failure, line.stack, message.headers, message.priority,
      message.published_at, message.body
    FROM ROWS FROM (unnest(dying), unnest(reasons), unnest(failures), unnest(stacks), unnest(the_counts), unnest(failed))
      WITH ORDINALITY AS line (${columns}, reason, failure, stack, counted, failed, at)
    JOIN ${s}.bus_log AS message ON message.seq = line.seq
    JOIN ${s}.bus_group AS team ON team.id = line.grp
    JOIN ${s}.bus_topic AS topic ON topic.id = message.topic
    WHERE NOT (line.counted = 'expired' AND team.on_expired = 'drop')
    ORDER BY line.at;

    UPDATE ${s}.bus_delivery AS present
    SET state = 4, owner = NULL, ready_at = NULL, expires_at = NULL
    FROM ROWS FROM (unnest(dying), unnest(the_counts)) AS line (${columns}, counted), ${s}.bus_group AS team
    WHERE present.seq = line.seq AND present.grp = line.grp AND team.id = line.grp
      AND line.chain IS NOT NULL AND team.on_dead = 'block'
      AND NOT (line.counted = 'expired' AND team.on_expired = 'drop');

    WITH deleted AS (
      DELETE FROM ${s}.bus_delivery AS present USING unnest(dying) AS line
      WHERE present.seq = line.seq AND present.grp = line.grp AND present.state <> 4
      RETURNING present
    )
    SELECT array_agg(present) INTO gone FROM deleted;

    PERFORM ${s}.bus_tally(the_shard, array_agg(event), array_agg(consumer), array_agg(counter), array_agg(amount))
    FROM (
      SELECT line.type AS event, team.consumer, counter, amount
      FROM ROWS FROM (unnest(dying), unnest(the_counts)) AS line (${columns}, counted)
      JOIN ${s}.bus_group AS team ON team.id = line.grp
      CROSS JOIN LATERAL (VALUES (line.counted, 1::bigint), ('waiting', -1::bigint))
        AS change (counter, amount)
    ) AS counted;
    IF gone IS NOT NULL THEN
      PERFORM ${s}.bus_finished(gone);
    END IF;
  END $f$`
