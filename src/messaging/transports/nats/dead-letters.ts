import { TreatyError } from '../../../core/errors.ts'
import { toBrokerHeaders } from '../../lanes/broker-headers.ts'
import type { DeadFilter, DeadLetter, DeadLetterStore, OutgoingRecord } from '../../transport.ts'
import type { ChannelDocument } from './definitions.ts'
import { channelMissing, isConflict } from './errors.ts'
import {
  deadPlaceOf,
  filterSubject,
  isInTime,
  type LetterOrigin,
  letterBlock,
  letterId,
  letterMessage,
  publicSummary,
  type StoredLetter,
  summaryOf,
  wholeLetter,
} from './letters.ts'
import { type DeadPlace, messageSubject } from './names.ts'
import { laneNameOf, type Publisher } from './publish.ts'
import { countFrom, readNext, scan } from './reads.ts'
import { letterHeader } from './records.ts'
import { refusedRetentionMs } from './retention.ts'
import type { Session } from './session.ts'
import type { Stored } from './stored.ts'
import { headerBlock } from './wire-headers.ts'

const pageMax = 1000

/** Dead letters in a stream of their own, listed in the order in which they died. */
export function createDeadLetters(session: Session, publisher: Publisher): DeadLetterStore {
  const { wire, places } = session
  const stream = places.deadStream
  return {
    list: (filter, page) => list(session, filter, page),
    async get(id) {
      const stored = await find(session, id)
      if (stored === undefined) return undefined
      const { seq, blocked, causationId, priority, ...letter } = wholeLetter(stored)
      return letter
    },
    replay: (id) => replay(session, publisher, id),
    async discard(id) {
      const stored = await find(session, id)
      if (stored === undefined) return false
      const letter = summaryOf(stored)
      if (letter.blocked !== undefined) await ask(session, letter, 'discard')
      const isGone = await session.dead.remove(letter.seq)
      if (isGone && letter.consumer === null) await countRefused(session, letter.event, 1)
      if (isGone && letter.group !== null) wire.publish(places.call(letter.group), new Uint8Array())
      return isGone
    },
    async count(filter) {
      const subject = filterSubject(places, filter)
      if (filter.failedAfter === undefined && filter.failedBefore === undefined) {
        return (await countFrom(wire, stream, { filter: subject, from: 1 })).count
      }
      let count = 0
      await scan(wire, stream, {
        filter: subject,
        headersOnly: true,
        take(stored) {
          if (isInTime(summaryOf(stored), filter)) count += 1
        },
      })
      return count
    },
    put: (letter) => put(session, letter),
  }
}

function parseCursor(cursor: string | undefined): number {
  if (cursor === undefined) return 0
  const seq = Number(cursor)
  if (Number.isSafeInteger(seq) && seq >= 0) return seq
  throw new TreatyError('CURSOR_INVALID', `the cursor '${cursor}' is not one that was given out`, {
    hint: 'Give back next of the page before, unchanged.',
  })
}

async function list(
  { wire, places }: Session,
  filter: DeadFilter,
  page: { limit: number; cursor?: string },
) {
  const most = Math.min(Math.max(1, Math.trunc(page.limit)), pageMax)
  const found: StoredLetter[] = []
  const request = {
    filter: filterSubject(places, filter),
    from: parseCursor(page.cursor) + 1,
    headersOnly: true,
    batch: Math.min(most + 1, 500),
    take(stored: Stored) {
      const letter = summaryOf(stored)
      if (isInTime(letter, filter)) found.push(letter)
      return found.length <= most
    },
  }
  await scan(wire, places.deadStream, request)
  const items = found.slice(0, most).map(publicSummary)
  return found.length > most ? { items, next: String(found[most - 1]?.seq) } : { items }
}

function find({ wire, places }: Session, id: string): Promise<Stored | undefined> {
  return readNext(wire, places.deadStream, { filter: places.deadFilter({ id }), from: 1 })
}

/** Removes every letter of that name: its replay was met in the lane. */
export async function removeLetterById({ dead, places }: Session, id: string): Promise<void> {
  await dead.purge(places.deadFilter({ id }))
}

/** Keeps a letter of a lane's message. Again: it is the same letter. */
export async function keepLetter(
  session: Session,
  letter: Omit<DeadLetter, 'id'>,
  about: { readonly id: string; readonly origin: LetterOrigin; readonly retentionMs: number },
): Promise<void> {
  const { group, consumer, event, reason, failedAt } = letter
  const { id, origin, retentionMs } = about
  // One death is one letter; the next death of the same message is another.
  const orders = { 'Nats-Msg-Id': `${id}/${failedAt}`, ...lifeOf(session, retentionMs) }
  await store(session, { group, consumer, event, reason, id }, { letter, origin, orders })
}

function lifeOf({ features }: Session, retentionMs: number): Record<string, string> {
  const seconds = Math.max(1, Math.ceil(retentionMs / 1000))
  return features.ttl ? { 'Nats-TTL': `${seconds}s` } : {}
}

async function store(
  { acks, places, wire }: Session,
  place: DeadPlace,
  what: {
    readonly letter: Omit<DeadLetter, 'id'>
    readonly origin: LetterOrigin
    readonly orders: Record<string, string>
  },
): Promise<void> {
  const { headers, body } = letterMessage(what.letter, what.origin)
  const block = letterBlock(headers, what.orders, wire.payloadMax - body.byteLength)
  await acks.publish(places.dead(place), body, block)
}

async function put(session: Session, letter: Omit<DeadLetter, 'id'>): Promise<string> {
  const { group, consumer, event, reason, messageId, body } = letter
  // Bytes that come again under their id are one letter; other bytes are another: nothing that came may be lost.
  const isSame = consumer === null
  const id = isSame
    ? letterId('refused', messageId, event, reason, Buffer.from(body).toString('base64'))
    : letterId(crypto.randomUUID())
  const orders = {
    'Nats-Expected-Last-Subject-Sequence': '0',
    ...lifeOf(session, refusedRetentionMs),
  }
  try {
    await store(session, { group, consumer, event, reason, id }, { letter, origin: {}, orders })
  } catch (error) {
    if (!isConflict(error)) throw error
  }
  return id
}

/** Counts letters without a consumer that were discarded: they stay in the ledger. */
async function countRefused(session: Session, event: string, amount: number): Promise<void> {
  const subject = session.places.refused(event)
  for (;;) {
    const before = await session.state.read<{ discarded: number }>(subject)
    const value = { event, discarded: (before?.value.discarded ?? 0) + amount }
    if ((await session.state.write(subject, value, before?.seq ?? 0)) !== 'conflict') return
  }
}

/** A wish about a message that holds its place, for the lane's owner, whoever that is or will be. */
export interface UnblockRequest {
  readonly address: string
  readonly lane: string
  readonly seq: number
  readonly how: 'replay' | 'discard'
}

async function ask(
  session: Session,
  letter: StoredLetter,
  how: UnblockRequest['how'],
): Promise<void> {
  const { blocked, group, address } = letter
  if (blocked === undefined || group === null) return
  const { lane, seq } = blocked
  const request: UnblockRequest = { address, lane, seq, how }
  await session.state.write(session.places.request(group, address, `${lane}.${seq}`), request)
}

async function replay(session: Session, publisher: Publisher, id: string): Promise<boolean> {
  const stored = await find(session, id)
  if (stored === undefined) return false
  const letter = wholeLetter(stored)
  const { group, address } = letter
  if (group !== null) await requireGroup(session, group, id)
  if (letter.blocked !== undefined && group !== null) {
    await ask(session, letter, 'replay')
    const isGone = await session.dead.remove(letter.seq)
    session.wire.publish(session.places.call(group), new Uint8Array())
    return isGone
  }
  const channel = await session.definitions.channel(address)
  if (channel === undefined) throw channelMissing(address, id)
  const record = recordOfLetter(letter)
  if (group === null) {
    const [result] = await publisher.publish([record])
    if (result !== undefined && 'error' in result) throw result.error
    return session.dead.remove(letter.seq)
  }
  await publishTo(session, channel, { record, group, letter: id })
  return session.dead.remove(letter.seq)
}

/** To the tail of its lane, for its group alone. The letter's name travels along: whoever meets the message removes the letter. */
async function publishTo(
  session: Session,
  channel: ChannelDocument,
  what: { readonly record: OutgoingRecord; readonly group: string; readonly letter: string },
): Promise<void> {
  const { record, group, letter } = what
  const lane = laneNameOf(record, channel)
  const subject = messageSubject(channel.address, { lane, type: record.type, group })
  const headers = { ...toBrokerHeaders(record, 'ce-'), [letterHeader]: letter }
  const orders = { 'Nats-Msg-Id': `replay/${letter}` }
  await session.acks.publish(subject, record.body, headerBlock(headers, orders))
}

function recordOfLetter(letter: DeadLetter & LetterOrigin): OutgoingRecord {
  const { key, correlationId, causationId, priority } = letter
  return {
    id: letter.messageId,
    address: letter.address,
    type: letter.event,
    body: letter.body,
    headers: letter.headers,
    contentType: letter.contentType,
    ...(key === undefined ? {} : { key }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(causationId === undefined ? {} : { causationId }),
    ...(priority === undefined ? {} : { priority }),
  }
}

async function requireGroup(session: Session, group: string, letter: string): Promise<void> {
  if ((await session.definitions.group(group)) !== undefined) return
  throw new TreatyError('GROUP_NOT_FOUND', `the group '${group}' is not there any more`, {
    hint: 'Discard the dead letter, or start a process whose contract names the consumer.',
    details: { group, deadLetter: letter },
  })
}

/** Dead letters that are there, by group, consumer and event. */
export async function lettersBySubject({
  wire,
  places,
}: Session): Promise<Map<string, { readonly place: DeadPlace; count: number }>> {
  const rows = new Map<string, { readonly place: DeadPlace; count: number }>()
  const filter = places.deadFilter({ group: null, consumer: null })
  await scan(wire, places.deadStream, {
    filter,
    headersOnly: true,
    take(stored) {
      const place = deadPlaceOf(stored.subject)
      const row = rows.get(place.event) ?? { place, count: 0 }
      row.count += 1
      rows.set(place.event, row)
    },
  })
  return rows
}
