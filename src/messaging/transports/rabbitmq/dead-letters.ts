import { randomUUID } from 'node:crypto'
import { TreatyError } from '../../../core/errors.ts'
import type { DeadFilter, DeadLetter, DeadLetterStore, DeadLetterSummary } from '../../transport.ts'
import type { GroupDefinition } from './catalogue.ts'
import { fromMessage, groupDigest, recordOf, type StoredLetter, toMessage } from './letters.ts'
import {
  channelNotFound,
  replayToLane,
  rollForward,
  type ShelvedLetter,
  sendOrder,
} from './replay.ts'
import type { Session } from './session.ts'
import type { OpenShelf } from './shelf.ts'

/** Letters of one page at most. */
const pageMax = 1000
/** How long what was refused before it had a consumer is kept. */
const refusedRetentionMs = 30 * 86_400_000

/** Dead letters on shelves, one for each group and one for what was refused; listed in the order in which they died. */
export function createDeadLetters(session: Session): DeadLetterStore {
  return {
    async list(filter, { limit, cursor }) {
      const most = Math.min(Math.max(1, Math.trunc(limit)), pageMax)
      const after = parseCursor(cursor)
      const letters = (await summaries(session, filter)).sort(byDeath)
      const rest = letters.filter((letter) => after === undefined || byDeath(letter, after) > 0)
      const items = rest.slice(0, most)
      const last = items.at(-1)
      if (rest.length <= most || last === undefined) return { items }
      return { items, next: `${last.failedAt}.${last.id}` }
    },
    get: (id) => onLetter(session, id, async (_open, { letter }) => letter),
    async replay(id) {
      const done = await onLetter(session, id, async (open, found, group) => {
        if (group === undefined) await publishAnew(session, found)
        else await replayToLane(session, open, { ...found, group })
        open.take(found.message)
        return true
      })
      return done ?? false
    },
    async discard(id) {
      const done = await onLetter(session, id, async (open, found, group) => {
        if (found.origin.isBlocked === true && group !== undefined) {
          await sendOrder(session, open, { found, how: 'discard', group: group.name })
        }
        open.take(found.message)
        return true
      })
      return done ?? false
    },
    async count(filter) {
      return (await summaries(session, filter)).length
    },
    put: (letter) => put(session, letter),
  }
}

async function groupsFor(session: Session, id: string): Promise<readonly GroupDefinition[]> {
  const digest = id.slice(0, 8)
  const matching = async (maxAgeMs?: number) => {
    const { groups } = await session.catalogue.read(maxAgeMs)
    return [...groups.values()].filter(({ name }) => groupDigest(name) === digest)
  }
  const known = await matching()
  return known.length > 0 ? known : matching(0)
}

/** Runs `work` with the letter while nobody else can touch it; undefined: there is none of that id. */
async function onLetter<Result>(
  session: Session,
  id: string,
  work: (open: OpenShelf, found: ShelvedLetter, group?: GroupDefinition) => Promise<Result>,
): Promise<Result | undefined> {
  const isRefused = id.startsWith(groupDigest(null))
  const groups = isRefused ? [undefined] : await groupsFor(session, id)
  for (const group of groups) {
    const result = await session.lettersOf(group?.name ?? null).use(async (open) => {
      const letters = await lettersOn(session, open, group)
      const found = letters.find(({ letter }) => letter.id === id)
      return found === undefined ? undefined : { value: await work(open, found, group) }
    })
    if (result !== undefined) return result.value
  }
  return undefined
}

/** What is on a shelf, each letter once; those whose time has passed go, and replays that were cut short are finished. */
async function lettersOn(
  session: Session,
  open: OpenShelf,
  group: GroupDefinition | undefined,
): Promise<readonly ShelvedLetter[]> {
  const retentionMs = group?.deadLetter.retentionMs ?? refusedRetentionMs
  const oldest = session.clock.now() - retentionMs
  const letters = new Map<string, ShelvedLetter>()
  for (const message of open.messages) {
    const stored = fromMessage(message)
    if (stored === undefined) continue
    const { id, failedAt } = stored.letter
    // Under onDead: block it holds a key, and time must not let that go.
    const isPast = failedAt < oldest && stored.origin.isBlocked !== true
    if (isPast || letters.has(id)) open.take(message)
    else letters.set(id, { ...stored, message })
  }
  if (group !== undefined) await rollForward(session, open, { group, letters })
  return [...letters.values()]
}

async function summaries(session: Session, filter: DeadFilter): Promise<DeadLetterSummary[]> {
  const { groups } = await session.catalogue.read()
  const { consumer } = filter
  const asked = [...groups.values()].filter(
    (group) => (consumer ?? group.consumer) === group.consumer,
  )
  const shelves = consumer === undefined ? [undefined, ...asked] : asked
  const found = await Promise.all(
    shelves.map((group) =>
      session.lettersOf(group?.name ?? null).use(async (open) => {
        const letters = await lettersOn(session, open, group)
        return letters.map(({ letter }) => letter).filter((letter) => isAsked(letter, filter))
      }),
    ),
  )
  return found.flat().map(summaryOf)
}

function isAsked(letter: DeadLetter, filter: DeadFilter): boolean {
  const { event, reason, consumer, failedAfter, failedBefore } = filter
  return (
    (event ?? letter.event) === letter.event &&
    (reason ?? letter.reason) === letter.reason &&
    (consumer ?? letter.consumer) === letter.consumer &&
    letter.failedAt >= (failedAfter ?? Number.NEGATIVE_INFINITY) &&
    letter.failedAt <= (failedBefore ?? Number.POSITIVE_INFINITY)
  )
}

function summaryOf(letter: DeadLetter): DeadLetterSummary {
  const { body: _body, headers: _headers, stack: _stack, ...summary } = letter
  return summary
}

type Place = Pick<DeadLetterSummary, 'failedAt' | 'id'>

function byDeath(one: Place, two: Place): number {
  if (one.failedAt !== two.failedAt) return one.failedAt - two.failedAt
  return one.id < two.id ? -1 : Number(one.id > two.id)
}

/** @throws CURSOR_INVALID */
function parseCursor(cursor: string | undefined): Place | undefined {
  if (cursor === undefined) return undefined
  const parts = /^(\d+)\.(.+)$/.exec(cursor)
  if (parts !== null) return { failedAt: Number(parts[1]), id: String(parts[2]) }
  throw new TreatyError('CURSOR_INVALID', `the cursor '${cursor}' is not one that was given out`, {
    hint: 'Give back next of the page before, unchanged.',
  })
}

/** Refused before it reached a consumer, so it reaches them all now, as if it had just been sent. */
async function publishAnew(session: Session, stored: StoredLetter): Promise<void> {
  const { letter } = stored
  const { channels } = await session.catalogue.read(0)
  if (!channels.has(letter.address)) throw channelNotFound(letter)
  const [result] = await session.publisher.publish([recordOf(stored)])
  if (result !== undefined && 'error' in result) throw result.error
  session.refusals.add('dead', letter.event, -1)
  await session.refusals.flush()
}

async function put(session: Session, letter: Omit<DeadLetter, 'id'>): Promise<string> {
  const { group, consumer } = letter
  const added = await session.lettersOf(group).use(async (open) => {
    // Bytes that come again under their id are one letter; other bytes are another: nothing that came may be lost.
    const known = (await lettersOn(session, open, undefined)).find(
      ({ letter: other }) =>
        consumer === null &&
        other.consumer === null &&
        other.messageId === letter.messageId &&
        other.event === letter.event &&
        other.reason === letter.reason &&
        Buffer.compare(other.body, letter.body) === 0,
    )
    if (known !== undefined) return { id: known.letter.id, isNew: false }
    const id = `${groupDigest(group)}${randomUUID().replaceAll('-', '').slice(0, 24)}`
    const { content, options } = toMessage({ letter: { ...letter, id }, origin: {} })
    await open.add(content, options)
    return { id, isNew: true }
  })
  if (added.isNew && consumer === null) {
    session.refusals.add('dead', letter.event, 1)
    await session.refusals.flush()
  }
  return added.id
}
