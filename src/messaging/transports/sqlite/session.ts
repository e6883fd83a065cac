import type { Clock, TimerHandle } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { createIdSource } from '../../../core/ids.ts'
import type { Random } from '../../../core/random.ts'
import { mapSqliteError, type SqliteFile } from '../../../store/index.ts'
import { type CommitLoop, createCommitLoop } from './commit-loop.ts'
import { nextDue } from './due.ts'
import { type Engine, nowMs } from './engine.ts'
import { createIntake, type Intake } from './intake.ts'
import { createLocalGroups, hasCredit } from './local-groups.ts'
import { findGoneOwners, findUpkeep, newCursors, pauseBeforeUpkeep } from './maintenance.ts'
import { forgetOwner, type ProcessTable } from './owners.ts'
import { createRecordCache } from './records.ts'
import { prepareStatements } from './statements.ts'
import { createTally } from './tally.ts'
import { noTopology, readTopology } from './topology-view.ts'
import { runTurn } from './turn.ts'

/** Longest pause between two rounds of upkeep: what a killed process had out is free again soon after. */
const upkeepMs = 1000

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

/** The time between connect and close: the engine at work, its timers and its ear for other processes. */
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

export function createSession(options: SessionOptions): Session {
  const { file, clock, processes, reportError } = options
  const engine = createEngine(options)
  const loop = createCommitLoop({
    clock,
    random: options.random,
    busyWaitMs: options.busyWaitMs,
    reportError,
    turn(work) {
      const { turn } = runTurn(engine, processes, work)
      armDue()
      if (engine.leases.size === 0) for (const wake of drainWaiters.splice(0)) wake()
      return { wantsMore: turn.hasMore }
    },
  })
  const intake = createIntake(engine, loop)
  const cursors = newCursors()
  const drainWaiters: (() => void)[] = []
  let upkeepTimer: TimerHandle | undefined
  let isUpkeepQueued = false
  let dueTimer: TimerHandle | undefined
  let dueArmedFor: number | undefined
  let stopListening: () => void = () => undefined

  function armDue(): void {
    const dueAt = nextDue(engine)
    if (dueAt === dueArmedFor) return
    disarmDue()
    if (dueAt === undefined) return
    dueArmedFor = dueAt
    dueTimer = clock.setTimeout(
      () => {
        dueTimer = undefined
        dueArmedFor = undefined
        loop.wake()
      },
      Math.max(1, dueAt - nowMs(clock)),
    )
  }
  function disarmDue(): void {
    if (dueTimer !== undefined) clock.clearTimeout(dueTimer)
    dueTimer = undefined
    dueArmedFor = undefined
  }

  function armUpkeep(): void {
    if (upkeepTimer !== undefined) clock.clearTimeout(upkeepTimer)
    upkeepTimer = clock.setTimeout(() => {
      upkeep()
      armUpkeep()
    }, upkeepPause(engine))
    // A process that only publishes may end when it has nothing else to do; a consumer stays.
    if (engine.local.all.size === 0) unref(upkeepTimer)
  }
  function upkeep(): void {
    if (isUpkeepQueued) return
    try {
      const run = findUpkeep(engine, processes, { now: nowMs(clock), cursors })
      if (run === undefined) return
      isUpkeepQueued = true
      intake.inTurn(run).then(upkeepDone, (error) => {
        upkeepDone()
        reportError(error)
      })
    } catch (error) {
      reportError(mapSqliteError(error, file.path))
    }
  }
  function upkeepDone(): void {
    isUpkeepQueued = false
  }

  /** Somebody else has committed: is there something for us? Found out by reading, without the lock. */
  function notice(): void {
    try {
      lookAround(engine)
      armDue()
      if (hasWork(engine)) loop.wake()
    } catch (error) {
      reportError(mapSqliteError(error, file.path))
    }
  }

  return {
    engine,
    loop,
    intake,
    async start() {
      await intake.inTurn((turn) => findGoneOwners(engine, processes, turn.now)?.(turn))
      stopListening = file.onChange(notice)
      armUpkeep()
    },
    subscribersChanged() {
      engine.nextDueAt = undefined
      armDue()
      armUpkeep()
    },
    async drained(drainMs) {
      if (engine.leases.size === 0 || drainMs <= 0) return
      await new Promise<void>((resolve) => {
        const timer = clock.setTimeout(resolve, drainMs)
        drainWaiters.push(() => {
          clock.clearTimeout(timer)
          resolve()
        })
      })
    },
    async end() {
      stopListening()
      if (upkeepTimer !== undefined) clock.clearTimeout(upkeepTimer)
      try {
        await loop.drain()
        await intake.inTurn((turn) => {
          // A session of nothing but failures has no row: then there is nothing to leave.
          if (engine.ownerId !== 0) forgetOwner(engine, turn)
        })
      } catch (error) {
        // What is out comes free when others see that our lease or our process has ended.
        reportError(mapSqliteError(error, file.path))
      }
      for (const lease of engine.leases) lease.isLive = false
      engine.leases.clear()
      disarmDue()
      loop.stop(new TreatyError('BUS_CLOSED', 'the transport was closed'))
      file.close()
    },
  }
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
    onLeasesLost(count) {
      reportError(
        new TreatyError(
          'LEASES_LOST',
          `${count} deliveries were handed to others because this process was silent for longer than its lease`,
          {
            hint: 'Keep handlers from blocking the event loop, or raise leaseMs.',
            details: { count },
          },
        ),
      )
    },
    ephemeral: new Map(),
    topology: noTopology,
    ownerId: 0,
    renewedAt: 0,
    seenGeneration: -1,
    nextDueAt: Number.POSITIVE_INFINITY,
  }
}

/** A private database has no neighbours, and the clock of a test may jump by weeks. */
function upkeepPause(engine: Engine): number {
  const isPrivate = engine.file.path === ':memory:'
  if (isPrivate) return pauseBeforeUpkeep(engine, nowMs(engine.clock))
  return Math.min(upkeepMs, Math.max(10, engine.leaseMs / 4))
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

function unref(handle: TimerHandle): void {
  if (typeof handle !== 'object' || handle === null || !('unref' in handle)) return
  if (typeof handle.unref === 'function') handle.unref()
}
