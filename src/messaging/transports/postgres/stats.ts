import type { CountRow, TransportStats } from '../../transport.ts'
import type { Session } from './session.ts'

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

/** Milliseconds for which the gauges of a large backlog are given again instead of counted again. */
const gaugesKeptMs = 500
const backlogSmall = 20_000

/** The ledger, summed over its writers, and the gauges of each group. */
export function createStats(session: Session): () => Promise<TransportStats> {
  let last: { readonly at: number; readonly groups: TransportStats['groups'] } | undefined
  return async () => {
    const counts = await readCounts(session)
    const backlog = counts.reduce((sum, row) => sum + row.waiting, 0)
    const now = session.clock.monotonic()
    if (last === undefined || now - last.at >= gaugesKeptMs || backlog <= backlogSmall) {
      last = { at: now, groups: await readGauges(session) }
    }
    return { counts, groups: last.groups }
  }
}

async function readCounts({ access, schema }: Session): Promise<CountRow[]> {
  const rows = await access.read(
    `SELECT event, consumer, ${counters.map((name) => `sum(${name}) AS ${name}`).join(', ')}
     FROM ${schema}.bus_count GROUP BY event, consumer ORDER BY event, consumer`,
  )
  return rows.map((row) => ({
    event: String(row.event),
    consumer: row.consumer === '' ? null : String(row.consumer),
    ...(Object.fromEntries(counters.map((name) => [name, Number(row[name])])) as Omit<
      CountRow,
      'event' | 'consumer'
    >),
  }))
}

async function readGauges({ access, schema }: Session): Promise<TransportStats['groups']> {
  const rows = await access.read(
    `WITH now AS MATERIALIZED (SELECT ${schema}.bus_now() AS ms), leased AS MATERIALIZED (
       SELECT lease.grp, one.seq, one.chain FROM ${schema}.bus_lease AS lease
       CROSS JOIN LATERAL unnest(lease.seqs, lease.chains) AS one (seq, chain)
     ), firsts AS MATERIALIZED (
       SELECT grp, min(seq) AS seq FROM leased GROUP BY grp, coalesce(chain, '/' || seq)
     ), busy AS MATERIALIZED (
       SELECT grp, chain FROM leased WHERE chain IS NOT NULL
       UNION SELECT grp, chain FROM ${schema}.bus_delivery WHERE chain IS NOT NULL AND state NOT IN (5, 6, 7)
     ), lines AS (
       SELECT grp, seq, ready_at,
         CASE WHEN state NOT IN (6, 7) THEN state
           WHEN (grp, seq) IN (SELECT grp, seq FROM firsts) THEN 1
           WHEN chain IS NOT NULL AND (grp, chain) IN (SELECT grp, chain FROM busy) THEN 2
           ELSE 0 END AS state
       FROM ${schema}.bus_delivery
     ), sums AS (
       SELECT grp,
         count(*) FILTER (WHERE state = 0 OR ready_at <= ms) AS ready,
         count(*) FILTER (WHERE state = 1) AS in_flight,
         count(*) FILTER (WHERE state IN (3, 5) AND ready_at > ms) AS delayed,
         count(*) FILTER (WHERE state = 2) AS blocked,
         min(seq) FILTER (WHERE state NOT IN (4, 5)) AS oldest
       FROM lines, now GROUP BY grp
     )
     SELECT team.name, ready, in_flight, delayed, blocked, greatest(0, ms - message.published_at) AS age
     FROM ${schema}.bus_group AS team CROSS JOIN now
     LEFT JOIN sums ON sums.grp = team.id
     LEFT JOIN ${schema}.bus_log AS message ON message.seq = sums.oldest
     ORDER BY team.name`,
  )
  return rows.map((row) => ({
    group: String(row.name),
    ready: Number(row.ready ?? 0),
    inFlight: Number(row.in_flight ?? 0),
    delayed: Number(row.delayed ?? 0),
    blocked: Number(row.blocked ?? 0),
    oldestAgeMs: row.age === null ? null : Number(row.age),
  }))
}
