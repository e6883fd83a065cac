import type { TimerHandle } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import { mapSqliteError } from '../../../store/index.ts'
import { nextDue } from './due.ts'
import { type Engine, nowMs } from './engine.ts'
import type { Intake } from './intake.ts'
import { findUpkeep, pauseBeforeUpkeep } from './maintenance.ts'
import type { ProcessTable } from './owners.ts'

/**
 * Longest pause between two rounds of upkeep: what a killed process had out is free again soon
 * after.
 */
const upkeepMs = 1000

/** One timer that a session keeps. */
export interface SessionTimer {
  /** Sets it to the next time that matters. */
  arm(): void
  /** For good: the session ends. */
  disarm(): void
}

/** Wakes the loop when the next delayed message falls due, or the next one expires. */
export function createDueTimer(engine: Engine, wake: () => void): SessionTimer {
  const { clock } = engine
  let timer: TimerHandle | undefined
  let armedFor: number | undefined
  let isOver = false
  const clear = () => {
    if (timer !== undefined) clock.clearTimeout(timer)
    timer = undefined
    armedFor = undefined
  }
  return {
    disarm() {
      isOver = true
      clear()
    },
    arm() {
      if (isOver) return
      const dueAt = nextDue(engine)
      if (dueAt === armedFor) return
      clear()
      if (dueAt === undefined) return
      armedFor = dueAt
      const fire = () => {
        clear()
        wake()
      }
      // At least one millisecond: a timer may be early by a fraction, and must not spin.
      timer = clock.setTimeout(fire, Math.max(1, dueAt - nowMs(clock)))
    },
  }
}

/** Looks after leases, neighbours and what has had its time, about every second. */
export function createUpkeepTimer(
  engine: Engine,
  context: { intake: Intake; processes: ProcessTable; report: (error: TreatyError) => void },
): SessionTimer {
  const { clock } = engine
  const { intake, processes, report } = context
  let timer: TimerHandle | undefined
  let isUnderWay = false
  let isOver = false

  async function upkeep(): Promise<void> {
    if (isUnderWay) return
    isUnderWay = true
    try {
      for (let hasMore = true; hasMore && !isOver; ) {
        const run = findUpkeep(engine, processes, nowMs(clock))
        hasMore = run !== undefined && (await intake.inTurn(run))
      }
    } catch (error) {
      // What was under way when the session ended is for the next one to do.
      if (!isOver) report(mapSqliteError(error, engine.file.path))
    } finally {
      isUnderWay = false
    }
  }
  const disarm = () => {
    isOver = true
    if (timer !== undefined) clock.clearTimeout(timer)
  }
  const arm = () => {
    if (isOver) return
    if (timer !== undefined) clock.clearTimeout(timer)
    timer = clock.setTimeout(() => {
      arm()
      void upkeep()
    }, pauseOf(engine))
    // A process that only publishes may end when it has nothing else to do; a consumer stays.
    if (engine.local.all.size === 0) unref(timer)
  }
  return { arm, disarm }
}

/** A private database has no neighbours, and the clock of a test may jump by weeks. */
function pauseOf(engine: Engine): number {
  const isPrivate = engine.file.path === ':memory:'
  if (isPrivate) return pauseBeforeUpkeep(engine, nowMs(engine.clock))
  return Math.min(upkeepMs, Math.max(10, engine.leaseMs / 4))
}

function unref(handle: TimerHandle): void {
  if (typeof handle !== 'object' || handle === null || !('unref' in handle)) return
  if (typeof handle.unref === 'function') handle.unref()
}
