import type { CountRow, TransportStats } from '../../transport.ts'
import type { GroupText } from './groups.ts'
import type { Reply } from './resp.ts'
import type { Session } from './session.ts'
import { statsScript } from './stats-script.ts'

type Counter = Exclude<keyof CountRow, 'event' | 'consumer'>
type GroupStats = TransportStats['groups'][number]
type Gauges = { -readonly [Name in keyof GroupStats]: GroupStats[Name] }

const zero = {
  published: 0,
  deliveries: 0,
  handled: 0,
  skipped: 0,
  retried: 0,
  dead: 0,
  expired: 0,
  waiting: 0,
}
type MutableRow = { event: string; consumer: string | null } & Record<Counter, number>

/** Rows of the ledger while they are summed up. */
class Ledger {
  readonly #rows = new Map<string, MutableRow>()

  row(event: string, consumer: string | null): MutableRow {
    const name = JSON.stringify([event, consumer])
    const row = this.#rows.get(name) ?? { event, consumer, ...zero }
    this.#rows.set(name, row)
    return row
  }

  get rows(): CountRow[] {
    const isCounted = (row: MutableRow) => row.published + row.deliveries + row.retried > 0
    return [...this.#rows.values()].filter(isCounted)
  }
}

/** The counts of one channel, apart. */
interface ChannelCounts {
  readonly published: Map<string, number>
  /** Group (or `!consumer` of a group that is gone, or nothing) → event → counter → number. */
  readonly others: Map<string, Map<string, Map<string, number>>>
}

/** The ledger and the gauges of everything on the broker. `refresh` writes down what this process has in hand. */
export async function readStats(
  session: Session,
  refresh: () => Promise<void>,
): Promise<TransportStats> {
  const { link, names } = session
  await link.ready()
  await refresh()
  const addresses = (await link.ask(() =>
    link.call('SMEMBERS', names.addresses),
  )) as readonly Reply[]
  const ledger = new Ledger()
  const groups = new Map<string, Gauges>()
  const answers = await Promise.all(
    addresses.map((each) => link.ask(() => link.run(statsScript, names.base(String(each)), []))),
  )
  const now = session.clock.now()
  for (const answer of answers) {
    const [pairs, ...rows] = answer as readonly Reply[]
    const counts = parseCounts(pairs as readonly Reply[])
    addCommon(ledger, counts)
    for (const row of rows) addGroup({ ledger, groups, now }, counts, row as readonly Reply[])
  }
  const past = (await link.ask(() => link.call('HGETALL', names.past))) as readonly Reply[]
  addCommon(ledger, parseCounts(past))
  return { counts: ledger.rows, groups: [...groups.values()] }
}

export function parseCounts(pairs: readonly Reply[]): ChannelCounts {
  const counts: ChannelCounts = { published: new Map(), others: new Map() }
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const name = String(pairs[at])
    const [first, last] = [name.indexOf('\0'), name.lastIndexOf('\0')]
    const [counter, event, whose] = [
      name.slice(0, first),
      name.slice(first + 1, last),
      name.slice(last + 1),
    ]
    const amount = Number(pairs[at + 1])
    if (counter === 'published') {
      counts.published.set(event, amount)
      continue
    }
    const events = counts.others.get(whose) ?? new Map<string, Map<string, number>>()
    const counters = events.get(event) ?? new Map<string, number>()
    counters.set(counter, amount)
    events.set(event, counters)
    counts.others.set(whose, events)
  }
  return counts
}

/** What belongs to no group that is there: published, refused at the door, and groups that are gone. */
function addCommon(ledger: Ledger, { published, others }: ChannelCounts): void {
  for (const [event, amount] of published) ledger.row(event, null).published += amount
  for (const [event, counters] of others.get('') ?? []) {
    const row = ledger.row(event, null)
    row.dead += counters.get('dead') ?? 0
    row.deliveries += counters.get('dead') ?? 0
  }
  for (const [whose, events] of others) {
    if (!whose.startsWith('!')) continue
    for (const [event, counters] of events) {
      const row = ledger.row(event, whose.slice(1))
      for (const [counter, amount] of counters) row[counter as Counter] += amount
    }
  }
}

function addGroup(
  into: { readonly ledger: Ledger; readonly groups: Map<string, Gauges>; readonly now: number },
  counts: ChannelCounts,
  found: readonly Reply[],
): void {
  const [name, text, later, lanes] = found as readonly [Buffer, Buffer, number, readonly Reply[]]
  const group = String(name)
  const { consumer } = JSON.parse(String(text)) as GroupText
  const own = counts.others.get(group)
  const events = new Set([...counts.published.keys(), ...(own?.keys() ?? [])])
  let waiting = 0
  for (const event of events) {
    const of = (counter: string) => own?.get(event)?.get(counter) ?? 0
    const deliveries = (counts.published.get(event) ?? 0) + of('base')
    const ended = of('handled') + of('skipped') + of('dead') + of('expired')
    waiting += deliveries - ended
    const row = into.ledger.row(event, consumer)
    row.deliveries += deliveries
    row.waiting += deliveries - ended
    for (const counter of ['handled', 'skipped', 'dead', 'expired', 'retried'] as const) {
      row[counter] += of(counter)
    }
  }
  const gauges = into.groups.get(group) ?? {
    group,
    ready: 0,
    inFlight: 0,
    delayed: 0,
    blocked: 0,
    oldestAgeMs: null,
  }
  into.groups.set(group, gauges)
  addGauges(gauges, { waiting, later, lanes, now: into.now })
}

/** What is waiting is known exactly; its kinds, as their owners said last. What nobody has in hand is ready. */
function addGauges(
  gauges: Gauges,
  found: {
    readonly waiting: number
    readonly later: number
    readonly lanes: readonly Reply[]
    readonly now: number
  },
): void {
  let left = Math.max(0, found.waiting)
  const take = (amount: number) => {
    const taken = Math.min(left, amount)
    left -= taken
    return taken
  }
  let [inFlight, delayed, blocked] = [0, found.later, 0]
  for (const lane of found.lanes) {
    const [text, late, unreadAt] = lane as readonly [Buffer, number, Buffer]
    const times = [Number(String(unreadAt) || Number.POSITIVE_INFINITY)]
    if (text.length > 0) {
      const parts = String(text).split(' ')
      inFlight += Number(parts[1])
      delayed += Number(parts[2])
      blocked += Number(parts[3])
      if (parts[4] !== '') times.push(Number(parts[4]))
    } else delayed += late
    const oldest = Math.min(...times)
    if (Number.isFinite(oldest)) {
      gauges.oldestAgeMs = Math.max(gauges.oldestAgeMs ?? 0, found.now - oldest)
    }
  }
  gauges.inFlight += take(inFlight)
  gauges.delayed += take(delayed)
  gauges.blocked += take(blocked)
  gauges.ready += left
}
