import type { LaneGroup, LaneLetter, LaneWrite } from '../../lanes/driver.ts'
import { keepLetter, removeLetterById } from './dead-letters.ts'
import type { ChannelDocument, GroupDocument } from './definitions.ts'
import { asTreatyError } from './errors.ts'
import type { OwnedLane, PreparedWrite } from './groups.ts'
import { type LaneBook, openBook, tagOf } from './lane-book.ts'
import { type LaneReader, openLaneReader } from './lane-reader.ts'
import { type LaneDocument, type LaneState, toDocument } from './lane-state.ts'
import { type LetterOrigin, letterId } from './letters.ts'
import { laneFilter } from './names.ts'
import { laneEntryOf, letterHeader, recordOf, tagOfStored } from './records.ts'
import type { Session } from './session.ts'
import type { Stored } from './stored.ts'

export interface OwnedLaneOptions {
  readonly session: Session
  readonly group: GroupDocument
  readonly channel: ChannelDocument
  readonly lane: string
  /** The state with us as its owner, and its number on the broker. */
  readonly claimed: { readonly state: LaneState; readonly seq: number }
  /** It was not given back: what had started may have ended its process. */
  readonly suspectThrough: number
  readonly lanes: LaneGroup
}

/** The core's name for a lane. */
export function laneName(address: string, lane: string): string {
  return `${address}/${lane}`
}

/** Takes a lane over that was just claimed, and begins to read it. */
export function openOwnedLane(options: OwnedLaneOptions): OwnedLane {
  return new Owned(options)
}

/** A class because every step shares its state. */
class Owned implements OwnedLane {
  readonly name: string
  readonly #options: OwnedLaneOptions
  readonly #subject: string
  readonly #book: LaneBook
  readonly #reader: LaneReader
  #seq: number
  #isClosed = false
  #writing: Promise<unknown> = Promise.resolve()

  constructor(options: OwnedLaneOptions) {
    const { session, group, channel, lane, claimed, lanes } = options
    this.#options = options
    this.name = laneName(channel.address, lane)
    this.#subject = session.places.lane(group.name, channel.address, lane)
    this.#book = openBook(claimed.state)
    this.#seq = claimed.seq
    lanes.assign(this.name, { startsThrough: claimed.state.startsThrough })
    this.#reader = openLaneReader({
      wire: session.wire,
      clock: session.clock,
      stream: channel.stream,
      filter: laneFilter(channel.address, lane),
      from: claimed.state.low + 1,
      room: () => (this.#isClosed ? 0 : lanes.roomOf(this.name)),
      take: (messages) => this.#take(messages),
      onError: (error) => session.reportError(asTreatyError(error, `did not give ${this.name}`)),
    })
  }

  get state(): LaneState {
    return this.#book.state
  }

  #take(messages: readonly Stored[]): void {
    if (this.#isClosed) return
    const { channel, group, lanes, suspectThrough } = this.#options
    const { address } = channel
    const entries = messages.flatMap((stored) => {
      const record = recordOf(address, stored)
      const tag = tagOfStored(stored, { address, group: group.name, record })
      if (tag.kind === 'replay') this.#forgetLetter(stored)
      if (this.#book.note(tag)) return []
      const isSuspect = tag.seq <= suspectThrough
      return [laneEntryOf(record, tag, { state: this.#book.left(tag.seq), isSuspect })]
    })
    lanes.offer(this.name, entries)
  }

  /** The replay is in the lane: its letter must not be there as well, should its process have died in between. */
  #forgetLetter(stored: Stored): void {
    const { session } = this.#options
    const id = [...stored.headers()].find(([header]) => header === letterHeader)?.[1]
    if (id === undefined) return
    removeLetterById(session, id).catch((error: unknown) => {
      session.reportError(asTreatyError(error, 'kept a dead letter that was replayed'))
    })
  }

  prepare(write: LaneWrite): PreparedWrite {
    const state = this.#book.compose(write)
    return {
      subject: this.#subject,
      document: toDocument(state),
      expected: this.#seq,
      state,
      keepLetters: async () => {
        await Promise.all([...write.ended, ...write.kept].map((change) => this.#keep(change)))
      },
    }
  }

  async #keep(change: LaneWrite['ended'][number] | LaneWrite['kept'][number]): Promise<void> {
    const { entry, letter } = change
    if (letter === undefined) return
    const { session, group, channel, lane } = this.#options
    const { seq } = tagOf(entry)
    const isBlocked = 'why' in change && change.why === 'blocked'
    const { causationId, priority } = entry.record
    const origin: LetterOrigin = {
      ...(isBlocked ? { blocked: { lane, seq } } : {}),
      ...(causationId === undefined ? {} : { causationId }),
      ...(priority === undefined ? {} : { priority }),
    }
    const id = letterId(group.name, channel.address, seq)
    const { retentionMs } = group.deadLetter
    await keepLetter(session, letter satisfies LaneLetter, { id, origin, retentionMs })
  }

  taken({ state }: PreparedWrite, seq: number): void {
    this.#seq = seq
    this.#book.take(state)
  }

  async put(state: LaneState): Promise<'written' | 'fenced'> {
    const { session, claimed } = this.#options
    const document = toDocument(state)
    let written = await session.state.write(this.#subject, document, this.#seq)
    if (written === 'conflict') {
      // The answer to an earlier write of ours may have been lost.
      const found = await session.state.read<LaneDocument>(this.#subject)
      const { owner, epoch } = claimed.state
      if (found === undefined || found.value.o !== owner || found.value.e !== epoch) return 'fenced'
      written = await session.state.write(this.#subject, document, found.seq)
      if (written === 'conflict') return 'fenced'
    }
    this.#seq = written
    this.#book.take(state)
    return 'written'
  }

  busyWith(writing: Promise<unknown>): void {
    this.#writing = writing.catch(() => undefined)
  }

  wake(): void {
    this.#reader.wake()
  }

  close(): void {
    this.#isClosed = true
    this.#reader.stop()
  }

  async release(): Promise<void> {
    this.close()
    await this.#writing
    await this.put({ ...this.#book.state, owner: null, startsThrough: 0 })
  }
}
