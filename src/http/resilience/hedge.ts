import { type Clock, systemClock, type TimerHandle } from '../../core/clock.ts'
import { numberOption, type Policy, type Reporting, reporter, type Work } from './policy.ts'
import type { RetryBudget } from './retry-budget.ts'
import { type CallScope, enterScope, type RunOptions, startWork } from './scope.ts'

/** When a second call is started beside a slow one. */
export interface HedgeOptions extends Reporting {
  /** When the second call starts; default: the 95th percentile of the calls so far, once there are 20. */
  readonly delayMs?: number
  /** Second calls count as retries here. */
  readonly budget?: RetryBudget
  readonly clock?: Clock
}

const samplesMax = 128
const samplesMin = 20

/** The 95th percentile of the last calls, worked out anew every 16 calls. */
class Latency {
  readonly #samples: number[] = []
  #count = 0
  #p95: number | undefined

  note(ms: number): void {
    this.#samples[this.#count % samplesMax] = ms
    this.#count += 1
    if (this.#count < samplesMin || (this.#count > samplesMin && this.#count % 16 !== 0)) return
    const sorted = this.#samples.toSorted((a, b) => a - b)
    this.#p95 = sorted[Math.floor(sorted.length * 0.95)]
  }

  get p95(): number | undefined {
    return this.#p95
  }
}

interface Race<T> {
  resolve(value: T): void
  reject(error: unknown): void
  readonly racers: Set<CallScope>
  timer: TimerHandle | undefined
  firstError: unknown
  isOver: boolean
}

/**
 * Starts a second call where the first is slow, takes whichever succeeds first and cancels the other (rule K2). For calls
 * that do no harm twice only; one extra at most. When both fail, the error is the first one's.
 *
 * @throws HTTP_OPTIONS_INVALID
 */
export function createHedge(options: HedgeOptions = {}): Policy & { readonly kind: 'hedge' } {
  const clock = options.clock ?? systemClock
  const { budget } = options
  const fixedMs =
    options.delayMs === undefined
      ? undefined
      : numberOption('hedge.delayMs', options.delayMs, { min: 0 })
  const report = reporter(options)
  const latency = new Latency()

  function finish<T>(race: Race<T>, winner: CallScope): void {
    race.isOver = true
    clock.clearTimeout(race.timer)
    for (const racer of race.racers) {
      if (racer !== winner) racer.cancel(new DOMException('another call was faster', 'AbortError'))
    }
  }

  function start<T>(work: Work<T>, outer: CallScope, race: Race<T>): void {
    const scope = outer.child()
    const begunAt = clock.monotonic()
    race.racers.add(scope)
    startWork(work, scope).then(
      (value) => {
        if (race.isOver) return
        latency.note(clock.monotonic() - begunAt)
        finish(race, scope)
        race.resolve(value)
      },
      (error: unknown) => {
        if (race.isOver) return
        race.racers.delete(scope)
        race.firstError ??= error
        if (race.racers.size > 0) return
        finish(race, scope)
        race.reject(race.firstError)
      },
    )
  }

  return {
    kind: 'hedge',
    run: <T>(work: Work<T>, within?: CallScope | RunOptions) =>
      enterScope(within, (outer) => {
        const afterMs = fixedMs ?? latency.p95
        return new Promise<T>((resolve, reject) => {
          const race: Race<T> = {
            resolve,
            reject,
            racers: new Set(),
            timer: undefined,
            firstError: undefined,
            isOver: false,
          }
          start(work, outer, race)
          if (afterMs === undefined || !outer.canHedge) return
          race.timer = clock.setTimeout(() => {
            if (race.isOver || outer.isCancelled || budget?.takeRetry() === false) return
            report({ type: 'hedged', afterMs })
            start(work, outer, race)
          }, afterMs)
        })
      }),
  }
}
