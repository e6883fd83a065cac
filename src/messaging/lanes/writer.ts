import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { SettleResult } from '../transport.ts'
import type { LaneGroupOptions, WriteResult } from './driver.ts'
import type { Batch, Lane, Node } from './lane.ts'

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

const taken: SettleResult = { ok: true }
const lost: SettleResult = { ok: false, reason: 'lost' }

interface Job {
  readonly lane: Lane
  readonly batch: Batch
}

/** Brings the changes of lanes to the broker, again until it takes them or says that the lane is lost. */
export class Writer {
  readonly #options: WriterOptions
  readonly #dirty = new Set<Lane>()
  readonly #waiting = new Map<Lane, (() => void)[]>()
  #isScheduled = false
  #underWay = 0
  #pauseMs = 0
  #isClosed = false

  constructor(options: WriterOptions) {
    this.#options = options
  }

  /** Writes the lane's changes, if there are any, as soon as no other write of it is under way. */
  soon(lane: Lane): void {
    if (!lane.isDirty) return
    this.#dirty.add(lane)
    // While one is under way, its end starts the next.
    if (!lane.isWriting && !this.#mustWait) this.#schedule(0)
  }

  /** Resolves when this lane has nothing left to write, or is not ours any more. */
  async idle(lane: Lane): Promise<void> {
    if (!lane.isOurs || !(lane.isDirty || lane.isWriting)) return
    await new Promise<void>((resolve) => {
      this.#waiting.set(lane, [...(this.#waiting.get(lane) ?? []), resolve])
      this.soon(lane)
    })
  }

  /** The lane is not ours any more. */
  lost(lane: Lane): void {
    this.#dirty.delete(lane)
    this.#rested(lane)
  }

  close(): void {
    this.#isClosed = true
    for (const lane of [...this.#waiting.keys()]) this.#rested(lane)
  }

  get #mustWait(): boolean {
    return this.#options.writes === 'together' && this.#underWay > 0
  }

  #schedule(afterMs: number): void {
    if (this.#isScheduled || this.#isClosed) return
    this.#isScheduled = true
    // Settlements of one turn of the event loop share a write.
    if (afterMs === 0) queueMicrotask(() => this.#start())
    else this.#options.clock.setTimeout(() => this.#start(), afterMs)
  }

  #start(): void {
    this.#isScheduled = false
    if (this.#isClosed || this.#mustWait) return
    const jobs: Job[] = []
    for (const lane of this.#dirty) {
      if (lane.isWriting) continue
      this.#dirty.delete(lane)
      const batch = lane.isOurs ? lane.take(this.#options.reserve) : undefined
      if (batch === undefined) this.#rested(lane)
      else {
        lane.isWriting = true
        jobs.push({ lane, batch })
      }
    }
    if (jobs.length === 0) return
    if (this.#options.writes === 'together') void this.#write(jobs)
    else for (const job of jobs) void this.#write([job])
  }

  async #write(jobs: readonly Job[]): Promise<void> {
    this.#underWay += 1
    let results: readonly WriteResult[] | undefined
    try {
      results = await this.#options.driver.write(jobs.map(({ batch }) => batch.write))
      this.#pauseMs = 0
    } catch (error) {
      this.#pauseMs = Math.min(pauseMsMax, Math.max(pauseMsMin, this.#pauseMs * 2))
      if (!this.#isClosed) this.#options.onError(asKnown(error))
    }
    this.#underWay -= 1
    jobs.forEach((job, at) => {
      this.#ended(job, results?.[at])
    })
    if (this.#dirty.size === 0) return
    this.#schedule(results === undefined ? this.#pauseMs : (this.#options.writeGapMs ?? 0))
  }

  #ended({ lane, batch }: Job, result: WriteResult | undefined): void {
    lane.isWriting = false
    if (result === 'written') {
      // Also where the lane was lost meanwhile: what is written will not be handed out again.
      if (lane.isOurs) lane.settled(batch)
      for (const waiter of batch.waiters) waiter.told(taken)
      if (lane.isOurs) this.#options.written(lane, batch.kept)
    } else if (!lane.isOurs || result === 'fenced') {
      for (const waiter of batch.waiters) waiter.told(lost)
      if (lane.isOurs) this.#options.fenced(lane)
    } else lane.giveBack(batch)
    if (lane.isOurs && lane.isDirty) this.#dirty.add(lane)
    else this.#rested(lane)
  }

  #rested(lane: Lane): void {
    const resolves = this.#waiting.get(lane) ?? []
    this.#waiting.delete(lane)
    for (const resolve of resolves) resolve()
  }
}

function asKnown(error: unknown): TreatyError {
  if (isTreatyError(error)) return error
  return new TreatyError('TRANSPORT_FAILED', errorMessage(error), { cause: error })
}
