import { type Clock, delay, type TimerHandle } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import type { LaneGroup, WriteResult } from '../../lanes/driver.ts'
import { createLaneGroup } from '../../lanes/lane-group.ts'
import type {
  ChannelTopology,
  DeliverySink,
  GroupTopology,
  TransportSubscription,
} from '../../transport.ts'
import { LaneHolder, type LaneSnapshot, laneWindow } from './lane-holder.ts'
import type { Link } from './link.ts'
import type { Members } from './members.ts'
import { type LanePlace, laneName, type Names } from './names.ts'
import { targetOf } from './share.ts'

export interface RunnerOptions {
  readonly group: GroupTopology
  /** All lanes of the group. */
  readonly places: readonly LanePlace[]
  readonly orderingOf: (address: string) => ChannelTopology['ordering']
  readonly link: Link
  readonly clock: Clock
  readonly names: Names
  readonly members: Members
  readonly onError: (error: TreatyError) => void
}

/** What a group does in this process, for statistics: by lane. */
export type RunnerSnapshot = Readonly<Record<string, LaneSnapshot>>

/** A group that has subscribers in this process. */
export interface Runner {
  readonly lanes: LaneGroup
  subscribe(sink: DeliverySink): TransportSubscription
  /** Resolves when the share of this process is assigned, or after a while. */
  settled(): Promise<void>
  /** Who is there has changed, or there is a connection again. */
  changed(): void
  snapshot(): RunnerSnapshot
  /** Ends the intake, waits for handlers until `deadline` (monotonic) or until `hurry`, and gives everything back. */
  close(deadline: number, hurry: AbortSignal): Promise<void>
}

/** Several things change at once when somebody comes: answers to a greeting take a moment. */
const gatherMs = 60
const againMs = 300
/** How long a new subscription waits for its share. */
const assignMs = 2500
/** How long after a reconnection it is hoped that a lane comes back, to learn what became of a write. */
const knownMs = 3000
const lookMs = 250
/** Settlements that come close together share a record of the journal. */
const writeGapMs = 5

export function createRunner(options: RunnerOptions): Runner {
  return new GroupRunner(options)
}

class GroupRunner implements Runner {
  readonly #options: RunnerOptions
  readonly #holders = new Map<string, LaneHolder>()
  readonly lanes: LaneGroup
  /** Who waits to hear what became of a write, by lane. */
  readonly #uncertain = new Map<string, ((ended?: ReadonlySet<string>) => void)[]>()
  #timer: TimerHandle | undefined
  #target: ReadonlySet<string> = new Set()
  #isClosed = false

  constructor(options: RunnerOptions) {
    this.#options = options
    const { group, orderingOf, clock, onError, members } = options
    this.lanes = createLaneGroup({
      group,
      orderingOf,
      clock,
      writes: 'per-lane',
      writeGapMs,
      // The broker bounds what is read: as many as a lane may hold.
      window: laneWindow,
      windowMax: laneWindow,
      withoutViews: true,
      onError,
      driver: {
        write: (writes) =>
          Promise.all(
            writes.map((write) => this.#holders.get(write.lane)?.write(write) ?? 'fenced'),
          ),
        mayStart: () => members.isFresh(),
      },
    })
  }

  subscribe(sink: DeliverySink): TransportSubscription {
    const subscription = this.lanes.subscribe(sink)
    this.#join()
    const isReady = () => this.#isAssigned()
    const leave = () => this.#leave()
    return {
      grant: (count) => subscription.grant(count),
      pause: () => subscription.pause(),
      resume: () => subscription.resume(),
      async stop() {
        await subscription.stop()
        leave()
      },
      get isReady() {
        return isReady()
      },
    }
  }

  #join(): void {
    const { members, group } = this.#options
    void members.join(group.name).catch(() => undefined)
    this.changed()
  }

  /** Without subscribers somebody else should have the lanes. */
  #leave(): void {
    if (this.lanes.hasSubscribers || this.#isClosed) return
    this.#options.members.leave(this.#options.group.name)
    this.changed()
  }

  #isAssigned(): boolean {
    const { members, group } = this.#options
    if (!members.isFresh() || members.of(group.name).length === 0) return false
    return (
      this.#timer === undefined &&
      [...this.#target].every((name) => this.#holders.get(name)?.isOwned)
    )
  }

  async settled(): Promise<void> {
    const { clock } = this.#options
    const deadline = clock.monotonic() + assignMs
    while (!this.#isAssigned() && clock.monotonic() < deadline) await delay(clock, 10)
    // What stands in the queues is on its way: the most urgent of it should not come last.
    if (this.#isAssigned()) await delay(clock, 20)
  }

  changed(): void {
    this.#soon(gatherMs)
  }

  #soon(delayMs: number): void {
    if (this.#isClosed || this.#timer !== undefined) return
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = undefined
      this.#share()
    }, delayMs)
  }

  /** Claims what this process should own, and gives back what another should. */
  #share(): void {
    const { members, group, places, link } = this.#options
    if (this.#isClosed || !link.isUp) return
    const names = places.map(laneName)
    const present = members.of(group.name)
    this.#target = targetOf(names, present, members.id)
    for (const place of places) {
      const name = laneName(place)
      const holder = this.#holders.get(name)
      if (this.#target.has(name)) {
        if (holder === undefined) this.#claim(place)
        else if (holder.isReleasing) this.#soon(againMs)
      } else {
        // It will not come back to us, unless we are only on our way in.
        if (present.length > 0) this.#known(name)
        if (holder !== undefined) void holder.release()
      }
    }
  }

  #claim(place: LanePlace): void {
    const { link, clock, names, group } = this.#options
    const holder = new LaneHolder({
      link,
      clock,
      names,
      group: group.name,
      place,
      lanes: this.lanes,
      onOwned: ({ name }, ended) => this.#known(name, ended),
      whenKnown: (name, ended) => this.#whenKnown(name, ended),
      onEnd: (ended) => {
        if (this.#holders.get(ended.name) === ended) this.#holders.delete(ended.name)
        if (link.isUp) this.#soon(ended.isReleasing ? gatherMs : againMs)
      },
    })
    this.#holders.set(holder.name, holder)
    holder.claim()
  }

  /** A settlement whose confirmation was lost is found in the journal, should the lane come back to us. */
  #whenKnown(name: string, ended: readonly string[]): Promise<WriteResult> {
    if (this.#isClosed) return Promise.resolve('fenced')
    return new Promise((resolve) => {
      const answer = (found: ReadonlySet<string> | undefined) =>
        resolve(found !== undefined && ended.every((id) => found.has(id)) ? 'written' : 'fenced')
      this.#uncertain.set(name, [...(this.#uncertain.get(name) ?? []), answer])
      this.#giveUp(name, knownMs)
    })
  }

  /** With a connection, a lane that does not come back soon is with somebody else. */
  #giveUp(name: string, leftMs: number): void {
    const { clock, link } = this.#options
    clock.setTimeout(() => {
      if (!this.#uncertain.has(name)) return
      const left = link.isUp ? leftMs - lookMs : knownMs
      if (left > 0) this.#giveUp(name, left)
      else this.#known(name)
    }, lookMs)
  }

  #known(name: string, ended?: ReadonlySet<string>): void {
    const answers = this.#uncertain.get(name) ?? []
    this.#uncertain.delete(name)
    for (const answer of answers) answer(ended)
  }

  snapshot(): RunnerSnapshot {
    const lanes: Record<string, LaneSnapshot> = {}
    for (const holder of this.#holders.values()) {
      const snapshot = holder.snapshot()
      if (snapshot !== undefined) lanes[holder.name] = snapshot
    }
    return lanes
  }

  async close(deadline: number, hurry: AbortSignal): Promise<void> {
    const { clock } = this.#options
    this.#isClosed = true
    if (this.#timer !== undefined) clock.clearTimeout(this.#timer)
    const holders = [...this.#holders.values()]
    const released = Promise.all(holders.map((holder) => holder.release()))
    while (this.lanes.inFlight > 0 && clock.monotonic() < deadline && !hurry.aborted) {
      await delay(clock, 5, hurry).catch(() => undefined)
    }
    if (this.lanes.inFlight > 0) await Promise.all(holders.map((holder) => holder.release(true)))
    await released
    for (const name of [...this.#uncertain.keys()]) this.#known(name)
    this.lanes.close()
  }
}
