import { TreatyError } from '../../../core/errors.ts'
import type { BrowseQuery, IncomingRecord, Page, StoredMessage } from '../../transport.ts'
import { isAsked } from '../../watch/browse-scope.ts'
import type { ChannelDocument, GroupDocument } from './definitions.ts'
import { fromDocument, type LaneDocument, type LaneState } from './lane-state.ts'
import { channelSubject, placeOf } from './names.ts'
import { scan } from './reads.ts'
import { recordOf } from './records.ts'
import type { Session } from './session.ts'
import type { Stored } from './stored.ts'

type ConsumerState = StoredMessage['consumers'][number]

const pageMax = 1000

interface Found {
  readonly record: IncomingRecord
  readonly seq: number
  readonly lane: string
  readonly channel: ChannelDocument
}

/** Messages that are still there, oldest first, channels by the time at which the server took each. */
export async function browse(session: Session, query: BrowseQuery): Promise<Page<StoredMessage>> {
  const most = Math.min(Math.max(1, Math.trunc(query.limit)), pageMax)
  const places = parseCursor(query.cursor)
  const channels = await session.definitions.channels()
  const found: Found[] = []
  for (const channel of channels) {
    if (!isAsked(query, channel.address)) continue
    const from = (places[channel.address] ?? places['*'] ?? 0) + 1
    found.push(...(await search(session, channel, { from, most: most + 1, query })))
  }
  found.sort((one, two) => one.record.publishedAt - two.record.publishedAt || one.seq - two.seq)
  const page = found.slice(0, most)
  const groups = await session.definitions.groups()
  const states = await session.state.all<LaneDocument>(session.places.all('lane'))
  const lanes = new Map(states.map(({ subject, value }) => [subject, fromDocument(value)]))
  const items = page.map((each) => ({
    record: each.record,
    consumers: groups.flatMap((group) => stateIn(session, { each, group, lanes })),
  }))
  if (found.length <= most) return { items }
  const next = { ...places }
  for (const { channel, seq } of page) next[channel.address] = seq
  return { items, next: JSON.stringify(next) }
}

/** A cursor is the last number of each channel, or one position, which then counts for all. */
function parseCursor(cursor: string | undefined): Record<string, number> {
  if (cursor === undefined) return {}
  if (/^\d+$/.test(cursor)) return { '*': Number(cursor) }
  try {
    return JSON.parse(cursor) as Record<string, number>
  } catch (cause) {
    throw new TreatyError(
      'CURSOR_INVALID',
      `the cursor '${cursor}' is not one that was given out`,
      {
        hint: 'Give back next of the page before, unchanged.',
        cause,
      },
    )
  }
}

async function search(
  session: Session,
  channel: ChannelDocument,
  at: { readonly from: number; readonly most: number; readonly query: BrowseQuery },
): Promise<Found[]> {
  const { from, most, query } = at
  const { address, stream } = channel
  const found: Found[] = []
  const base = channelSubject(address)
  for (const filter of [`${base}.@.>`, base]) {
    let count = 0
    await scan(session.wire, stream, {
      filter,
      from,
      batch: Math.min(most, 500),
      take(stored: Stored) {
        const { lane, group, isScheduled } = placeOf(address, stored.subject)
        if (group !== undefined || isScheduled === true) return true
        const record = recordOf(address, stored)
        if (query.event !== undefined && record.type !== query.event) return true
        const { correlationId } = query
        if (correlationId !== undefined && record.correlationId !== correlationId) return true
        found.push({ record, seq: stored.seq, lane, channel })
        count += 1
        return count < most
      },
    })
  }
  return found
}

/** What became of a message in one group; nothing where it is none of that group's. */
function stateIn(
  session: Session,
  at: {
    readonly each: Found
    readonly group: GroupDocument
    readonly lanes: ReadonlyMap<string, LaneState>
  },
): ConsumerState[] {
  const { each, group, lanes } = at
  const { address } = each.channel
  const subscription = group.subscriptions.find((one) => one.address === address)
  if (subscription === undefined || each.seq <= subscription.after) return []
  const { types } = subscription
  if (types !== '*' && !types.includes(each.record.type)) return []
  const { consumer } = group
  const state = lanes.get(session.places.lane(group.name, address, each.lane))
  if (state === undefined) return [{ consumer, state: 'waiting', attempts: 0 }]
  const kept = state.kept.find(({ seq }) => seq === each.seq)?.state
  if (kept !== undefined) {
    if (kept.blocked === true) return [{ consumer, state: 'dead', attempts: kept.failures + 1 }]
    return [
      {
        consumer,
        state: kept.failures > 0 ? 'retrying' : 'waiting',
        attempts: kept.failures,
      },
    ]
  }
  const isDone = each.seq <= state.low || state.done.some(({ seq }) => seq === each.seq)
  return [{ consumer, state: isDone ? 'done' : 'waiting', attempts: isDone ? 1 : 0 }]
}
