import { delay, type TimerHandle } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import type { LaneDriver, LaneGauges, LaneGroup } from '../../lanes/driver.ts'
import { createLaneGroup } from '../../lanes/lane-group.ts'
import type {
  DeliverySink,
  Settlement,
  SettleResult,
  TransportSubscription,
} from '../../transport.ts'
import type { DeadIndex } from './dead-index.ts'
import { createHold, type Hold } from './hold.ts'
import { createLaneAsks, type LaneAsks } from './lane-asks.ts'
import { createLaneFeed, type LaneFeed } from './lane-feed.ts'
import { emptyState, type LaneState } from './lane-state.ts'
import { createLaneWriter, type LaneWriter } from './lane-writer.ts'
import { lostByRetention } from './loss.ts'
import { createMember, type Member } from './member.ts'
import { laneName, placeOf } from './names.ts'
import type { Producer } from './producer.ts'
import type { KnownGroup, Registry } from './registry.ts'
import type { States } from './states.ts'
import type { Line, Wire } from './wire.ts'

/** What the groups of one connection share. */
export interface GroupShared {
  readonly wire: Wire
  /** Heartbeats and commits. */
  readonly line: Line
  readonly producer: Producer
  readonly registry: Registry
  readonly states: States
  readonly index: DeadIndex
  readonly sessionMs: number
  onError(error: TreatyError): void
}

/** One group in this process: its membership, the lanes that it owns, and the subscriptions they feed. */
export interface KafkaGroup {
  /** Resolves once the lanes are shared out, or after some seconds. */
  subscribe(sink: DeliverySink): Promise<TransportSubscription>
  settle(settlements: readonly Settlement[]): Promise<SettleResult[]>
  /** Joins without a subscriber and stays: the membership is the life of an ephemeral group. */
  stay(): Promise<void>
  /** Gauges of the lanes that we own, by lane name. */
  gauges(): ReadonlyMap<string, LaneGauges>
  /** Looks whether there are other lanes than before. */
  check(): Promise<void>
  /** Copies the states of its lanes to where they outlive the committed offsets. */
  keep(): Promise<void>
  /** Waits for what is out, gives everything back, leaves. */
  close(drainMs: number): Promise<void>
}

const reserve = 64
const window = 256
const windowBytes = 4_194_304
const readyBoundMs = 6000
const rejoinGapMs = 20
const claimPauseMs = 500

export function createKafkaGroup(shared: GroupShared, group: KnownGroup): KafkaGroup {
  return new Group(shared, group)
}

class Group implements KafkaGroup {
  readonly #shared: GroupShared
  readonly #group: KnownGroup
  readonly #core: LaneGroup
  readonly #member: Member
  readonly #feed: LaneFeed
  readonly #writer: LaneWriter
  readonly #asks: LaneAsks
  readonly #holds = new Map<string, Hold>()
  /** Lanes that the last round gave us; each with a token of its own as long as it stays ours. */
  #target = new Map<string, object>()
  #stays = false
  #isClosed = false
  #rejoinTimer: TimerHandle | undefined
  #leaving: Promise<void> | undefined
  #lanesSeen: string | undefined

  constructor(shared: GroupShared, group: KnownGroup) {
    this.#shared = shared
    this.#group = group
    const { wire, registry, onError } = shared
    const common = {
      ...shared,
      group: group.name,
      holds: this.#holds,
      core: () => this.#core,
      member: () => this.#member,
    }
    this.#feed = createLaneFeed({
      ...common,
      meter: shared.states.meter,
      lost: (hold, state) => {
        const beginning = this.#known.beginnings[hold.address]
        return lostByRetention({ ...common, line: wire.control }, hold, { state, beginning })
      },
    })
    this.#writer = createLaneWriter({ ...common, group })
    this.#asks = createLaneAsks(common)
    this.#core = createLaneGroup({
      group,
      driver: this.#driver(),
      clock: wire.clock,
      orderingOf: (address) => registry.channel(address)?.ordering ?? 'none',
      writes: 'together',
      reserve,
      window,
      windowBytes,
      onError,
    })
    this.#member = createMember({
      wire,
      line: shared.line,
      groupId: group.groupId,
      sessionMs: shared.sessionMs,
      owned: () => this.#owned(),
      topics: () => this.#topics(),
      allLanes: () => this.#allLanes(),
      assigned: (lanes) => this.#assigned(lanes),
      lost: () => this.#lost(),
      awake: () => this.#core.wake(),
      onError: (error) => onError(wire.known(error)),
    })
  }

  #driver(): LaneDriver {
    return {
      write: async (writes) => {
        const results = await this.#writer.write(writes)
        if (this.#group.deadLetter.onDead === 'block') this.#asks.soon()
        return results
      },
      mayStart: () => this.#member.isFresh(),
      onRoom: (lane) => this.#feed.onRoom(lane),
    }
  }

  get #known(): KnownGroup {
    return this.#shared.registry.group(this.#group.name) ?? this.#group
  }

  #topics(): string[] {
    const { registry } = this.#shared
    const topics = this.#known.subscriptions.flatMap(
      ({ address }) => registry.channel(address)?.topic ?? [],
    )
    return [...new Set(topics)]
  }

  async #allLanes(): Promise<string[]> {
    await this.#shared.registry.refresh()
    const names = this.#topics()
    const found = await this.#shared.wire.topics(names, true)
    return names.flatMap((topic) =>
      (found.get(topic)?.leaders ?? []).map((_, partition) => laneName({ topic, partition })),
    )
  }

  /** What we own or are about to, those with the most running handlers first: giving them up takes longest. */
  #owned(): string[] {
    const held = [...this.#holds.keys()].map((lane) => ({
      lane,
      running: this.#core.gaugesOf(lane)?.inFlight ?? 0,
    }))
    held.sort((one, two) => two.running - one.running)
    const coming = [...this.#target.keys()].filter((lane) => !this.#holds.has(lane))
    return [...held.map(({ lane }) => lane), ...coming]
  }

  #assigned(lanes: readonly string[]): void {
    const before = this.#target
    this.#target = new Map(lanes.map((lane) => [lane, before.get(lane) ?? {}]))
    for (const hold of this.#holds.values()) {
      if (!this.#target.has(hold.lane)) void this.#release(hold)
    }
    void this.#claim(lanes.filter((lane) => !this.#holds.has(lane)))
  }

  #lost(): void {
    this.#target.clear()
    for (const lane of [...this.#holds.keys()]) {
      this.#holds.delete(lane)
      this.#core.forget(lane)
    }
  }

  /** Takes lanes over as their last owner left them. */
  async #claim(lanes: readonly string[]): Promise<void> {
    const { states, wire } = this.#shared
    let open = lanes.map((lane) => ({ lane, token: this.#target.get(lane) }))
    while (!this.#isClosed) {
      // A lane that went and came back meanwhile is for the claim that came with it.
      open = open.filter(({ lane, token }) => token && this.#target.get(lane) === token)
      if (open.length === 0) return
      const places = open.map(({ lane }) => placeOf(lane))
      try {
        const found = await states.read(this.#group, places)
        for (const { lane, token } of open) {
          if (this.#target.get(lane) === token) this.#hold(lane, found.get(lane))
        }
        break
      } catch (error) {
        if (!this.#isClosed) this.#shared.onError(wire.known(error))
        await delay(wire.clock, claimPauseMs)
      }
    }
    if (this.#group.deadLetter.onDead === 'block') this.#asks.soon({ isNew: true })
    this.#feed.readNow()
  }

  #hold(lane: string, state: LaneState | undefined): void {
    const place = placeOf(lane)
    const channel = this.#shared.registry.channelOfTopic(place.topic)
    if (this.#isClosed || this.#holds.has(lane) || channel === undefined) return
    const beginning = this.#known.beginnings[channel.address]
    const begun = state ?? emptyState(beginning?.offsets[place.partition] ?? 0)
    this.#holds.set(lane, createHold(place, channel.address, begun))
    const { startsThrough } = begun
    this.#core.assign(lane, startsThrough === undefined ? {} : { startsThrough })
  }

  /** Ends what runs of the lane, then lets another have it. */
  async #release(hold: Hold): Promise<void> {
    if (hold.isReleasing) return
    hold.isReleasing = true
    await this.#core.drain(hold.lane)
    if (this.#holds.get(hold.lane) !== hold) return
    await this.#writer.release([hold]).catch((error) => this.#tell(error))
    if (this.#holds.get(hold.lane) !== hold) return
    this.#holds.delete(hold.lane)
    this.#core.forget(hold.lane)
    if (this.#target.has(hold.lane)) await this.#claim([hold.lane])
    else this.#rejoinSoon()
  }

  #tell(error: unknown): void {
    this.#shared.onError(this.#shared.wire.known(error))
  }

  /** Lanes that were given up at the same time are handed out in one round. */
  #rejoinSoon(): void {
    if (this.#rejoinTimer !== undefined) return
    this.#rejoinTimer = this.#shared.wire.clock.setTimeout(() => {
      this.#rejoinTimer = undefined
      this.#member.rejoin()
    }, rejoinGapMs)
  }

  async subscribe(sink: DeliverySink): Promise<TransportSubscription> {
    await this.#leaving
    const inner = this.#core.subscribe(sink)
    this.#member.join()
    await this.#untilReady()
    const feed = this.#feed
    return {
      grant: (count) => inner.grant(count),
      pause: () => inner.pause(),
      resume: () => inner.resume(),
      stop: async () => {
        await inner.stop()
        this.#leaveIfIdle()
      },
      get isReady() {
        return inner.isReady && feed.isPolling
      },
    }
  }

  async #untilReady(): Promise<void> {
    const { clock } = this.#shared.wire
    const until = clock.monotonic() + readyBoundMs
    while (!this.#isClosed && clock.monotonic() < until) {
      const isTaken = [...this.#target.keys()].every((lane) => this.#holds.has(lane))
      if (this.#member.isQuiet && isTaken) return
      await delay(clock, 10)
    }
  }

  #leaveIfIdle(): void {
    if (this.#core.hasSubscribers || this.#stays || this.#isClosed) return
    this.#leaving ??= this.#giveAllBack().finally(() => {
      this.#leaving = undefined
    })
  }

  /** Nobody subscribes any more: others can have the lanes once what is out has ended. */
  async #giveAllBack(): Promise<void> {
    const holds = [...this.#holds.values()]
    await Promise.all(holds.map((hold) => this.#core.drain(hold.lane)))
    if (!this.#isClosed) await this.#endMembership()
  }

  async #endMembership(): Promise<void> {
    const holds = [...this.#holds.values()]
    for (const hold of holds) hold.isReleasing = true
    await this.#writer.release(holds).catch((error) => this.#tell(error))
    await this.#member.leave()
    this.#lost()
  }

  settle(settlements: readonly Settlement[]): Promise<SettleResult[]> {
    return this.#core.settle(settlements)
  }

  async stay(): Promise<void> {
    this.#stays = true
    this.#member.join()
    await this.#untilReady()
  }

  gauges(): ReadonlyMap<string, LaneGauges> {
    return new Map(
      [...this.#holds.keys()].flatMap((lane) => {
        const gauges = this.#core.gaugesOf(lane)
        return gauges === undefined ? [] : [[lane, gauges] as const]
      }),
    )
  }

  async check(): Promise<void> {
    if (!this.#member.isQuiet) return
    const before = this.#lanesSeen
    this.#lanesSeen = (await this.#allLanes()).join(' ')
    if (before !== undefined && before !== this.#lanesSeen) this.#member.rejoin()
  }

  async keep(): Promise<void> {
    const commits = [...this.#holds.values()].map(({ topic, partition, book }) => ({
      topic,
      partition,
      state: book.released(),
    }))
    await this.#shared.states.copy(this.#group, commits)
  }

  async close(drainMs: number): Promise<void> {
    const { clock } = this.#shared.wire
    const drained = Promise.all([...this.#holds.keys()].map((lane) => this.#core.drain(lane)))
    await Promise.race([drained, delay(clock, drainMs)])
    this.#isClosed = true
    if (this.#rejoinTimer !== undefined) clock.clearTimeout(this.#rejoinTimer)
    this.#asks.close()
    // What has not ended by now settles as lost; its lane is given back as it was last written.
    for (const lane of this.#holds.keys()) this.#core.forget(lane)
    if (this.#member.ticket !== undefined) await this.keep().catch(() => undefined)
    await this.#leaving
    await this.#endMembership()
    this.#core.close()
    await this.#feed.close()
  }
}
