import { resumeChain, trimLog } from './bury.ts'
import { expireDue, wakeDue } from './due.ts'
import type { Engine, Turn } from './engine.ts'
import { isGone, type ProcessTable, readOtherOwners, removeOwner } from './owners.ts'
import { refresh } from './topology.ts'

/**
 * Rows of one kind that one round of upkeep handles at most, so that it never stops the traffic.
 */
const rowsMax = 1000

/**
 * What a round of upkeep has found to do, by reading only. Undefined: nothing, so that an idle
 * process never takes the write lock.
 */
export type Upkeep = (turn: Turn) => void

/** Letters without a consumer have no contract that says how long they are kept. */
export const refusedRetentionMs = 30 * 86_400_000

/** Where the walk through tables without an index on time goes on. */
export interface UpkeepCursors {
  inbox: readonly [number, string]
  dedup: readonly [number, string]
}

export function newCursors(): UpkeepCursors {
  return { inbox: [0, ''], dedup: [0, ''] }
}

export function findUpkeep(
  engine: Engine,
  processes: ProcessTable,
  context: { now: number; cursors: UpkeepCursors },
): Upkeep | undefined {
  const { now, cursors } = context
  const found = [
    findGoneOwners(engine, processes, now),
    findHeartbeat(engine, now),
    findDue(engine, now),
    findExpired(engine, now),
    findOldMessages(engine, now),
    findOldLetters(engine, now),
    findOldKeys(engine, { table: 'bus_inbox', scope: 'grp', key: 'key', now, cursors }),
    findOldKeys(engine, { table: 'bus_dedup', scope: 'topic', key: 'id', now, cursors }),
  ].filter((one) => one !== undefined)
  if (found.length === 0) return undefined
  return (turn) => {
    for (const run of found) run(turn)
  }
}

/** Longest pause between two rounds where there are no neighbours to look after. */
const pauseMsMax = 3_600_000
const pauseMsMin = 1000

/**
 * Milliseconds until a private database needs upkeep again: when the next kept message or dead
 * letter has had its time. Never longer than the shortest retention, so that what comes later is in
 * time too.
 */
export function pauseBeforeUpkeep(engine: Engine, now: number): number {
  const { file, topology } = engine
  let pauseMs = pauseMsMax
  const consider = (retentionMs: number, oldestAt: unknown) => {
    pauseMs = Math.min(pauseMs, retentionMs)
    if (oldestAt !== null) pauseMs = Math.min(pauseMs, Number(oldestAt) + retentionMs + 1 - now)
  }
  const kept = file.prepare(
    'SELECT min(published_at) AS at FROM bus_log WHERE kept = 1 AND topic = ?',
  )
  for (const { id, retentionMs } of topology.topicsById.values()) {
    if (retentionMs !== undefined) consider(retentionMs, kept.get(id)?.at)
  }
  const dead = file.prepare('SELECT min(failed_at) AS at FROM bus_dead WHERE grp = ?')
  for (const { id, deadRetentionMs } of topology.groupsById.values()) {
    consider(deadRetentionMs, dead.get(id)?.at)
  }
  return Math.max(pauseMsMin, pauseMs)
}

/** Owners that are gone lose their leases; at start-up, and about every second. */
export function findGoneOwners(
  engine: Engine,
  processes: ProcessTable,
  now: number,
): Upkeep | undefined {
  const gone = readOtherOwners(engine).filter((owner) => isGone(owner, processes, now))
  if (gone.length === 0) return undefined
  return (turn) => {
    // Read again under the write lock: one may have renewed its lease, or been removed, meanwhile.
    for (const owner of readOtherOwners(engine)) {
      if (isGone(owner, processes, turn.now)) removeOwner(engine, turn, owner.id)
    }
    refresh(engine, turn)
  }
}

/** The turn renews the lease by itself; it only has to take place. */
function findHeartbeat(engine: Engine, now: number): Upkeep | undefined {
  const isDue = now - engine.renewedAt >= engine.leaseMs / 3
  return isDue ? () => undefined : undefined
}

/** Also in groups that nobody here serves: their counts must be right. */
function findDue(engine: Engine, now: number): Upkeep | undefined {
  const groups = [...engine.topology.groupsById.keys()].filter((groupId) => {
    const [readyAt] = engine.sql.nextDue.get(groupId) as unknown as readonly [number | null]
    return readyAt !== null && readyAt <= now
  })
  if (groups.length === 0) return undefined
  return (turn) => {
    for (const groupId of groups) wakeDue(engine, turn, groupId)
  }
}

function findExpired(engine: Engine, now: number): Upkeep | undefined {
  const next = engine.sql.nextExpiry.get() as unknown as readonly [number] | undefined
  if (next === undefined || next[0] > now) return undefined
  return (turn) => void expireDue(engine, turn)
}

/**
 * Retained messages whose time is over go, or are left to the last group that still works on
 * them.
 */
function findOldMessages(engine: Engine, now: number): Upkeep | undefined {
  const old = engine.file.prepare(
    'SELECT seq FROM bus_log WHERE kept = 1 AND topic = ? AND published_at < ? LIMIT ?',
  )
  const topics = [...engine.topology.topicsById.values()].filter(
    ({ id, retentionMs }) =>
      retentionMs !== undefined && old.get(id, now - retentionMs, 1) !== undefined,
  )
  if (topics.length === 0) return undefined
  return (turn) => {
    for (const { id, retentionMs = 0 } of topics) {
      const rows = old.all(id, turn.now - retentionMs, rowsMax)
      if (rows.length === rowsMax) turn.hasMore = true
      for (const row of rows) {
        const seq = Number(row.seq)
        engine.file.prepare('UPDATE bus_log SET kept = 0 WHERE seq = ?').run(seq)
        engine.file.prepare('DELETE FROM bus_attempts WHERE seq = ?').run(seq)
        trimLog(engine, { topicId: id, seq, isShared: true })
      }
    }
  }
}

const oldLetters = 'SELECT no, grp, seq FROM bus_dead WHERE grp IS ? AND failed_at < ? LIMIT ?'

function findOldLetters(engine: Engine, now: number): Upkeep | undefined {
  const kept: (readonly [groupId: number | null, retentionMs: number])[] = [
    [null, refusedRetentionMs],
  ]
  for (const { id, deadRetentionMs } of engine.topology.groupsById.values()) {
    kept.push([id, deadRetentionMs])
  }
  const find = engine.file.prepare(oldLetters)
  const old = kept.filter(([groupId, ms]) => find.get(groupId, now - ms, 1) !== undefined)
  if (old.length === 0) return undefined
  return (turn) => {
    for (const [groupId, retentionMs] of old) {
      const rows = find.all(groupId, turn.now - retentionMs, rowsMax)
      if (rows.length === rowsMax) turn.hasMore = true
      for (const row of rows) {
        const seq = row.seq === null ? null : Number(row.seq)
        removeLetter(engine, turn, { no: Number(row.no), groupId, seq })
      }
    }
  }
}

/** Deletes a dead letter; a chain that it held goes on. */
export function removeLetter(
  engine: Engine,
  turn: Turn,
  letter: { no: number; groupId: number | null; seq: number | null },
): void {
  const { no, groupId, seq } = letter
  engine.file.prepare('DELETE FROM bus_dead WHERE no = ?').run(no)
  engine.file.prepare('DELETE FROM bus_dead_body WHERE no = ?').run(no)
  if (groupId === null || seq === null) return
  const held = engine.file
    .prepare('DELETE FROM bus_delivery WHERE grp = ? AND seq = ? AND state = 4 RETURNING chain')
    .get(groupId, seq)
  if (held === undefined) return
  const topic = engine.file.prepare('SELECT topic FROM bus_log WHERE seq = ?').get(seq)
  if (topic !== undefined) trimLog(engine, { topicId: Number(topic.topic), seq })
  const chain = held.chain as string | null
  if (chain !== null) resumeChain(engine, turn, { groupId, chain })
}

/**
 * Inbox and dedup keys are written with every message, so they carry no index on time: a walk of a
 * thousand rows a round finds those whose time is over.
 */
function findOldKeys(
  engine: Engine,
  walk: {
    table: 'bus_inbox' | 'bus_dedup'
    scope: 'grp' | 'topic'
    key: 'key' | 'id'
    now: number
    cursors: UpkeepCursors
  },
): Upkeep | undefined {
  const { table, scope, key, now, cursors } = walk
  const name = table === 'bus_inbox' ? 'inbox' : 'dedup'
  const rows = engine.file
    .prepare(
      `SELECT ${scope} AS scope, ${key} AS key, until FROM ${table}
       WHERE (${scope}, ${key}) > (?, ?) ORDER BY ${scope}, ${key} LIMIT ?`,
    )
    .all(...cursors[name], rowsMax)
  const last = rows.at(-1)
  const isEnd = rows.length < rowsMax || last === undefined
  cursors[name] = isEnd ? [0, ''] : [Number(last.scope), String(last.key)]
  const old = rows.filter((row) => Number(row.until) <= now)
  if (old.length === 0) return undefined
  return (turn) => {
    const remove = engine.file.prepare(
      `DELETE FROM ${table} WHERE ${scope} = ? AND ${key} = ? AND until <= ?`,
    )
    for (const row of old) remove.run(Number(row.scope), String(row.key), turn.now)
  }
}
