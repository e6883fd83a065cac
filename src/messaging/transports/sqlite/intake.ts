import type { TreatyError } from '../../../core/errors.ts'
import type { OutgoingRecord, PublishResult, Settlement, SettleResult } from '../../transport.ts'
import type { CommitLoop } from './commit-loop.ts'
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
  const settled = new WeakMap<Settlement, SettleResult>()

  return {
    publish(records, signal) {
      return new Promise((resolve, reject) => {
        const results: PublishResult[] = new Array(records.length)
        const onAbort = () => {
          if (loop.remove(job)) reject(signal?.reason)
        }
        const job = {
          size: records.length,
          run(turn: Turn, index: number) {
            results[index] = publishRecord(engine, turn, records[index] as OutgoingRecord)
          },
          done() {
            signal?.removeEventListener('abort', onAbort)
            resolve(results)
          },
          fail(index: number, error: TreatyError) {
            results[index] = { error }
          },
        }
        if (signal?.aborted) {
          reject(signal.reason)
          return
        }
        signal?.addEventListener('abort', onAbort, { once: true })
        loop.add(job)
      })
    },
    settle(settlements) {
      return new Promise((resolve, reject) => {
        const results: SettleResult[] = new Array(settlements.length)
        let failure: TreatyError | undefined
        loop.add({
          size: settlements.length,
          isSettlement: true,
          run(turn, index) {
            const settlement = settlements[index] as Settlement
            results[index] = settled.get(settlement) ?? settle(engine, turn, settlement)
          },
          done() {
            if (failure === undefined) {
              resolve(results)
              return
            }
            results.forEach((result, index) => {
              settled.set(settlements[index] as Settlement, result)
            })
            reject(failure)
          },
          fail(index, error) {
            failure = error
            delete results[index]
          },
        })
      })
    },
    inTurn<T>(work: (turn: Turn) => T) {
      return new Promise<T>((resolve, reject) => {
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
      })
    },
  }
}
