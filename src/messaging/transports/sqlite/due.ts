import type { Engine, Turn } from './engine.ts'
import { firstState } from './publish.ts'
import { rowState } from './schema.ts'
import { chainOf } from './topology-view.ts'

/** Rows of one group that one turn wakes at most. */
const rowsMax = 1000

/** Makes the delayed rows ready whose time has come, in groups that this process serves. */
export function claimDue(engine: Engine, turn: Turn): void {
  if (engine.nextDueAt !== undefined && engine.nextDueAt > turn.now) return
  for (const name of engine.local.all.keys()) {
    const group = engine.topology.groups.get(name)
    if (group !== undefined) wakeDue(engine, turn, group.id)
  }
}

/** Makes the delayed rows of one group ready whose time has come. True: there were some. */
export function wakeDue(engine: Engine, turn: Turn, groupId: number): boolean {
  const rows = engine.sql.due.all(groupId, turn.now, rowsMax) as unknown as (readonly [
    seq: number,
    state: number,
  ])[]
  for (const [seq, state] of rows) {
    if (state === rowState.scheduled) joinChain(engine, turn, { groupId, seq })
    else {
      engine.sql.makeDelayedReady.run(groupId, seq)
      turn.readied.add(groupId)
    }
  }
  if (rows.length === rowsMax) turn.hasMore = true
  // The due rows are gone from the index, so the next due time is another.
  if (rows.length > 0) turn.afterCommit.push(() => forgetDue(engine))
  return rows.length > 0
}

function forgetDue(engine: Engine): void {
  engine.nextDueAt = undefined
}

/** A message published for later takes its place in its chain now. */
function joinChain(engine: Engine, turn: Turn, row: { groupId: number; seq: number }): void {
  const { groupId, seq } = row
  const message = engine.file.prepare('SELECT topic, key FROM bus_log WHERE seq = ?').get(seq)
  const topic = engine.topology.topicsById.get(Number(message?.topic))
  const chain = topic === undefined ? null : chainOf(topic, message?.key as string | null)
  const state = firstState(engine, turn, { groupId, chain })
  engine.sql.makeDue.run(state, chain, groupId, seq)
}

/** When the next delayed row of a group served here falls due; undefined: there is none. */
export function nextDue(engine: Engine): number | undefined {
  if (engine.nextDueAt === undefined) engine.nextDueAt = lookUpNextDue(engine)
  return Number.isFinite(engine.nextDueAt) ? engine.nextDueAt : undefined
}

function lookUpNextDue(engine: Engine): number {
  let earliest = Number.POSITIVE_INFINITY
  for (const name of engine.local.all.keys()) {
    const group = engine.topology.groups.get(name)
    if (group === undefined) continue
    const [readyAt] = engine.sql.nextDue.get(group.id) as unknown as readonly [number | null]
    if (readyAt !== null && readyAt < earliest) earliest = readyAt
  }
  return earliest
}
