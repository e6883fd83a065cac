import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { LaneGroupOptions, WriteResult } from './driver.ts'
import type { Batch, Lane } from './lane.ts'
import type { Node } from './node.ts'

/** Brings the changes of lanes to the broker, again until it takes them or says that the lane is lost. */
export interface Writer {
  /** Writes the lane's changes, if there are any, as soon as no other write of it is under way. */
  soon(lane: Lane): void
  /** Resolves when this lane has nothing left to write, or is not ours any more. */
  idle(lane: Lane): Promise<void>
  /** The lane is not ours any more. */
  lost(lane: Lane): void
  close(): void
}

export interface WriterOptions
  extends Pick<
    LaneGroupOptions,
    'driver' | 'clock' | 'writes' | 'reserve' | 'writeGapMs' | 'onError'
  > {
  /** The write is durable; `kept` are the messages whose new state it held. */
  readonly written: (lane: Lane, kept: readonly Node[]) => void
  readonly fenced: (lane: Lane) => void
}

const pauseMsMin = 50
const pauseMsMax = 2000

interface Job {
  readonly lane: Lane
  readonly batch: Batch
}

export function createWriter(options: WriterOptions): Writer {
  const { driver, clock, reserve, writeGapMs = 0 } = options
  const together = options.writes === 'together'
  const dirty = new Set<Lane>()
  const waiting = new Map<Lane, (() => void)[]>()
  let scheduled = false
  let underWay = 0
  let pauseMs = 0
  let closed = false

  function schedule(afterMs: number): void {
    if (scheduled || closed) return
    scheduled = true
    // Settlements of one turn of the event loop share a write.
    if (afterMs === 0) queueMicrotask(start)
    else clock.setTimeout(start, afterMs)
  }

  function start(): void {
    scheduled = false
    if (closed || (together && underWay > 0)) return
    const jobs: Job[] = []
    for (const lane of dirty) {
      if (lane.isWriting) continue
      dirty.delete(lane)
      const batch = lane.isOurs ? lane.take(reserve) : undefined
      if (batch === undefined) rested(lane)
      else {
        lane.isWriting = true
        jobs.push({ lane, batch })
      }
    }
    if (jobs.length === 0) return
    if (together) void write(jobs)
    else for (const job of jobs) void write([job])
  }

  async function write(jobs: readonly Job[]): Promise<void> {
    underWay += 1
    let results: readonly WriteResult[] | undefined
    try {
      results = await driver.write(jobs.map(({ batch }) => batch.write))
      pauseMs = 0
    } catch (error) {
      pauseMs = Math.min(pauseMsMax, Math.max(pauseMsMin, pauseMs * 2))
      if (!closed) options.onError(asKnown(error))
    }
    underWay -= 1
    jobs.forEach((job, at) => {
      ended(job, results?.[at])
    })
    if (dirty.size > 0) schedule(results === undefined ? pauseMs : writeGapMs)
  }

  function ended({ lane, batch }: Job, result: WriteResult | undefined): void {
    lane.isWriting = false
    if (!lane.isOurs || result === 'fenced') {
      for (const waiter of batch.waiters) waiter({ ok: false, reason: 'lost' })
      if (lane.isOurs) options.fenced(lane)
    } else if (result === 'written') {
      lane.settled(batch)
      for (const waiter of batch.waiters) waiter({ ok: true })
      options.written(lane, batch.kept)
    } else lane.giveBack(batch)
    if (lane.isOurs && lane.isDirty) dirty.add(lane)
    else rested(lane)
  }

  function rested(lane: Lane): void {
    const resolves = waiting.get(lane) ?? []
    waiting.delete(lane)
    for (const resolve of resolves) resolve()
  }

  return {
    soon(lane) {
      if (!lane.isDirty) return
      dirty.add(lane)
      // While one is under way, its end starts the next.
      if (!lane.isWriting && !(together && underWay > 0)) schedule(0)
    },
    async idle(lane) {
      if (!lane.isOurs || !(lane.isDirty || lane.isWriting)) return
      await new Promise<void>((resolve) => {
        waiting.set(lane, [...(waiting.get(lane) ?? []), resolve])
        this.soon(lane)
      })
    },
    lost(lane) {
      dirty.delete(lane)
      rested(lane)
    },
    close() {
      closed = true
      for (const lane of [...waiting.keys()]) rested(lane)
    },
  }
}

function asKnown(error: unknown): TreatyError {
  if (isTreatyError(error)) return error
  return new TreatyError('TRANSPORT_FAILED', errorMessage(error), { cause: error })
}
