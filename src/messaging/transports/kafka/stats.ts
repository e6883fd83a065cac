import type { LaneGauges } from '../../lanes/driver.ts'
import type { CountRow, TransportStats } from '../../transport.ts'
import type { DeadIndex } from './dead-index.ts'
import { emptyState, type LaneState, noTally, type Tally } from './lane-state.ts'
import type { Metered } from './meter.ts'
import { laneName, type Place } from './names.ts'
import { readLogs } from './reader.ts'
import type { KnownGroup, Registry } from './registry.ts'
import type { States } from './states.ts'
import type { Line, Wire } from './wire.ts'

export interface StatsOptions {
  readonly wire: Wire
  readonly line: Line
  readonly registry: Registry
  readonly states: States
  readonly index: DeadIndex
  /** Gauges of the lanes of a group that this process owns. */
  gaugesOf(group: string): ReadonlyMap<string, LaneGauges>
  /** Takes away ephemeral groups whose process is gone. */
  sweep(): Promise<void>
}

const saveGapMs = 2000

/** One partition as one group reads it. */
interface LaneView {
  readonly place: Place
  readonly state: LaneState
  /** Per type: what the group ever had to handle here, replays apart. */
  readonly published: ReadonlyMap<string, number>
  readonly replayed: ReadonlyMap<string, { readonly dead: number; readonly expired: number }>
}

type Counts = { -readonly [Name in Exclude<keyof CountRow, 'event' | 'consumer'>]: number }

/** The ledger and the gauges, from the logs, the committed states and, for our own lanes, from memory. */
export async function readStats(options: StatsOptions): Promise<TransportStats> {
  const { registry, states, wire } = options
  await registry.refresh()
  await options.sweep()
  const { groups, channels } = registry
  const facts = await wire.topics(channels.map(({ topic }) => topic))
  const placesOf = (topic: string): Place[] =>
    (facts.get(topic)?.leaders ?? []).map((_, partition) => ({ topic, partition }))
  const places = new Map(
    groups.map((group) => [
      group.name,
      group.subscriptions.flatMap(({ address }) => {
        const topic = registry.channel(address)?.topic
        return topic === undefined ? [] : placesOf(topic)
      }),
    ]),
  )
  // First what was done, then what there is: nothing can be done that is not there.
  const committed = await states.readMany(
    groups.map((group) => ({ group, places: places.get(group.name) ?? [] })),
  )
  const metered = await states.meter.read(channels.flatMap(({ topic }) => placesOf(topic)))
  // So that the next to ask has less to read, and retention takes nothing uncounted.
  if (registry.exists) await states.meter.save(saveGapMs)
  await options.index.refresh()
  const ledger = new Ledger()
  for (const each of metered.values()) {
    for (const [event, count] of each.published) ledger.add(event, null, { published: count })
  }
  for (const { summary } of options.index.list({})) {
    // What died in a lane is counted with it.
    if (summary.position !== undefined) continue
    ledger.add(summary.event, summary.consumer, { deliveries: 1, dead: 1 })
  }
  const gauges: TransportStats['groups'][number][] = []
  for (const group of groups) {
    const views = (places.get(group.name) ?? []).map((place) =>
      viewOf(options, group, {
        place,
        state: committed.get(group.name)?.get(laneName(place)),
        metered: metered.get(laneName(place)),
      }),
    )
    for (const view of views) tallyView(ledger, group.consumer, view)
    gauges.push(await gaugesOf(options, group, views))
  }
  return { counts: ledger.rows(), groups: gauges }
}

function viewOf(
  { registry }: StatsOptions,
  group: KnownGroup,
  at: { place: Place; state: LaneState | undefined; metered: Metered | undefined },
): LaneView {
  const { place, metered } = at
  const address = registry.channelOfTopic(place.topic)?.address ?? ''
  const beginning = group.beginnings[address]
  const before = new Map(beginning?.before[place.partition] ?? [])
  const published = new Map(
    [...(metered?.published ?? [])].map(([type, count]) => [type, count - (before.get(type) ?? 0)]),
  )
  return {
    place,
    state: at.state ?? emptyState(beginning?.offsets[place.partition] ?? 0),
    published,
    replayed: metered?.replayed.get(group.name) ?? new Map(),
  }
}

/** A replay takes one dead or expired back, and is waiting or whatever became of it. */
function countsOf(view: LaneView, type: string): Omit<Counts, 'published'> {
  const tally: Tally = view.state.tallies.get(type) ?? noTally
  const replays = view.replayed.get(type) ?? { dead: 0, expired: 0 }
  const { handled, skipped, retried } = tally
  const dead = tally.dead - replays.dead
  const expired = tally.expired - replays.expired
  const deliveries = view.published.get(type) ?? 0
  const waiting = deliveries - handled - skipped - dead - expired
  return { deliveries, handled, skipped, retried, dead, expired, waiting }
}

function typesOf({ published, state, replayed }: LaneView): Set<string> {
  return new Set([...published.keys(), ...state.tallies.keys(), ...replayed.keys()])
}

function tallyView(ledger: Ledger, consumer: string, view: LaneView): void {
  for (const type of typesOf(view)) ledger.add(type, consumer, countsOf(view, type))
}

function waitingIn(view: LaneView): number {
  let waiting = 0
  for (const type of typesOf(view)) waiting += countsOf(view, type).waiting
  return Math.max(0, waiting)
}

async function gaugesOf(
  options: StatsOptions,
  group: KnownGroup,
  views: readonly LaneView[],
): Promise<TransportStats['groups'][number]> {
  const { clock } = options.wire
  const now = clock.now()
  const local = options.gaugesOf(group.name)
  const sum = { waiting: 0, inFlight: 0, delayed: 0, blocked: 0 }
  let oldestAt: number | undefined
  const elsewhere: LaneView[] = []
  const older = (at: number | undefined) => {
    if (at !== undefined) oldestAt = Math.min(oldestAt ?? at, at)
  }
  for (const view of views) {
    const waiting = waitingIn(view)
    sum.waiting += waiting
    const own = local.get(laneName(view.place))
    if (own !== undefined) {
      sum.inFlight += own.inFlight
      sum.delayed += own.delayed
      sum.blocked += own.blocked
      older(own.oldestAt)
    } else if (waiting > 0) {
      elsewhere.push(view)
      sum.delayed += [...view.state.entries.values()].filter(({ dueAt = 0 }) => dueAt > now).length
    }
  }
  for (const at of await firstTimes(options, elsewhere)) older(at)
  return {
    group: group.name,
    ready: Math.max(0, sum.waiting - sum.inFlight - sum.delayed - sum.blocked),
    inFlight: sum.inFlight,
    delayed: sum.delayed,
    blocked: sum.blocked,
    oldestAgeMs: oldestAt === undefined || sum.waiting === 0 ? null : Math.max(0, now - oldestAt),
  }
}

/** When the first messages of lanes were published that others own, or nobody. */
async function firstTimes(
  { wire, line }: StatsOptions,
  views: readonly LaneView[],
): Promise<readonly number[]> {
  if (views.length === 0) return []
  const reaches = views.map(({ place, state }) => ({ ...place, offset: state.low, bytesMax: 1 }))
  const chunks = await wire.persist(() => readLogs(wire, line, { reaches, waitMs: 0 }))
  return chunks.flatMap(({ records }) => records[0]?.timestamp ?? [])
}

/** Sums by event and consumer. */
class Ledger {
  readonly #rows = new Map<string, { event: string; consumer: string | null; counts: Counts }>()

  add(event: string, consumer: string | null, change: Partial<Counts>): void {
    const key = JSON.stringify([event, consumer])
    const row = this.#rows.get(key) ?? { event, consumer, counts: { ...noCounts } }
    for (const [name, amount] of Object.entries(change)) row.counts[name as keyof Counts] += amount
    this.#rows.set(key, row)
  }

  rows(): CountRow[] {
    return [...this.#rows.values()]
      .map(({ event, consumer, counts }) => ({ event, consumer, ...counts }))
      .sort((one, two) => compare(one.event, two.event) || compare(one.consumer, two.consumer))
  }
}

const noCounts: Counts = {
  published: 0,
  deliveries: 0,
  handled: 0,
  skipped: 0,
  retried: 0,
  dead: 0,
  expired: 0,
  waiting: 0,
}

function compare(one: string | null, two: string | null): number {
  return (one ?? '') < (two ?? '') ? -1 : (one ?? '') > (two ?? '') ? 1 : 0
}
