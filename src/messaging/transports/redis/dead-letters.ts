import { createHash } from 'node:crypto'
import { TreatyError } from '../../../core/errors.ts'
import type {
  DeadFilter,
  DeadLetter,
  DeadLetterStore,
  DeadLetterSummary,
  Page,
} from '../../transport.ts'
import { discardScript, getLetterScript, putLetterScript, replayScript } from './dead-scripts.ts'
import {
  comboOf,
  letterIdOf,
  letterOfParts,
  placeOfLetter,
  rowOf,
  scoreOf,
  summaryOf,
} from './letters.ts'
import { hashOf } from './publish.ts'
import { fieldsOf } from './records.ts'
import type { Reply } from './resp.ts'
import type { Session } from './session.ts'

/** Letters of one page at most. */
const pageMax = 1000
/** Letters without a consumer have no contract that says how long they are kept. */
const refusedRetentionMs = 30 * 86_400_000

/** One sorted set of letters that a filter reaches. */
interface Shelf {
  readonly address: string
  readonly key: string
}
interface Found {
  readonly address: string
  readonly id: string
  readonly score: number
}

/** Dead letters in Redis; listed in the order in which they died. */
export function createDeadLetters(session: Session): DeadLetterStore {
  const { link, names } = session
  return {
    list: (filter, page) => list(session, filter, page),
    async get(id) {
      const place = placeOfLetter(id)
      if (place === undefined) return undefined
      const parts = await link.ask(() => link.run(getLetterScript, names.base(place.address), [id]))
      return (parts as readonly Reply[]).length === 0
        ? undefined
        : letterOfParts(parts as readonly Reply[])
    },
    replay: (id) => replay(session, id),
    async discard(id) {
      const place = placeOfLetter(id)
      if (place === undefined) return false
      const args = [id, place.group, place.lane ?? '', place.entry]
      return (await link.ask(() => link.run(discardScript, names.base(place.address), args))) === 1
    },
    async count(filter) {
      const shelves = await shelvesOf(session, filter)
      const [least, most] = rangeOf(filter)
      const counts = await Promise.all(
        shelves.map(({ key }) => link.ask(() => link.call('ZCOUNT', key, least, most))),
      )
      return counts.reduce<number>((sum, count) => sum + Number(count), 0)
    },
    put: (letter) => put(session, letter),
  }
}

function rangeOf({ failedAfter, failedBefore }: DeadFilter): [string, string] {
  return [
    failedAfter === undefined ? '-inf' : scoreOf(Math.ceil(failedAfter), 0),
    failedBefore === undefined ? '+inf' : scoreOf(Math.floor(failedBefore), 4095),
  ]
}

async function shelvesOf(session: Session, filter: DeadFilter): Promise<Shelf[]> {
  const { link, names } = session
  const addresses = (await link.ask(() =>
    link.call('SMEMBERS', names.addresses),
  )) as readonly Reply[]
  const shelves = await Promise.all(
    addresses.map(async (each) => {
      const address = String(each)
      const combos = (await link.ask(() =>
        link.call('SMEMBERS', names.combos(address)),
      )) as readonly Reply[]
      return combos.flatMap((combo) => {
        const [consumer, event, reason] = JSON.parse(String(combo)) as (string | null)[]
        const fits =
          (filter.consumer === undefined || filter.consumer === consumer) &&
          (filter.event === undefined || filter.event === event) &&
          (filter.reason === undefined || filter.reason === reason)
        return fits ? [{ address, key: names.dead(address, String(combo)) }] : []
      })
    }),
  )
  return shelves.flat()
}

/** A cursor is the score and the id of the last letter of the page before. */
function parseCursor(cursor: string | undefined): { score: number; id: string } | undefined {
  if (cursor === undefined) return undefined
  const [, score, id = ''] = /^(\d{1,16}) (.*)$/s.exec(cursor) ?? []
  if (score !== undefined) return { score: Number(score), id }
  throw new TreatyError('CURSOR_INVALID', `the cursor '${cursor}' is not one that was given out`, {
    hint: 'Give back next of the page before, unchanged.',
  })
}

function compare(one: Pick<Found, 'score' | 'id'>, other: Pick<Found, 'score' | 'id'>): number {
  if (one.score !== other.score) return one.score - other.score
  return one.id < other.id ? -1 : one.id > other.id ? 1 : 0
}

async function list(
  session: Session,
  filter: DeadFilter,
  { limit, cursor }: { limit: number; cursor?: string },
): Promise<Page<DeadLetterSummary>> {
  const { link } = session
  const most = Math.min(Math.max(1, Math.trunc(limit)), pageMax)
  const after = parseCursor(cursor)
  const [least, last] = rangeOf(filter)
  const from =
    after === undefined
      ? least
      : String(Math.max(after.score, least === '-inf' ? 0 : Number(least)))
  const shelves = await shelvesOf(session, filter)
  const found = await Promise.all(
    shelves.map(async ({ address, key }) => {
      // Equal scores are rare; those before the cursor are left out below.
      const reply = (await link.ask(() =>
        link.call('ZRANGE', key, from, last, 'BYSCORE', 'LIMIT', 0, most + 16, 'WITHSCORES'),
      )) as readonly Reply[]
      const letters: Found[] = []
      for (let at = 0; at + 1 < reply.length; at += 2) {
        letters.push({ address, id: String(reply[at]), score: Number(reply[at + 1]) })
      }
      return letters
    }),
  )
  const sorted = found
    .flat()
    .filter((each) => after === undefined || compare(each, after) > 0)
    .sort(compare)
  const page = sorted.slice(0, most)
  const items = await rowsOf(session, page)
  const end = page.at(-1)
  return sorted.length > most && end !== undefined
    ? { items, next: `${end.score} ${end.id}` }
    : { items }
}

async function rowsOf(
  { link, names }: Session,
  letters: readonly Found[],
): Promise<DeadLetterSummary[]> {
  const summaries = new Map<string, DeadLetterSummary>()
  await Promise.all(
    [...Map.groupBy(letters, ({ address }) => address)].map(async ([address, own]) => {
      const ids = own.map(({ id }) => id)
      const rows = await link.ask(() => link.call('HMGET', names.letters(address), ...ids))
      for (const row of rows as readonly Reply[]) {
        const summary = summaryOf(row)
        if (summary !== undefined) summaries.set(summary.id, summary)
      }
    }),
  )
  return letters.flatMap(({ id }) => summaries.get(id) ?? [])
}

async function replay(session: Session, id: string): Promise<boolean> {
  const { link, names } = session
  const place = placeOfLetter(id)
  if (place === undefined) return false
  const { address, group, lane, entry } = place
  const key = await keyOf(session, id, address)
  const answer = await link.ask(() =>
    link.run(replayScript, names.base(address), [
      id,
      group,
      lane ?? '',
      entry,
      key === undefined ? Math.floor(session.random() * 2 ** 32) : hashOf(key),
      key === undefined ? '0' : '1',
    ]),
  )
  if (answer === -1) {
    throw new TreatyError('GROUP_NOT_FOUND', `the group '${group}' is not there any more`, {
      hint: 'Discard the dead letter, or start a process whose contract names the consumer.',
      details: { group, deadLetter: id },
    })
  }
  if (answer === -2) {
    throw new TreatyError('CHANNEL_NOT_FOUND', `the channel '${address}' is not there`, {
      hint: 'Start a process whose contract names the channel, then replay again.',
      details: { address, deadLetter: id },
    })
  }
  return answer === 1
}

async function keyOf(session: Session, id: string, address: string): Promise<string | undefined> {
  const { link, names } = session
  return summaryOf(await link.ask(() => link.call('HGET', names.letters(address), id)))?.key
}

async function put(session: Session, letter: Omit<DeadLetter, 'id'>): Promise<string> {
  const { link, names } = session
  const { address } = letter
  // Bytes that come again under their id are one letter; other bytes are another: nothing that came may be lost.
  const digest = createHash('sha256')
    .update(JSON.stringify([letter.messageId, letter.event, letter.reason, letter.consumer]))
    .update(letter.body)
    .digest('base64url')
    .slice(0, 22)
  const isOnce = letter.consumer === null
  const entry = isOnce
    ? digest
    : `${digest}-${session.id}-${Math.floor(session.random() * 2 ** 32)}`
  const id = letterIdOf({ address, group: letter.group ?? '', entry })
  const row = rowOf({ ...letter, id }, { entry, counted: 'dead', retentionMs: refusedRetentionMs })
  const fields = fieldsOf({
    id: letter.messageId,
    type: letter.event,
    address,
    body: letter.body,
    headers: letter.headers,
    contentType: letter.contentType,
    ...(letter.key === undefined ? {} : { key: letter.key }),
    ...(letter.correlationId === undefined ? {} : { correlationId: letter.correlationId }),
  })
  await link.ask(() => link.call('SADD', names.addresses, address))
  const args = [id, row.score, comboOf(letter), row.summary, row.more, row.until]
  await link.ask(() =>
    link.run(putLetterScript, names.base(address), [
      ...args,
      letter.event,
      letter.group ?? '',
      ...fields,
    ]),
  )
  return id
}
