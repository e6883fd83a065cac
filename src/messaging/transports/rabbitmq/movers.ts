import type { ConfirmChannel, ConsumeMessage } from 'amqplib'
import type { Clock, TimerHandle } from '../../../core/clock.ts'
import type { Link } from './link.ts'
import type { Names } from './names.ts'
import { lockedQueue } from './queues.ts'
import { tierFor, tiersMs, waitHeaders, waitOf, withoutWait } from './tiers.ts'
import { textHeaders } from './wire.ts'

/** Delayed messages a process holds of each tier; those behind them are due later. */
const prefetch = 500
const againMs = 1000

export interface MoversOptions {
  readonly link: Link
  readonly clock: Clock
  readonly names: Names
  /** A delayed message has joined its channel. */
  readonly onMoved: (exchange: string, type: string) => void
}

/** Brings delayed messages to their channels when their time has come; one process at a time does it for each tier. */
export interface Movers {
  /** Makes the queues. */
  declare(): Promise<void>
  /** From now on, and after each reconnection. */
  start(): void
  /** There is a connection again. */
  up(): void
  close(): Promise<void>
}

export function createMovers(options: MoversOptions): Movers {
  const { link, names } = options
  let isStarted = false
  let isClosed = false
  let declared: Promise<void> | undefined
  let movers: Mover[] = []

  const run = () => {
    if (!isStarted || isClosed || movers.length > 0 || !link.isUp) return
    movers = tiersMs.map((tierMs) => new Mover(options, tierMs))
    for (const mover of movers) mover.begin()
  }
  const declare = async () => {
    const channel = await link.channel()
    try {
      for (const tierMs of tiersMs) {
        await channel.assertQueue(names.wait(tierMs), lockedQueue(link.place.queues))
      }
    } finally {
      await channel.close().catch(() => undefined)
    }
  }
  return {
    declare() {
      declared ??= declare().catch((error: unknown) => {
        declared = undefined
        throw error
      })
      return declared
    },
    start() {
      isStarted = true
      run()
    },
    up() {
      for (const mover of movers) mover.begin()
      run()
    },
    async close() {
      isClosed = true
      await Promise.all(movers.map((mover) => mover.close()))
    },
  }
}

/** Of one tier. What it holds and has not moved returns to its place when the channel ends. */
class Mover {
  readonly #options: MoversOptions
  readonly #tierMs: number
  readonly #timers = new Set<TimerHandle>()
  #channel: ConfirmChannel | undefined
  #isOpening = false
  #isClosed = false

  constructor(options: MoversOptions, tierMs: number) {
    this.#options = options
    this.#tierMs = tierMs
  }

  begin(): void {
    if (this.#isClosed || this.#channel !== undefined || this.#isOpening) return
    this.#isOpening = true
    this.#open()
      .catch(() => this.#later())
      .finally(() => {
        this.#isOpening = false
      })
  }

  async #open(): Promise<void> {
    const { link, names } = this.#options
    const channel = await link.channel(() => this.#ended())
    this.#channel = channel
    await channel.prefetch(prefetch)
    await channel.consume(names.wait(this.#tierMs), (message) => {
      if (message !== null) this.#hold(channel, message)
    })
  }

  #ended(): void {
    this.#channel = undefined
    for (const timer of this.#timers) this.#options.clock.clearTimeout(timer)
    this.#timers.clear()
    if (this.#options.link.isUp) this.#later()
  }

  #later(): void {
    if (this.#isClosed) return
    this.#after(againMs, () => this.begin())
  }

  #after(delayMs: number, run: () => void): void {
    const { clock } = this.#options
    const timer = clock.setTimeout(() => {
      this.#timers.delete(timer)
      run()
    }, delayMs)
    this.#timers.add(timer)
  }

  #hold(channel: ConfirmChannel, message: ConsumeMessage): void {
    const wait = waitOf(message.properties.headers ?? {}, this.#tierMs)
    // Not one of ours: nobody will ever ask for it here.
    if (wait === undefined) {
      channel.ack(message)
      return
    }
    const { clock } = this.#options
    this.#after(Math.max(0, wait.leavesAt - clock.now()), () => {
      if (channel === this.#channel) this.#move(channel, message)
    })
  }

  #move(channel: ConfirmChannel, message: ConsumeMessage): void {
    const { clock, names, onMoved } = this.#options
    const { properties, content } = message
    const headers = properties.headers ?? {}
    const wait = waitOf(headers, this.#tierMs)
    if (wait === undefined) return
    const { to } = wait
    const now = clock.now()
    const restMs = to.until - now
    const isDue = restMs <= 0
    const kept = withoutWait(textHeaders(headers))
    const { contentType, messageId, type, correlationId, timestamp } = properties
    channel.publish(
      isDue ? to.exchange : '',
      isDue ? to.routingKey : names.wait(tierFor(restMs)),
      content,
      {
        persistent: true,
        headers: isDue ? kept : { ...kept, ...waitHeaders(to, now) },
        contentType: contentType as string | undefined,
        messageId: messageId as string | undefined,
        type: type as string | undefined,
        correlationId: correlationId as string | undefined,
        timestamp: timestamp as number | undefined,
      } as Parameters<ConfirmChannel['publish']>[3],
      (error) => {
        if (error || channel !== this.#channel) return
        channel.ack(message)
        if (isDue) onMoved(to.exchange, String(type ?? ''))
      },
    )
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const channel = this.#channel
    this.#channel = undefined
    for (const timer of this.#timers) this.#options.clock.clearTimeout(timer)
    this.#timers.clear()
    await channel?.close().catch(() => undefined)
  }
}
