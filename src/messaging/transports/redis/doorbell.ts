import type { Clock } from '../../../core/clock.ts'
import { delay } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import { asBrokerError } from './failures.ts'
import { type Link, LostAnswer, type Reply } from './link.ts'

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

interface Heard {
  last: string
  readonly listeners: Set<Ring>
}

export function createDoorbell(options: {
  readonly link: Link
  readonly clock: Clock
  readonly placeName: string
  readonly onError: (error: TreatyError) => void
}): Doorbell {
  const { link, clock } = options
  const streams = new Map<string, Heard>()
  let running: Promise<void> | undefined
  let isClosed = false

  async function round(): Promise<void> {
    const names = [...streams.keys()]
    const ids = names.map((name) => streams.get(name)?.last ?? '0-0')
    await link.ready()
    const reply = await link.call(
      'XREAD',
      'COUNT',
      most,
      'BLOCK',
      blockMs,
      'STREAMS',
      ...names,
      ...ids,
    )
    for (const one of (reply ?? []) as readonly Reply[]) {
      const [name, entries] = one as readonly [Buffer, readonly Reply[]]
      const heard = streams.get(String(name))
      for (const entry of entries) {
        const [id, fields] = entry as readonly [Buffer, readonly Reply[]]
        if (heard === undefined) continue
        heard.last = String(id)
        for (const listener of heard.listeners) listener(String(id), fields)
      }
    }
  }

  async function run(): Promise<void> {
    while (!isClosed && streams.size > 0) {
      try {
        await round()
      } catch (error) {
        if (isClosed) break
        // A lost connection is told by the main one; entries since the last are read when it is back.
        if (!(error instanceof LostAnswer)) options.onError(asBrokerError(error, options.placeName))
        await delay(clock, pauseMs)
      }
    }
    running = undefined
  }

  return {
    listen(stream, listener, from = '0-0') {
      const heard = streams.get(stream) ?? { last: from, listeners: new Set() }
      streams.set(stream, heard)
      heard.listeners.add(listener)
      running ??= run()
      return () => {
        heard.listeners.delete(listener)
        if (heard.listeners.size === 0) streams.delete(stream)
      }
    },
    async close() {
      isClosed = true
      link.close()
      await running
    },
  }
}
