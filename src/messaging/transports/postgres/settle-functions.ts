import { wasAppliedSql } from './ack-function.ts'
import { byIndexOnly, lockOf } from './locks.ts'

/** Columns of a delivery row, for functions that return it beside others. */
export const columns = `seq, grp, topic, type, state, priority, attempts, deliveries, releases, owner, ready_at, chain,
       expires_at, first_failed_at`

/**
 * SQL: the row of each number in `one`. One look by the primary key for each, however small the table looks when the plan is made: a join
 * might read all of the group for each number.
 */
const hitSql = (s: string) => `CROSS JOIN LATERAL (
        SELECT line.ctid AS hit FROM ${s}.bus_delivery AS line WHERE line.seq = one.seq AND line.grp = one.grp LIMIT 1) AS found`

/** The fence. The additions keep the planner from an index of everything that the owner, or the group, has out. */
const isOursByRow = `line.ctid = input.hit AND line.state + 0 = 1
        AND line.owner + 0 = the_owner AND line.deliveries = input.times`
/** The same for what is leased in bulk. */
const isOursInBulk = `line.ctid = input.hit AND line.state + 0 = 6
        AND ((input.lease, input.seq) IN (SELECT no, seq FROM leased)) IS TRUE`

const leasedSql = (s: string) => `leased AS MATERIALIZED (
      SELECT lease.no, one.seq FROM ${s}.bus_lease AS lease CROSS JOIN LATERAL unnest(lease.seqs) AS one (seq)
      WHERE lease.owner = the_owner AND lease.no = ANY (ARRAY(SELECT DISTINCT unnest(leases)))
    )`

/**
 * `bus_settle`: applies outcomes, each fenced by owner and delivery count, or by its lease. Returns the places in the arrays of those that
 * took effect; the others had been handed on. `touched`: groups that have work again; `freed`: groups of which chains came free. `the_batch`: remembered with the result, so that one can ask for it. The outcome `unlease` is no
 * outcome: such messages were never handed out.
 */
export const settleFunctions = (s: string): string => `
  CREATE OR REPLACE FUNCTION ${s}.bus_settle(
    the_owner bigint, the_shard integer, grps integer[], the_seqs bigint[], times integer[], leases bigint[],
    outcomes text[], delays bigint[], reasons text[], failures text[], stacks text[],
    inbox_keys text[], inbox_untils bigint[], the_batch bigint, OUT done integer[], OUT touched integer[], OUT freed integer[]
  ) LANGUAGE plpgsql ${byIndexOnly} AS $f$
  #variable_conflict use_column
  DECLARE
    now_ms bigint;
    places integer[];
    kinds text[];
    mine ${s}.bus_delivery[];
    in_bulk boolean := EXISTS (SELECT FROM unnest(leases) AS one (no) WHERE no IS NOT NULL);
    ended_seqs bigint[];
    ended_grps integer[];
    ended_topics integer[];
    ended_types text[];
    ended_chains text[];
    one_group integer;
  BEGIN
    PERFORM ${lockOf.groupTogether(s, 'grp')}
    FROM (SELECT DISTINCT grp FROM unnest(grps) AS one (grp) ORDER BY grp) AS sorted;
    now_ms := ${s}.bus_now();
    done := ARRAY[]::integer[];
    touched := ARRAY[]::integer[];
    freed := ARRAY[]::integer[];

    IF in_bulk AND outcomes && ARRAY['retry', 'release', 'dead'] THEN
      -- From here on rows by themselves, as if they had been claimed so.
      WITH ${leasedSql(s)}, input AS (
        SELECT * FROM unnest(grps, the_seqs, leases, outcomes) AS one (grp, seq, lease, outcome) ${hitSql(s)}
        WHERE outcome IN ('retry', 'release', 'dead')
      )
      UPDATE ${s}.bus_delivery AS line SET state = 1, owner = the_owner, deliveries = line.deliveries + 1
      FROM input WHERE ${isOursInBulk};
    END IF;

    WITH ${leasedSql(s)}, input AS (
      SELECT * FROM unnest(grps, the_seqs, times, leases, outcomes) WITH ORDINALITY
        AS one (grp, seq, times, lease, outcome, at) ${hitSql(s)} WHERE outcome IN ('handled', 'skipped', 'expired')
    ), deleted AS (
      DELETE FROM ${s}.bus_delivery AS line USING input
      WHERE line.ctid = input.hit AND ((${isOursByRow}) OR (${isOursInBulk}))
      RETURNING line.seq, line.grp, line.topic, line.type, line.chain, line.attempts, input.at::integer, input.outcome
    ), again AS (
      INSERT INTO ${s}.bus_attempts
      SELECT deleted.seq, deleted.grp, deleted.attempts + 1 FROM deleted
      JOIN ${s}.bus_topic AS topic ON topic.id = deleted.topic
      WHERE deleted.attempts > 0 AND topic.retention_ms IS NOT NULL
      ON CONFLICT (seq, grp) DO UPDATE SET attempts = excluded.attempts
    )
    SELECT array_agg(seq), array_agg(grp), array_agg(topic), array_agg(type), array_agg(chain), array_agg(at),
      array_agg(outcome)
    INTO ended_seqs, ended_grps, ended_topics, ended_types, ended_chains, places, kinds FROM deleted;
    IF places IS NOT NULL THEN
      done := done || places;
      freed := ARRAY(SELECT DISTINCT grp FROM unnest(ended_grps, ended_chains) AS one (grp, chain)
        WHERE chain IS NOT NULL);
      IF inbox_keys IS NOT NULL THEN
        INSERT INTO ${s}.bus_inbox AS present
        SELECT DISTINCT ON (grps[at], inbox_keys[at]) grps[at], inbox_keys[at], inbox_untils[at]
        FROM unnest(places) AS one (at) WHERE inbox_keys[at] IS NOT NULL
        ORDER BY grps[at], inbox_keys[at], inbox_untils[at] DESC
        ON CONFLICT (grp, key) DO UPDATE SET until = greatest(present.until, excluded.until);
      END IF;
      PERFORM ${s}.bus_tally(the_shard, array_agg(event), array_agg(consumer), array_agg(counter), array_agg(amount))
      FROM (
        SELECT event, team.consumer, counter, sum(times * amount)::bigint AS amount
        FROM (
          SELECT type AS event, grp, kind, count(*) AS times
          FROM unnest(ended_types, ended_grps, kinds) AS line (type, grp, kind) GROUP BY type, grp, kind
        ) AS each
        JOIN ${s}.bus_group AS team ON team.id = each.grp
        CROSS JOIN LATERAL (VALUES (kind, 1), ('waiting', -1)) AS change (counter, amount)
        GROUP BY event, team.consumer, counter
      ) AS counted;
      PERFORM ${s}.bus_forget(ended_seqs, ended_topics);
    END IF;

    IF 'retry' = ANY (outcomes) OR 'release' = ANY (outcomes) THEN
      WITH input AS (
        SELECT * FROM unnest(grps, the_seqs, times, outcomes, delays) WITH ORDINALITY
          AS one (grp, seq, times, outcome, delay, at) ${hitSql(s)} WHERE outcome IN ('retry', 'release')
      ), moved AS (
        UPDATE ${s}.bus_delivery AS line SET owner = NULL,
          state = CASE WHEN delay > 0 THEN 3 ELSE 0 END,
          ready_at = CASE WHEN delay > 0 THEN now_ms + delay END,
          attempts = attempts + CASE outcome WHEN 'retry' THEN 1 ELSE 0 END,
          releases = releases + CASE outcome WHEN 'release' THEN 1 ELSE 0 END,
          first_failed_at = CASE outcome WHEN 'retry' THEN coalesce(first_failed_at, now_ms) ELSE first_failed_at END
        FROM input
        WHERE ${isOursByRow}
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

    IF in_bulk THEN
      -- Before anything is buried: the next of a chain is looked for among rows, and one that came later may be a row already.
      FOR one_group IN SELECT DISTINCT grp FROM unnest(grps, outcomes) AS one (grp, outcome) WHERE outcome = 'unlease' LOOP
        PERFORM ${s}.bus_unlease(the_owner, one_group, array_agg(no), array_agg(seq), 0, 0)
        FROM unnest(grps, leases, the_seqs, outcomes) AS one (grp, no, seq, outcome)
        WHERE grp = one_group AND outcome = 'unlease';
      END LOOP;
    END IF;

    IF 'dead' = ANY (outcomes) THEN
      SELECT array_agg(line ORDER BY at), array_agg(at::integer ORDER BY at) INTO mine, places
      FROM (
        SELECT * FROM unnest(grps, the_seqs, times, outcomes) WITH ORDINALITY AS one (grp, seq, times, outcome, at)
        ${hitSql(s)} WHERE outcome = 'dead'
      ) AS input
      JOIN ${s}.bus_delivery AS line ON ${isOursByRow};
      IF mine IS NOT NULL THEN
        done := done || places;
        touched := touched || ARRAY(SELECT DISTINCT grp FROM unnest(mine) WHERE chain IS NOT NULL);
        PERFORM ${s}.bus_bury(the_shard, mine, array_agg(reasons[at] ORDER BY at),
          array_agg(failures[at] ORDER BY at), array_agg(stacks[at] ORDER BY at),
          array_agg('dead'::text), (SELECT array_agg(attempts + 1) FROM unnest(mine)))
        FROM unnest(places) AS one (at);
      END IF;
    END IF;
    IF in_bulk THEN
      PERFORM ${s}.bus_trim(the_owner, array_agg(no), array_agg(seq))
      FROM unnest(leases, the_seqs, outcomes) AS one (no, seq, outcome) WHERE no IS NOT NULL AND outcome <> 'unlease';
    END IF;
    -- Rows that wait for those of their chain that have ended, unless more of it is leased in bulk.
    IF ended_seqs IS NOT NULL AND EXISTS (
      SELECT FROM ${s}.bus_delivery WHERE grp = ANY (ARRAY(SELECT DISTINCT unnest(ended_grps)))
        AND chain IS NOT NULL AND state NOT IN (5, 6, 7)
    ) THEN
      touched := touched || freed;
      PERFORM ${s}.bus_promote(array_agg(ended.grp), array_agg(ended.chain))
      FROM unnest(ended_grps, ended_chains) AS ended (grp, chain)
      WHERE chain IS NOT NULL AND (grp, chain) NOT IN (
        SELECT lease.grp, one.chain FROM ${s}.bus_lease AS lease CROSS JOIN LATERAL unnest(lease.chains) AS one (chain)
        WHERE lease.owner = the_owner AND one.chain IS NOT NULL);
    END IF;
    IF the_batch IS NOT NULL AND ${wasAppliedSql(s)} THEN
      SELECT places INTO done FROM ${s}.bus_owner WHERE id = the_owner;
    ELSIF the_batch IS NOT NULL THEN
      PERFORM ${s}.bus_remember(the_owner, the_batch, done);
    END IF;
  END $f$`
