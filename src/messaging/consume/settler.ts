import type { Clock } from '../../core/clock.ts'
import { delay } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Settlement, SettleResult, Transport } from '../transport.ts'

/** What is to be settled, with whatever its owner wants to know again when it is. */
export interface ToSettle {
  readonly settlement: Settlement
}

/** Collects the settlements of one event-loop turn into one call, and repeats it until the broker takes it. */
export interface Settler<Item extends ToSettle> {
  settle(item: Item): void
  /** Resolves when everything handed over so far has a result. */
  flush(): Promise<void>
  /** No more repeats: what the broker does not take now is left to its lease. */
  giveUp(): void
}

export interface SettlerOptions<Item extends ToSettle> {
  readonly transport: Transport
  readonly clock: Clock
  readonly onError: (error: TreatyError) => void
  /** A turn's settlements were handed to the broker, for the first time. */
  readonly onSent: (items: readonly Item[]) => void
  /** Told the result of each; must not throw. */
  readonly onDone: (item: Item, result: SettleResult) => void
}

const repeatMsMax = 5000
const lost: SettleResult = { ok: false, reason: 'lost' }

/**
 * A delivery whose settlement the broker refused (disk full, connection lost) would stay with a
 * living process for ever; so the call is repeated, with growing waits, until it is taken.
 */
export function createSettler<Item extends ToSettle>(options: SettlerOptions<Item>): Settler<Item> {
  const { transport, clock, onSent, onDone } = options
  let waiting: Item[] = []
  let scheduled = false
  const underWay = new Set<Promise<void>>()
  const end = new AbortController()

  async function send(batch: readonly Item[]): Promise<void> {
    const settlements = batch.map((item) => item.settlement)
    for (let attempt = 1; ; attempt += 1) {
      try {
        const results = await transport.settle(settlements)
        for (const [at, item] of batch.entries()) onDone(item, results[at] ?? lost)
        return
      } catch (error) {
        const known = asTreatyError(error)
        options.onError(known)
        const isOver = end.signal.aborted || known.code === 'BUS_CLOSED'
        const repeat = !isOver && (await waitOrEnd(Math.min(repeatMsMax, 50 * 2 ** attempt)))
        if (!repeat) {
          for (const item of batch) onDone(item, lost)
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
    onSent(batch)
  }

  return {
    settle(item) {
      waiting.push(item)
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
