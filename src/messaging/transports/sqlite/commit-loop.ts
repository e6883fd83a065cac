import type { Clock, TimerHandle } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import type { Random } from '../../../core/random.ts'
import { mapSqliteError } from '../../../store/index.ts'
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
 * that they share its sync to disk. Within each lane, settlements and the rest, first come is first
 * served.
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

/**
 * Items of one lane in one transaction, and how long the work in it may take to stay fair to the
 * rest
 * of the process. The sync to disk is not counted: smaller transactions would only mean more of
 * them.
 */
const itemsMin = 50
const itemsFirst = 256
const itemsMax = 2000
const workMsMax = 25
const workMsGood = 10
/** Pause after a failure that is not the fault of a job, so that a full disk is not hammered. */
const failurePauseMs = 250
/** Longest pause before a locked file is tried again. */
const busyPauseMs = 20

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

interface LoopState extends CommitLoopOptions {
  readonly settlements: Lane
  readonly others: Lane
  isScheduled: boolean
  isStopped: boolean
  pause: TimerHandle | undefined
  itemsNow: number
  /** So many items go one by one, after a transaction failed because of one of them. */
  alone: number
  busySince: number | undefined
  idleWaiters: (() => void)[]
}

export function createCommitLoop(options: CommitLoopOptions): CommitLoop {
  const state: LoopState = {
    ...options,
    settlements: [],
    others: [],
    isScheduled: false,
    isStopped: false,
    pause: undefined,
    itemsNow: itemsFirst,
    alone: 0,
    busySince: undefined,
    idleWaiters: [],
  }
  return {
    add(job) {
      if (job.size === 0) {
        job.done()
        return
      }
      const lane = job.isSettlement ? state.settlements : state.others
      lane.push({ job, next: 0 })
      schedule(state)
    },
    remove(job) {
      const at = state.others.findIndex((entry) => entry.job === job && entry.next === 0)
      if (at >= 0) state.others.splice(at, 1)
      return at >= 0
    },
    wake: () => schedule(state),
    drain() {
      if (isEmpty(state)) return Promise.resolve()
      schedule(state)
      return new Promise((resolve) => state.idleWaiters.push(resolve))
    },
    stop: (error) => stop(state, error),
  }
}

function schedule(state: LoopState): void {
  if (state.isScheduled || state.isStopped || state.pause !== undefined) return
  state.isScheduled = true
  setImmediate(() => runTransaction(state))
}

function scheduleAfter(state: LoopState, delayMs: number): void {
  if (state.pause !== undefined || state.isStopped) return
  state.pause = state.clock.setTimeout(() => {
    state.pause = undefined
    schedule(state)
  }, delayMs)
}

function isEmpty({ settlements, others }: LoopState): boolean {
  return settlements.length === 0 && others.length === 0
}

function runTransaction(state: LoopState): void {
  state.isScheduled = false
  if (state.isStopped || state.pause !== undefined) return
  const slices = takeNext(state)
  let workMs = 0
  try {
    const { wantsMore } = state.turn((turn) => {
      const begunAt = state.clock.monotonic()
      runSlices(slices, turn)
      workMs = state.clock.monotonic() - begunAt
    })
    state.busySince = undefined
    adapt(state, countItems(slices), workMs)
    advance(state, slices)
    if (wantsMore || !isEmpty(state)) schedule(state)
  } catch (error) {
    handleFailure(state, slices, mapSqliteError(error))
  }
  if (isEmpty(state)) wakeIdleWaiters(state)
}

function takeNext({ settlements, others, alone, itemsNow }: LoopState): Slice[] {
  if (alone === 0) return [...take(settlements, itemsNow), ...take(others, itemsNow)]
  const first = take(settlements, 1)
  return first.length > 0 ? first : take(others, 1)
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

function runSlices(slices: readonly Slice[], turn: Turn): void {
  for (const { entry, from, to } of slices) {
    for (let index = from; index < to; index += 1) entry.job.run(turn, index)
  }
}

function countItems(slices: readonly Slice[]): number {
  return slices.reduce((sum, { from, to }) => sum + to - from, 0)
}

/**
 * Larger transactions share one sync among more items, as long as the event loop does not
 * suffer.
 */
function adapt(state: LoopState, items: number, workMs: number): void {
  state.alone = Math.max(0, state.alone - items)
  if (workMs > workMsMax) state.itemsNow = Math.max(itemsMin, state.itemsNow >> 1)
  else if (workMs < workMsGood && items >= state.itemsNow) {
    state.itemsNow = Math.min(itemsMax, state.itemsNow << 1)
  }
}

/** Slices are the heads of their lanes; all but the last of a lane are whole. */
function advance(state: LoopState, slices: readonly Slice[]): void {
  for (const { entry, to } of slices) entry.next = to
  dropFinished(state.settlements)
  dropFinished(state.others)
  for (const { entry } of slices) if (isFinished(entry)) entry.job.done()
}

function isFinished({ job, next }: QueuedJob): boolean {
  return next === job.size
}

function dropFinished(lane: Lane): void {
  let count = 0
  while (count < lane.length && isFinished(lane[count] as QueuedJob)) count += 1
  if (count > 0) lane.splice(0, count)
}

function handleFailure(state: LoopState, slices: readonly Slice[], error: TreatyError): void {
  if (error.code === 'STORE_BUSY' && mayWaitLonger(state)) {
    scheduleAfter(state, 1 + state.random() * busyPauseMs)
    return
  }
  state.busySince = undefined
  const items = countItems(slices)
  const isOfAll = error.code.startsWith('STORE_')
  if (!isOfAll && items > 1) {
    // One item is at fault; alone, each shows whether it is the one.
    state.alone = items
    schedule(state)
    return
  }
  state.alone = Math.max(0, state.alone - items)
  if (items === 0) {
    state.reportError(error)
    scheduleAfter(state, failurePauseMs)
    return
  }
  failAll(slices, error)
  advance(state, slices)
  if (!isEmpty(state)) schedule(state)
}

function mayWaitLonger(state: LoopState): boolean {
  const now = state.clock.monotonic()
  state.busySince ??= now
  return now - state.busySince < state.busyWaitMs
}

function failAll(slices: readonly Slice[], error: TreatyError): void {
  for (const { entry, from, to } of slices) {
    for (let index = from; index < to; index += 1) entry.job.fail(index, error)
  }
}

function wakeIdleWaiters(state: LoopState): void {
  const waiters = state.idleWaiters
  state.idleWaiters = []
  for (const wake of waiters) wake()
}

function stop(state: LoopState, error: TreatyError): void {
  state.isStopped = true
  if (state.pause !== undefined) state.clock.clearTimeout(state.pause)
  for (const { job, next } of [...state.settlements.splice(0), ...state.others.splice(0)]) {
    for (let index = next; index < job.size; index += 1) job.fail(index, error)
    job.done()
  }
  wakeIdleWaiters(state)
}
