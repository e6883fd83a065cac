import { delay, type TimerHandle } from '../../../core/clock.ts'
import type { LaneEntry, LaneGroup, LaneWrite, WriteResult } from '../../lanes/driver.ts'
import { createFreshness, type Freshness } from '../../lanes/freshness.ts'
import type { GroupTopology } from '../../transport.ts'
import { adopt } from './adopt.ts'
import { asBrokerError } from './failures.ts'
import { beatScript, leaveScript, releaseScript } from './lane-scripts.ts'
import { LostAnswer } from './link.ts'
import { OwnedLane, type Turn } from './owned-lane.ts'
import type { Reply } from './resp.ts'
import type { Session } from './session.ts'
import { dueScript } from './upkeep-scripts.ts'

/** Beats to one lease. */
const beatsPerLease = 5
const beatMsMax = 1000
/** How often it is looked for what others wrote straight into lanes. */
const lookMs = 1000
const dueMost = 200
/** Before what failed is tried again. */
const againMs = 100

export interface LaneSetOptions {
  readonly session: Session
  readonly group: GroupTopology
  readonly address: string
  readonly lanes: LaneGroup
  /** The group is not there any more. */
  readonly onGone: () => void
}

/** The lanes of one group on one channel that this process owns: its membership, its beats, and the turns of each lane. */
export class LaneSet {
  readonly #options: LaneSetOptions
  readonly #freshness: Freshness
  readonly #owned = new Map<number, OwnedLane>()
  readonly #prefix: string
  readonly #stopListening: () => void
  #isMember = true
  #isClosed = false
  #hasBeaten = false
  #timer: TimerHandle | undefined
  #dueTimer: TimerHandle | undefined
  #beating: Promise<void> | undefined
  #beatAgain = false
  #lookedAt = Number.NEGATIVE_INFINITY
  /** Whoever waits for the lanes to be given back. */
  #emptied: (() => void)[] = []

  constructor(options: LaneSetOptions) {
    const { session, address } = options
    this.#options = options
    this.#freshness = createFreshness(session.clock, session.leaseMs)
    this.#prefix = `${address}\n`
    this.#stopListening = session.doorbell.listen(session.names.bell(address), (_, fields) =>
      this.#rung(String(fields[1])),
    )
  }

  /** Proven lately that what it owns is its own; true while it owns nothing. */
  get mayStart(): boolean {
    return this.#owned.size === 0 || this.#freshness.isFresh()
  }
  /** Has heard what its share is, and not too long ago. */
  get isReady(): boolean {
    return this.#hasBeaten && this.#freshness.isFresh()
  }
  owns(lane: string): boolean {
    return lane.startsWith(this.#prefix)
  }

  #rung(why: string): void {
    if (why.startsWith('lanes ')) {
      for (const lane of why.slice(6).split(',')) this.#owned.get(Number(lane))?.mayHaveMore()
    } else if (why === 'due') void this.#moveDue()
    else void this.beat()
  }

  /** One heartbeat, now; at most one is under way. */
  beat(): Promise<void> {
    if (this.#beating !== undefined) this.#beatAgain = true
    this.#beating ??= this.#beats()
    return this.#beating
  }

  async #beats(): Promise<void> {
    const { clock, leaseMs } = this.#options.session
    do {
      this.#beatAgain = false
      if (this.#timer !== undefined) clock.clearTimeout(this.#timer)
      try {
        await this.#beatOnce()
      } catch (error) {
        this.#report(error)
      }
    } while (this.#beatAgain && !this.#isClosed)
    this.#beating = undefined
    if (this.#isClosed) return
    this.#timer = clock.setTimeout(
      () => void this.beat(),
      Math.min(beatMsMax, leaseMs / beatsPerLease),
    )
  }

  async #beatOnce(): Promise<void> {
    const { session, group, address } = this.#options
    const { link, names, clock, leaseMs } = session
    if (this.#isClosed || !link.isReady) return
    const looks = clock.monotonic() - this.#lookedAt >= lookMs
    if (looks) this.#lookedAt = clock.monotonic()
    const proven = this.#freshness.begin()
    const reply = (await link.run(beatScript, names.base(address), [
      group.name,
      session.id,
      leaseMs,
      this.#isMember ? '1' : '0',
      session.id,
      looks ? '1' : '0',
      ...this.#gauges(),
    ])) as readonly Reply[]
    if (this.#isClosed) return
    if (reply.length === 0) {
      this.#loseAll()
      this.#options.onGone()
      return
    }
    this.#learn(reply.slice(3))
    // Only now: what is lost is forgotten before anything may start.
    proven()
    this.#hasBeaten = true
    this.#armDue(String(reply[1]), Number(reply[2]))
    this.#options.lanes.wake()
    this.#giveSurplus(Number(reply[0]))
  }

  #gauges(): (string | number)[] {
    const { lanes, session } = this.#options
    const now = session.clock.now()
    return [...this.#owned.values()].flatMap((lane) => {
      const gauges = lanes.gaugesOf(lane.name)
      if (gauges === undefined) return []
      const { ready, inFlight, delayed, blocked, oldestAt } = gauges
      const text = [ready, inFlight, delayed, blocked, oldestAt ?? ''].join(' ')
      if (text === lane.gauge && now < lane.gaugeUntil) return []
      lane.gauge = text
      // What was written is also lost with the connection; so it is said again now and then.
      lane.gaugeUntil = now + 10_000
      return [lane.number, lane.token, text]
    })
  }

  #learn(rows: readonly Reply[]): void {
    const { lanes } = this.#options
    const seen = new Set<number>()
    for (let at = 0; at + 3 < rows.length; at += 4) {
      const [number, token] = [Number(rows[at]), String(rows[at + 1])]
      seen.add(number)
      const known = this.#owned.get(number)
      if (known?.token === token) {
        if (rows[at + 3] === 1) known.mayHaveMore()
        continue
      }
      known?.lose()
      const lane = this.#take(number, token, String(rows[at + 2]) === '1')
      this.#owned.set(number, lane)
      lanes.assign(lane.name)
      lane.mayHaveMore()
    }
    for (const lane of this.#owned.values()) if (!seen.has(lane.number)) this.#lose(lane)
  }

  #take(number: number, token: string, isSuspect: boolean): OwnedLane {
    const { session, group, address, lanes } = this.#options
    return new OwnedLane({
      session,
      group,
      address,
      number,
      token,
      isSuspect,
      name: `${this.#prefix}${number}`,
      room: (lane) => lanes.roomOf(lane.name),
      onTurn: (lane, turn) => this.#arrived(lane, turn),
      onFenced: (lane) => this.#lose(lane),
      onError: (error) => this.#report(error),
    })
  }

  /** What a turn has read goes to the core; what others wrote goes where it belongs first. */
  #arrived(lane: OwnedLane, turn: Turn): void {
    const { lanes, session, address, group } = this.#options
    const offered: LaneEntry[] = []
    for (const { id, read, state } of turn.entries) {
      if (read.isForeign) continue
      const isSuspect = (lane.isSuspect && turn.isInherited) || state?.marked === true
      const isForeign = read.to !== undefined && read.to !== group.name
      offered.push({
        id,
        record: read.record,
        ...(state && { state }),
        ...(isSuspect && { suspect: true }),
        ...(isForeign && { foreign: true }),
      })
    }
    if (offered.length > 0) lanes.offer(lane.name, offered)
    const foreign = turn.entries.filter(({ read }) => read.isForeign)
    if (foreign.length > 0) {
      const stream = session.names.lane(address, lane.number)
      adopt(session, { address, stream, group: group.name, entries: foreign }).catch(
        (error: unknown) => this.#report(error),
      )
    }
    for (const [entry, how] of turn.orders) lanes.unblock(lane.name, entry, how)
  }

  #lose(lane: OwnedLane): void {
    lane.lose()
    if (this.#owned.get(lane.number) === lane) this.#owned.delete(lane.number)
    this.#options.lanes.forget(lane.name)
    this.#tellEmpty()
  }

  #loseAll(): void {
    for (const lane of this.#owned.values()) this.#lose(lane)
  }

  #tellEmpty(): void {
    if (this.#owned.size > 0) return
    for (const resolve of this.#emptied.splice(0)) resolve()
  }

  /** Gives back what is over the share, lanes with the fewest running handlers first. */
  #giveSurplus(quota: number): void {
    const { lanes } = this.#options
    const staying = [...this.#owned.values()].filter((lane) => !lane.isLeaving)
    const surplus = staying.length - quota
    if (surplus <= 0) return
    const busy = (lane: OwnedLane) => lanes.gaugesOf(lane.name)?.inFlight ?? 0
    const leaving = staying.toSorted((one, other) => busy(one) - busy(other)).slice(0, surplus)
    for (const lane of leaving) void this.#giveBack(lane)
  }

  async #giveBack(lane: OwnedLane): Promise<void> {
    const { lanes, session, group, address } = this.#options
    lane.isLeaving = true
    await lanes.drain(lane.name)
    await lane.rest()
    while (this.#owned.get(lane.number) === lane && !this.#isClosed) {
      try {
        await session.link.ready()
        await session.link.run(releaseScript, session.names.base(address), [
          group.name,
          lane.number,
          lane.token,
        ])
        this.#lose(lane)
      } catch (error) {
        this.#report(error)
        await delay(session.clock, againMs)
      }
    }
  }

  onRoom(lane: string): void {
    this.#of(lane)?.mayHaveMore()
  }

  write(write: LaneWrite): Promise<WriteResult> {
    const lane = this.#of(write.lane)
    return lane === undefined ? Promise.resolve('fenced') : lane.write(write)
  }

  #of(lane: string): OwnedLane | undefined {
    return this.#owned.get(Number(lane.slice(this.#prefix.length)))
  }

  #armDue(dueAt: string, serverNow: number): void {
    const { clock } = this.#options.session
    if (this.#dueTimer !== undefined) clock.clearTimeout(this.#dueTimer)
    this.#dueTimer = undefined
    if (dueAt === '' || this.#isClosed) return
    const waitMs = Math.max(0, Number(dueAt) - serverNow)
    this.#dueTimer = clock.setTimeout(() => void this.#moveDue(), waitMs + 1)
  }

  /** Brings delayed messages into their lanes, and learns when the next one is due. */
  async #moveDue(): Promise<void> {
    const { session, address } = this.#options
    if (this.#isClosed || !session.link.isReady) return
    try {
      const next = await session.link.run(dueScript, session.names.base(address), [dueMost])
      const time = (await session.link.call('TIME')) as readonly Buffer[]
      this.#armDue(String(next), Number(time[0]) * 1000 + Number(time[1]) / 1000)
    } catch (error) {
      this.#report(error)
    }
  }

  /** Is no member from now on; resolves when every lane was given back, which takes as long as their handlers. */
  async leave(): Promise<void> {
    const { session, group, address } = this.#options
    if (this.#isMember) {
      this.#isMember = false
      const base = session.names.base(address)
      await session.link
        .run(leaveScript, base, [group.name, session.id])
        .catch((error: unknown) => this.#report(error))
    }
    for (const lane of this.#owned.values()) if (!lane.isLeaving) void this.#giveBack(lane)
    if (this.#owned.size === 0) return
    await new Promise<void>((resolve) => this.#emptied.push(resolve))
  }

  /** Comes back before it was gone. */
  rejoin(): void {
    this.#isMember = true
    void this.beat()
  }

  /** Gives back what it can at once, whatever still runs. */
  async close(): Promise<void> {
    const { session, group, address, lanes } = this.#options
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stopListening()
    for (const timer of [this.#timer, this.#dueTimer]) {
      if (timer !== undefined) session.clock.clearTimeout(timer)
    }
    const held = [...this.#owned.values()]
    for (const lane of held) lanes.forget(lane.name)
    this.#loseAll()
    if (!session.link.isReady) return
    const base = session.names.base(address)
    try {
      await session.link.run(leaveScript, base, [group.name, session.id])
      if (held.length === 0) return
      await session.link.run(releaseScript, base, [
        group.name,
        ...held.flatMap(({ number, token }) => [number, token]),
      ])
    } catch {
      // The lanes come free when their lease has ended.
    }
  }

  #report(error: unknown): void {
    const { session } = this.#options
    // The link tells of its own end; what was asked is asked again.
    if (this.#isClosed || error instanceof LostAnswer || !session.link.isReady) return
    session.reportError(asBrokerError(error, session.place.name))
  }
}
