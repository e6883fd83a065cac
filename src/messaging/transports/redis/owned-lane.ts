import { delay } from '../../../core/clock.ts'
import type { EntryState, LaneWrite, WriteResult } from '../../lanes/driver.ts'
import type { GroupTopology } from '../../transport.ts'
import { changeOf } from './change.ts'
import { turnScript } from './lane-scripts.ts'
import { LostAnswer } from './link.ts'
import { type ReadEntry, readEntry, readParts } from './records.ts'
import type { Argument, Reply } from './resp.ts'
import type { Session } from './session.ts'

/** Bytes that one turn reads, about. */
const readBytesMax = 4_194_304
const readMost = 256
const readLeast = 32
const again = 50

interface ArrivedEntry {
  readonly id: string
  readonly read: ReadEntry
  readonly state: EntryState | undefined
}

/** What a turn has read. */
export interface Turn {
  readonly entries: readonly ArrivedEntry[]
  /** They were handed to an owner of the lane before us. */
  readonly isInherited: boolean
  /** Blocked messages that were replayed or discarded elsewhere. */
  readonly orders: readonly (readonly [entry: string, how: 'replay' | 'discard'])[]
}

export interface OwnedLaneOptions {
  readonly session: Session
  readonly group: GroupTopology
  readonly address: string
  readonly number: number
  readonly token: string
  readonly name: string
  /** Its last owner vanished without giving it back. */
  readonly isSuspect: boolean
  readonly room: (lane: OwnedLane) => number
  readonly onTurn: (lane: OwnedLane, turn: Turn) => void
  readonly onFenced: (lane: OwnedLane) => void
  readonly onError: (error: unknown) => void
}

/**
 * One lane while this process owns it. At most one turn is under way; a turn whose answer was lost comes again under its number, so that it is
 * done once, and the reading goes on behind the last entry that arrived: what the lost answer held is still pending.
 */
export class OwnedLane {
  readonly name: string
  readonly number: number
  readonly token: string
  readonly isSuspect: boolean
  isLeaving = false
  /** As it was written last, and until when that will do. */
  gauge = ''
  gaugeUntil = 0
  readonly #options: OwnedLaneOptions
  readonly #end = new AbortController()
  #turns = 0
  #last: Promise<unknown> = Promise.resolve()
  /** The entry behind which the pending ones were not read yet; `>`: all were. */
  #cursor = '0-0'
  #lastRead = '0-0'
  #mayHaveMore = false
  #isReading = false
  /** What is pending was left by the owner before. */
  #isTakingOver = true
  #asked = 0

  constructor(options: OwnedLaneOptions) {
    this.#options = options
    this.name = options.name
    this.number = options.number
    this.token = options.token
    this.isSuspect = options.isSuspect
  }

  /** There may be something to read: reads as long as there is, and room. */
  mayHaveMore(): void {
    this.#mayHaveMore = true
    if (this.#isReading || this.#end.signal.aborted) return
    this.#isReading = true
    void this.#read().finally(() => {
      this.#isReading = false
    })
  }

  async #read(): Promise<void> {
    while (this.#mayHaveMore && !this.isLeaving && !this.#end.signal.aborted) {
      // What is settled meanwhile reads on by itself; many small turns cost more than one.
      if (this.#options.room(this) < readLeast) return
      await this.#inTurn(() => this.#take(''))
    }
  }

  /** Settles what the core says and reads, in one step. */
  write(write: LaneWrite): Promise<WriteResult> {
    const change = changeOf(write, this.#options)
    this.#turns += 1
    const turn = String(this.#turns)
    return this.#inTurn(() => this.#take(turn, change))
  }

  /** Resolves when no turn is under way. */
  async rest(): Promise<void> {
    await this.#last
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const next = this.#last.then(work)
    this.#last = next.catch(() => undefined)
    return next
  }

  /** One turn, again until it is answered; rejects only when the lane is not ours any more. */
  async #take(turn: string, change: readonly Argument[] = []): Promise<WriteResult> {
    const { session, onError, onFenced } = this.#options
    while (!this.#end.signal.aborted) {
      try {
        await session.link.ready()
        const reply = await this.#ask(turn, change)
        if (!Array.isArray(reply)) throw new Error('the server answered a turn with nothing')
        if (String(reply[0]) === 'FENCED') {
          onFenced(this)
          return 'fenced'
        }
        this.#took(reply)
        return 'written'
      } catch (error) {
        if (error instanceof LostAnswer) this.#cursor = this.#lastRead
        else onError(error)
        await delay(session.clock, again, this.#end.signal).catch(() => undefined)
        if (turn === '' && !session.link.isReady) {
          // A change must be brought over; reading can wait for the next beat.
          return 'written'
        }
      }
    }
    return 'fenced'
  }

  #ask(turn: string, change: readonly Argument[]): Promise<Reply> {
    const { session, group, address, room } = this.#options
    const most = this.isLeaving ? 0 : Math.min(readMost, room(this))
    this.#asked = most
    return session.link.run(turnScript, session.names.base(address), [
      group.name,
      this.number,
      this.token,
      turn,
      most,
      this.#cursor,
      readBytesMax,
      ...change,
    ])
  }

  #took(reply: readonly Reply[]): void {
    const { address, onTurn } = this.#options
    const [isEmpty, entries, states, orders] = reply as readonly [
      number,
      Reply[],
      Reply[],
      Buffer[],
    ]
    const isPending = this.#cursor !== '>'
    const isInherited = this.#isTakingOver
    const read: ArrivedEntry[] = []
    for (let at = 0; at + 2 < entries.length; at += 3) {
      const id = (entries[at] as Buffer).toString('latin1')
      const place = { address, lane: this.number, entry: id }
      const [head, body] = [entries[at + 1] as Buffer | readonly Reply[], entries[at + 2] as Buffer]
      const state = isPending ? stateOf(states[at / 3]) : undefined
      read.push({
        id,
        read: Buffer.isBuffer(head) ? readParts(place, head, body) : readEntry(place, head),
        state,
      })
    }
    const last = read.at(-1)
    if (last !== undefined) this.#lastRead = last.id
    if (isPending && last !== undefined) this.#cursor = last.id
    if (isPending && isEmpty === 1) {
      this.#cursor = '>'
      this.#isTakingOver = false
    }
    if (this.#asked > 0) this.#mayHaveMore = isPending || isEmpty === 0
    if (read.length > 0 || orders.length > 0)
      onTurn(this, { entries: read, isInherited, orders: ordersOf(orders) })
    if (this.#mayHaveMore && this.#asked > 0) this.mayHaveMore()
  }

  /** Nothing of it is ours any more. */
  lose(): void {
    this.#end.abort()
  }
}

function stateOf(text: Reply | undefined): EntryState | undefined {
  const json = String(text ?? '')
  return json === '' ? undefined : (JSON.parse(json) as EntryState)
}

function ordersOf(pairs: readonly Buffer[]): (readonly [string, 'replay' | 'discard'])[] {
  const orders: (readonly [string, 'replay' | 'discard'])[] = []
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    orders.push([String(pairs[at]), String(pairs[at + 1]) === 'replay' ? 'replay' : 'discard'])
  }
  return orders
}
