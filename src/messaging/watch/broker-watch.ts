import { type Clock, delay } from '../../core/clock.ts'
import type { Finding } from '../../core/finding.ts'
import type { BrokerFacts } from './broker-facts.ts'

/** What was seen of a broker when somebody last looked. */
export interface BrokerView {
  /** Absent for the embedded ones, and where it could not be asked. */
  readonly facts?: BrokerFacts
  /** What is there but other than the contracts need. */
  readonly drift: readonly Finding[]
}

/** Looks at a broker seldom, however often it is asked: probes come every few seconds, and what changes here changes by hand. */
export interface BrokerWatch {
  /** The last view; undefined while there is none. A first look is waited for, for half a second. Never rejects. */
  latest(): Promise<BrokerView | undefined>
}

/** Milliseconds for which a view is good enough. */
const everyMs = 60_000
/** Probes of orchestrators often give up after a second. */
const patienceMs = 500

export function createBrokerWatch(clock: Clock, look: () => Promise<BrokerView>): BrokerWatch {
  let view: BrokerView | undefined
  let lookedAt = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined

  async function lookAgain(): Promise<void> {
    try {
      view = await look()
    } catch {
      view = undefined // That it does not answer is told by those who ask it something.
    } finally {
      lookedAt = clock.monotonic()
      looking = undefined
    }
  }

  return {
    async latest() {
      if (clock.monotonic() - lookedAt >= everyMs) looking ??= lookAgain()
      if (view === undefined && looking !== undefined) {
        const isOver = new AbortController()
        const enough = delay(clock, patienceMs, isOver.signal).catch(() => undefined)
        await Promise.race([looking, enough])
        isOver.abort()
      }
      return view
    },
  }
}
