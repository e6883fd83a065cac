import type { TimerHandle } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import type { LaneDriver, LaneGroup } from '../../lanes/driver.ts'
import { createLaneGroup } from '../../lanes/lane-group.ts'
import type {
  ChannelTopology,
  DeliverySink,
  GroupTopology,
  SubscriptionSpec,
  TransportSubscription,
} from '../../transport.ts'
import { createInlet, type Inlet } from './adopt.ts'
import { asBrokerError } from './failures.ts'
import { type FoundGroup, readGroup } from './groups.ts'
import { LaneSet } from './lane-set.ts'
import type { Session } from './session.ts'

/** Pause between two writes of a lane, so that more settlements share one: measured, see bench. */
const writeGapMs = 3
/** How often it is looked for what other programs wrote. */
const lookMs = 1000

/** One group in this process: its lanes on every channel that it reads, and the subscriptions that they feed. */
export interface Runtime {
  readonly name: string
  readonly lanes: LaneGroup
  /** It hands out nothing any more. */
  readonly isClosed: boolean
  subscribe(spec: SubscriptionSpec, sink: DeliverySink): TransportSubscription
  /** Beats now, on every channel. */
  beat(): Promise<void>
  /** The description on the broker has changed. */
  changed(found: FoundGroup): void
  /** Takes nothing new; resolves when every lane was given back. */
  leave(): Promise<void>
  /** Gives everything back at once. */
  close(): Promise<void>
}

/** @throws GROUP_NOT_FOUND */
export async function openRuntime(
  session: Session,
  name: string,
  onEnd: () => void,
): Promise<Runtime> {
  const found = await readGroup(session, name)
  if (found === undefined) throw groupNotFound(name)
  return new GroupRuntime(session, found, onEnd)
}

export function groupNotFound(name: string): TreatyError {
  return new TreatyError('GROUP_NOT_FOUND', `there is no group '${name}'`, {
    hint: 'Ensure the topology of the contract before subscribing.',
    details: { group: name },
  })
}

class GroupRuntime implements Runtime {
  readonly name: string
  readonly lanes: LaneGroup
  readonly #session: Session
  readonly #onEnd: () => void
  readonly #group: { -readonly [Field in keyof GroupTopology]: GroupTopology[Field] }
  readonly #orderings: Map<string, ChannelTopology['ordering']>
  readonly #sets: LaneSet[]
  readonly #inlets: Inlet[]
  #leaving: Promise<void> | undefined
  #isGoneTold = false
  #isClosed = false
  #lookTimer: TimerHandle | undefined

  constructor(session: Session, found: FoundGroup, onEnd: () => void) {
    this.name = found.group.name
    this.#session = session
    this.#onEnd = onEnd
    this.#group = { ...found.group }
    this.#orderings = new Map(found.orderings)
    this.lanes = createLaneGroup({
      group: this.#group,
      orderingOf: (address) => this.#orderings.get(address) ?? 'none',
      driver: this.#driver(),
      clock: session.clock,
      writes: 'per-lane',
      writeGapMs,
      onError: (error) => session.reportError(error),
    })
    const addresses = found.group.subscriptions.map(({ address }) => address)
    this.#sets = addresses.map((address) => {
      session.addresses.add(address)
      const options = { session, group: this.#group, address, lanes: this.lanes }
      return new LaneSet({ ...options, onGone: () => this.#tellGone() })
    })
    this.#inlets = addresses.map((address) =>
      createInlet(session, address, (error) => this.#report(error)),
    )
    this.#look()
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  #driver(): LaneDriver {
    return {
      write: (writes) =>
        Promise.all(
          writes.map(
            (write) => this.#setOf(write.lane)?.write(write) ?? Promise.resolve('fenced' as const),
          ),
        ),
      mayStart: () => this.#sets.every((set) => set.mayStart),
      onRoom: (lane) => this.#setOf(lane)?.onRoom(lane),
    }
  }

  #setOf(lane: string): LaneSet | undefined {
    return this.#sets.find((set) => set.owns(lane))
  }

  #look(): void {
    const { clock } = this.#session
    void Promise.all(this.#inlets.map((inlet) => inlet.look()))
      .catch((error: unknown) => this.#report(error))
      .then(() => {
        if (!this.#isClosed) this.#lookTimer = clock.setTimeout(() => this.#look(), lookMs)
      })
  }

  #report(error: unknown): void {
    if (!this.#isClosed) this.#session.reportError(asBrokerError(error, this.#session.place.name))
  }

  subscribe(spec: SubscriptionSpec, sink: DeliverySink): TransportSubscription {
    const inner = this.lanes.subscribe(sink, spec.onLost)
    this.#leaving = undefined
    for (const set of this.#sets) set.rejoin()
    const sets = this.#sets
    let isStopped = false
    return {
      grant: (count) => inner.grant(count),
      pause: () => inner.pause(),
      resume: () => inner.resume(),
      stop: async () => {
        if (isStopped) return
        isStopped = true
        await inner.stop()
        if (!this.lanes.hasSubscribers) void this.#leaveAndEnd()
      },
      get isReady() {
        return !isStopped && sets.every((set) => set.isReady)
      },
    }
  }

  async #leaveAndEnd(): Promise<void> {
    await this.leave()
    if (!this.lanes.hasSubscribers) await this.close()
  }

  async beat(): Promise<void> {
    await Promise.all(this.#sets.map((set) => set.beat()))
  }

  changed({ group, orderings }: FoundGroup): void {
    // The lanes of a channel that is new for it come with the next subscription.
    Object.assign(this.#group, group)
    for (const [address, ordering] of orderings) this.#orderings.set(address, ordering)
  }

  leave(): Promise<void> {
    this.#leaving ??= Promise.all(this.#sets.map((set) => set.leave())).then(() => undefined)
    return this.#leaving
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#onEnd()
    if (this.#lookTimer !== undefined) this.#session.clock.clearTimeout(this.#lookTimer)
    for (const inlet of this.#inlets) inlet.close()
    await Promise.all(this.#sets.map((set) => set.close()))
    this.lanes.close()
  }

  #tellGone(): void {
    if (this.#isGoneTold || this.#isClosed || this.#session.ephemeral.has(this.name)) return
    this.#isGoneTold = true
    this.#session.reportError(
      new TreatyError('GROUP_NOT_FOUND', `the group '${this.name}' is not there any more`, {
        hint: 'Start the process again, so that its topology is ensured.',
        details: { group: this.name },
      }),
    )
  }
}
