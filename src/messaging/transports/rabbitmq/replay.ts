import { randomBytes } from 'node:crypto'
import type { ConsumeMessage } from 'amqplib'
import { TreatyError } from '../../../core/errors.ts'
import { laneOf } from '../../lanes/share.ts'
import type { DeadLetter } from '../../transport.ts'
import { inspect } from './bulk.ts'
import type { GroupDefinition } from './catalogue.ts'
import { recordOf, type StoredLetter } from './letters.ts'
import type { Session } from './session.ts'
import type { OpenShelf } from './shelf.ts'
import { ownHeaders, toWire } from './wire.ts'

const intentHeader = 'treaty-replaying'

/** A letter and the message that it is in. */
export interface ShelvedLetter extends StoredLetter {
  readonly message: ConsumeMessage
}

/**
 * Brings a letter back to its lane: in place where it still holds its key, else at the tail. Three steps, so that a process that dies between them
 * leaves no doubt: the intent stands on the shelf, the message stands in the lane, the letter goes. Whoever opens the
 * shelf next does the rest again; the owner of the lane knows a second message of the same letter as a copy.
 */
export async function replayToLane(
  session: Session,
  open: OpenShelf,
  found: ShelvedLetter & { readonly group: GroupDefinition },
): Promise<void> {
  const { group, letter, origin } = found
  if (group.isRemoved === true) throw groupNotFound(found)
  if (origin.isBlocked === true) {
    await sendOrder(session, open, { found, how: 'replay', group: group.name })
    return
  }
  const queue = await laneFor(session, found)
  await open.add(Buffer.alloc(0), { headers: { [intentHeader]: letter.id } })
  await sendToLane(session, open, { found, queue })
  for (const intent of intentsOf(open)) if (intent.id === letter.id) open.take(intent.message)
}

function groupNotFound({ group, letter }: ShelvedLetter & { group: GroupDefinition }): TreatyError {
  return new TreatyError('GROUP_NOT_FOUND', `the group '${group.name}' is not there any more`, {
    hint: 'Discard the dead letter, or start a process whose contract names the consumer.',
    details: { group: group.name, deadLetter: letter.id },
  })
}

/** The queue of its lane. What has no key goes back to the lane that it died in. @throws CHANNEL_NOT_FOUND */
async function laneFor(
  { catalogue, names, control }: Session,
  { letter, origin, group }: ShelvedLetter & { readonly group: GroupDefinition },
): Promise<string> {
  const channel = (await catalogue.read()).channels.get(letter.address)
  if (channel === undefined) throw channelNotFound(letter)
  const { ordering, lanes } = channel
  const keyed = letter.key === undefined ? (origin.lane ?? 0) % lanes : laneOf(letter.key, lanes)
  const queue = names.lane(group.name, letter.address, ordering === 'per-channel' ? 0 : keyed)
  // What is sent to a queue that is not there is confirmed, and gone.
  if (!(await inspect(control, [queue])).has(queue)) throw channelNotFound(letter)
  return queue
}

async function sendToLane(
  { clock }: Session,
  open: OpenShelf,
  { found, queue }: { found: ShelvedLetter; queue: string },
): Promise<void> {
  const { letter, origin } = found
  const { content, options } = toWire(recordOf(found), {
    [ownHeaders.place]: `${randomBytes(6).toString('base64url')}.r`,
    [ownHeaders.at]: String(Math.trunc(clock.now())),
    [ownHeaders.replay]: letter.id,
    [ownHeaders.replayAs]: origin.countedAs ?? 'dead',
  })
  await open.send(queue, content, options)
}

/** Finishes replays that were begun and cut short. */
export async function rollForward(
  session: Session,
  open: OpenShelf,
  { group, letters }: { group: GroupDefinition; letters: Map<string, ShelvedLetter> },
): Promise<void> {
  for (const { id, message } of intentsOf(open)) {
    const found = letters.get(id)
    // Where its lane is gone meanwhile the letter stays.
    const queue = found && (await laneFor(session, { ...found, group }).catch(() => undefined))
    if (found !== undefined && queue !== undefined) {
      await sendToLane(session, open, { found, queue })
      open.take(found.message)
      letters.delete(id)
    }
    open.take(message)
  }
}

function intentsOf(open: OpenShelf): { id: string; message: ConsumeMessage }[] {
  return open.messages.flatMap((message) => {
    const id: unknown = message.properties.headers?.[intentHeader]
    return typeof id === 'string' ? [{ id, message }] : []
  })
}

/** Tells the owner of the lane, whoever that is or will be, what becomes of a message that holds its key. */
export async function sendOrder(
  { names }: Session,
  open: OpenShelf,
  { found, how, group }: { found: StoredLetter; how: 'replay' | 'discard'; group: string },
): Promise<void> {
  const { lane = 0, entry = '' } = found.origin
  const queue = names.journal(group, found.letter.address, lane)
  const order = { kind: 'order', entry, how }
  await open.send(queue, Buffer.from(JSON.stringify(order)), { persistent: true })
}

export function channelNotFound({ address, id }: DeadLetter): TreatyError {
  return new TreatyError('CHANNEL_NOT_FOUND', `the channel '${address}' is not there`, {
    hint: 'Start a process whose contract names the channel, then replay again.',
    details: { address, deadLetter: id },
  })
}
