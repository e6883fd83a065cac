import { TreatyError } from '../../../core/errors.ts'
import type { BrowseQuery, Page, StoredMessage } from '../../transport.ts'
import { isAsked } from '../../watch/browse-scope.ts'
import type { DeadIndex } from './dead-index.ts'
import { endedIn, type LaneState } from './lane-state.ts'
import type { LogRecord } from './log-record.ts'
import { markOf, marks, messageOf } from './messages.ts'
import { laneName, type Place } from './names.ts'
import { offsetsOf, readLogs, startOfLog } from './reader.ts'
import type { KnownGroup, Registry } from './registry.ts'
import type { States } from './states.ts'
import type { Line, Wire } from './wire.ts'

type ConsumerState = StoredMessage['consumers'][number]

export interface BrowseOptions {
  readonly wire: Wire
  readonly line: Line
  readonly registry: Registry
  readonly states: States
  readonly index: DeadIndex
}

const pageMax = 1000

/** How far each partition was shown, by lane name. */
type Cursor = Readonly<Record<string, number>>

/** Messages that are still there, oldest first over all partitions, with what became of each in every group. */
export async function browse(
  options: BrowseOptions,
  query: BrowseQuery,
): Promise<Page<StoredMessage>> {
  const most = Math.min(Math.max(1, Math.trunc(query.limit)), pageMax)
  const { registry, wire } = options
  const cursor = parseCursor(query.cursor)
  await registry.refresh()
  const topics = registry.channels.flatMap(({ topic, address }) =>
    isAsked(query, address) ? [topic] : [],
  )
  const facts = await wire.topics(topics)
  const places = topics.flatMap((topic) =>
    (facts.get(topic)?.leaders ?? []).map((_, partition) => ({ topic, partition })),
  )
  const merge = await openMerge(options, { places, cursor, from: query.from })
  const found: { place: Place; record: LogRecord }[] = []
  while (found.length < most) {
    const next = await merge.next()
    if (next === undefined) break
    if (isWanted(next.record, query)) found.push(next)
  }
  const isMore = (await merge.peek()) !== undefined
  const items = await withStates(options, found)
  return isMore ? { items, next: encodeCursor(merge.cursor()) } : { items }
}

function parseCursor(text: string | undefined): Cursor {
  if (text === undefined) return {}
  try {
    const cursor = JSON.parse(Buffer.from(text, 'base64url').toString()) as Cursor
    if (typeof cursor === 'object' && cursor !== null) return cursor
  } catch {
    // Said below.
  }
  throw new TreatyError('CURSOR_INVALID', `the cursor '${text}' is not one that was given out`, {
    hint: 'Give back next of the page before, unchanged.',
  })
}

function encodeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url')
}

/** A replay is shown as what it stands for. */
function isWanted(record: LogRecord, { correlationId, event }: BrowseQuery): boolean {
  if (markOf(record, marks.to) !== undefined) return false
  if (correlationId === undefined && event === undefined) return true
  const message = messageOf(record, { address: '', partition: 0 })
  return (
    (correlationId === undefined || message.correlationId === correlationId) &&
    (event === undefined || message.type === event)
  )
}

/** One partition while it is read. */
interface Branch {
  readonly place: Place
  readonly end: number
  offset: number
  ahead: LogRecord[]
}
interface Merge {
  peek(): Promise<Branch | undefined>
  next(): Promise<{ place: Place; record: LogRecord } | undefined>
  cursor(): Cursor
}

/** All partitions as one, by the time at which each message was published. */
async function openMerge(
  { wire, line }: BrowseOptions,
  asked: {
    readonly places: readonly Place[]
    readonly cursor: Cursor
    readonly from: number | undefined
  },
): Promise<Merge> {
  const { places, cursor, from } = asked
  const begin = from === undefined ? startOfLog : BigInt(Math.max(0, Math.trunc(from)))
  const starts = await offsetsOf(wire, places, begin)
  const ends = await offsetsOf(wire, places)
  const branches: Branch[] = places.map((place) => {
    const name = laneName(place)
    const end = ends.get(name) ?? 0
    const start = starts.get(name) ?? 0
    // Nothing is as young as that.
    const offset = Math.max(start < 0 ? end : start, cursor[name] ?? 0)
    return { place, end, offset, ahead: [] }
  })

  /** The oldest can be told only once every partition that has more shows what comes next. */
  async function fill(): Promise<void> {
    for (;;) {
      const empty = branches.filter(({ ahead, offset, end }) => ahead.length === 0 && offset < end)
      if (empty.length === 0) return
      const reaches = empty.map(({ place, offset }) => ({ ...place, offset }))
      const chunks = await wire.persist(() => readLogs(wire, line, { reaches, waitMs: 50 }))
      for (const chunk of chunks) {
        const branch = empty.find(({ place }) => laneName(place) === laneName(chunk))
        if (branch === undefined) continue
        branch.ahead = chunk.records.filter(({ offset }) => offset < branch.end)
        if (branch.ahead.length === 0) {
          branch.offset = chunk.errorCode === 0 ? Math.max(branch.offset, chunk.next) : branch.end
        }
      }
    }
  }

  async function peek(): Promise<Branch | undefined> {
    await fill()
    let first: Branch | undefined
    for (const branch of branches) {
      const [record] = branch.ahead
      if (record === undefined) continue
      const best = first?.ahead[0]?.timestamp ?? Number.POSITIVE_INFINITY
      if (record.timestamp < best) first = branch
    }
    return first
  }

  return {
    peek,
    async next() {
      const branch = await peek()
      const record = branch?.ahead.shift()
      if (branch === undefined || record === undefined) return undefined
      branch.offset = record.offset + 1
      return { place: branch.place, record }
    },
    cursor: () =>
      Object.fromEntries(branches.map(({ place, offset }) => [laneName(place), offset])),
  }
}

async function withStates(
  options: BrowseOptions,
  found: readonly { readonly place: Place; readonly record: LogRecord }[],
): Promise<StoredMessage[]> {
  if (found.length === 0) return []
  const { registry, states, index } = options
  const places = [...new Map(found.map(({ place }) => [laneName(place), place])).values()]
  await index.refresh()
  const committed = await states.readMany(
    registry.groups.map((group) => ({
      group,
      places: places.filter(({ topic }) => isReader(registry, group, topic)),
    })),
  )
  const dead = new Map(
    index
      .list({})
      .map(({ summary }) => [`${summary.group} ${summary.messageId}`, summary.attempts]),
  )
  return found.map(({ place, record }) => {
    const address = registry.channelOfTopic(place.topic)?.address ?? place.topic
    const message = messageOf(record, { address, partition: place.partition })
    const consumers = registry.groups.flatMap((group) => {
      if (!isFor(group, address, { ...place, offset: record.offset, type: message.type })) return []
      const state = committed.get(group.name)?.get(laneName(place))
      const attempts = dead.get(`${group.name} ${message.id}`)
      return [stateIn(options.wire.clock.now(), group, { state, record, attempts })]
    })
    return { record: message, consumers }
  })
}

function isReader(registry: Registry, group: KnownGroup, topic: string): boolean {
  return group.subscriptions.some(({ address }) => registry.channel(address)?.topic === topic)
}

function isFor(
  group: KnownGroup,
  address: string,
  at: Place & { readonly offset: number; readonly type: string },
): boolean {
  const filter = group.subscriptions.find((each) => each.address === address)
  if (filter === undefined) return false
  if (filter.types !== '*' && !filter.types.includes(at.type)) return false
  return at.offset >= (group.beginnings[address]?.offsets[at.partition] ?? 0)
}

function stateIn(
  now: number,
  { consumer }: KnownGroup,
  of: { state: LaneState | undefined; record: LogRecord; attempts: number | undefined },
): ConsumerState {
  const { state, record, attempts } = of
  const entry = state?.entries.get(record.offset)
  const failures = entry?.failures ?? 0
  if (state !== undefined && endedIn(state)(record.offset)) {
    if (attempts === undefined) return { consumer, state: 'done', attempts: 1 }
    return { consumer, state: 'dead', attempts }
  }
  if (entry?.blocked === true) return { consumer, state: 'dead', attempts: attempts ?? failures }
  if (failures > 0 || (entry?.dueAt ?? 0) > now) {
    return { consumer, state: 'retrying', attempts: failures }
  }
  return { consumer, state: 'waiting', attempts: 0 }
}
