import type { Clock } from '../core/clock.ts'
import { delay } from '../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../core/errors.ts'
import type { Settlement, SettleResult, Transport } from './transport.ts'

/** Collects the settlements of one event-loop turn into one call, and repeats it until the broker takes it. */
export interface Settler {
  /** `done` is told the result; it must not throw. */
  settle(settlement: Settlement, done: (result: SettleResult) => void): void
  /** Resolves when everything handed over so far has a result. */
  flush(): Promise<void>
  /** No more repeats: what the broker does not take now is left to its lease. */
  giveUp(): void
}

const repeatMsMax = 5000

/**
 * A delivery whose settlement the broker refused (disk full, connection lost) would stay with a
 * living process for ever; so the call is repeated, with growing waits, until it is taken.
 */
export function createSettler(options: {
  readonly transport: Transport
  readonly clock: Clock
  readonly onError: (error: TreatyError) => void
}): Settler {
  const { transport, clock } = options
  let waiting: { settlement: Settlement; done: (result: SettleResult) => void }[] = []
  let scheduled = false
  const underWay = new Set<Promise<void>>()
  const end = new AbortController()

  async function send(batch: typeof waiting): Promise<void> {
    const settlements = batch.map((item) => item.settlement)
    for (let attempt = 1; ; attempt += 1) {
      try {
        const results = await transport.settle(settlements)
        batch.forEach((item, at) => {
          item.done(results[at] ?? { ok: false, reason: 'lost' })
        })
        return
      } catch (error) {
        const known = asTreatyError(error)
        options.onError(known)
        const isOver = end.signal.aborted || known.code === 'BUS_CLOSED'
        const repeat = !isOver && (await waitOrEnd(Math.min(repeatMsMax, 50 * 2 ** attempt)))
        if (!repeat) {
          for (const item of batch) item.done({ ok: false, reason: 'lost' })
          return
        }
      }
    }
  }

  async function waitOrEnd(ms: number): Promise<boolean> {
    try {
      await delay(clock, ms, end.signal)
      return true
    } catch {
      return false // Aborted: giveUp was called while we waited.
    }
  }

  function start(): void {
    scheduled = false
    const batch = waiting
    waiting = []
    if (batch.length === 0) return
    const call = send(batch).finally(() => underWay.delete(call))
    underWay.add(call)
  }

  return {
    settle(settlement, done) {
      waiting.push({ settlement, done })
      if (scheduled) return
      scheduled = true
      queueMicrotask(start)
    },
    async flush() {
      start()
      while (underWay.size > 0 || waiting.length > 0) {
        await Promise.all(underWay)
        start()
      }
    },
    giveUp() {
      end.abort()
    },
  }
}

function asTreatyError(error: unknown): TreatyError {
  if (isTreatyError(error)) return error
  return new TreatyError('TRANSPORT_FAILED', errorMessage(error), { cause: error })
}
