import type { Clock } from '../../../core/clock.ts'
import { delay } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import { asBrokerError, isReplyError } from './failures.ts'
import type { Link } from './link.ts'
import type { Reply } from './resp.ts'

/** Waits on a connection of its own for streams to get something new. */
export interface Doorbell {
  /** Calls `onRing` for each entry after `from` (default: also those that are there). Returns the way to stop. */
  listen(stream: string, onRing: Ring, from?: string): () => void
  /** Resolves when the waiting has ended. */
  close(): Promise<void>
}

/** What came: its id, and its fields as name, value, name, value. */
export type Ring = (entry: string, fields: readonly Reply[]) => void

/** How long one call waits; a new stream has to wait for the next call. */
const blockMs = 500
const pauseMs = 200
const most = 100
const splitPauseMs = 50

interface Heard {
  last: string
  readonly listeners: Set<Ring>
}

interface DoorbellOptions {
  readonly link: Link
  readonly clock: Clock
  readonly placeName: string
  readonly onError: (error: TreatyError) => void
}

export function createDoorbell(options: DoorbellOptions): Doorbell {
  return new StreamDoorbell(options)
}

class StreamDoorbell implements Doorbell {
  readonly #options: DoorbellOptions
  readonly #streams = new Map<string, Heard>()
  #running: Promise<void> | undefined
  #isClosed = false
  /** One call for all streams, or, where they may not be asked together, one for each. */
  #isTogether = true

  constructor(options: DoorbellOptions) {
    this.#options = options
  }

  listen(stream: string, listener: Ring, from = '0-0'): () => void {
    const heard = this.#streams.get(stream) ?? { last: from, listeners: new Set() }
    this.#streams.set(stream, heard)
    heard.listeners.add(listener)
    this.#running ??= this.#run()
    return () => {
      heard.listeners.delete(listener)
      if (heard.listeners.size === 0) this.#streams.delete(stream)
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#options.link.close()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isClosed && this.#streams.size > 0) {
      try {
        await this.#options.link.ready()
        await (this.#isTogether ? this.#askTogether() : this.#askEach())
      } catch (error) {
        if (this.#isClosed) break
        // One is no stream, or they are in different slots of a cluster. A lost connection is told by the main one.
        if (isReplyError(error)) this.#isTogether = false
        else await delay(this.#options.clock, pauseMs)
      }
    }
    this.#running = undefined
  }

  async #askTogether(): Promise<void> {
    const names = [...this.#streams.keys()]
    const ids = [...this.#streams.values()].map(({ last }) => last)
    const { link } = this.#options
    this.#hear(
      await link.call('XREAD', 'COUNT', most, 'BLOCK', blockMs, 'STREAMS', ...names, ...ids),
    )
  }

  async #askEach(): Promise<void> {
    const { link, clock, placeName, onError } = this.#options
    for (const [name, { last }] of [...this.#streams]) {
      try {
        this.#hear(await link.call('XREAD', 'COUNT', most, 'STREAMS', name, last))
      } catch (error) {
        if (!isReplyError(error)) throw error
        // It is no stream any more: what it would have told of is found by looking now and then.
        this.#streams.delete(name)
        onError(asBrokerError(error, placeName))
      }
    }
    await delay(clock, splitPauseMs)
  }

  #hear(reply: Reply): void {
    for (const one of (reply ?? []) as readonly Reply[]) {
      const [name, entries] = one as readonly [Buffer, readonly Reply[]]
      const heard = this.#streams.get(String(name))
      for (const entry of entries) {
        const [id, fields] = entry as readonly [Buffer, readonly Reply[]]
        if (heard === undefined) continue
        heard.last = String(id)
        for (const listener of heard.listeners) listener(String(id), fields)
      }
    }
  }
}
