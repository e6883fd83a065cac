import { isTreatyError } from '../../../core/errors.ts'
import type { CountRow, TransportStats } from '../../transport.ts'
import { inspect, type QueueLook } from './bulk.ts'
import type { GroupDefinition } from './catalogue.ts'
import { channelCode } from './errors.ts'
import type { RunnerSnapshot } from './group-runner.ts'
import { foundIn, type LaneCounts, parseJournal } from './journal.ts'
import type { LaneSnapshot } from './lane-holder.ts'
import { type LanePlace, laneName } from './names.ts'
import { placesOf, type Session } from './session.ts'
import { createShelf, type OpenShelf } from './shelf.ts'
import type { Sums } from './tally.ts'

/** How long owners in other processes have to answer. */
const askMs = 1000
/** How long a journal may be held by who comes first. */
const lockMs = 300
/** Journals that are read at once. */
const journalsAtOnce = 8

/** What is known of one lane. */
interface LaneLook {
  readonly place: LanePlace
  /** Messages that nobody holds. */
  readonly ready: number
  readonly snapshot: LaneSnapshot
}

const nobody: LaneSnapshot = { counts: {}, held: {}, gauges: undefined }

/**
 * What waits is what is there: messages in the queues, which the broker counts, and those that owners hold, which they tell. What has ended stands in
 * the journals. Nothing is remembered in processes, so nothing is lost with one.
 */
export function createStats(session: Session): () => Promise<TransportStats> {
  return async () => {
    const { channels, groups } = await session.catalogue.read()
    const named = [...groups.values()].filter(({ isRemoved }) => isRemoved !== true)
    const published = new Map<string, Sums>()
    const [looks, refused] = await Promise.all([
      Promise.all(named.map(async (group) => ({ group, lanes: await lanesOf(session, group) }))),
      session.refusals.read(),
      ...[...channels.keys()].map(async (address) => {
        const sums = await sumsOf(session, address)
        if (sums !== undefined) published.set(address, sums)
      }),
    ])
    const ledger = new Ledger()
    for (const [address, sums] of published) {
      ledger.address(address, sums, looks)
    }
    for (const [type, amount] of Object.entries(refused.dead ?? {})) ledger.refused(type, amount)
    return {
      counts: ledger.rows(),
      groups: [
        ...looks.map(({ group, lanes }) => {
          const gauges = gaugesOf(session, group.name, lanes)
          const later = group.subscriptions.map(({ address }) =>
            scheduledIn(published.get(address)),
          )
          const scheduled = later.flatMap((types) => [...types.values()])
          return { ...gauges, delayed: scheduled.reduce((sum, one) => sum + one, gauges.delayed) }
        }),
        ...[...session.ephemeral.values()].map(({ group, lanes, snapshot }) =>
          ephemeralGauges(session, group.name, { lanes, snapshot }),
        ),
      ],
    }
  }
}

/** Undefined: the channel is just being taken away. */
async function sumsOf(session: Session, address: string): Promise<Sums | undefined> {
  try {
    return await session.tallyOf(address).read()
  } catch (error) {
    if (isTreatyError(error) && channelCode(error.cause) === 404) return undefined
    throw error
  }
}

async function lanesOf(session: Session, group: GroupDefinition): Promise<LaneLook[]> {
  const { catalogue, names, control, runners } = session
  const { channels } = await catalogue.read()
  const places = group.subscriptions.flatMap(({ address }) => {
    const channel = channels.get(address)
    return channel === undefined ? [] : placesOf(channel)
  })
  const laneQueue = ({ address, lane }: LanePlace) => names.lane(group.name, address, lane)
  const journal = ({ address, lane }: LanePlace) => names.journal(group.name, address, lane)
  // First what nobody holds: what is taken from a queue meanwhile is then seen with its owner, perhaps twice, and never not at all.
  const looks = await inspect(control, [...places.map(laneQueue), ...places.map(journal)])
  const known: Record<string, LaneSnapshot> = { ...runners.get(group.name)?.snapshot() }
  const isOwned = (place: LanePlace) => (looks.get(journal(place))?.consumers ?? 0) > 0
  const unknown = () => places.filter((place) => known[laneName(place)] === undefined)
  await ask(session, group.name, { asked: unknown().filter(isOwned).map(laneName), known })
  const isClaimed = await readJournals(session, {
    known,
    journals: unknown()
      .filter((place) => holdsRecords(looks.get(journal(place))))
      .map((place) => ({ name: laneName(place), queue: journal(place) })),
  })
  // Somebody came meanwhile, and knows.
  await ask(session, group.name, { asked: isClaimed, known })
  return places.map((place) => ({
    place,
    ready: looks.get(laneQueue(place))?.messages ?? 0,
    snapshot: known[laneName(place)] ?? nobody,
  }))
}

/** With an owner that does not answer there is nothing to read. */
function holdsRecords(look: QueueLook | undefined): boolean {
  return look !== undefined && look.consumers === 0 && look.messages > 0
}

async function ask(
  session: Session,
  group: string,
  { asked, known }: { asked: readonly string[]; known: Record<string, LaneSnapshot> },
): Promise<void> {
  if (asked.length === 0) return
  const open = new Set(asked)
  await session.members.ask(group, {
    withinMs: askMs,
    take(answer) {
      for (const [name, snapshot] of Object.entries(answer as RunnerSnapshot)) {
        known[name] = snapshot
        open.delete(name)
      }
      return open.size === 0
    },
  })
}

/**
 * Takes the lock of a lane that nobody owns for a moment, as an owner would, and puts all back. Gives the lanes that somebody
 * else was given.
 */
async function readJournals(
  { control, clock }: Session,
  {
    known,
    journals,
  }: {
    known: Record<string, LaneSnapshot>
    journals: readonly { readonly name: string; readonly queue: string }[]
  },
): Promise<readonly string[]> {
  const isClaimed: string[] = []
  let next = 0
  const work = async () => {
    for (let each = journals[next++]; each !== undefined; each = journals[next++]) {
      const { name, queue } = each
      const shelf = createShelf({ link: control, clock, queue, lingerMs: 0, patienceMs: lockMs })
      try {
        const counts = await shelf.use(async (open) => foundIn(recordsOf(open)).counts)
        known[name] = { counts, held: {}, gauges: undefined }
      } catch (error) {
        if (!isTreatyError(error) || error.code !== 'TRANSPORT_FAILED') throw error
        isClaimed.push(name)
      }
      await shelf.close()
    }
  }
  await Promise.all(Array.from({ length: Math.min(journalsAtOnce, journals.length) }, work))
  return isClaimed
}

function recordsOf(open: OpenShelf) {
  return open.messages.flatMap((message) => {
    const record = parseJournal(message)
    return record === undefined ? [] : [{ record, tag: message.fields.deliveryTag }]
  })
}

function gaugesOf(
  { clock }: Session,
  group: string,
  lanes: readonly LaneLook[],
): TransportStats['groups'][number] {
  const sum = { ready: 0, inFlight: 0, delayed: 0, blocked: 0 }
  let oldestAt = Number.POSITIVE_INFINITY
  for (const { ready, snapshot } of lanes) {
    const { gauges } = snapshot
    sum.ready += ready + (gauges?.ready ?? 0)
    sum.inFlight += gauges?.inFlight ?? 0
    sum.delayed += gauges?.delayed ?? 0
    sum.blocked += gauges?.blocked ?? 0
    oldestAt = Math.min(oldestAt, gauges?.oldestAt ?? Number.POSITIVE_INFINITY)
  }
  const oldestAgeMs = Number.isFinite(oldestAt) ? Math.max(0, clock.now() - oldestAt) : null
  return { group, ...sum, oldestAgeMs }
}

function ephemeralGauges(
  session: Session,
  group: string,
  { snapshot }: { lanes: unknown; snapshot: () => RunnerSnapshot },
): TransportStats['groups'][number] {
  const lanes = Object.values(snapshot()).map((each) => ({
    place: { address: '', lane: 0 },
    ready: 0,
    snapshot: each,
  }))
  return gaugesOf(session, group, lanes)
}

/** Delayed messages that have not joined their channel yet; every group of it will get them. */
function scheduledIn(sums: Sums | undefined): ReadonlyMap<string, number> {
  return new Map(Object.entries(sums?.scheduled ?? {}).filter(([, amount]) => amount > 0))
}

const counters = ['handled', 'skipped', 'retried', 'dead', 'expired'] as const
type Row = { -readonly [Name in keyof CountRow]: CountRow[Name] }

/** Adds up rows by event and consumer. */
class Ledger {
  readonly #rows = new Map<string, Row>()

  #row(event: string, consumer: string | null): Row {
    const key = `${event}\n${consumer ?? ''}`
    const row = this.#rows.get(key) ?? {
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
    this.#rows.set(key, row)
    return row
  }

  /** One channel: what publishers counted, and what came to each group. */
  address(
    address: string,
    sums: Sums,
    looks: readonly { readonly group: GroupDefinition; readonly lanes: readonly LaneLook[] }[],
  ): void {
    const published = new Map(Object.entries(sums.published ?? {}))
    const arrived = new Map(published)
    for (const [type, amount] of scheduledIn(sums)) {
      published.set(type, (published.get(type) ?? 0) - amount)
    }
    for (const { group, lanes } of looks) {
      const mine = lanes.filter(({ place }) => place.address === address)
      if (mine.length === 0) continue
      const came = this.#group(group.consumer, mine, published)
      for (const [type, amount] of scheduledIn(sums)) {
        this.#row(type, group.consumer).waiting += amount
        came.set(type, (came.get(type) ?? 0) + amount)
      }
      for (const [type, amount] of came) arrived.set(type, Math.max(arrived.get(type) ?? 0, amount))
    }
    // A publisher that was killed may have published more than it counted, and other programs count nothing.
    for (const [type, amount] of arrived) this.#row(type, null).published += amount
  }

  #group(
    consumer: string,
    lanes: readonly LaneLook[],
    published: ReadonlyMap<string, number>,
  ): Map<string, number> {
    const came = new Map<string, number>()
    const add = (type: string, amount: number) => came.set(type, (came.get(type) ?? 0) + amount)
    for (const { snapshot } of lanes) {
      for (const [type, counts] of entries(snapshot.counts)) {
        const row = this.#row(type, consumer)
        for (const counter of counters) row[counter] += counts[counter] ?? 0
        add(type, ended(counts))
      }
      for (const [type, amount] of Object.entries(snapshot.held)) {
        this.#row(type, consumer).waiting += amount
        add(type, amount)
      }
    }
    const ready = lanes.reduce((sum, lane) => sum + lane.ready, 0)
    for (const [type, amount] of shareOut(ready, published, came)) {
      this.#row(type, consumer).waiting += amount
      add(type, amount)
    }
    return came
  }

  refused(event: string, amount: number): void {
    this.#row(event, null).dead += amount
  }

  rows(): CountRow[] {
    const rows = [...this.#rows.values()]
    for (const row of rows) {
      row.deliveries = row.handled + row.skipped + row.dead + row.expired + row.waiting
    }
    return rows
      .filter((row) => row.published + row.deliveries + row.retried > 0)
      .sort(
        (one, two) =>
          compare(one.event, two.event) || compare(one.consumer ?? '', two.consumer ?? ''),
      )
  }
}

function entries(counts: LaneCounts) {
  return Object.entries(counts)
}

function ended({ handled = 0, skipped = 0, dead = 0, expired = 0 }: LaneCounts[string]): number {
  return handled + skipped + dead + expired
}

/**
 * The types of messages that nobody has read: what was published of each, without what came already. Exact where all publishers count; what other
 * programs wrote is of no type until it is read.
 */
export function shareOut(
  ready: number,
  published: ReadonlyMap<string, number>,
  came: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const shares = new Map<string, number>()
  let left = ready
  const open = [...published]
    .map(([type, amount]) => [type, amount - (came.get(type) ?? 0)] as const)
    .filter(([, amount]) => amount > 0)
    .sort(([, one], [, two]) => two - one)
  for (const [type, amount] of open) {
    const share = Math.min(left, amount)
    if (share > 0) shares.set(type, share)
    left -= share
  }
  if (left > 0) {
    const [only] = published.size === 1 ? published.keys() : ['']
    shares.set(only ?? '', (shares.get(only ?? '') ?? 0) + left)
  }
  return shares
}

function compare(one: string, two: string): number {
  return one < two ? -1 : Number(one > two)
}
