/** What the ledger counts of an event and a consumer. */
const counters = [
  'published',
  'deliveries',
  'handled',
  'skipped',
  'retried',
  'dead',
  'expired',
  'waiting',
] as const

const each = (write: (name: string) => string) => counters.map(write).join(', ')

/** `bus_tally`: adds to the ledger; in one order everywhere, so that two writers do not wait for each other. */
export const ledgerFunction = (s: string): string => `
  CREATE OR REPLACE FUNCTION ${s}.bus_tally(
    the_shard integer, events text[], consumers text[], counters text[], amounts bigint[]
  ) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $f$
  #variable_conflict use_column
  BEGIN
    INSERT INTO ${s}.bus_count AS present
    SELECT event, consumer, the_shard,
      ${each((name) => `coalesce(sum(amount) FILTER (WHERE counter = '${name}'), 0)`)}
    FROM unnest(events, consumers, counters, amounts) AS one (event, consumer, counter, amount)
    GROUP BY event, consumer ORDER BY event, consumer
    ON CONFLICT (event, consumer, shard) DO UPDATE SET
      ${each((name) => `${name} = present.${name} + excluded.${name}`)};
  END $f$`
