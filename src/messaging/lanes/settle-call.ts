import type { SettleResult } from '../transport.ts'
import type { Waiter } from './lane.ts'

/** The settlements of one call, and the one promise of their results: a promise for each would cost more than settling. */
export class SettleCall {
  /** Resolves once each of them has its result. */
  readonly results: Promise<SettleResult[]>
  readonly #results: SettleResult[]
  readonly #resolve: (results: SettleResult[]) => void
  #left: number

  constructor(count: number) {
    const { promise, resolve } = Promise.withResolvers<SettleResult[]>()
    this.results = promise
    this.#resolve = resolve
    this.#results = new Array<SettleResult>(count)
    this.#left = count
    if (count === 0) resolve(this.#results)
  }

  /** Each place once. */
  told(at: number, result: SettleResult): void {
    this.#results[at] = result
    this.#left -= 1
    if (this.#left === 0) this.#resolve(this.#results)
  }
}

/** One place in a {@link SettleCall}. */
export class SettleWaiter implements Waiter {
  readonly #call: SettleCall
  readonly #at: number

  constructor(call: SettleCall, at: number) {
    this.#call = call
    this.#at = at
  }

  told(result: SettleResult): void {
    this.#call.told(this.#at, result)
  }
}
