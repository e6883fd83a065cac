import type { TimerHandle } from '../../../core/clock.ts'
import type { LaneGroup } from '../../lanes/driver.ts'
import type { Freshness } from '../../lanes/freshness.ts'
import { shareOf } from '../../lanes/share.ts'
import { type ChannelDocument, type GroupDocument, lanesOf } from './definitions.ts'
import type { Document } from './documents.ts'
import { asTreatyError } from './errors.ts'
import type { OwnedLane, Sharing } from './groups.ts'
import {
  fromDocument,
  type LaneDocument,
  type LaneState,
  newLane,
  toDocument,
} from './lane-state.ts'
import { laneName, openOwnedLane } from './owned-lane.ts'
import type { Session } from './session.ts'
import { createUnblocking, type Unblocking } from './unblocking.ts'

export interface SharingOptions {
  readonly session: Session
  readonly document: GroupDocument
  readonly channels: readonly ChannelDocument[]
  readonly lanes: LaneGroup
  readonly owned: Map<string, OwnedLane>
  readonly freshness: Freshness
}

/** What a replica says of itself. */
interface MemberDocument {
  readonly id: string
  /** Milliseconds of silence after which it is gone. */
  readonly lease: number
}

const heartbeatMsMax = 1000
/** Calls of others that come together are one. */
const calledMs = 20

interface Place {
  readonly channel: ChannelDocument
  readonly lane: string
}

export function startSharing(options: SharingOptions): Sharing {
  return new Participation(options)
}

/** A class because every step shares its state. */
class Participation implements Sharing {
  #options: SharingOptions
  readonly #places = new Map<string, Place>()
  readonly #unblocking: Unblocking
  /** Lanes that are on their way back. */
  readonly #draining = new Map<string, Promise<void>>()
  /** Our name among the replicas: new with each life, because a name that was struck off must not come back. */
  #id = ''
  #seq = 0
  /** Server's time of our last heartbeat, and when we knew of it. */
  #beat: { readonly timeNs: bigint; readonly knownAt: number } | undefined
  #wanted = false
  #isJoined = false
  #timer: TimerHandle | undefined
  #turn: Promise<void> | undefined
  #isCalled = false
  #beatAt = Number.NEGATIVE_INFINITY
  #answeredAt = 0
  #unsubscribe: (() => void) | undefined

  constructor(options: SharingOptions) {
    this.#options = options
    this.#unblocking = createUnblocking({ ...options, group: options.document })
    for (const channel of options.channels) {
      for (const lane of lanesOf(channel)) {
        this.#places.set(laneName(channel.address, lane), { channel, lane })
      }
    }
  }

  get isJoined(): boolean {
    return this.#isJoined
  }

  start(): void {
    if (this.#wanted) return
    this.#wanted = true
    const { session, document } = this.#options
    this.#unsubscribe ??= session.wire.subscribe(session.places.call(document.name), () =>
      this.#soon(),
    )
    this.#soon()
  }

  async stop(): Promise<void> {
    this.#wanted = false
    await Promise.all([...this.#options.owned.keys()].map((name) => this.#giveBack(name)))
    if (!this.#wanted) await this.#end()
  }

  async leave(): Promise<void> {
    this.#wanted = false
    const { owned, lanes } = this.#options
    await Promise.all(
      [...owned.values()].map(async (lane) => {
        // From here on a settlement of it comes too late, so that what is written now is the last word.
        lanes.forget(lane.name)
        owned.delete(lane.name)
        await lane.release().catch((error: unknown) => this.#report(error))
      }),
    )
    await this.#end()
  }

  renew(document: GroupDocument): void {
    this.#options = { ...this.#options, document }
    this.#beLost()
    if (this.#wanted) this.#soon()
  }

  async #end(): Promise<void> {
    this.#isJoined = false
    const { session } = this.#options
    if (this.#timer !== undefined) session.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    await this.#turn
    if (this.#id === '' || this.#wanted) return
    const seq = this.#seq
    this.#id = ''
    await session.members.remove(seq).catch((error: unknown) => this.#report(error))
    this.#callOthers()
  }

  #callOthers(): void {
    const { session, document } = this.#options
    if (session.wire.isUp)
      session.wire.publish(session.places.call(document.name), new Uint8Array())
  }

  #report(error: unknown): void {
    const { session, document } = this.#options
    if (!session.wire.isUp) return
    session.reportError(asTreatyError(error, `does not share the lanes of ${document.name}`))
  }

  get #heartbeatMs(): number {
    return Math.min(heartbeatMsMax, this.#options.session.leaseMs / 4)
  }

  #soon(): void {
    this.#isCalled = true
    if (this.#turn === undefined) this.#arm(calledMs)
  }

  #arm(delayMs: number): void {
    const { clock } = this.#options.session
    if (this.#timer !== undefined) clock.clearTimeout(this.#timer)
    this.#timer = clock.setTimeout(() => {
      this.#timer = undefined
      this.#turn ??= this.#run().finally(() => {
        this.#turn = undefined
        if (this.#unsubscribe === undefined) return
        this.#arm(this.#isCalled ? calledMs : this.#heartbeatMs)
      })
    }, delayMs)
  }

  async #run(): Promise<void> {
    this.#isCalled = false
    try {
      // Whoever drains still lives: its handlers' work must not be given to others.
      if (this.#wanted) await this.#round()
      else if (this.#id !== '' && this.#options.owned.size > 0) await this.#heartbeat()
    } catch (error) {
      this.#report(error)
    }
  }

  async #round(): Promise<void> {
    const { session, owned, document } = this.#options
    if (!session.wire.isUp) return
    // A call of others asks for a look, not for another heartbeat.
    const sinceMs = session.clock.monotonic() - this.#beatAt
    if (this.#id === '' || sinceMs >= this.#heartbeatMs / 2) await this.#heartbeat()
    if (this.#id === '') return
    // States before members: else a lane that was just claimed by one that joined in between would look like an orphan.
    const isShort = owned.size < this.#places.size
    const states = isShort ? await this.#readStates() : new Map<string, Document<LaneDocument>>()
    const members = await this.#liveMembers()
    const quota = shareOf(this.#places.size, members, this.#id)
    const kept = owned.size - this.#draining.size
    if (kept > quota) this.#giveSome(kept - quota)
    else if (kept < quota) await this.#claim(states, members, quota - kept)
    this.#isJoined = true
    if (document.deadLetter.onDead === 'block') await this.#unblocking.round()
  }

  /** Says that we live. A name that was struck off is never used again: all lanes go, and we come back as somebody else. */
  async #heartbeat(): Promise<void> {
    const { session, document, freshness, lanes } = this.#options
    const isNew = this.#id === ''
    if (isNew) {
      this.#id = crypto.randomUUID().replaceAll('-', '').slice(0, 12)
      this.#seq = 0
    }
    const subject = session.places.member(document.name, this.#id)
    const value: MemberDocument = { id: this.#id, lease: session.leaseMs }
    const answered = freshness.begin()
    const sentAt = session.clock.monotonic()
    let written = await session.members.write(subject, value, this.#seq)
    if (written === 'conflict') {
      // Only we write here: if it is there, an answer was lost.
      const found = await session.members.read(subject)
      written =
        found === undefined ? 'conflict' : await session.members.write(subject, value, found.seq)
    }
    if (written === 'conflict') {
      this.#beLost()
      return
    }
    this.#seq = written
    this.#beatAt = sentAt
    this.#answeredAt = session.clock.monotonic()
    answered()
    if (isNew) this.#callOthers()
    lanes.wake()
  }

  #beLost(): void {
    const { owned, lanes } = this.#options
    for (const lane of owned.values()) {
      lane.close()
      lanes.forget(lane.name)
    }
    owned.clear()
    this.#draining.clear()
    this.#id = ''
    this.#isJoined = false
    this.#isCalled = true
  }

  async #readStates(): Promise<Map<string, Document<LaneDocument>>> {
    const { session, document } = this.#options
    const found = await session.state.all<LaneDocument>(session.places.all('lane', document.name))
    return new Map(found.map((each) => [each.subject, each]))
  }

  /** Who lives, judged by the times that the server wrote; those who do not are struck off. */
  async #liveMembers(): Promise<string[]> {
    const { session, document } = this.#options
    const found = await session.members.all<MemberDocument>(session.places.members(document.name))
    const mine = found.find(({ value }) => value.id === this.#id)
    if (mine !== undefined && mine.seq === this.#seq) {
      this.#beat = { timeNs: mine.timeNs, knownAt: this.#answeredAt }
    }
    if (this.#beat === undefined) return [this.#id]
    // Rather too little: a slow answer must not make others look silent.
    const elapsedMs = session.clock.monotonic() - this.#beat.knownAt
    const nowMs = Number(this.#beat.timeNs / 1_000_000n) + elapsedMs
    const live = [this.#id]
    for (const { seq, timeNs, value } of found) {
      if (value.id === this.#id) continue
      const isSilent = nowMs - Number(timeNs / 1_000_000n) > value.lease
      // Only this very heartbeat: one that came meanwhile is a sign of life.
      const isGone = isSilent && (await session.members.remove(seq))
      if (!isGone) live.push(value.id)
    }
    return live
  }

  /** Gives back the lanes that have the least to do. */
  #giveSome(count: number): void {
    const { owned, lanes } = this.#options
    const candidates = [...owned.keys()]
      .filter((name) => !this.#draining.has(name))
      .map((name) => ({ name, busy: lanes.gaugesOf(name)?.inFlight ?? 0 }))
      .sort((one, two) => one.busy - two.busy)
    for (const { name } of candidates.slice(0, count)) void this.#giveBack(name)
  }

  #giveBack(name: string): Promise<void> {
    const under = this.#draining.get(name)
    if (under !== undefined) return under
    const giving = this.#drain(name).finally(() => {
      if (this.#draining.get(name) === giving) this.#draining.delete(name)
    })
    this.#draining.set(name, giving)
    return giving
  }

  async #drain(name: string): Promise<void> {
    const { owned, lanes } = this.#options
    const lane = owned.get(name)
    if (lane === undefined) return
    lane.close()
    await lanes.drain(name)
    if (owned.get(name) !== lane) return
    owned.delete(name)
    lanes.forget(name)
    await lane.release().catch((error: unknown) => this.#report(error))
    this.#callOthers()
  }

  async #claim(
    states: ReadonlyMap<string, Document<LaneDocument>>,
    members: readonly string[],
    count: number,
  ): Promise<void> {
    const { session, document, owned } = this.#options
    const free = [...this.#places].filter(([name, { channel, lane }]) => {
      if (owned.has(name) || this.#draining.has(name)) return false
      const owner = states.get(session.places.lane(document.name, channel.address, lane))?.value.o
      // Ours in name alone: the answer to our claim was lost.
      if (owner === this.#id) return true
      return owner === undefined || owner === null || !members.includes(owner)
    })
    // From different ends, so that replicas that start together do not fight for the same lanes.
    const start = Math.floor((free.length * members.toSorted().indexOf(this.#id)) / members.length)
    const order = [...free.slice(start), ...free.slice(0, start)]
    const claims = order.slice(0, count).map(([, place]) => this.#claimOne(states, place))
    await Promise.all(claims)
  }

  async #claimOne(
    states: ReadonlyMap<string, Document<LaneDocument>>,
    { channel, lane }: Place,
  ): Promise<void> {
    const { session, document, owned, lanes } = this.#options
    const subject = session.places.lane(document.name, channel.address, lane)
    const found = states.get(subject)
    const before =
      found === undefined ? firstState(document, channel, lane) : fromDocument(found.value)
    const state: LaneState = { ...before, owner: this.#id, epoch: before.epoch + 1 }
    const seq = await session.state.write(subject, toDocument(state), found?.seq ?? 0)
    if (seq === 'conflict' || this.#id !== state.owner) return
    if (!this.#wanted) {
      // We left meanwhile: as if we had never come.
      await session.state.write(subject, toDocument(before), seq)
      return
    }
    const suspectThrough = before.owner === null ? 0 : before.startsThrough
    const claimed = { state, seq }
    const opened = openOwnedLane({
      session,
      group: document,
      channel,
      lane,
      claimed,
      suspectThrough,
      lanes,
    })
    owned.set(opened.name, opened)
  }
}

function firstState(document: GroupDocument, channel: ChannelDocument, lane: string): LaneState {
  const subscription = document.subscriptions.find(({ address }) => address === channel.address)
  return newLane(subscription?.after ?? 0, subscription?.before[lane] ?? {})
}
