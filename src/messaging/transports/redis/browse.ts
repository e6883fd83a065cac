import type { EntryState } from '../../lanes/driver.ts'
import type { BrowseQuery, Page, StoredMessage } from '../../transport.ts'
import type { GroupText } from './groups.ts'
import { letterIdOf, summaryOf } from './letters.ts'
import type { Reply } from './link.ts'
import { positionOf, type ReadEntry, readEntry } from './records.ts'
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
    listed.map(async (each) => {
      const address = String(each)
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
  const items = await Promise.all(
    page.map(async (each) => ({
      record: each.read.record,
      consumers: await statesOf(session, each),
    })),
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

async function statesOf(session: Session, found: Found): Promise<ConsumerState[]> {
  const { link, names } = session
  const base = names.base(found.address)
  const stream = names.lane(found.address, found.lane)
  const [groups, infos] = (await Promise.all([
    link.ask(() => link.call('HGETALL', `${base}:groups`)),
    link.ask(() => link.call('XINFO', 'GROUPS', stream)),
  ])) as [readonly Reply[], readonly (readonly Reply[])[]]
  const delivered = new Map(infos.map((info) => [String(info[1]), String(info[7])]))
  const states: ConsumerState[] = []
  for (let at = 0; at + 1 < groups.length; at += 2) {
    const group = String(groups[at])
    const { consumer, types } = JSON.parse(String(groups[at + 1])) as GroupText
    if (types !== '*' && !types.includes(found.read.record.type)) continue
    states.push({
      consumer,
      ...(await stateOf(session, found, { group, delivered: delivered.get(group) })),
    })
  }
  return states
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
