import { readFileSync, readlinkSync } from 'node:fs'
import type { SqliteFile } from '../../../store/index.ts'
import type { Engine, Turn } from './engine.ts'
import { rowState } from './schema.ts'

/**
 * Who owns leases: one row for each transport that is connected, renewed while it lives. What a
 * delivery row holds is the owner's number, so that renewing ten thousand leases is one write.
 */
export interface OwnerRow {
  readonly id: number
  readonly pid: number
  /** Boot and process-id namespace: only within one does a pid mean anything. */
  readonly machine: string
  /** When the process began, as the kernel counts: a pid that is used again has another. */
  readonly started: string
  readonly leaseUntil: number
}

/** What the kernel says about processes; a parameter, so that tests need no killing. */
export interface ProcessTable {
  readonly pid: number
  readonly machine: string
  /** When the process began; null: there is no such process; undefined: this system cannot tell. */
  startOf(pid: number): string | null | undefined
}

/** Field 22 of /proc/PID/stat, counted behind the command, which may contain anything. */
const startField = 19

/** Reads /proc (Linux); elsewhere nothing can be told, and only the lease's time decides. */
export function createProcessTable(): ProcessTable {
  const readText = (path: string) => {
    try {
      return readFileSync(path, 'latin1').trim()
    } catch {
      return undefined
    }
  }
  const boot = readText('/proc/sys/kernel/random/boot_id')
  let namespace: string | undefined
  try {
    namespace = readlinkSync('/proc/self/ns/pid')
  } catch {
    // Not Linux: then machine is empty and nothing is concluded from pids.
  }
  const canTell = boot !== undefined && namespace !== undefined
  return {
    pid: process.pid,
    machine: canTell ? `${boot} ${namespace}` : '',
    startOf(pid) {
      if (!canTell) return undefined
      const stat = readText(`/proc/${pid}/stat`)
      if (stat === undefined) return null
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      // A zombie runs no more; only its parent has not looked yet.
      if (fields[0] === 'Z' || fields[0] === 'X') return null
      return fields[startField]
    },
  }
}

/**
 * True when the owner can settle nothing any more: its lease has passed, or its process is
 * provably gone.
 */
export function isGone(owner: OwnerRow, processes: ProcessTable, now: number): boolean {
  if (now >= owner.leaseUntil) return true
  if (owner.machine === '' || owner.machine !== processes.machine) return false
  const started = processes.startOf(owner.pid)
  return started === null || (started !== undefined && started !== owner.started)
}

/** Every owner but ours. */
export function readOtherOwners(engine: Engine): OwnerRow[] {
  return readOwners(engine.file).filter(({ id }) => id !== engine.ownerId)
}

function readOwners(file: SqliteFile): OwnerRow[] {
  const rows = file.prepare('SELECT * FROM bus_owner ORDER BY id').all()
  return rows.map((row) => ({
    id: Number(row.id),
    pid: Number(row.pid),
    machine: String(row.machine),
    started: String(row.started),
    leaseUntil: Number(row.lease_until),
  }))
}

/** Makes a row of our own with a number that nobody had before. */
export function registerOwner(engine: Engine, turn: Turn, processes: ProcessTable): void {
  const { file, leaseMs } = engine
  const taken = file
    .prepare(
      'UPDATE bus_meta SET next_owner = next_owner + 1 WHERE id = 1 RETURNING next_owner - 1 AS id',
    )
    .get()
  turn.ownerId = Number(taken?.id)
  file
    .prepare(
      `INSERT INTO bus_owner (id, pid, machine, started, heartbeat_at, lease_until)
       VALUES (?, ?, ?, ?, ?, ?)`,
    )
    .run(
      turn.ownerId,
      processes.pid,
      processes.machine,
      processes.startOf(processes.pid) ?? '',
      turn.now,
      turn.now + leaseMs,
    )
  turn.afterCommit.push(() => {
    engine.ownerId = turn.ownerId
    engine.renewedAt = turn.now
  })
}

/**
 * Renews our lease when a third of it has gone. False: our row is not there any more, others
 * have our work.
 */
export function renewOwner(engine: Engine, turn: Turn): boolean {
  const known = engine.sql.readOwner.get(engine.ownerId)
  if (known === undefined) return false
  const isDue = turn.now - engine.renewedAt >= engine.leaseMs / 3 || turn.now < engine.renewedAt
  if (isDue) {
    engine.sql.renewOwner.run(turn.now, turn.now + engine.leaseMs, engine.ownerId)
    turn.afterCommit.push(() => {
      engine.renewedAt = turn.now
    })
  }
  return true
}

/** Frees what an owner had out, takes its ephemeral groups away, and forgets it. */
export function removeOwner(engine: Engine, turn: Turn, ownerId: number): void {
  const { file } = engine
  const freed = file
    .prepare('UPDATE bus_delivery SET state = 0, owner = NULL WHERE state = 1 AND owner = ?')
    .run(ownerId)
  if (freed.changes > 0) {
    for (const { id } of engine.topology.groupsById.values()) turn.readied.add(id)
  }
  removeEphemeralGroups(engine, turn, ownerId)
  file.prepare('DELETE FROM bus_owner WHERE id = ?').run(ownerId)
}

function removeEphemeralGroups(engine: Engine, turn: Turn, ownerId: number): void {
  const { file } = engine
  const groups = file.prepare('SELECT id, consumer FROM bus_group WHERE owner = ?').all(ownerId)
  for (const group of groups) {
    const id = Number(group.id)
    const topics = file.prepare('SELECT topic FROM bus_subscription WHERE grp = ?').all(id)
    removeGroup(engine, turn, { id, consumer: String(group.consumer) })
    for (const { topic } of topics) {
      file
        .prepare(
          `DELETE FROM bus_topic WHERE id = ?1 AND retention_ms IS NULL
           AND NOT EXISTS (SELECT 1 FROM bus_subscription WHERE topic = ?1)`,
        )
        .run(topic as number)
    }
  }
}

/** Takes a group away, with what waits in it. Its dead letters stay, and know it by its name. */
export function removeGroup(
  engine: Engine,
  turn: Turn,
  group: { id: number; consumer: string },
): void {
  removeDeliveries(engine, group)
  const { file } = engine
  for (const table of ['bus_subscription', 'bus_inbox']) {
    file.prepare(`DELETE FROM ${table} WHERE grp = ?`).run(group.id)
  }
  file.prepare('UPDATE bus_dead SET grp = NULL WHERE grp = ?').run(group.id)
  file.prepare('DELETE FROM bus_group WHERE id = ?').run(group.id)
  turn.isTopologyTouched = true
}

/** What waits in a group, or in its part of one topic, goes: nobody is left to handle it, so its time is over. */
export function removeDeliveries(
  engine: Engine,
  of: { id: number; consumer: string; topic?: number },
): void {
  const { file, tally } = engine
  const { id, consumer, topic } = of
  const rows = file
    .prepare(
      `SELECT d.seq, d.state, l.topic, l.type FROM bus_delivery d JOIN bus_log l ON l.seq = d.seq
       WHERE d.grp = ?1 AND (?2 IS NULL OR l.topic = ?2)`,
    )
    .all(id, topic ?? null)
  for (const row of rows) {
    const [seq, type] = [Number(row.seq), String(row.type)]
    engine.sql.deleteDelivery.run(id, seq)
    if (row.state !== rowState.dead) {
      tally.add(type, consumer, 'expired', 1)
      tally.add(type, consumer, 'waiting', -1)
    }
    engine.sql.deleteLogUnlessNeeded.run(seq, Number(row.topic))
    engine.records.delete(seq)
  }
}

/** Leaves in good order: what is out is ready again at once, and no attempt or delivery counts. */
export function forgetOwner(engine: Engine, turn: Turn): void {
  for (const { group, seq, ownerId, deliveries } of engine.leases) {
    engine.sql.releaseLeased.run(rowState.ready, null, group.id, seq, ownerId, deliveries)
    turn.readied.add(group.id)
  }
  removeEphemeralGroups(engine, turn, turn.ownerId)
  engine.file.prepare('DELETE FROM bus_owner WHERE id = ?').run(turn.ownerId)
}
