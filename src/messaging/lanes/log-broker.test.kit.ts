import type { Clock } from '../../core/clock.ts'
import type { TreatyError } from '../../core/errors.ts'
import type { ChannelTopology, GroupTopology, OutgoingRecord } from '../transport.ts'
import type {
  EntryState,
  LaneDriver,
  LaneEntry,
  LaneGroup,
  LaneGroupOptions,
  LaneLetter,
  LaneWrite,
  WriteResult,
} from './driver.ts'
import { createLaneGroup } from './lane-group.ts'

/** What is durable of one lane: a log, and the state that its owner writes. */
interface DurableLane {
  readonly log: LaneEntry[]
  epoch: number
  isReleased: boolean
  startsThrough: number
  /** Places of what has ended, and the states of the rest. */
  readonly ended: Set<number>
  readonly states: Map<number, EntryState>
}

/** A broker in memory with logs, one fenced owner for each, and snapshots: what Kafka and NATS are to the core. */
export class LogBroker {
  readonly lanes = new Map<string, DurableLane>()
  readonly letters: LaneLetter[] = []
  readonly endings: { id: string; as: string }[] = []

  lane(name: string): DurableLane {
    let lane = this.lanes.get(name)
    if (lane === undefined) {
      const none = Number.NEGATIVE_INFINITY
      lane = {
        log: [],
        epoch: 0,
        isReleased: true,
        startsThrough: none,
        ended: new Set(),
        states: new Map(),
      }
      this.lanes.set(name, lane)
    }
    return lane
  }

  publish(name: string, record: Partial<OutgoingRecord> & { id: string }): LaneEntry {
    const { log } = this.lane(name)
    const entry: LaneEntry = {
      id: String(log.length),
      place: log.length,
      record: {
        address: 'orders',
        type: 'order.placed',
        body: new Uint8Array(1),
        headers: {},
        contentType: 'application/json',
        position: String(log.length),
        publishedAt: 0,
        ...record,
      },
    }
    log.push(entry)
    return entry
  }
}

export interface OwnerOptions extends Partial<Omit<LaneGroupOptions, 'group'>> {
  readonly broker: LogBroker
  readonly clock: Clock
  readonly group?: Partial<GroupTopology>
  readonly ordering?: ChannelTopology['ordering']
  /** Called before each write; a rejection is the broker's, `after` one that comes when it was done. */
  readonly trouble?: (writes: readonly LaneWrite[]) => Promise<'before' | 'after' | undefined>
}

/** One process that owns lanes of a {@link LogBroker}. */
export class Owner {
  readonly lanes: LaneGroup
  readonly errors: TreatyError[] = []
  readonly #options: OwnerOptions
  readonly #epochs = new Map<string, number>()
  readonly #read = new Map<string, number>()
  mayStart = true
  isDead = false

  constructor(options: OwnerOptions) {
    this.#options = options
    const driver: LaneDriver = {
      write: (writes) => this.#write(writes),
      mayStart: () => this.mayStart && !this.isDead,
      onRoom: (lane) => this.read(lane),
    }
    this.lanes = createLaneGroup({
      writes: 'per-lane',
      reserve: 8,
      orderingOf: () => options.ordering ?? 'per-key',
      onError: (error) => this.errors.push(error),
      ...options,
      driver,
      group: { ...groupOf(), ...options.group },
    })
  }

  claim(name: string): void {
    const lane = this.#options.broker.lane(name)
    const isSuspect = !lane.isReleased
    lane.epoch += 1
    lane.isReleased = false
    this.#epochs.set(name, lane.epoch)
    this.#read.set(name, 0)
    this.#suspectThrough.set(name, isSuspect ? lane.startsThrough : Number.NEGATIVE_INFINITY)
    this.lanes.assign(name, { startsThrough: lane.startsThrough })
    this.read(name)
  }
  readonly #suspectThrough = new Map<string, number>()

  /** Reads on, as far as there is room. */
  read(name: string): void {
    const lane = this.#options.broker.lane(name)
    for (;;) {
      const at = this.#read.get(name)
      if (at === undefined || this.isDead || at >= lane.log.length) return
      if (this.lanes.roomOf(name) === 0) return
      this.#read.set(name, at + 1)
      const state = lane.states.get(at)
      const entry = {
        ...(lane.log[at] as LaneEntry),
        suspect: at <= (this.#suspectThrough.get(name) ?? 0),
        ...(state === undefined ? {} : { state }),
      }
      if (!lane.ended.has(at)) this.lanes.offer(name, [entry])
    }
  }

  async release(name: string): Promise<void> {
    await this.lanes.drain(name)
    const lane = this.#options.broker.lane(name)
    if (lane.epoch === this.#epochs.get(name)) lane.isReleased = true
    this.lanes.forget(name)
    this.#read.delete(name)
  }

  /** As kill -9: nothing is written any more. */
  kill(): void {
    this.isDead = true
    this.lanes.close()
  }

  async #write(writes: readonly LaneWrite[]): Promise<WriteResult[]> {
    const trouble = await this.#options.trouble?.(writes)
    if (this.isDead) return new Promise(() => undefined)
    if (trouble === 'before') throw new Error('the connection was lost')
    const results = writes.map((write) => this.#apply(write))
    if (trouble === 'after') throw new Error('the answer was lost')
    return results
  }

  #apply(write: LaneWrite): WriteResult {
    const { broker } = this.#options
    const lane = broker.lane(write.lane)
    if (lane.epoch !== this.#epochs.get(write.lane)) return 'fenced'
    for (const { entry, as, letter } of write.ended) {
      const place = entry.place as number
      if (!lane.ended.has(place)) {
        broker.endings.push({ id: entry.record.id, as })
        if (letter !== undefined) broker.letters.push(letter)
      }
      lane.ended.add(place)
      lane.states.delete(place)
    }
    // What a snapshot says must be what the changes say.
    for (const { entry, state, isEnded } of write.view()) {
      const place = entry.place as number
      if (isEnded !== lane.ended.has(place)) throw new Error(`the view is wrong about ${place}`)
      if (!isEnded) lane.states.set(place, state)
    }
    for (const { letter } of write.kept) if (letter !== undefined) broker.letters.push(letter)
    lane.startsThrough = write.startsThrough ?? lane.startsThrough
    return 'written'
  }
}

function groupOf(): GroupTopology {
  return {
    name: 'shop.billing',
    consumer: 'billing',
    subscriptions: [{ address: 'orders', types: '*' }],
    start: 'earliest',
    deliveriesMax: 20,
    deadLetter: {
      address: 'orders.dead',
      retentionMs: 1000,
      onDead: 'next',
      onExpired: 'dead-letter',
    },
  }
}
