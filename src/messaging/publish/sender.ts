import { TreatyError } from '../../core/errors.ts'
import type { OutgoingRecord, PublishResult, Transport } from '../transport.ts'
import type { Published } from '../types.ts'

/** What became of one record. */
export type Sent = Published | { readonly error: unknown }

/** The records of one call. */
interface Waiting {
  readonly records: readonly OutgoingRecord[]
  sent(results: readonly Sent[]): void
}

/** Hands the records of one event-loop turn to the transport in one call, in order. */
export interface Sender {
  /** Resolves after the broker's durable acknowledgement. */
  send(record: OutgoingRecord): Promise<Published>
  /** As {@link send}, for many: one result for each, in order; never rejects. */
  sendAll(records: readonly OutgoingRecord[]): Promise<readonly Sent[]>
  /** Resolves when nothing is under way. */
  flush(): Promise<void>
}

export function createSender(transport: Transport): Sender {
  let waiting: Waiting[] = []
  let underWay = 0
  let idle: (() => void)[] = []

  async function start(): Promise<void> {
    const calls = waiting
    waiting = []
    underWay += 1
    const [first, second] = calls
    const records =
      first !== undefined && second === undefined
        ? first.records
        : calls.flatMap((call) => call.records)
    const results = await publishAll(transport, records)
    let from = 0
    for (const { records: own, sent } of calls) {
      sent(own.length === results.length ? results : results.slice(from, from + own.length))
      from += own.length
    }
    underWay -= 1
    if (underWay === 0 && waiting.length === 0) {
      for (const wake of idle) wake()
      idle = []
    }
  }

  function enqueue(call: Waiting): void {
    waiting.push(call)
    if (waiting.length === 1) queueMicrotask(() => void start())
  }

  return {
    send(record) {
      return new Promise((resolve, reject) => {
        enqueue({
          records: [record],
          sent([result]) {
            if (result === undefined || 'error' in result) reject(result?.error)
            else resolve(result)
          },
        })
      })
    },
    sendAll(records) {
      if (records.length === 0) return Promise.resolve([])
      return new Promise((sent) => enqueue({ records, sent }))
    },
    async flush() {
      if (underWay === 0 && waiting.length === 0) return
      await new Promise<void>((resolve) => idle.push(resolve))
    },
  }
}

async function publishAll(
  transport: Transport,
  records: readonly OutgoingRecord[],
): Promise<readonly Sent[]> {
  try {
    const results = await transport.publish(records)
    return records.map((_, at) => sentOf(results[at]))
  } catch (error) {
    return records.map(() => ({ error }))
  }
}

function sentOf(result: PublishResult | undefined): Sent {
  if (result === undefined) {
    const text = 'the transport gave no result for a record'
    return { error: new TreatyError('TRANSPORT_FAILED', text) }
  }
  if ('error' in result) return { error: result.error }
  return { id: result.id, position: result.position }
}
