/**
 * Tokens that come back evenly, kept as one number: the time at which the bucket will be full again (the generic cell
 * rate algorithm of ITU-T I.371). For any two times, what it hands out in between is at most burst + rate · time; a
 * clock that stands still or goes back mints nothing.
 */
export class TokenBucket {
  readonly burst: number
  #msPerToken: number
  #fullAt: number
  #latest: number

  constructor(options: { readonly ratePerSecond: number; readonly burst: number }, now: number) {
    this.burst = options.burst
    this.#msPerToken = 1000 / options.ratePerSecond
    this.#fullAt = now
    this.#latest = now
  }

  get ratePerSecond(): number {
    return 1000 / this.#msPerToken
  }

  /** Milliseconds until `cost` whole tokens are there. */
  waitMs(cost: number, at: number): number {
    const now = this.#forward(at)
    const startAt = Math.max(this.#fullAt, now)
    const waitMs = startAt + cost * this.#msPerToken - this.burst * this.#msPerToken - now
    return waitMs > roundingMs ? waitMs : 0
  }

  /** Takes them, there or not: ask {@link TokenBucket.waitMs} first. */
  take(cost: number, at: number): void {
    const now = this.#forward(at)
    this.#fullAt = Math.max(this.#fullAt, now) + cost * this.#msPerToken
  }

  /** Tokens that are there, with their fraction. */
  available(at: number): number {
    const now = this.#forward(at)
    return this.burst - Math.max(0, this.#fullAt - now) / this.#msPerToken
  }

  /** Another rate from now on; tokens that are there stay. */
  setRate(ratePerSecond: number, at: number): void {
    const now = this.#forward(at)
    const missing = Math.max(0, this.#fullAt - now) / this.#msPerToken
    this.#msPerToken = 1000 / ratePerSecond
    this.#fullAt = now + missing * this.#msPerToken
  }

  /** Time never goes back here, whatever the clock does. */
  #forward(at: number): number {
    this.#latest = Math.max(this.#latest, at)
    return this.#latest
  }
}

/** Sums of binary fractions are off by less than this; without it ten waits of 100 ms would miss the tenth token. */
const roundingMs = 1e-6
