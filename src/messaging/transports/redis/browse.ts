import type { EntryState } from '../../lanes/driver.ts'
import type { BrowseQuery, Page, StoredMessage } from '../../transport.ts'
import { isAsked } from '../../watch/browse-scope.ts'
import type { GroupText } from './groups.ts'
import { letterIdOf, summaryOf } from './letters.ts'
import { positionOf, type ReadEntry, readEntry } from './records.ts'
import type { Reply } from './resp.ts'
import type { Session } from './session.ts'

type ConsumerState = StoredMessage['consumers'][number]

const pageMax = 1000
const scanned = 200

interface Found {
  readonly address: string
  readonly lane: number
  readonly entry: string
  readonly read: ReadEntry
}

/** Messages that are still there, oldest first, with what became of each in every group. */
export async function browse(session: Session, query: BrowseQuery): Promise<Page<StoredMessage>> {
  const { link, names } = session
  const most = Math.min(Math.max(1, Math.trunc(query.limit)), pageMax)
  const listed = (await link.ask(() => link.call('SMEMBERS', names.addresses))) as readonly Reply[]
  const lanes = await Promise.all(
    listed.map(String).map(async (address) => {
      if (!isAsked(query, address)) return []
      const reply = await link.ask(() =>
        link.call('HMGET', `${names.base(address)}:channel`, 'lanes', 'urgent'),
      )
      const [own, urgent] = reply as readonly Reply[]
      const total = own === null ? 0 : Number(own) + Number(urgent)
      return Array.from({ length: total }, (_, lane) => ({ address, lane }))
    }),
  )
  const found = (
    await Promise.all(
      lanes.flat().map((lane) => scanLane(session, lane, { query, most: most + 1 })),
    )
  ).flat()
  found.sort((one, other) => (orderOf(one) < orderOf(other) ? -1 : 1))
  const page = found.slice(0, most)
  const facts = new Map<string, Promise<LaneFacts>>()
  const items = await Promise.all(
    page.map(async (each) => {
      const lane = names.lane(each.address, each.lane)
      const known = facts.get(lane) ?? factsOf(session, each)
      facts.set(lane, known)
      return { record: each.read.record, consumers: await statesOf(session, each, await known) }
    }),
  )
  const last = page.at(-1)
  return found.length > most && last !== undefined ? { items, next: orderOf(last) } : { items }
}

/** Two channels may have the same position. */
function orderOf({ read, address }: Found): string {
  return `${read.record.position}@${address}`
}

async function scanLane(
  session: Session,
  at: { readonly address: string; readonly lane: number },
  { query, most }: { readonly query: BrowseQuery; readonly most: number },
): Promise<Found[]> {
  const { link, names } = session
  const { address, lane } = at
  const found: Found[] = []
  const cursor = query.cursor ?? ''
  // The lane is within the position, so an entry of the same moment may still follow.
  const [, ms, number] = /^0*(\d+)-0*(\d+)\./.exec(cursor) ?? []
  for (let from = ms === undefined ? '-' : `${ms}-${number}`; ; ) {
    const entries = (await link.ask(() =>
      link.call('XRANGE', names.lane(address, lane), from, '+', 'COUNT', scanned),
    )) as readonly (readonly [Buffer, readonly Reply[]])[]
    for (const [id, fields] of entries) {
      const entry = String(id)
      const read = readEntry({ address, lane, entry }, fields)
      // A replay is for one group alone; it stands for a message that was shown in its time.
      if (read.to !== undefined) continue
      const one = { address, lane, entry, read }
      const isAfter = cursor.includes('@')
        ? orderOf(one) > cursor
        : positionOf(entry, lane) > cursor
      if (cursor !== '' && !isAfter) continue
      if (query.event !== undefined && query.event !== read.record.type) continue
      if (query.correlationId !== undefined && query.correlationId !== read.record.correlationId)
        continue
      found.push(one)
      if (found.length === most) return found
    }
    if (entries.length < scanned) return found
    from = `(${entries.at(-1)?.[0]}`
  }
}

/** What is asked once for all messages of a lane. */
interface LaneFacts {
  readonly groups: readonly { readonly name: string; readonly text: GroupText }[]
  /** Group → last entry that was handed to it. */
  readonly delivered: ReadonlyMap<string, string>
}

async function factsOf({ link, names }: Session, { address, lane }: Found): Promise<LaneFacts> {
  const [pairs, infos] = (await Promise.all([
    link.ask(() => link.call('HGETALL', `${names.base(address)}:groups`)),
    link.ask(() => link.call('XINFO', 'GROUPS', names.lane(address, lane))),
  ])) as [readonly Reply[], readonly (readonly Reply[])[]]
  const groups = Array.from({ length: pairs.length / 2 }, (_, at) => ({
    name: String(pairs[2 * at]),
    text: JSON.parse(String(pairs[2 * at + 1])) as GroupText,
  }))
  return { groups, delivered: new Map(infos.map((info) => [String(info[1]), String(info[7])])) }
}

async function statesOf(
  session: Session,
  found: Found,
  { groups, delivered }: LaneFacts,
): Promise<ConsumerState[]> {
  const { type } = found.read.record
  return Promise.all(
    groups
      .filter(({ text: { types } }) => types === '*' || types.includes(type))
      .map(async ({ name, text: { consumer } }) => {
        const state = await stateOf(session, found, { group: name, delivered: delivered.get(name) })
        return { consumer, ...state }
      }),
  )
}

async function stateOf(
  session: Session,
  { address, lane, entry }: Found,
  at: { readonly group: string; readonly delivered: string | undefined },
): Promise<Omit<ConsumerState, 'consumer'>> {
  const { link, names } = session
  const { group, delivered = '0-0' } = at
  if (positionOf(entry, lane) > positionOf(delivered, lane))
    return { state: 'waiting', attempts: 0 }
  const id = letterIdOf({ address, group, lane, entry })
  const [pending, text, letter] = await Promise.all([
    link.ask(() => link.call('XPENDING', names.lane(address, lane), group, entry, entry, 1)),
    link.ask(() => link.call('HGET', `${names.base(address)}:g:${group}:a${lane}`, entry)),
    link.ask(() => link.call('HGET', names.letters(address), id)),
  ])
  const summary = summaryOf(letter)
  if (summary !== undefined) return { state: 'dead', attempts: summary.attempts }
  if ((pending as readonly Reply[]).length === 0) return { state: 'done', attempts: 1 }
  const { failures } = text === null ? { failures: 0 } : (JSON.parse(String(text)) as EntryState)
  return failures > 0
    ? { state: 'retrying', attempts: failures }
    : { state: 'in-flight', attempts: 1 }
}
