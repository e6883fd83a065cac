import type { TreatyError } from '../../../core/errors.ts'
import type { OutgoingRecord, PublishResult, Settlement, SettleResult } from '../../transport.ts'
import type { CommitLoop, Job } from './commit-loop.ts'
import type { Engine, Turn } from './engine.ts'
import { publishRecord } from './publish.ts'
import { settle } from './settle.ts'

/** The port's calls that become jobs of the commit loop. */
export interface Intake {
  publish(records: readonly OutgoingRecord[], signal?: AbortSignal): Promise<PublishResult[]>
  settle(settlements: readonly Settlement[]): Promise<SettleResult[]>
  /** Any other work inside a transaction. */
  inTurn<T>(work: (turn: Turn) => T): Promise<T>
}

export function createIntake(engine: Engine, loop: CommitLoop): Intake {
  // A call that failed midway is repeated by the bus: what was committed keeps its result.
  const known = new WeakMap<Settlement, SettleResult>()
  return {
    async publish(records, signal) {
      signal?.throwIfAborted()
      return publishAll(engine, loop, { records, signal })
    },
    settle: (settlements) => settleAll(engine, loop, { settlements, known }),
    inTurn: (work) => runInTurn(loop, work),
  }
}

function publishAll(
  engine: Engine,
  loop: CommitLoop,
  sent: { records: readonly OutgoingRecord[]; signal: AbortSignal | undefined },
): Promise<PublishResult[]> {
  const { records, signal } = sent
  const { promise, resolve, reject } = Promise.withResolvers<PublishResult[]>()
  const results: PublishResult[] = new Array(records.length)
  const onAbort = () => {
    if (loop.remove(job)) reject(signal?.reason)
  }
  const job: Job = {
    size: records.length,
    run(turn, index) {
      results[index] = publishRecord(engine, turn, records[index] as OutgoingRecord)
    },
    done() {
      signal?.removeEventListener('abort', onAbort)
      resolve(results)
    },
    fail(index, error) {
      results[index] = { error }
    },
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  loop.add(job)
  return promise
}

function settleAll(
  engine: Engine,
  loop: CommitLoop,
  given: { settlements: readonly Settlement[]; known: WeakMap<Settlement, SettleResult> },
): Promise<SettleResult[]> {
  const { settlements, known } = given
  const { promise, resolve, reject } = Promise.withResolvers<SettleResult[]>()
  const results: SettleResult[] = new Array(settlements.length)
  const failed = new Set<number>()
  let failure: TreatyError | undefined
  loop.add({
    size: settlements.length,
    isSettlement: true,
    run(turn, index) {
      const settlement = settlements[index] as Settlement
      results[index] = known.get(settlement) ?? settle(engine, turn, settlement)
    },
    done() {
      if (failure === undefined) {
        resolve(results)
        return
      }
      for (const [index, settlement] of settlements.entries()) {
        if (!failed.has(index)) known.set(settlement, results[index] as SettleResult)
      }
      reject(failure)
    },
    fail(index, error) {
      failure = error
      failed.add(index)
    },
  })
  return promise
}

function runInTurn<T>(loop: CommitLoop, work: (turn: Turn) => T): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  let value: T
  let failure: TreatyError | undefined
  loop.add({
    size: 1,
    run(turn) {
      value = work(turn)
    },
    done() {
      if (failure === undefined) resolve(value)
      else reject(failure)
    },
    fail(_, error) {
      failure = error
    },
  })
  return promise
}
