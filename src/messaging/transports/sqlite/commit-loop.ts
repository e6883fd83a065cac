import type { Clock, TimerHandle } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import type { Random } from '../../../core/random.ts'
import { isStorageError, mapSqliteError } from '../../../store/index.ts'
import type { Turn } from './engine.ts'

/** Something to do in the next transaction, made of items that may be spread over several. */
export interface Job {
  readonly size: number
  /** Settlements go first: what is finished makes room before more comes in. */
  readonly isSettlement?: boolean
  /** Does item `index`. May be called again for the same index after a rollback. */
  run(turn: Turn, index: number): void
  /** All items are committed, or failed one by one. */
  done(): void
  /** Item `index` was not done, for this reason. */
  fail(index: number, error: TreatyError): void
}

interface QueuedJob {
  readonly job: Job
  next: number
}
/** Jobs of one kind, in order of arrival. */
type Lane = QueuedJob[]
interface Slice {
  readonly entry: QueuedJob
  readonly from: number
  readonly to: number
}

export interface CommitLoopOptions {
  readonly clock: Clock
  readonly random: Random
  /** Milliseconds for which a locked file is tried again before callers get STORE_BUSY. */
  readonly busyWaitMs: number
  /** One transaction. `wantsMore`: another is needed although nothing is queued. */
  readonly turn: (work: (turn: Turn) => void) => { readonly wantsMore: boolean }
  readonly reportError: (error: TreatyError) => void
}

/**
 * Group commit: what callers of one turn of the event loop ask for goes into one transaction, so
 * that they share its sync to disk. First come, first served.
 */
export interface CommitLoop {
  add(job: Job): void
  /** Takes a job back of which nothing was done yet. False: too late. */
  remove(job: Job): boolean
  /** Runs a transaction soon even if nothing is queued: there may be something to lease. */
  wake(): void
  /** Runs what is queued now; resolves when the queue is empty. */
  drain(): Promise<void>
  /** Nothing runs after this; what is queued fails with `error`. */
  stop(error: TreatyError): void
}

/** Items of one transaction, and how long it should take to stay fair to the rest of the process. */
const itemsMin = 50
const itemsMax = 2000
const workMsMax = 25
const workMsGood = 10
/** Pause after a failure that is not the fault of a job, so that a full disk is not hammered. */
const failurePauseMs = 250

export function createCommitLoop(options: CommitLoopOptions): CommitLoop {
  const { clock, random, busyWaitMs, turn, reportError } = options
  const settlements: Lane = []
  const others: Lane = []
  let isScheduled = false
  let isStopped = false
  let pause: TimerHandle | undefined
  let itemsNow = 256
  /** So many items go one by one, after a transaction failed because of one of them. */
  let alone = 0
  let busySince: number | undefined
  let idleWaiters: (() => void)[] = []

  const schedule = () => {
    if (isScheduled || isStopped || pause !== undefined) return
    isScheduled = true
    setImmediate(run)
  }
  const scheduleAfter = (delayMs: number) => {
    if (pause !== undefined || isStopped) return
    pause = clock.setTimeout(() => {
      pause = undefined
      schedule()
    }, delayMs)
  }

  function run(): void {
    isScheduled = false
    if (isStopped || pause !== undefined) return
    const slices = takeNext()
    let workMs = 0
    try {
      const { wantsMore } = turn((current) => {
        const begunAt = clock.monotonic()
        runSlices(slices, current)
        workMs = clock.monotonic() - begunAt
      })
      busySince = undefined
      succeed(slices, workMs)
      if (wantsMore || !isEmpty()) schedule()
    } catch (error) {
      handleFailure(slices, error)
    }
    if (isEmpty()) wakeIdleWaiters()
  }

  /** The sync to disk is not counted: smaller transactions would only mean more of them. */
  function takeNext(): Slice[] {
    if (alone === 0) return [...take(settlements, itemsNow), ...take(others, itemsNow)]
    const first = take(settlements, 1)
    return first.length > 0 ? first : take(others, 1)
  }

  function isEmpty(): boolean {
    return settlements.length === 0 && others.length === 0
  }

  function succeed(slices: readonly Slice[], workMs: number): void {
    const items = countItems(slices)
    alone = Math.max(0, alone - items)
    if (workMs > workMsMax) itemsNow = Math.max(itemsMin, itemsNow >> 1)
    else if (workMs < workMsGood && items >= itemsNow) itemsNow = Math.min(itemsMax, itemsNow << 1)
    advance(slices)
  }

  /** Slices are the heads of their lanes; all but the last of a lane are whole. */
  function advance(slices: readonly Slice[]): void {
    for (const { entry, to } of slices) entry.next = to
    for (const lane of [settlements, others]) dropFinished(lane)
    for (const { entry } of slices) if (isFinished(entry)) entry.job.done()
  }

  function handleFailure(slices: readonly Slice[], error: unknown): void {
    const mapped = mapSqliteError(error)
    if (mapped.code === 'STORE_BUSY') {
      busySince ??= clock.monotonic()
      if (clock.monotonic() - busySince < busyWaitMs) {
        scheduleAfter(1 + random() * 20)
        return
      }
      busySince = undefined
      failAll(slices, mapped)
      return
    }
    const isShared = mapped.code.startsWith('STORE_') || isStorageError(error)
    const items = countItems(slices)
    if (isShared || items <= 1) {
      alone = Math.max(0, alone - items)
      failAll(slices, mapped)
      return
    }
    // One item is at fault; alone, each shows whether it is the one.
    alone = items
    schedule()
  }

  function failAll(slices: readonly Slice[], error: TreatyError): void {
    if (slices.length === 0) {
      reportError(error)
      scheduleAfter(failurePauseMs)
      return
    }
    for (const slice of slices) {
      for (let index = slice.from; index < slice.to; index += 1) {
        slice.entry.job.fail(index, error)
      }
    }
    advance(slices)
    if (!isEmpty()) schedule()
  }

  function wakeIdleWaiters(): void {
    const waiters = idleWaiters
    idleWaiters = []
    for (const wake of waiters) wake()
  }

  return {
    add(job) {
      if (job.size === 0) {
        job.done()
        return
      }
      const lane = job.isSettlement ? settlements : others
      lane.push({ job, next: 0 })
      schedule()
    },
    remove(job) {
      const at = others.findIndex((entry) => entry.job === job && entry.next === 0)
      if (at >= 0) others.splice(at, 1)
      return at >= 0
    },
    wake: schedule,
    drain() {
      if (isEmpty()) return Promise.resolve()
      schedule()
      return new Promise((resolve) => idleWaiters.push(resolve))
    },
    stop(error) {
      isStopped = true
      if (pause !== undefined) clock.clearTimeout(pause)
      for (const { job, next } of [...settlements.splice(0), ...others.splice(0)]) {
        for (let index = next; index < job.size; index += 1) job.fail(index, error)
        job.done()
      }
      wakeIdleWaiters()
    },
  }
}

function take(lane: Lane, itemsMost: number): Slice[] {
  const slices: Slice[] = []
  let room = itemsMost
  for (const entry of lane) {
    if (room === 0) break
    const to = Math.min(entry.job.size, entry.next + room)
    room -= to - entry.next
    slices.push({ entry, from: entry.next, to })
  }
  return slices
}

function isFinished({ job, next }: QueuedJob): boolean {
  return next === job.size
}

function dropFinished(lane: Lane): void {
  let count = 0
  while (count < lane.length && isFinished(lane[count] as QueuedJob)) count += 1
  if (count > 0) lane.splice(0, count)
}

function runSlices(slices: readonly Slice[], turn: Turn): void {
  for (const { entry, from, to } of slices) {
    for (let index = from; index < to; index += 1) entry.job.run(turn, index)
  }
}

function countItems(slices: readonly Slice[]): number {
  return slices.reduce((sum, { from, to }) => sum + to - from, 0)
}
