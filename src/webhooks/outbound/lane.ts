import type { Clock } from '../../core/clock.ts'
import { createRate, type Rate } from '../rate.ts'

/** One message on its way to one endpoint. */
export interface Row {
  /** Key in the store: `<endpoint>/<sequence>`, thus in order of sending. */
  readonly key: string
  /** Sequence of the message. */
  readonly message: string
  /** Attempts made so far. */
  readonly attempts: number
  /** Epoch milliseconds. */
  readonly dueAt: number
  readonly orderKey?: string
}

/** How one endpoint wants to be served. */
export interface LaneOptions {
  readonly order: 'none' | 'key' | 'fifo'
  readonly concurrency: number
  readonly throttlePerSecond?: number
  readonly clock: Clock
}

/** Failures in a row after which an endpoint is left alone for a while between attempts. */
const sickAfter = 5
const pauseMsMax = 60_000

/**
 * What waits for one endpoint, in memory: decides what may go next and when to ask again. No input or output, so
 * that order, throttle and isolation are tested without any.
 *
 * An endpoint that nothing is known of gets two connections; each success doubles that up to its concurrency, each failure
 * halves it. So those that hang hold few connections, however many of them there are.
 */
export class Lane {
  readonly #options: LaneOptions
  readonly #rate: Rate | undefined
  readonly #known = new Set<string>()
  readonly #chains = new Map<string, Row[]>()
  readonly #delayed: Row[] = []
  #ready: Row[] = []
  #readyFrom = 0
  #running = 0
  #window = 2
  #failures = 0
  #pausedUntil = 0
  #throttledUntil = 0

  constructor(options: LaneOptions) {
    this.#options = options
    const { throttlePerSecond: perSecond, clock } = options
    this.#rate = perSecond ? createRate(perSecond, Math.max(1, perSecond), clock) : undefined
  }

  /** Rows that are not settled, those at work included. */
  get size(): number {
    return this.#known.size
  }
  get running(): number {
    return this.#running
  }
  get isSick(): boolean {
    return this.#failures >= sickAfter
  }

  /** A row that is known already is not taken twice. */
  add(row: Row): void {
    if (this.#known.has(row.key)) return
    this.#known.add(row.key)
    const chain = this.#chainOf(row)
    if (chain === undefined) {
      this.#enqueue(row)
      return
    }
    const rows = this.#chains.get(chain)
    if (rows) rows.push(row)
    else {
      this.#chains.set(chain, [row])
      this.#enqueue(row)
    }
  }

  /** Takes what may go now; undefined when nothing may. */
  next(): Row | undefined {
    const now = this.#options.clock.now()
    if (this.#running >= this.#limit() || now < this.#pausedUntil) return undefined
    while (this.#delayed[0] && this.#delayed[0].dueAt <= now) {
      this.#ready.push(this.#delayed.shift() as Row)
    }
    const row = this.#ready[this.#readyFrom]
    if (row === undefined) return undefined
    const waitMs = this.#rate?.take() ?? 0
    if (waitMs > 0) {
      this.#throttledUntil = now + waitMs
      return undefined
    }
    this.#readyFrom += 1
    if (this.#readyFrom > 500 || this.#readyFrom === this.#ready.length) {
      this.#ready = this.#ready.slice(this.#readyFrom)
      this.#readyFrom = 0
    }
    this.#running += 1
    return row
  }

  /** Milliseconds after which {@link next} may give something that it does not now; undefined: only when something changes. */
  waitMs(): number | undefined {
    if (this.#running >= this.#limit()) return undefined
    const now = this.#options.clock.now()
    const hasReady = this.#ready.length > this.#readyFrom
    const dueAt = hasReady ? now : this.#delayed[0]?.dueAt
    if (dueAt === undefined) return undefined
    const throttledUntil = hasReady ? this.#throttledUntil : 0
    return Math.max(0, Math.max(dueAt, this.#pausedUntil, throttledUntil) - now)
  }

  /** The row is done for good; the next of its chain is up. */
  finish(row: Row): void {
    this.#running -= 1
    this.#known.delete(row.key)
    const chain = this.#chainOf(row)
    if (chain === undefined) return
    const rows = this.#chains.get(chain)
    rows?.shift()
    const next = rows?.[0]
    if (next) this.#enqueue(next)
    else this.#chains.delete(chain)
  }

  /** The row comes again; its chain waits. */
  retry(row: Row, again: Row): void {
    this.#running -= 1
    const rows = this.#chains.get(this.#chainOf(row) ?? '')
    if (rows?.[0]?.key === row.key) rows[0] = again
    this.#enqueue(again)
  }

  /** Learns from an attempt. `pauseMs`: how long the endpoint asked to be left alone. */
  learn(isSuccess: boolean, pauseMs = 0): void {
    const now = this.#options.clock.now()
    if (isSuccess) {
      this.#failures = 0
      this.#pausedUntil = 0
      this.#window = Math.min(this.#options.concurrency, this.#window * 2)
      return
    }
    this.#failures += 1
    this.#window = Math.max(1, Math.floor(this.#window / 2))
    const backoffMs = this.isSick
      ? Math.min(pauseMsMax, 1000 * 2 ** Math.min(6, this.#failures - sickAfter))
      : 0
    this.#pausedUntil = Math.max(this.#pausedUntil, now + Math.max(backoffMs, pauseMs))
  }

  #limit(): number {
    return this.isSick ? 1 : Math.min(this.#options.concurrency, this.#window)
  }

  #chainOf({ orderKey }: Row): string | undefined {
    const { order } = this.#options
    if (order === 'none') return undefined
    if (order === 'fifo') return ''
    return orderKey === undefined ? undefined : `k${orderKey}`
  }

  #enqueue(row: Row): void {
    if (row.dueAt <= this.#options.clock.now()) {
      this.#ready.push(row)
      return
    }
    let low = 0
    let high = this.#delayed.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#delayed[middle]?.dueAt ?? 0) <= row.dueAt) low = middle + 1
      else high = middle
    }
    this.#delayed.splice(low, 0, row)
  }
}
