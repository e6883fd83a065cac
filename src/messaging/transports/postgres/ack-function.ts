import { byIndexOnly, lockOf } from './locks.ts'

/** In `bus_owner.places`: all of the batch took effect. The places themselves would be as large as many a message. */
export const everyPlace = 0

/**
 * SQL: the batch took effect before. A statement whose connection was lost may have been at work in the server still when it was asked after
 * and sent again: the second waits for the rows of the first, and finds them gone.
 */
export const wasAppliedSql = (s: string): string =>
  `EXISTS (SELECT FROM ${s}.bus_owner WHERE id = the_owner AND batch = the_batch)`

/**
 * `bus_ack`: the settlement that nearly all are, in a form that does nothing else: messages of one group, all leased in bulk, all handled.
 * Returns the places that took effect, `{0}` for all of them, whether a chain
 * came free, and whether rows may have become ready with it.
 *
 * A channel with this group alone lets go of the message itself in the same statement: whoever subscribes later gets nothing that was
 * published before unless it is kept, and a group that leaves takes its deliveries along.
 */
export const ackFunction = (s: string): string => `
  -- Keeps the result of a batch. A sign of life that has the row just now is waited for; whoever takes the owner away has it too, and waits
  -- for our lock of the group, so not for long.
  CREATE OR REPLACE FUNCTION ${s}.bus_remember(the_owner bigint, the_batch bigint, the_places integer[]) RETURNS void
  LANGUAGE plpgsql ${byIndexOnly} AS $f$
  BEGIN
    FOR tried IN 1..20 LOOP
      UPDATE ${s}.bus_owner SET batch = the_batch, places = the_places
      WHERE id = (SELECT id FROM ${s}.bus_owner WHERE id = the_owner FOR NO KEY UPDATE SKIP LOCKED);
      EXIT WHEN FOUND OR NOT EXISTS (SELECT FROM ${s}.bus_owner WHERE id = the_owner);
      PERFORM pg_sleep(0.005);
    END LOOP;
  END $f$;

  CREATE OR REPLACE FUNCTION ${s}.bus_ack(
    the_owner bigint, the_shard integer, the_group integer, the_seqs bigint[], leases bigint[], the_batch bigint,
    OUT done integer[], OUT has_freed boolean, OUT has_promoted boolean
  ) LANGUAGE plpgsql ${byIndexOnly} AS $f$
  #variable_conflict use_column
  DECLARE
    ended bigint[];
    the_consumer text;
    types text[];
    amounts bigint[];
    counted text[];
    chains text[];
    shared_seqs bigint[];
    shared_topics integer[];
  BEGIN
    PERFORM ${lockOf.groupTogether(s, 'the_group')};
    WITH leased AS MATERIALIZED (
      SELECT one.seq FROM ${s}.bus_lease AS lease CROSS JOIN LATERAL unnest(lease.seqs) AS one (seq)
      WHERE lease.owner = the_owner AND lease.no = ANY (ARRAY(SELECT DISTINCT unnest(leases)))
    ), deleted AS MATERIALIZED (
      -- By numbers alone, however small the tables look when the plan is made; the additions keep the planner from other indexes. A row by
      -- itself is one whose effect has ended the transaction that it was given.
      DELETE FROM ${s}.bus_delivery AS line
      WHERE line.seq = ANY (the_seqs) AND line.grp = the_group AND (
        line.state + 0 = 6 AND line.seq IN (SELECT seq FROM leased)
        OR line.state + 0 = 1 AND line.owner + 0 = the_owner AND line.deliveries = 1)
      RETURNING line.seq, line.topic, line.type, line.chain
    ), alone AS MATERIALIZED (
      SELECT topic FROM (SELECT DISTINCT topic FROM deleted) AS one WHERE NOT EXISTS (
        SELECT FROM ${s}.bus_subscription AS sub WHERE sub.topic = one.topic AND sub.grp <> the_group)
    ), forgotten AS (
      DELETE FROM ${s}.bus_log AS message WHERE NOT message.kept
        AND message.seq = ANY (ARRAY(SELECT seq FROM deleted WHERE topic IN (SELECT topic FROM alone)))
    ), per_type AS (
      SELECT type, count(*) AS amount FROM deleted GROUP BY type
    )
    SELECT array_agg(seq), array_agg(chain), array_agg(seq) FILTER (WHERE topic NOT IN (SELECT topic FROM alone)),
      array_agg(topic) FILTER (WHERE topic NOT IN (SELECT topic FROM alone)),
      (SELECT array_agg(type) FROM per_type), (SELECT array_agg(amount) FROM per_type)
    INTO ended, chains, shared_seqs, shared_topics, types, amounts FROM deleted;
    done := CASE WHEN cardinality(ended) = cardinality(the_seqs) THEN '{${everyPlace}}'::integer[] ELSE ARRAY(
      SELECT at::integer FROM unnest(the_seqs) WITH ORDINALITY AS one (seq, at) WHERE seq = ANY (ended)) END;
    has_freed := false;
    has_promoted := false;
    IF done <> '{${everyPlace}}' AND ${wasAppliedSql(s)} THEN
      SELECT places INTO done FROM ${s}.bus_owner WHERE id = the_owner;
      RETURN;
    END IF;
    IF types IS NOT NULL THEN
      SELECT consumer INTO the_consumer FROM ${s}.bus_group WHERE id = the_group;
      WITH added AS (
        UPDATE ${s}.bus_count AS present SET handled = present.handled + one.amount, waiting = present.waiting - one.amount
        FROM (SELECT * FROM unnest(types, amounts) AS one (type, amount) ORDER BY type COLLATE "C") AS one
        WHERE present.event = one.type AND present.consumer = the_consumer AND present.shard = the_shard
        RETURNING present.event
      )
      SELECT array_agg(event) INTO counted FROM added;
      IF cardinality(types) > coalesce(cardinality(counted), 0) THEN
        PERFORM ${s}.bus_tally(the_shard, array_agg(type), array_agg(the_consumer), array_agg(counter), array_agg(change))
        FROM unnest(types, amounts) AS one (type, amount)
        CROSS JOIN LATERAL (VALUES ('handled', amount), ('waiting', -amount)) AS each (counter, change)
        WHERE counted IS NULL OR type <> ALL (counted);
      END IF;
      IF shared_seqs IS NOT NULL THEN
        PERFORM ${s}.bus_forget(shared_seqs, shared_topics);
      END IF;
      PERFORM ${s}.bus_trim(the_owner, leases, the_seqs);
      has_freed := array_remove(chains, NULL) <> '{}';
      -- Rows that wait for those of their chain that have ended, unless more of it is leased in bulk.
      has_promoted := has_freed AND EXISTS (
        SELECT FROM ${s}.bus_delivery WHERE grp = the_group AND chain IS NOT NULL AND state NOT IN (5, 6, 7));
      IF has_promoted THEN
        PERFORM ${s}.bus_promote(array_agg(the_group), array_agg(chain)) FROM unnest(chains) AS one (chain)
        WHERE chain IS NOT NULL AND chain NOT IN (
          SELECT one.chain FROM ${s}.bus_lease AS lease CROSS JOIN LATERAL unnest(lease.chains) AS one (chain)
          WHERE lease.owner = the_owner AND lease.grp = the_group AND one.chain IS NOT NULL);
      END IF;
    END IF;
    PERFORM ${s}.bus_remember(the_owner, the_batch, done);
  END $f$`
