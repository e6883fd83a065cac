import { mapSqliteError } from '../../../store/index.ts'
import { claim } from './claim.ts'
import { claimDue } from './due.ts'
import type { Engine, Lease, Turn } from './engine.ts'
import { nowMs } from './engine.ts'
import { type ProcessTable, registerOwner, renewOwner } from './owners.ts'
import { ensureTopology } from './topology.ts'
import { readTopology } from './topology-view.ts'

/**
 * Runs `work` and then leases what is ready, all in one transaction, and hands the leased out once
 * it is committed. A throw, from `work` or from SQLite, leaves file and memory as they were.
 *
 * @throws STORE_BUSY, STORE_FULL, STORE_CORRUPT, STORE_UNAVAILABLE, and what `work` throws
 */
export function runTurn<T>(
  engine: Engine,
  processes: ProcessTable,
  work: (turn: Turn) => T,
): { readonly value: T; readonly turn: Turn } {
  const turn = newTurn(engine)
  const topologyBefore = engine.topology
  let value: T
  try {
    value = engine.file.transaction(() => {
      begin(engine, turn, processes)
      const result = work(turn)
      claimDue(engine, turn)
      claim(engine, turn)
      end(engine, turn)
      return result
    })
  } catch (error) {
    engine.tally.discard()
    engine.topology = topologyBefore
    throw error
  }
  commitMemory(engine, turn)
  return { value, turn }
}

/** A turn before its first look at the file. */
export function newTurn(engine: Engine): Turn {
  return {
    now: nowMs(engine.clock),
    ownerId: engine.ownerId,
    nextSeq: 0,
    generation: 0,
    isMetaTouched: false,
    published: new Map(),
    settled: new Set(),
    handed: new Map(),
    readied: new Set(),
    drained: new Set(),
    isDueTouched: false,
    isTopologyTouched: false,
    hasMore: false,
    afterCommit: [],
  }
}

/** What others have done since our last transaction is found out here, under the write lock. */
function begin(engine: Engine, turn: Turn, processes: ProcessTable): void {
  const [nextSeq, generation, topology] = engine.sql.readMeta.get() as unknown as readonly [
    number,
    number,
    number,
  ]
  turn.nextSeq = nextSeq
  turn.generation = generation
  if (topology !== engine.topology.version) {
    engine.topology = readTopology(engine.file, topology)
  }
  if (generation !== engine.seenGeneration) {
    engine.local.suspectAll()
    engine.nextDueAt = undefined
  }
  if (engine.ownerId === 0 || !renewOwner(engine, turn)) {
    forgetLeases(engine)
    registerOwner(engine, turn, processes)
    if (engine.ephemeral.size > 0) {
      const groups = [...engine.ephemeral.values()]
      ensureTopology(engine, turn, { topology: { channels: [], groups }, mode: 'create' })
    }
  }
}

/** Others have our work: what is out can be settled by nobody here any more. */
function forgetLeases(engine: Engine): void {
  for (const lease of engine.leases) lease.isLive = false
  const count = engine.leases.size
  engine.leases.clear()
  if (count > 0) engine.onLeasesLost(count)
}

function end(engine: Engine, turn: Turn): void {
  engine.tally.flush()
  // Ready rows that stay, and new due times, are news to the other processes.
  const isNews = turn.readied.size > 0 || turn.isDueTouched
  if (isNews) turn.generation += 1
  // An idle turn writes nothing: a write would wake the others, whose idle turns would wake us.
  if (isNews || turn.isMetaTouched) engine.sql.writeMeta.run(turn.nextSeq, turn.generation)
  if (turn.isTopologyTouched) {
    engine.file.prepare('UPDATE bus_meta SET topology = topology + 1 WHERE id = 1').run()
    engine.topology = readTopology(engine.file, engine.topology.version + 1)
  }
}

function commitMemory(engine: Engine, turn: Turn): void {
  const isNews = turn.generation !== engine.seenGeneration
  engine.seenGeneration = turn.generation
  if (turn.isMetaTouched || turn.settled.size > 0) engine.activeAt = turn.now
  for (const lease of turn.settled) {
    lease.isLive = false
    engine.leases.delete(lease)
  }
  for (const groupId of turn.readied) markReady(engine, groupId)
  for (const local of turn.drained) local.mayHaveReady = false
  for (const [seq, record] of turn.published) engine.records.add(seq, record)
  if (turn.isDueTouched) engine.nextDueAt = undefined
  for (const run of turn.afterCommit) run()
  if (isNews || turn.isTopologyTouched) engine.file.notifyLocal()
  hand(engine, turn)
}

function markReady(engine: Engine, groupId: number): void {
  const name = engine.topology.groupsById.get(groupId)?.name
  const local = name === undefined ? undefined : engine.local.all.get(name)
  if (local !== undefined) local.mayHaveReady = true
}

function hand(engine: Engine, turn: Turn): void {
  for (const [subscription, deliveries] of turn.handed) {
    subscription.credit -= deliveries.length
    for (const delivery of deliveries) engine.leases.add(delivery.lease as Lease)
  }
  for (const [subscription, deliveries] of turn.handed) {
    try {
      subscription.sink(deliveries)
    } catch (error) {
      // The port forbids it; the other subscribers must not suffer for it.
      engine.reportError(mapSqliteError(error))
    }
  }
}
