import { expireRow, readRecord } from './claim.ts'
import type { Engine, Turn } from './engine.ts'
import { firstState } from './publish.ts'
import { rowState } from './schema.ts'
import { chainOf } from './topology-view.ts'

type ExpiredRow = readonly [
  groupId: number,
  seq: number,
  state: number,
  chain: string | null,
  attempts: number,
  firstFailedAt: number | null,
]

/** Rows of one group that one turn wakes at most. */
const rowsMax = 1000

/**
 * Ends what has expired, and makes the delayed rows ready whose time has come, in groups served
 * here.
 */
export function claimDue(engine: Engine, turn: Turn): void {
  if (engine.nextDueAt !== undefined && engine.nextDueAt > turn.now) return
  if (engine.local.all.size === 0) return
  expireDue(engine, turn)
  for (const name of engine.local.all.keys()) {
    const group = engine.topology.groups.get(name)
    if (group !== undefined) wakeDue(engine, turn, group.id)
  }
}

/** Makes the delayed rows of one group ready whose time has come. */
export function wakeDue(engine: Engine, turn: Turn, groupId: number): void {
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
}

/** Ends the messages whose time to live has passed, in every group, up to a bound; how many. */
export function expireDue(engine: Engine, turn: Turn): number {
  const rows = engine.sql.expired.all(turn.now, rowsMax) as unknown as ExpiredRow[]
  if (rows.length === rowsMax) turn.hasMore = true
  for (const row of rows) {
    const [groupId, seq, state, chain, attempts, firstFailedAt] = row
    const group = engine.topology.groupsById.get(groupId)
    const stored = readRecord(engine, turn, seq)
    if (group === undefined || stored === undefined) continue
    const isHolder = state !== rowState.blocked
    expireRow(engine, turn, {
      row: { group, seq, chain, isHolder, ...stored, firstFailedAt },
      attempts,
    })
  }
  if (rows.length > 0) turn.afterCommit.push(() => forgetDue(engine))
  return rows.length
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

/**
 * When the next delayed row of a group served here falls due, or the next message expires;
 * undefined: there is none. A process without subscribers leaves both to the others, and to its
 * upkeep.
 */
export function nextDue(engine: Engine): number | undefined {
  if (engine.nextDueAt === undefined) engine.nextDueAt = lookUpNextDue(engine)
  return Number.isFinite(engine.nextDueAt) ? engine.nextDueAt : undefined
}

function lookUpNextDue(engine: Engine): number {
  let earliest = Number.POSITIVE_INFINITY
  if (engine.local.all.size === 0) return earliest
  const expiring = engine.sql.nextExpiry.get() as unknown as readonly [number] | undefined
  if (expiring !== undefined) earliest = expiring[0]
  for (const name of engine.local.all.keys()) {
    const group = engine.topology.groups.get(name)
    if (group === undefined) continue
    const [readyAt] = engine.sql.nextDue.get(group.id) as unknown as readonly [number | null]
    if (readyAt !== null && readyAt < earliest) earliest = readyAt
  }
  return earliest
}
