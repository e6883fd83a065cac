import { TreatyError } from '../core/errors.ts'
import type { OutgoingRecord, Transport } from './transport.ts'
import type { Published } from './types.ts'

interface Waiting {
  readonly record: OutgoingRecord
  resolve(published: Published): void
  reject(error: unknown): void
}

/** Hands the records of one event-loop turn to the transport in one call, in order. */
export interface Sender {
  /** Resolves after the broker's durable acknowledgement. */
  send(record: OutgoingRecord): Promise<Published>
  /** Resolves when nothing is under way. */
  flush(): Promise<void>
}

export function createSender(transport: Transport): Sender {
  let waiting: Waiting[] = []
  let underWay = 0
  let idle: (() => void)[] = []

  async function start(): Promise<void> {
    const batch = waiting
    waiting = []
    underWay += 1
    try {
      const results = await transport.publish(batch.map((item) => item.record))
      for (const [at, item] of batch.entries()) {
        const result = results[at]
        if (!result)
          item.reject(
            new TreatyError('TRANSPORT_FAILED', 'the transport gave no result for a record'),
          )
        else if ('error' in result) item.reject(result.error)
        else item.resolve({ id: result.id, position: result.position })
      }
    } catch (error) {
      for (const item of batch) item.reject(error)
    } finally {
      underWay -= 1
      if (underWay === 0 && waiting.length === 0) {
        for (const wake of idle) wake()
        idle = []
      }
    }
  }

  return {
    send(record) {
      return new Promise((resolve, reject) => {
        waiting.push({ record, resolve, reject })
        if (waiting.length === 1) queueMicrotask(() => void start())
      })
    },
    async flush() {
      if (underWay === 0 && waiting.length === 0) return
      await new Promise<void>((resolve) => idle.push(resolve))
    },
  }
}
