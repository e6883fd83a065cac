import type { ChannelDocument, LedgerDocument } from './definitions.ts'
import { lanesOf } from './definitions.ts'
import { channelSubject, foreignLane, placeOf } from './names.ts'
import { scan } from './reads.ts'
import { recordOf } from './records.ts'
import type { Session } from './session.ts'
import type { Stored } from './stored.ts'

/** Published messages by lane and type. */
export type PublishedByLane = Readonly<Record<string, Readonly<Record<string, number>>>>

/** What is known of the messages that a channel has had, beside those that it still holds. */
export async function readLedger(
  session: Session,
  address: string,
): Promise<{ readonly value: LedgerDocument; readonly seq: number }> {
  const found = await session.state.read<LedgerDocument>(session.places.ledger(address))
  return { value: found?.value ?? { lanes: {} }, seq: found?.seq ?? 0 }
}

/**
 * How many messages were ever published up to `after`. The ledger knows them up to some place of each lane; what lies between is
 * read, which is nothing for a channel that is new.
 */
export async function publishedThrough(
  session: Session,
  channel: ChannelDocument,
  at: { readonly after: number; readonly last: number },
): Promise<PublishedByLane> {
  const { value: ledger } = await readLedger(session, channel.address)
  const sums = new Map<string, Map<string, number>>()
  const throughs = lanesOf(channel).map((lane) => {
    const known = ledger.lanes[lane]
    sums.set(lane, new Map(Object.entries(known?.published ?? {})))
    return known?.through ?? 0
  })
  const from = Math.min(at.after, ...throughs) + 1
  const to = Math.max(at.after, ...throughs)
  if (from > Math.min(to, at.last)) return asObject(sums)
  await scanMessages(session, channel, { from, to }, ({ seq, lane, type }) => {
    const through = ledger.lanes[lane]?.through ?? 0
    const sum = sums.get(lane)
    if (seq > through && seq <= at.after) sum?.set(type, (sum.get(type) ?? 0) + 1)
    else if (seq > at.after && seq <= through) sum?.set(type, (sum.get(type) ?? 0) - 1)
  })
  return asObject(sums)
}

function asObject(sums: ReadonlyMap<string, ReadonlyMap<string, number>>): PublishedByLane {
  return Object.fromEntries([...sums].map(([lane, types]) => [lane, Object.fromEntries(types)]))
}

/** Every message of a channel between two places, but replays and what still waits for its time. */
export async function scanMessages(
  { wire }: Session,
  channel: ChannelDocument,
  range: { readonly from: number; readonly to: number },
  take: (message: { seq: number; lane: string; type: string }) => void,
): Promise<void> {
  const { address, stream } = channel
  const base = channelSubject(address)
  const each = (isForeign: boolean) => (stored: Stored) => {
    const { seq } = stored
    if (seq > range.to) return false
    if (isForeign) take({ seq, lane: foreignLane, type: recordOf(address, stored).type })
    else {
      const { lane, type, group, isScheduled } = placeOf(address, stored.subject)
      if (type !== undefined && group === undefined && isScheduled !== true)
        take({ seq, lane, type })
    }
    return true
  }
  const { from } = range
  await scan(wire, stream, { filter: `${base}.@.>`, from, headersOnly: true, take: each(false) })
  // The type of other people's messages is in their headers or bodies.
  await scan(wire, stream, { filter: base, from, take: each(true) })
}
