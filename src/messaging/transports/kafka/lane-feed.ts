import { delay } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import type { LaneEntry, LaneGroup } from '../../lanes/driver.ts'
import type { Hold } from './hold.ts'
import { clipped, createLaneBook } from './lane-book.ts'
import { type LaneState, tallied } from './lane-state.ts'
import type { LogRecord } from './log-record.ts'
import { markOf, marks, messageOf } from './messages.ts'
import type { Meter } from './meter.ts'
import { laneName } from './names.ts'
import { type LogChunk, offsetOutOfRange, readLogs } from './reader.ts'
import { hasMoved, type Line, type Wire } from './wire.ts'

/** Reads the lanes that are ours and hands their messages to the core, as far as it has room. */
export interface LaneFeed {
  /** Lanes came, or have room again. */
  readNow(): void
  onRoom(lane: string): void
  /** True while the broker answers. */
  readonly isPolling: boolean
  close(): Promise<void>
}

export interface LaneFeedOptions {
  readonly wire: Wire
  readonly group: string
  readonly core: () => LaneGroup
  readonly holds: ReadonlyMap<string, Hold>
  readonly meter: Meter
  /** Messages that are gone and were never finished, by type, for a lane that has to start again with this state. */
  lost(hold: Hold, state: LaneState): Promise<ReadonlyMap<string, number>>
  onError(error: TreatyError): void
}

const longPollMs = 500
/** While some lanes have no room a long wait for the others would starve them once they do. */
const shortPollMs = 20
const silenceMs = 8000
const idleMs = 200
const pauseMs = 100

export function createLaneFeed(options: LaneFeedOptions): LaneFeed {
  return new Feed(options)
}

class Feed implements LaneFeed {
  readonly #options: LaneFeedOptions
  /** A long poll, and beside it a line for lanes that became readable meanwhile. */
  readonly #long: Line
  readonly #quick: Line
  #isReading = false
  #isClosed = false
  #polledAt = Number.NEGATIVE_INFINITY
  #wake: (() => void) | undefined

  constructor(options: LaneFeedOptions) {
    this.#options = options
    this.#long = options.wire.line({ requestMs: silenceMs })
    this.#quick = options.wire.line({ requestMs: silenceMs })
  }

  get isPolling(): boolean {
    return this.#options.wire.clock.monotonic() - this.#polledAt < silenceMs
  }

  readNow(): void {
    if (this.#isClosed) return
    if (!this.#isReading) {
      this.#isReading = true
      void this.#read()
      return
    }
    this.#wake?.()
    const holds = this.#readable()
    if (holds.length > 0) void this.#fetch(this.#quick, holds, 0)
  }

  onRoom(lane: string): void {
    const hold = this.#options.holds.get(lane)
    if (hold === undefined) return
    this.#feed(hold)
    this.readNow()
  }

  async #read(): Promise<void> {
    const { wire, holds } = this.#options
    while (!this.#isClosed && holds.size > 0) {
      const readable = this.#readable()
      if (readable.length === 0) {
        await this.#untilReadable()
        continue
      }
      const waitMs = readable.length < holds.size ? shortPollMs : longPollMs
      const isFine = await this.#fetch(this.#long, readable, waitMs)
      if (!isFine) await delay(wire.clock, pauseMs)
    }
    this.#isReading = false
  }

  #untilReadable(): Promise<void> {
    const { clock } = this.#options.wire
    return new Promise((resolve) => {
      const timer = clock.setTimeout(() => this.#wake?.(), idleMs)
      this.#wake = () => {
        this.#wake = undefined
        clock.clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Lanes that have room, after what was read ahead went in. */
  #readable(): Hold[] {
    return [...this.#options.holds.values()].filter((hold) => {
      if (hold.isFetching || hold.isReleasing) return false
      this.#feed(hold)
      return hold.ahead.length === 0 && this.#options.core().roomOf(hold.lane) > 0
    })
  }

  /** @returns false where something went wrong, so that the next try waits a moment */
  async #fetch(line: Line, holds: readonly Hold[], waitMs: number): Promise<boolean> {
    const { wire } = this.#options
    const asked = new Map(holds.map((hold) => [hold.lane, hold]))
    for (const hold of holds) hold.isFetching = true
    try {
      const reaches = holds.map(({ topic, partition, fetchFrom }) => ({
        topic,
        partition,
        offset: fetchFrom,
      }))
      const chunks = await readLogs(wire, line, { reaches, waitMs }).finally(() => {
        for (const hold of holds) hold.isFetching = false
      })
      this.#polledAt = wire.clock.monotonic()
      const results = chunks.map((chunk) => this.#arrived(chunk, asked.get(laneName(chunk))))
      return chunks.length > 0 && !results.includes(false)
    } catch (error) {
      if (!this.#isClosed && hasMoved(error)) await this.#refreshTopics()
      return false
    }
  }

  async #refreshTopics(): Promise<void> {
    const { wire, holds } = this.#options
    const names = new Set([...holds.values()].map(({ topic }) => topic))
    await wire.topics([...names], true).catch(() => undefined)
  }

  #arrived(chunk: LogChunk, hold: Hold | undefined): boolean {
    // The lane may have gone, and even have come back with another place to read on from.
    const isLate = hold === undefined || this.#options.holds.get(hold.lane) !== hold
    if (isLate || hold.isReleasing) return true
    if (chunk.errorCode === offsetOutOfRange) {
      void this.#restart(hold, chunk.start)
      return true
    }
    if (chunk.errorCode !== 0) {
      void this.#refreshTopics()
      return false
    }
    const from = hold.fetchFrom
    if (chunk.next <= from) return true
    this.#options.meter.pass(hold, { from, next: chunk.next, records: chunk.records })
    hold.fetchFrom = chunk.next
    for (const record of chunk.records) {
      if (record.offset >= from && !hold.book.hasEnded(record.offset)) hold.ahead.push(record)
    }
    this.#feed(hold)
    return true
  }

  /** The broker does not keep what was to be read next: retention was faster than we were, or the topic is another. */
  async #restart(hold: Hold, start: number): Promise<void> {
    if (hold.fetchFrom === start) return
    hold.isFetching = true
    const { core, holds, lost } = this.#options
    const state = clipped(hold.book.released(), start)
    const gone = await lost(hold, state).catch(() => new Map<string, number>())
    if (holds.get(hold.lane) !== hold || hold.isReleasing) return
    let { tallies } = state
    for (const [type, count] of gone) tallies = tallied(tallies, type, { expired: count })
    hold.book = createLaneBook({ ...state, tallies })
    hold.ahead = []
    hold.fetchFrom = state.low
    hold.isFetching = false
    const { startsThrough } = state
    core().assign(hold.lane, startsThrough === undefined ? {} : { startsThrough })
    const count = [...gone.values()].reduce((sum, each) => sum + each, 0)
    if (count > 0) this.#tellOfLoss(hold, count)
    this.readNow()
  }

  #tellOfLoss({ topic, partition }: Hold, count: number): void {
    const { group, onError } = this.#options
    const text = `partition ${partition} of '${topic}' does not keep ${count} messages any more that ${group} had not handled`
    onError(
      new TreatyError('TRANSPORT_FAILED', text, {
        hint: 'Raise the retention of the channel, or run its consumers more often.',
        details: { group, topic, partition, messages: count },
      }),
    )
  }

  /** Hands on as much of what was read as the core has room for. */
  #feed(hold: Hold): void {
    if (hold.isReleasing) return
    const { ahead, book } = hold
    if (ahead.length === 0) {
      book.read([], hold.fetchFrom)
      return
    }
    const room = this.#options.core().roomOf(hold.lane)
    if (room === 0) return
    const records = ahead.slice(0, room)
    hold.ahead = ahead.slice(room)
    const offsets = records.map(({ offset }) => offset)
    book.read(offsets, hold.ahead[0]?.offset ?? hold.fetchFrom)
    const entries = records.map((record) => this.#entryOf(hold, record))
    this.#options.core().offer(hold.lane, entries)
  }

  #entryOf(hold: Hold, record: LogRecord): LaneEntry {
    const { offset } = record
    const entry: { -readonly [Name in keyof LaneEntry]: LaneEntry[Name] } = {
      id: String(offset),
      record: messageOf(record, hold),
      place: offset,
    }
    const state = hold.book.stateOf(offset)
    if (state !== undefined) entry.state = state
    if (offset <= hold.suspectsThrough) entry.suspect = true
    const to = markOf(record, marks.to)
    if (to !== undefined && to !== this.#options.group) entry.foreign = true
    return entry
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#wake?.()
    await Promise.all([this.#long.close(), this.#quick.close()])
  }
}
