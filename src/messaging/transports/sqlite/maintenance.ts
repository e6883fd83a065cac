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
 * What a round of upkeep has found to do, by reading only; found nothing, an idle process never
 * takes the write lock. True: its bound was reached, so there is more.
 */
export type Upkeep = (turn: Turn) => boolean

/** Letters without a consumer have no contract that says how long they are kept. */
export const refusedRetentionMs = 30 * 86_400_000

export function findUpkeep(
  engine: Engine,
  processes: ProcessTable,
  now: number,
): Upkeep | undefined {
  const found = [
    findGoneOwners(engine, processes, now),
    findHeartbeat(engine, now),
    findDue(engine, now),
    findExpired(engine, now),
    findOldMessages(engine, now),
    findOldLetters(engine, now),
    findOldKeys(engine, 'bus_inbox', now),
    findOldKeys(engine, 'bus_dedup', now),
    findFreeSpace(engine, now),
  ].filter((one) => one !== undefined)
  if (found.length === 0) return undefined
  return (turn) => found.map((run) => run(turn)).includes(true)
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
    return false
  }
}

/** The turn renews the lease by itself; it only has to take place. */
function findHeartbeat(engine: Engine, now: number): Upkeep | undefined {
  const isDue = now - engine.renewedAt >= engine.leaseMs / 3
  return isDue ? () => false : undefined
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
    return false
  }
}

function findExpired(engine: Engine, now: number): Upkeep | undefined {
  const next = engine.sql.nextExpiry.get() as unknown as readonly [number] | undefined
  if (next === undefined || next[0] > now) return undefined
  return (turn) => expireDue(engine, turn) === rowsMax
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
    let hasMore = false
    for (const { id, retentionMs = 0 } of topics) {
      const rows = old.all(id, turn.now - retentionMs, rowsMax)
      if (rows.length === rowsMax) hasMore = true
      for (const row of rows) {
        const seq = Number(row.seq)
        engine.file.prepare('UPDATE bus_log SET kept = 0 WHERE seq = ?').run(seq)
        engine.file.prepare('DELETE FROM bus_attempts WHERE seq = ?').run(seq)
        trimLog(engine, { topicId: id, seq, isShared: true })
      }
    }
    return hasMore
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
    let hasMore = false
    for (const [groupId, retentionMs] of old) {
      const rows = find.all(groupId, turn.now - retentionMs, rowsMax)
      if (rows.length === rowsMax) hasMore = true
      for (const row of rows) {
        const seq = row.seq === null ? null : Number(row.seq)
        removeLetter(engine, turn, { no: Number(row.no), groupId, seq })
      }
    }
    return hasMore
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

/** Keys of the inbox or of the dedup window whose time is over. */
function findOldKeys(
  engine: Engine,
  table: 'bus_inbox' | 'bus_dedup',
  now: number,
): Upkeep | undefined {
  const { file } = engine
  const old = file.prepare(`SELECT 1 FROM ${table} WHERE until <= ? LIMIT 1`)
  if (old.get(now) === undefined) return undefined
  const [scope, key] = table === 'bus_inbox' ? ['grp', 'key'] : ['topic', 'id']
  return (turn) => {
    const { changes } = file
      .prepare(
        `DELETE FROM ${table} WHERE (${scope}, ${key}) IN (
           SELECT ${scope}, ${key} FROM ${table} WHERE until <= ? ORDER BY until LIMIT ?)`,
      )
      .run(turn.now, rowsMax)
    return changes === rowsMax
  }
}

/** Free pages that are kept for what comes next, and how many are given back at a time. */
const freePagesKept = 4096
const freePagesStep = 256
/** Milliseconds without messages after which the file is made smaller. */
const idleMs = 10_000

/** After a backlog the file is mostly holes; they go back to the disk while nothing else happens. */
function findFreeSpace(engine: Engine, now: number): Upkeep | undefined {
  const { file } = engine
  if (file.isMemory || now - engine.activeAt < idleMs) return undefined
  const freePages = () => Number(file.prepare('PRAGMA freelist_count').get()?.freelist_count)
  const before = freePages()
  if (before <= freePagesKept) return undefined
  return () => {
    file.prepare(`PRAGMA incremental_vacuum(${freePagesStep})`).all()
    const after = freePages()
    // A file that another program made may not allow it: then the number does not change.
    return after < before && after > freePagesKept
  }
}
