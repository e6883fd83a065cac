import { randomUUID } from 'node:crypto'
import type { ConfirmChannel, ConsumeMessage, Options } from 'amqplib'
import { type Clock, delay, type TimerHandle } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { isPassing, rabbitmqError } from './errors.ts'
import type { Link } from './link.ts'
import { settled, unlimited } from './queues.ts'

/**
 * A small store in a queue: what is in it can be read whole, added to and taken from by any process, one at a time. The lock is the queue's single active
 * consumer; what was read and not taken returns to its place when the channel closes. Adding needs no lock.
 */
export interface Shelf {
  /**
   * Runs `work` with everything that was on the shelf when it was asked for. Calls of one process run one after another, and share one opening
   * when they come close together. It runs again when the connection ends in the middle, so doing it twice must do no harm.
   *
   * @throws TRANSPORT_FAILED when another process holds the shelf for too long · BROKER_UNREACHABLE
   */
  use<Result>(work: (open: OpenShelf) => Promise<Result>): Promise<Result>
  close(): Promise<void>
}

export interface OpenShelf {
  /** Oldest first; barriers are left out. */
  readonly messages: readonly ConsumeMessage[]
  /** Resolves when it is durable; it appears among `messages` in time. */
  add(content: Buffer, options?: Options.Publish): Promise<void>
  /** Durable once `work` has ended. */
  take(message: ConsumeMessage): void
  /** Publishes elsewhere, on the same channel. Resolves when it is durable. */
  send(queue: string, content: Buffer, options: Options.Publish): Promise<void>
}

export interface ShelfOptions {
  readonly link: Link
  readonly clock: Clock
  readonly queue: string
  /** Milliseconds for which it stays open for a next call. Default 100. */
  readonly lingerMs?: number
  /** Milliseconds for which another process may hold it. Default 12 000: a frozen holder is dropped by the broker within six seconds. */
  readonly patienceMs?: number
}

export const barrierHeader = 'treaty-barrier'
const barrierAtHeader = 'treaty-barrier-at'
const lingerMsDefault = 100
const patienceMsDefault = 12_000
/** A barrier is sent again so often; older ones belong to processes that are gone. */
const barrierAgainMs = 3000
const barrierOldMs = 10_000
/** How long one process keeps others waiting. */
const holdMsMax = 1000
const triesMax = 3

/** A message that marks a place: it comes back only to who holds the lock. */
export function barrier(nonce: string, now: number): Options.Publish {
  return { persistent: true, headers: { [barrierHeader]: nonce, [barrierAtHeader]: String(now) } }
}
/** The nonce of a barrier; undefined: it is none. `isOld`: whoever sent it does not wait any more. */
export function barrierOf(
  { properties }: ConsumeMessage,
  now: number,
): { readonly nonce: string; readonly isOld: boolean } | undefined {
  const nonce: unknown = properties.headers?.[barrierHeader]
  if (typeof nonce !== 'string') return undefined
  return { nonce, isOld: now - Number(properties.headers?.[barrierAtHeader]) > barrierOldMs }
}

export function createShelf(options: ShelfOptions): Shelf {
  return new QueueShelf(options)
}

/** An opening of the shelf. */
class Opening implements OpenShelf {
  readonly #options: ShelfOptions
  readonly #held = new Map<number, ConsumeMessage>()
  readonly #barriers = new Map<string, () => void>()
  #channel: ConfirmChannel | undefined
  #ended: PromiseWithResolvers<never>
  #taken = false
  readonly openedAt: number

  constructor(options: ShelfOptions) {
    this.#options = options
    this.openedAt = options.clock.monotonic()
    this.#ended = Promise.withResolvers()
    this.#ended.promise.catch(() => undefined)
  }

  get messages(): readonly ConsumeMessage[] {
    return [...this.#held.values()]
  }

  async open(): Promise<void> {
    const { link, queue } = this.#options
    const channel = await link.channel((error) =>
      this.#ended.reject(error ?? new Error('channel closed')),
    )
    this.#channel = channel
    await channel.prefetch(unlimited)
    await channel.consume(queue, (message) => {
      if (message !== null) this.#arrived(message)
    })
  }

  #arrived(message: ConsumeMessage): void {
    const found = barrierOf(message, this.#options.clock.now())
    if (found === undefined) {
      this.#held.set(message.fields.deliveryTag, message)
      return
    }
    const passed = this.#barriers.get(found.nonce)
    // Those of others stay: they get theirs when we go.
    if (passed !== undefined || found.isOld) this.#channel?.ack(message)
    passed?.()
  }

  /** Resolves when all that was there before the call has come. */
  async catchUp(): Promise<void> {
    const { clock, queue, patienceMs = patienceMsDefault } = this.#options
    const nonce = randomUUID()
    const passed = Promise.withResolvers<void>()
    this.#barriers.set(nonce, passed.resolve)
    const end = new AbortController()
    const send = () =>
      this.#channel?.sendToQueue(
        queue,
        Buffer.alloc(0),
        barrier(nonce, clock.now()),
        () => undefined,
      )
    const late = async () => {
      for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += barrierAgainMs) {
        send()
        await delay(clock, Math.min(barrierAgainMs, patienceMs), end.signal)
      }
      throw new TreatyError('TRANSPORT_FAILED', `another process holds the queue '${queue}'`, {
        hint: 'Try again; a process that stands still is dropped by the broker within seconds.',
      })
    }
    const waiting = late()
    waiting.catch(() => undefined)
    try {
      await Promise.race([passed.promise, this.#ended.promise, waiting])
    } finally {
      end.abort()
      // One that was sent twice comes twice.
      this.#barriers.set(nonce, () => undefined)
    }
  }

  async add(content: Buffer, options: Options.Publish = {}): Promise<void> {
    await this.send(this.#options.queue, content, { persistent: true, ...options })
  }

  send(queue: string, content: Buffer, options: Options.Publish): Promise<void> {
    const confirmed = Promise.withResolvers<void>()
    const channel = this.#channel
    if (channel === undefined) throw new Error('channel closed')
    channel.sendToQueue(queue, content, options, (error) => {
      if (error) confirmed.reject(error)
      else confirmed.resolve()
    })
    return Promise.race([confirmed.promise, this.#ended.promise])
  }

  take(message: ConsumeMessage): void {
    if (!this.#held.delete(message.fields.deliveryTag)) return
    this.#channel?.ack(message)
    this.#taken = true
  }

  /** Resolves when what was taken stays away. */
  async flush(): Promise<void> {
    if (!this.#taken || this.#channel === undefined) return
    this.#taken = false
    await Promise.race([settled(this.#channel, this.#options.queue), this.#ended.promise])
  }

  async isWanted(): Promise<boolean> {
    if (this.#channel === undefined) return true
    const { consumerCount } = await this.#channel.checkQueue(this.#options.queue)
    return consumerCount > 1
  }

  async close(): Promise<void> {
    const channel = this.#channel
    this.#channel = undefined
    await channel?.close().catch(() => undefined)
  }
}

class QueueShelf implements Shelf {
  readonly #options: ShelfOptions
  #opening: Opening | undefined
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #timer: TimerHandle | undefined

  constructor(options: ShelfOptions) {
    this.#options = options
  }

  use<Result>(work: (open: OpenShelf) => Promise<Result>): Promise<Result> {
    this.#waiting += 1
    const result = this.#inTurn(this.#last, work)
    this.#last = result.catch(() => undefined)
    return result
  }

  async #inTurn<Result>(
    before: Promise<unknown>,
    work: (open: OpenShelf) => Promise<Result>,
  ): Promise<Result> {
    await before
    try {
      return await this.#try(work)
    } finally {
      await this.#rest()
    }
  }

  async #try<Result>(work: (open: OpenShelf) => Promise<Result>): Promise<Result> {
    const { link } = this.#options
    for (let tried = 1; ; tried += 1) {
      try {
        await link.ready()
        this.#stopTimer()
        const opening = this.#opening ?? (await this.#open())
        await opening.catchUp()
        const result = await work(opening)
        await opening.flush()
        return result
      } catch (error) {
        await this.#shut()
        if (!isPassing(error) || tried === triesMax) throw rabbitmqError(error, link.place.name)
      }
    }
  }

  async #open(): Promise<Opening> {
    const opening = new Opening(this.#options)
    this.#opening = opening
    await opening.open()
    return opening
  }

  async #rest(): Promise<void> {
    this.#waiting -= 1
    const opening = this.#opening
    if (opening === undefined) return
    const { clock, lingerMs = lingerMsDefault } = this.#options
    const isLong = clock.monotonic() - opening.openedAt > holdMsMax
    if (isLong && (await opening.isWanted().catch(() => true))) await this.#shut()
    else if (this.#waiting === 0) {
      this.#stopTimer()
      this.#timer = clock.setTimeout(() => {
        if (this.#waiting === 0) void this.#shut()
      }, lingerMs)
    }
  }

  #stopTimer(): void {
    if (this.#timer !== undefined) this.#options.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  async #shut(): Promise<void> {
    this.#stopTimer()
    const opening = this.#opening
    this.#opening = undefined
    await opening?.close()
  }

  async close(): Promise<void> {
    await this.#last
    await this.#shut()
  }
}
