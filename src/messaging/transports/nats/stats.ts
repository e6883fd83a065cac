import type { CountRow, TransportStats } from '../../transport.ts'
import { lettersBySubject } from './dead-letters.ts'
import { type ChannelDocument, type GroupDocument, lanesOf } from './definitions.ts'
import { fromDocument, type LaneDocument, type LaneState, newLane } from './lane-state.ts'
import { readLedger, scanMessages } from './ledger.ts'
import { channelSubject, foreignLane, laneFilter, messageSubject, placeOf } from './names.ts'
import { laneName } from './owned-lane.ts'
import { countFrom } from './reads.ts'
import type { Session } from './session.ts'
import { streamInfo } from './streams.ts'

type Row = { -readonly [Column in keyof CountRow]: CountRow[Column] }
type Gauges = { -readonly [Column in keyof GroupStats]: GroupStats[Column] }
type GroupStats = TransportStats['groups'][number]

/** Stands for the group of a channel that nobody reads. */
const nobody = ''

/** One lane as one group has it. */
interface LaneView {
  readonly group: GroupDocument
  readonly channel: ChannelDocument
  readonly lane: string
  readonly state: LaneState
  /** Messages of the lane behind `low`, by type: those for everybody, and replays for this group. */
  readonly pending: ReadonlyMap<string, number>
  readonly replays: ReadonlyMap<string, number>
  readonly oldestAt: number | undefined
}

/** What a channel holds now. */
interface ChannelView {
  readonly channel: ChannelDocument
  /** The types that every lane holds. */
  readonly types: ReadonlyMap<string, ReadonlySet<string>>
  readonly scheduled: ReadonlyMap<string, number>
}

/** The ledger: what lanes have settled is in their states, what waits is counted by the server. */
export function createStats(session: Session): () => Promise<TransportStats> {
  return async () => {
    const [channels, groups, states, refused, discarded] = await Promise.all([
      session.definitions.channels(),
      session.definitions.groups(),
      session.state.all<LaneDocument>(session.places.all('lane')),
      lettersBySubject(session),
      session.state.all<{ event: string; discarded: number }>(session.places.all('refused')),
    ])
    const documents = new Map(states.map((each) => [each.subject, each.value]))
    const views = new Map(
      (await Promise.all(channels.map((channel) => viewChannel(session, channel)))).map((view) => [
        view.channel.address,
        view,
      ]),
    )
    const unread = await Promise.all(
      channels
        .filter(({ address }) => readersOf(groups, address).length === 0)
        .map((channel) => unreadGroup(session, channel)),
    )
    const lanes = await Promise.all(
      [...groups, ...unread].flatMap((group) =>
        group.subscriptions.flatMap(({ address }) => {
          const view = views.get(address)
          if (view === undefined) return []
          return lanesOf(view.channel).map((lane) =>
            viewLane(session, { group, view, lane, documents }),
          )
        }),
      ),
    )
    const rows = countRows(groups, views, lanes)
    for (const { place, count } of refused.values()) addRefused(rows, place.event, count)
    for (const { value } of discarded) addRefused(rows, value.event, value.discarded)
    return {
      counts: [...rows.values()].sort(byName),
      groups: groupGauges(session, groups, views, lanes),
    }
  }
}

function byName(one: Row, two: Row): number {
  if (one.event !== two.event) return one.event < two.event ? -1 : 1
  return (one.consumer ?? '') < (two.consumer ?? '') ? -1 : 1
}

function readersOf(groups: readonly GroupDocument[], address: string): GroupDocument[] {
  return groups.filter(({ subscriptions }) =>
    subscriptions.some((subscription) => subscription.address === address),
  )
}

/** Nobody counts what goes through such a channel but the ledger. */
async function unreadGroup(session: Session, channel: ChannelDocument): Promise<GroupDocument> {
  const { address } = channel
  const { value } = await readLedger(session, address)
  const before = Object.fromEntries(
    Object.entries(value.lanes).map(([lane, { published }]) => [lane, published]),
  )
  const after = Math.max(0, ...Object.values(value.lanes).map(({ through }) => through))
  const deadLetter = { address: '', retentionMs: 0, onDead: 'next', onExpired: 'drop' } as const
  return {
    name: nobody,
    consumer: nobody,
    subscriptions: [{ address, types: '*', after, before }],
    start: 'earliest',
    deadLetter,
    deliveriesMax: 0,
  }
}

async function viewChannel(session: Session, channel: ChannelDocument): Promise<ChannelView> {
  const filter = `${channelSubject(channel.address)}.>`
  const info = await streamInfo(session.wire, channel.stream, filter)
  const types = new Map<string, Set<string>>()
  const scheduled = new Map<string, number>()
  for (const [subject, count] of Object.entries(info?.state.subjects ?? {})) {
    const { lane, type, isScheduled } = placeOf(channel.address, subject)
    if (type === undefined) continue
    if (isScheduled === true) scheduled.set(type, (scheduled.get(type) ?? 0) + count)
    else types.set(lane, (types.get(lane) ?? new Set()).add(type))
  }
  return { channel, types, scheduled }
}

async function viewLane(
  session: Session,
  at: {
    readonly group: GroupDocument
    readonly view: ChannelView
    readonly lane: string
    readonly documents: ReadonlyMap<string, LaneDocument>
  },
): Promise<LaneView> {
  const { group, view, lane, documents } = at
  const { channel } = view
  const { address, stream } = channel
  const document = documents.get(session.places.lane(group.name, address, lane))
  const subscription = group.subscriptions.find((each) => each.address === address)
  const state =
    document === undefined
      ? newLane(subscription?.after ?? 0, subscription?.before[lane] ?? {})
      : fromDocument(document)
  const from = state.low + 1
  const all = await countFrom(session.wire, stream, { filter: laneFilter(address, lane), from })
  const pending = new Map<string, number>()
  const replays = new Map<string, number>()
  if (all.count > 0 && lane === foreignLane) {
    await scanMessages(session, channel, { from, to: Number.MAX_SAFE_INTEGER }, (message) => {
      const { type } = message
      if (message.lane === foreignLane) pending.set(type, (pending.get(type) ?? 0) + 1)
    })
  } else if (all.count > 0) {
    const ask = async (sums: Map<string, number>, type: string, only?: string) => {
      const filter = messageSubject(address, {
        lane,
        type,
        ...(only === undefined ? {} : { group: only }),
      })
      const { count } = await countFrom(session.wire, stream, { filter, from })
      if (count > 0) sums.set(type, count)
    }
    await Promise.all(
      [...(view.types.get(lane) ?? [])].flatMap((type) => [
        ask(pending, type),
        ask(replays, type, group.name),
      ]),
    )
  }
  return { group, channel, lane, state, pending, replays, oldestAt: all.oldestAt }
}

function rowOf(rows: Map<string, Row>, event: string, consumer: string | null): Row {
  const name = JSON.stringify([event, consumer])
  const row = rows.get(name) ?? {
    event,
    consumer,
    published: 0,
    deliveries: 0,
    handled: 0,
    skipped: 0,
    retried: 0,
    dead: 0,
    expired: 0,
    waiting: 0,
  }
  rows.set(name, row)
  return row
}

function addRefused(rows: Map<string, Row>, event: string, count: number): void {
  const row = rowOf(rows, event, null)
  row.dead += count
  row.deliveries += count
}

function countRows(
  groups: readonly GroupDocument[],
  views: ReadonlyMap<string, ChannelView>,
  lanes: readonly LaneView[],
): Map<string, Row> {
  const rows = new Map<string, Row>()
  for (const view of lanes) if (view.group.name !== nobody) addLane(rows, view)
  for (const [type, count] of publishedIn(lanes)) rowOf(rows, type, null).published += count
  for (const { channel, scheduled } of views.values()) {
    const readers = readersOf(groups, channel.address)
    for (const [type, count] of scheduled) {
      rowOf(rows, type, null).published += count
      for (const { consumer } of readers) rowOf(rows, type, consumer).waiting += count
    }
  }
  for (const row of rows.values()) {
    if (row.consumer === null) continue
    row.deliveries = row.handled + row.skipped + row.dead + row.expired + row.waiting
  }
  return rows
}

/** How much was published of each type. Every group has read the same lanes: the one that knows the most of each is right. */
function publishedIn(lanes: readonly LaneView[]): Map<string, number> {
  const most = new Map<string, { readonly type: string; readonly count: number }>()
  for (const { channel, lane, state, pending } of lanes) {
    const passed = new Map(Object.entries(state.passed))
    for (const type of new Set([...passed.keys(), ...pending.keys()])) {
      const count = (passed.get(type) ?? 0) + (pending.get(type) ?? 0)
      const name = `${laneName(channel.address, lane)} ${type}`
      if (count > (most.get(name)?.count ?? 0)) most.set(name, { type, count })
    }
  }
  const sums = new Map<string, number>()
  for (const { type, count } of most.values()) sums.set(type, (sums.get(type) ?? 0) + count)
  return sums
}

/** What one lane adds to the rows of its consumer. */
function addLane(rows: Map<string, Row>, view: LaneView): void {
  const { state, pending, replays, group } = view
  const row = (type: string) => rowOf(rows, type, group.consumer)
  for (const [type, counts] of Object.entries(state.counts)) {
    const sums = row(type)
    sums.handled += counts.handled
    sums.skipped += counts.skipped
    sums.retried += counts.retried
    sums.dead += counts.dead
    sums.expired += counts.expired
  }
  for (const [type, count] of pending) row(type).waiting += count
  // A replay takes its message back from the dead.
  for (const [type, count] of replays) {
    row(type).waiting += count
    row(type).dead -= count
  }
  for (const [type, count] of Object.entries(state.replays)) row(type).dead -= count
  for (const { type, kind } of state.done) if (kind !== 'foreign') row(type).waiting -= 1
  for (const { type, kind, state: kept } of state.kept) {
    if (kind !== 'foreign' && kept.blocked === true) row(type).waiting -= 1
  }
}

function groupGauges(
  session: Session,
  groups: readonly GroupDocument[],
  views: ReadonlyMap<string, ChannelView>,
  lanes: readonly LaneView[],
): Gauges[] {
  const now = session.clock.now()
  return groups.map((group) => {
    const gauges: Gauges = {
      group: group.name,
      ready: 0,
      inFlight: 0,
      delayed: 0,
      blocked: 0,
      oldestAgeMs: null,
    }
    for (const { address } of group.subscriptions) {
      for (const count of views.get(address)?.scheduled.values() ?? []) {
        gauges.delayed += count
      }
    }
    for (const view of lanes) if (view.group === group) addGauges(session, gauges, view, now)
    return gauges
  })
}

function addGauges(session: Session, gauges: Gauges, view: LaneView, now: number): void {
  const { state, pending, replays, oldestAt } = view
  const sum = (counts: ReadonlyMap<string, number>) =>
    [...counts.values()].reduce((total, count) => total + count, 0)
  const done = state.done.filter(({ kind }) => kind !== 'foreign').length
  const blockedForGood = state.kept.filter((each) => each.state.blocked === true).length
  const waiting = Math.max(0, sum(pending) + sum(replays) - done - blockedForGood)
  if (waiting === 0) return
  // What is with handlers, or behind its key, only the owner knows; of others it counts as ready.
  const here = session.groups
    .get(view.group.name)
    ?.lanes.gaugesOf(laneName(view.channel.address, view.lane))
  const delayed = here?.delayed ?? state.kept.filter((each) => (each.state.dueAt ?? 0) > now).length
  gauges.inFlight += here?.inFlight ?? 0
  gauges.blocked += here?.blocked ?? 0
  gauges.delayed += delayed
  gauges.ready += Math.max(0, waiting - delayed - (here?.inFlight ?? 0) - (here?.blocked ?? 0))
  if (oldestAt !== undefined) gauges.oldestAgeMs = Math.max(gauges.oldestAgeMs ?? 0, now - oldestAt)
}
