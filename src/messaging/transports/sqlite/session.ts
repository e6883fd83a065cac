import type { Clock } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { createIdSource } from '../../../core/ids.ts'
import type { Random } from '../../../core/random.ts'
import { mapSqliteError, type SqliteFile } from '../../../store/index.ts'
import { type CommitLoop, createCommitLoop } from './commit-loop.ts'
import type { Engine } from './engine.ts'
import { createIntake, type Intake } from './intake.ts'
import { createLocalGroups, hasCredit } from './local-groups.ts'
import { findGoneOwners } from './maintenance.ts'
import { forgetOwner, type ProcessTable } from './owners.ts'
import { createRecordCache } from './records.ts'
import { prepareStatements } from './statements.ts'
import { createTally } from './tally.ts'
import { createDueTimer, createUpkeepTimer, type SessionTimer } from './timers.ts'
import { noTopology, readTopology } from './topology-view.ts'
import { runTurn } from './turn.ts'

export interface SessionOptions {
  readonly file: SqliteFile
  readonly clock: Clock
  readonly random: Random
  readonly leaseMs: number
  readonly busyWaitMs: number
  readonly messageBytesMax: number
  readonly processes: ProcessTable
  readonly reportError: (error: TreatyError) => void
}

/**
 * The time between connect and close: the engine at work, its timers and its ear for other
 * processes.
 */
export interface Session {
  readonly engine: Engine
  readonly loop: CommitLoop
  readonly intake: Intake
  /** Registers with the database and frees what processes that are gone had out. */
  start(): Promise<void>
  /** A subscriber came or went. */
  subscribersChanged(): void
  /** Resolves when nothing is out any more, or at the deadline, whichever comes first. */
  drained(drainMs: number): Promise<void>
  /** Gives back what is out, leaves the database, and closes it. */
  end(): Promise<void>
}

/** What the parts of a session share. */
interface Parts extends Pick<Session, 'engine' | 'loop' | 'intake'> {
  readonly due: SessionTimer
  readonly upkeep: SessionTimer
  readonly drainWaiters: (() => void)[]
}

export function createSession(options: SessionOptions): Session {
  const { file, processes, reportError } = options
  const engine = createEngine(options)
  const drainWaiters: (() => void)[] = []
  const loop = createCommitLoop({
    ...options,
    turn(work) {
      const { turn } = runTurn(engine, processes, work)
      due.arm()
      if (engine.leases.size === 0) for (const wake of drainWaiters.splice(0)) wake()
      return { wantsMore: turn.hasMore }
    },
  })
  const intake = createIntake(engine, loop)
  const due = createDueTimer(engine, loop.wake)
  const upkeep = createUpkeepTimer(engine, { intake, processes, report: reportError })
  const parts: Parts = { engine, loop, intake, due, upkeep, drainWaiters }
  let stopListening: () => void = () => undefined

  return {
    engine,
    loop,
    intake,
    async start() {
      await intake.inTurn((turn) => findGoneOwners(engine, processes, turn.now)?.(turn))
      stopListening = file.onChange(() => notice(parts))
      upkeep.arm()
    },
    subscribersChanged() {
      engine.nextDueAt = undefined
      due.arm()
      upkeep.arm()
    },
    drained: (drainMs) => untilDrained(parts, drainMs),
    end() {
      stopListening()
      return endSession(parts)
    },
  }
}

/**
 * Somebody else has committed: is there something for us? Found out by reading, without the
 * lock.
 */
function notice({ engine, due, loop }: Parts): void {
  try {
    lookAround(engine)
    due.arm()
    if (hasWork(engine)) loop.wake()
  } catch (error) {
    engine.reportError(mapSqliteError(error, engine.file.path))
  }
}

function lookAround(engine: Engine): void {
  const [, generation, topology] = engine.sql.readMeta.get() as unknown as readonly [
    number,
    number,
    number,
  ]
  if (topology !== engine.topology.version) engine.topology = readTopology(engine.file, topology)
  if (generation === engine.seenGeneration) return
  engine.local.suspectAll()
  engine.nextDueAt = undefined
}

/** True when a group has both a ready row and a subscriber with credit. */
function hasWork(engine: Engine): boolean {
  for (const local of engine.local.all.values()) {
    if (!local.mayHaveReady || !hasCredit(local)) continue
    const group = engine.topology.groups.get(local.name)
    if (group !== undefined && engine.sql.hasReady.get(group.id) !== undefined) return true
  }
  return false
}

async function untilDrained({ engine, drainWaiters }: Parts, drainMs: number): Promise<void> {
  if (engine.leases.size === 0 || drainMs <= 0) return
  await new Promise<void>((resolve) => {
    const timer = engine.clock.setTimeout(resolve, drainMs)
    drainWaiters.push(() => {
      engine.clock.clearTimeout(timer)
      resolve()
    })
  })
}

async function endSession({ engine, loop, intake, due, upkeep }: Parts): Promise<void> {
  upkeep.disarm()
  try {
    await loop.drain()
    // A session that never came to a transaction has no row to give up.
    if (engine.ownerId !== 0) await intake.inTurn((turn) => forgetOwner(engine, turn))
  } catch (error) {
    // What is out comes free when others see that our lease or our process has ended.
    engine.reportError(mapSqliteError(error, engine.file.path))
  }
  for (const lease of engine.leases) lease.isLive = false
  engine.leases.clear()
  due.disarm()
  loop.stop(new TreatyError('BUS_CLOSED', 'the transport was closed'))
  engine.file.close()
}

function createEngine(options: SessionOptions): Engine {
  const { file, clock, leaseMs, messageBytesMax, reportError } = options
  return {
    file,
    sql: prepareStatements(file),
    clock,
    newId: createIdSource(clock),
    tally: createTally(file),
    records: createRecordCache(),
    local: createLocalGroups(),
    leases: new Set(),
    leaseMs,
    messageBytesMax,
    reportError,
    onLeasesLost: (count) => reportError(leasesLost(count)),
    ephemeral: new Map(),
    topology: noTopology,
    effectRecords: undefined,
    ownerId: 0,
    renewedAt: 0,
    activeAt: 0,
    seenGeneration: -1,
    nextDueAt: Number.POSITIVE_INFINITY,
  }
}

function leasesLost(count: number): TreatyError {
  return new TreatyError(
    'LEASES_LOST',
    `${count === 1 ? '1 delivery was' : `${count} deliveries were`} handed to others because this process was silent for longer than its lease`,
    { hint: 'Keep handlers from blocking the event loop, or raise leaseMs.', details: { count } },
  )
}
