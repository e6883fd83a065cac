import { byIndexOnly, lockOf } from './locks.ts'

/** Columns of a delivery row, for functions that return it beside others. */
export const columns = `seq, grp, topic, type, state, priority, attempts, deliveries, releases, owner, ready_at, chain,
       expires_at, first_failed_at`

/** The fence. The additions keep the planner from an index of everything that the owner has out: the primary key it is. */
const isOurs = `line.seq = input.seq AND line.grp = input.grp AND line.state + 0 = 1
        AND line.owner + 0 = the_owner AND line.deliveries = input.times`

/**
 * `bus_settle`: applies outcomes, each fenced by owner and delivery count. Returns the places in the arrays of those that
 * took effect; the others had been handed on. `the_batch`: remembered with the result, so that one can ask for it.
 */
export const settleFunctions = (s: string): string => `
  CREATE FUNCTION ${s}.bus_settle(
    the_owner bigint, the_shard integer, grps integer[], the_seqs bigint[], times integer[],
    outcomes text[], delays bigint[], reasons text[], failures text[], stacks text[],
    inbox_keys text[], inbox_untils bigint[], the_batch bigint, OUT done integer[], OUT touched integer[]
  ) LANGUAGE plpgsql ${byIndexOnly} AS $f$
  #variable_conflict use_column
  DECLARE
    now_ms bigint;
    places integer[];
    kinds text[];
    mine ${s}.bus_delivery[];
  BEGIN
    PERFORM ${lockOf.groupTogether(s, 'grp')}
    FROM (SELECT DISTINCT grp FROM unnest(grps) AS one (grp) ORDER BY grp) AS sorted;
    now_ms := ${s}.bus_now();
    done := ARRAY[]::integer[];
    touched := ARRAY[]::integer[];

    WITH input AS (
      SELECT * FROM unnest(grps, the_seqs, times, outcomes) WITH ORDINALITY
        AS one (grp, seq, times, outcome, at) WHERE outcome IN ('handled', 'skipped', 'expired')
    ), deleted AS (
      DELETE FROM ${s}.bus_delivery AS line USING input
      WHERE ${isOurs}
      RETURNING line, input.at, input.outcome
    )
    SELECT array_agg(line), array_agg(at::integer), array_agg(outcome) INTO mine, places, kinds
    FROM deleted;
    IF mine IS NOT NULL THEN
      done := done || places;
      touched := touched || ARRAY(SELECT DISTINCT grp FROM unnest(mine) WHERE chain IS NOT NULL);
      INSERT INTO ${s}.bus_inbox AS present
      SELECT DISTINCT ON (grps[at], inbox_keys[at]) grps[at], inbox_keys[at], inbox_untils[at]
      FROM unnest(places) AS one (at) WHERE inbox_keys[at] IS NOT NULL
      ORDER BY grps[at], inbox_keys[at], inbox_untils[at] DESC
      ON CONFLICT (grp, key) DO UPDATE SET until = greatest(present.until, excluded.until);
      INSERT INTO ${s}.bus_attempts
      SELECT line.seq, line.grp, line.attempts + 1 FROM unnest(mine) AS line
      JOIN ${s}.bus_topic AS topic ON topic.id = line.topic
      WHERE line.attempts > 0 AND topic.retention_ms IS NOT NULL
      ON CONFLICT (seq, grp) DO UPDATE SET attempts = excluded.attempts;
      PERFORM ${s}.bus_tally(the_shard, array_agg(event), array_agg(consumer), array_agg(counter), array_agg(amount))
      FROM (
        SELECT event, team.consumer, counter, sum(times * amount)::bigint AS amount
        FROM (
          SELECT type AS event, grp, kind, count(*) AS times
          FROM ROWS FROM (unnest(mine), unnest(kinds)) AS line (${columns}, kind) GROUP BY type, grp, kind
        ) AS each
        JOIN ${s}.bus_group AS team ON team.id = each.grp
        CROSS JOIN LATERAL (VALUES (kind, 1), ('waiting', -1)) AS change (counter, amount)
        GROUP BY event, team.consumer, counter
      ) AS counted;
      PERFORM ${s}.bus_finished(mine);
    END IF;

    IF 'retry' = ANY (outcomes) OR 'release' = ANY (outcomes) THEN
      WITH input AS (
        SELECT * FROM unnest(grps, the_seqs, times, outcomes, delays) WITH ORDINALITY
          AS one (grp, seq, times, outcome, delay, at) WHERE outcome IN ('retry', 'release')
      ), moved AS (
        UPDATE ${s}.bus_delivery AS line SET owner = NULL,
          state = CASE WHEN delay > 0 THEN 3 ELSE 0 END,
          ready_at = CASE WHEN delay > 0 THEN now_ms + delay END,
          attempts = attempts + CASE outcome WHEN 'retry' THEN 1 ELSE 0 END,
          releases = releases + CASE outcome WHEN 'release' THEN 1 ELSE 0 END,
          first_failed_at = CASE outcome WHEN 'retry' THEN coalesce(first_failed_at, now_ms) ELSE first_failed_at END
        FROM input
        WHERE ${isOurs}
        RETURNING line, input.at, input.outcome
      )
      SELECT array_agg(line), array_agg(at::integer), array_agg(outcome) INTO mine, places, kinds
      FROM moved;
      IF mine IS NOT NULL THEN
        done := done || places;
        touched := touched || ARRAY(SELECT DISTINCT grp FROM unnest(mine));
        PERFORM ${s}.bus_tally(the_shard, array_agg(line.type), array_agg(team.consumer),
          array_agg('retried'::text), array_agg(1::bigint))
        FROM ROWS FROM (unnest(mine), unnest(kinds)) AS line (${columns}, kind)
        JOIN ${s}.bus_group AS team ON team.id = line.grp WHERE kind = 'retry';
      END IF;
    END IF;

    IF 'dead' = ANY (outcomes) THEN
      SELECT array_agg(line ORDER BY at), array_agg(at::integer ORDER BY at) INTO mine, places
      FROM unnest(grps, the_seqs, times, outcomes) WITH ORDINALITY AS input (grp, seq, times, outcome, at)
      JOIN ${s}.bus_delivery AS line ON ${isOurs}
      WHERE outcome = 'dead';
      IF mine IS NOT NULL THEN
        done := done || places;
        touched := touched || ARRAY(SELECT DISTINCT grp FROM unnest(mine) WHERE chain IS NOT NULL);
        PERFORM ${s}.bus_bury(the_shard, mine, array_agg(reasons[at] ORDER BY at),
          array_agg(failures[at] ORDER BY at), array_agg(stacks[at] ORDER BY at),
          array_agg('dead'::text), (SELECT array_agg(attempts + 1) FROM unnest(mine)))
        FROM unnest(places) AS one (at);
      END IF;
    END IF;
    IF the_batch IS NOT NULL THEN
      UPDATE ${s}.bus_owner SET batch = the_batch, places = done WHERE id = the_owner;
    END IF;
  END $f$`
