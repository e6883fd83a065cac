import type { TransportStats } from '../../transport.ts'
import { type Engine, nowMs } from './engine.ts'
import { rowState } from './schema.ts'

type Gauges = TransportStats['groups'][number]

/**
 * Milliseconds for which the gauges of a large backlog are given again instead of counted again.
 */
const gaugesKeptMs = 500
/** Backlogs up to this size are counted each time. */
const backlogSmall = 20_000

export function createStats(engine: Engine): () => TransportStats {
  let last: { readonly at: number; readonly groups: Gauges[] } | undefined
  return () => {
    const counts = engine.tally.read()
    const backlog = counts.reduce((sum, row) => sum + row.waiting, 0)
    const now = nowMs(engine.clock)
    const isFresh = last !== undefined && now >= last.at && now - last.at < gaugesKeptMs
    if (last === undefined || !isFresh || backlog <= backlogSmall) {
      last = { at: now, groups: readGauges(engine, now) }
    }
    return { counts, groups: last.groups }
  }
}

const perState = `
  SELECT grp, CASE WHEN ready_at <= ? THEN ${rowState.ready} ELSE state END AS state, count(*) AS count
  FROM bus_delivery GROUP BY 1, 2`

/** The first unfinished message of a group; what is dead or not due yet makes nobody wait. */
const oldest = `
  SELECT published_at FROM bus_log WHERE seq = (
    SELECT min(seq) FROM bus_delivery WHERE grp = ? AND state NOT IN (${rowState.dead}, ${rowState.scheduled}))`

function readGauges(engine: Engine, now: number): Gauges[] {
  const { file } = engine
  const byGroup = new Map<number, Map<number, number>>()
  for (const row of file.prepare(perState).all(now)) {
    const states = byGroup.get(Number(row.grp)) ?? new Map()
    states.set(Number(row.state), Number(row.count))
    byGroup.set(Number(row.grp), states)
  }
  const groups = file.prepare('SELECT id, name FROM bus_group ORDER BY name').all()
  return groups.map(({ id, name }) => {
    const states = byGroup.get(Number(id)) ?? new Map<number, number>()
    const count = (state: number) => states.get(state) ?? 0
    const first = states.size === 0 ? undefined : file.prepare(oldest).get(id as number)
    return {
      group: String(name),
      ready: count(rowState.ready),
      inFlight: count(rowState.leased),
      delayed: count(rowState.delayed) + count(rowState.scheduled),
      blocked: count(rowState.blocked),
      oldestAgeMs: first === undefined ? null : Math.max(0, now - Number(first.published_at)),
    }
  })
}
