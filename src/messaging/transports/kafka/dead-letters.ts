import { randomUUID } from 'node:crypto'
import { TreatyError } from '../../../core/errors.ts'
import { laneOf } from '../../lanes/share.ts'
import type { DeadLetter, DeadLetterStore, OutgoingRecord } from '../../transport.ts'
import type { DeadIndex, Filed } from './dead-index.ts'
import { refusedRetentionMs } from './dead-index.ts'
import {
  type Asked,
  type DeadRecord,
  encodeDead,
  factsOf,
  letterId,
  letterOf,
} from './dead-record.ts'
import { headersOf, keyOf, marks } from './messages.ts'
import { type Place, parsePosition } from './names.ts'
import type { Appended, Producer } from './producer.ts'
import { offsetsOf } from './reader.ts'
import { compactedConfigs, type KnownChannel, type Registry } from './registry.ts'
import { createTopics } from './topics.ts'
import type { Wire } from './wire.ts'

/** Letters of one page at most. */
const pageMax = 1000

export interface DeadLetterOptions {
  readonly wire: Wire
  readonly producer: Producer
  readonly registry: Registry
  readonly index: DeadIndex
}

/** Settings of a topic of dead letters: the newest record of each, for as long as the contract says. */
export function deadConfigs(retentionMs: number): Record<string, string> {
  return {
    ...compactedConfigs,
    'cleanup.policy': 'compact,delete',
    'retention.ms': String(Math.trunc(retentionMs)),
  }
}

/** Dead letters in topics of their own, from any process; listed in the order in which they died. */
export function createDeadLetters(options: DeadLetterOptions): DeadLetterStore {
  const { index } = options
  return {
    async list(filter, { limit, cursor }) {
      const after = parseCursor(cursor)
      await index.refresh()
      const most = Math.min(Math.max(1, Math.trunc(limit)), pageMax)
      const all = index.list(filter)
      const rest = after === undefined ? all : all.filter((filed) => isBehind(filed, after))
      const page = rest.slice(0, most)
      const items = page.map(({ summary }) => summary)
      const last = page.at(-1)
      if (rest.length <= most || last === undefined) return { items }
      return { items, next: `${last.summary.failedAt}~${last.id}` }
    },
    async get(id) {
      await index.refresh()
      const filed = index.find(id)
      const dead = filed && (await index.read(filed))
      return dead && letterOf(dead)
    },
    async count(filter) {
      await index.refresh()
      return index.list(filter).length
    },
    async replay(id) {
      const found = await find(options, id)
      if (found === undefined) return false
      await replay(options, found.filed, found.dead)
      return true
    },
    async discard(id) {
      const found = await find(options, id)
      if (found === undefined) return false
      const { filed, dead } = found
      if (isHeld(options, filed)) await ask(options, { filed, dead, asked: { how: 'discard' } })
      else await options.producer.appendAll([tombstone(filed)])
      return true
    },
    put: (letter) => put(options, letter),
  }
}

export function tombstone({ topic, id }: { topic: string; id: string }): Appended {
  return { topic, partition: 0, key: Buffer.from(id), value: null, headers: new Map() }
}

interface Cursor {
  readonly failedAt: number
  readonly id: string
}

function parseCursor(cursor: string | undefined): Cursor | undefined {
  if (cursor === undefined) return undefined
  const parts = /^(\d{1,16})~([\w-]+)$/.exec(cursor)
  if (parts !== null) return { failedAt: Number(parts[1]), id: parts[2] as string }
  throw new TreatyError('CURSOR_INVALID', `the cursor '${cursor}' is not one that was given out`, {
    hint: 'Give back next of the page before, unchanged.',
  })
}

function isBehind({ id, summary }: Filed, cursor: Cursor): boolean {
  if (summary.failedAt !== cursor.failedAt) return summary.failedAt > cursor.failedAt
  return id > cursor.id
}

async function find(
  { index }: DeadLetterOptions,
  id: string,
): Promise<{ filed: Filed; dead: DeadRecord } | undefined> {
  await index.refresh()
  const filed = index.find(id)
  const dead = filed && (await index.read(filed))
  return filed === undefined || dead === undefined ? undefined : { filed, dead }
}

/** The lane's owner has to let its key go on. */
function isHeld({ registry }: DeadLetterOptions, { summary, facts }: Filed): boolean {
  return facts.isBlocked === true && registry.group(summary.group ?? '') !== undefined
}

/** Writes what is to be done into the letter itself. */
async function ask(
  { producer }: DeadLetterOptions,
  { filed, dead, asked }: { filed: Filed; dead: DeadRecord; asked: Asked },
): Promise<void> {
  const { value, headers } = encodeDead(dead.message, dead.facts, asked)
  await producer.appendAll([
    { topic: filed.topic, partition: 0, key: Buffer.from(filed.id), value, headers },
  ])
}

async function replay(options: DeadLetterOptions, filed: Filed, dead: DeadRecord): Promise<void> {
  const { registry, producer, index } = options
  const { group, address } = dead.facts
  if (group !== null && registry.group(group) === undefined) {
    throw new TreatyError('GROUP_NOT_FOUND', `the group '${group}' is not there any more`, {
      hint: 'Discard the dead letter, or start a process whose contract names the consumer.',
      details: { group, deadLetter: filed.id },
    })
  }
  if (isHeld(options, filed)) {
    await ask(options, { filed, dead, asked: { how: 'replay' } })
    return
  }
  const channel = registry.channel(address)
  if (channel === undefined) {
    throw new TreatyError('CHANNEL_NOT_FOUND', `the channel '${address}' is not there`, {
      hint: 'Start a process whose contract names the channel, then replay again.',
      details: { address, deadLetter: filed.id },
    })
  }
  const place = placeFor(channel, dead)
  index.ours.add(filed.id)
  try {
    // Whoever finds this record knows where to look for the replay, should we die between the two.
    const from =
      (await offsetsOf(options.wire, [place])).get(`${place.topic}#${place.partition}`) ?? 0
    const asked: Asked = { how: 'replaying', partition: place.partition, from }
    await ask(options, { filed, dead, asked })
    await producer.appendAll([replayRecord(place, filed, dead)])
    await producer.appendAll([tombstone(filed)])
  } finally {
    index.ours.delete(filed.id)
  }
}

/** At the end of the lane it died in, or of the one that its key has. */
function placeFor(channel: KnownChannel, { facts, message }: DeadRecord): Place {
  const was = parsePosition(facts.position ?? '')
  if (was !== undefined) return { topic: channel.topic, partition: was.partition }
  const key = channel.ordering === 'per-channel' ? '' : (message.key ?? message.id)
  return { topic: channel.topic, partition: laneOf(key, channel.lanes) }
}

/** The message as it was, for its group alone; what held it back or let it expire is over. */
function replayRecord(place: Place, { id }: Filed, { facts, message }: DeadRecord): Appended {
  const { expiresAt, deliverAt, ...lasting } = message
  const headers = headersOf(lasting)
  headers.set(marks.replayOf, id)
  if (facts.group !== null) {
    headers.set(marks.to, facts.group)
    headers.set(marks.counted, facts.counted)
  }
  return { ...place, ...keyOf(message), value: Buffer.from(message.body), headers }
}

async function put(options: DeadLetterOptions, letter: Omit<DeadLetter, 'id'>): Promise<string> {
  const { wire, producer, registry, index } = options
  // Bytes that come again under their id are one letter; other bytes are another.
  const same = [letter.messageId, letter.event, letter.reason, letter.body]
  const id = letterId(letter.consumer === null ? same : [...same, randomUUID()])
  const topic = index.topicFor(letter.group)
  await registry.refresh()
  if (!(await wire.topics([topic])).has(topic)) {
    const wish = { name: topic, partitions: 1, configs: deadConfigs(refusedRetentionMs) }
    await createTopics(wire, [wish])
  }
  await index.refresh()
  if (index.find(id) !== undefined) return id
  const { position, ...facts } = factsOf(letter, 'dead')
  const { value, headers } = encodeDead(messageOfLetter(letter), facts)
  await producer.appendAll([{ topic, partition: 0, key: Buffer.from(id), value, headers }])
  return id
}

function messageOfLetter(letter: Omit<DeadLetter, 'id'>): OutgoingRecord {
  const { messageId, event, address, body, headers, contentType, key, correlationId } = letter
  return {
    id: messageId,
    type: event,
    address,
    body,
    headers,
    contentType,
    ...(key === undefined ? {} : { key }),
    ...(correlationId === undefined ? {} : { correlationId }),
  }
}
