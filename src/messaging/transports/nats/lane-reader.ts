import type { Clock, TimerHandle } from '../../../core/clock.ts'
import { deliveredOf, readAckSubject } from './pull.ts'
import type { Stored } from './stored.ts'
import type { Wire, WireMessage } from './wire.ts'

/** Reads a lane in its order, as far as there is room. */
export interface LaneReader {
  /** There may be room. */
  wake(): void
  stop(): void
}

export interface LaneReaderOptions {
  readonly wire: Wire
  readonly clock: Clock
  readonly stream: string
  readonly filter: string
  /** First sequence number. */
  readonly from: number
  readonly room: () => number
  readonly take: (messages: readonly Stored[]) => void
  readonly onError: (error: unknown) => void
}

const expiresMs = 30_000
const heartbeatMs = 4000
/** Silence after which the consumer is taken for gone. */
const silenceMs = 10_000
const idleMs = 30_000
const lookMs = 1000
/** Messages of one request at most. */
const batchMax = 256

/**
 * An ephemeral consumer without acknowledgements, for one lane: what was handed out is remembered in the lane's state, not on the
 * server. Its deliveries are numbered; after a gap, a silence or an error a new consumer begins where the last message was.
 */
export function openLaneReader(options: LaneReaderOptions): LaneReader {
  return new Reader(options)
}

/** A class because every step shares its state. */
class Reader implements LaneReader {
  readonly #options: LaneReaderOptions
  readonly #inbox: string
  readonly #ends: (() => void)[]
  /** Messages asked for and not come yet, by the inbox of the request, oldest first. */
  readonly #asked = new Map<string, number>()
  #next: number
  #consumer: string | undefined
  #isOpening = false
  #isStopped = false
  #delivered = 0
  #heardAt: number
  #buffer: Stored[] = []
  #timer: TimerHandle | undefined
  #requests = 0

  constructor(options: LaneReaderOptions) {
    const { wire, clock } = options
    this.#options = options
    this.#next = options.from
    this.#heardAt = clock.monotonic()
    this.#inbox = wire.inbox()
    this.#ends = [
      wire.subscribe(`${this.#inbox}.*`, (message) => this.#hear(message)),
      wire.onChange((isUp) => {
        if (isUp) this.#restart()
      }),
    ]
    this.#arm()
    void this.#open()
  }

  #hear(message: WireMessage): void {
    if (this.#isStopped) return
    const place = message.code === 0 ? readAckSubject(message.reply) : undefined
    if (place === undefined) {
      this.#hearStatus(message)
      return
    }
    // A former consumer's last words.
    if (place.consumer !== this.#consumer) return
    this.#heardAt = this.#options.clock.monotonic()
    if (place.consumerSeq !== this.#delivered + 1) {
      this.#restart()
      return
    }
    this.#delivered = place.consumerSeq
    this.#next = place.seq + 1
    // Requests are answered in their order.
    const [first] = this.#asked
    if (first !== undefined && first[1] > 1) this.#asked.set(first[0], first[1] - 1)
    else if (first !== undefined) this.#asked.delete(first[0])
    if (this.#buffer.push(deliveredOf(message, place)) === 1) queueMicrotask(() => this.#flush())
  }

  #hearStatus({ code, status, subject }: WireMessage): void {
    if (!this.#asked.has(subject)) return
    this.#heardAt = this.#options.clock.monotonic()
    if (code === 100) return
    this.#asked.delete(subject)
    // 404 and 408 end a request; of the 409 only those about the request's size do no more than that.
    const isOver = code === 404 || code === 408 || /batch completed|exceeded|maxbytes/i.test(status)
    if (isOver) this.#ask()
    else this.#restart()
  }

  #flush(): void {
    const messages = this.#buffer
    this.#buffer = []
    if (this.#isStopped || messages.length === 0) return
    this.#options.take(messages)
    this.#ask()
  }

  #ask(): void {
    const { wire, stream, room } = this.#options
    if (this.#isStopped || this.#consumer === undefined || !wire.isUp) return
    let outstanding = 0
    for (const left of this.#asked.values()) outstanding += left
    const batch = Math.min(room() - outstanding, batchMax)
    // Small requests while a larger one is under way would cost more than they bring.
    if (batch < 1 || (outstanding > 0 && batch < batchMax / 4)) return
    this.#requests += 1
    const reply = `${this.#inbox}.${this.#requests.toString(36)}`
    this.#asked.set(reply, batch)
    const request = {
      batch,
      expires: expiresMs * 1e6,
      idle_heartbeat: heartbeatMs * 1e6,
      max_bytes: 4 * wire.payloadMax,
    }
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${this.#consumer}`
    wire.publish(subject, Buffer.from(JSON.stringify(request)), { reply })
  }

  async #open(): Promise<void> {
    const { wire, clock, stream, filter, onError } = this.#options
    if (this.#isOpening || this.#isStopped || !wire.isUp) return
    this.#isOpening = true
    const name = `lane${crypto.randomUUID().replaceAll('-', '').slice(0, 12)}`
    const config = {
      name,
      deliver_policy: 'by_start_sequence',
      opt_start_seq: Math.max(1, this.#next),
      ack_policy: 'none',
      filter_subject: filter,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: idleMs * 1e6,
    }
    try {
      const request = { stream_name: stream, config }
      await wire.api(`CONSUMER.CREATE.${stream}.${name}.${filter}`, request)
      this.#consumer = name
      this.#delivered = 0
      this.#heardAt = clock.monotonic()
      if (this.#isStopped) this.#remove()
    } catch (error) {
      if (!this.#isStopped) onError(error)
    } finally {
      this.#isOpening = false
    }
    this.#ask()
  }

  #remove(): void {
    const { wire, stream } = this.#options
    if (this.#consumer !== undefined && wire.isUp) {
      void wire.api(`CONSUMER.DELETE.${stream}.${this.#consumer}`).catch(() => undefined)
    }
    this.#consumer = undefined
  }

  #restart(): void {
    if (this.#isStopped) return
    this.#remove()
    this.#asked.clear()
    void this.#open()
  }

  #arm(): void {
    this.#timer = this.#options.clock.setTimeout(() => this.#look(), lookMs)
  }

  /** Looks for what no message tells of. */
  #look(): void {
    if (this.#isStopped) return
    this.#arm()
    const { wire, clock } = this.#options
    if (!wire.isUp) return
    if (this.#consumer === undefined) void this.#open()
    else if (this.#asked.size > 0 && clock.monotonic() - this.#heardAt > silenceMs) this.#restart()
    else if (this.#asked.size === 0) {
      this.#heardAt = clock.monotonic()
      this.#ask()
    }
  }

  wake(): void {
    this.#ask()
  }

  stop(): void {
    this.#isStopped = true
    if (this.#timer !== undefined) this.#options.clock.clearTimeout(this.#timer)
    for (const end of this.#ends) end()
    this.#remove()
  }
}
