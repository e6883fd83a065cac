import { isTreatyError, TreatyError } from '../../../core/errors.ts'
import type { IncomingRecord, OutgoingRecord, PublishResult } from '../../transport.ts'
import { type Engine, type Turn, wholeMs } from './engine.ts'
import { positionOf } from './position.ts'
import { rowState } from './schema.ts'
import { chainOf, type Topic, type TopicSubscription, takes } from './topology-view.ts'

/** Headers of one record, in characters of their JSON: a bound of their own, beside the body's. */
const headersCharactersMax = 262_144
const priorityNormal = 1
const priorityMax = 3

/** What of a message decides how a group gets it. */
export interface Routed {
  readonly seq: number
  readonly type: string
  readonly priority: number
  readonly chain: string | null
  readonly expiresAt: number | null
  readonly deliverAt: number | null
}

/** A record in the form in which it is stored. */
interface Prepared {
  readonly headers: string
  readonly priority: number
  readonly expiresAt: number | null
  readonly deliverAt: number | null
}

/**
 * Everything about a record that can be refused, checked before anything is written.
 *
 * @throws MESSAGE_TOO_LARGE
 */
export function prepareRecord(engine: Engine, record: OutgoingRecord): Prepared {
  const bytes = record.body.byteLength
  if (bytes > engine.messageBytesMax) {
    throw tooLarge(record, `has a body of ${bytes} bytes`, engine.messageBytesMax)
  }
  const headers = JSON.stringify(record.headers)
  if (headers.length > headersCharactersMax) {
    throw tooLarge(record, `has headers of ${headers.length} characters`, headersCharactersMax)
  }
  const level = Math.trunc(record.priority ?? priorityNormal)
  return {
    headers,
    priority: Math.min(Math.max(level, 0), priorityMax),
    expiresAt: record.expiresAt === undefined ? null : wholeMs(record.expiresAt),
    deliverAt: record.deliverAt === undefined ? null : wholeMs(record.deliverAt),
  }
}

function tooLarge(record: OutgoingRecord, what: string, max: number): TreatyError {
  return new TreatyError(
    'MESSAGE_TOO_LARGE',
    `the message '${record.id}' ${what}, and ${max} are allowed`,
    {
      hint: 'Send a reference to the content instead of the content, or raise messageBytesMax.',
      details: { id: record.id, address: record.address, max },
    },
  )
}

/**
 * Stores one record and gives every group its delivery. Errors of the record itself are results.
 */
export function publishRecord(engine: Engine, turn: Turn, record: OutgoingRecord): PublishResult {
  try {
    return storeRecord(engine, turn, record, prepareRecord(engine, record))
  } catch (error) {
    if (isTreatyError(error) && error.code === 'MESSAGE_TOO_LARGE') {
      return { error: error as TreatyError }
    }
    throw error
  }
}

function storeRecord(
  engine: Engine,
  turn: Turn,
  record: OutgoingRecord,
  prepared: Prepared,
): PublishResult {
  const topic = engine.topology.topics.get(record.address)
  if (topic === undefined) {
    // Nobody listens and nothing is kept: the late reply to a requester that has gone ends here.
    engine.tally.add(record.type, null, 'published', 1)
    return { id: record.id, position: positionOf(takeSeq(turn)) }
  }
  const firstSeq = duplicateOf(engine, turn, { topic, record })
  if (firstSeq !== undefined) {
    return { id: record.id, position: positionOf(firstSeq), duplicate: true }
  }
  const seq = takeSeq(turn)
  engine.tally.add(record.type, null, 'published', 1)
  const position = positionOf(seq)
  const incoming: IncomingRecord = {
    ...record,
    priority: prepared.priority,
    position,
    publishedAt: turn.now,
  }
  const isWanted = route(engine, turn, {
    topic,
    routed: {
      seq,
      type: record.type,
      chain: chainOf(topic, record.key),
      ...prepared,
    },
  })
  if (isWanted || topic.retentionMs !== undefined) {
    insertLog(engine, { topic, seq, record: incoming, prepared, originSeq: null })
    if (topic.subscriptions.some(({ group }) => engine.local.all.has(group.name))) {
      turn.published.set(seq, incoming)
    }
  }
  return { id: record.id, position }
}

/** The next number of a message; taken for good when the turn commits. */
export function takeSeq(turn: Turn): number {
  const seq = turn.nextSeq
  turn.nextSeq += 1
  turn.isMetaTouched = true
  return seq
}

function duplicateOf(
  engine: Engine,
  turn: Turn,
  sent: { topic: Topic; record: OutgoingRecord },
): number | undefined {
  const { topic, record } = sent
  const windowMs = record.dedupWindowMs
  if (windowMs === undefined || windowMs <= 0) return undefined
  // One statement for what is new, which most is. The seq is that which it gets a moment later, in this same transaction.
  const until = wholeMs(turn.now + windowMs)
  const { changes } = engine.sql.writeDedup.run(topic.id, record.id, turn.nextSeq, until, turn.now)
  if (changes !== 0) return undefined
  const known = engine.sql.readDedup.get(topic.id, record.id, turn.now) as unknown as
    | readonly [number]
    | undefined
  return known?.[0]
}

/** Gives each group of the topic its delivery row. True: at least one has one. */
function route(engine: Engine, turn: Turn, sent: { topic: Topic; routed: Routed }): boolean {
  let isWanted = false
  for (const subscription of sent.topic.subscriptions) {
    if (insertDelivery(engine, turn, { subscription, routed: sent.routed })) isWanted = true
  }
  return isWanted
}

/**
 * One group's delivery row. False: the group does not take this type, and it was counted as
 * skipped.
 */
export function insertDelivery(
  engine: Engine,
  turn: Turn,
  sent: { subscription: TopicSubscription; routed: Routed },
): boolean {
  const { subscription, routed } = sent
  const { group } = subscription
  engine.tally.add(routed.type, group.consumer, 'deliveries', 1)
  if (!takes(subscription, routed.type)) {
    engine.tally.add(routed.type, group.consumer, 'skipped', 1)
    return false
  }
  engine.tally.add(routed.type, group.consumer, 'waiting', 1)
  const { seq, priority, chain, expiresAt, deliverAt } = routed
  if (expiresAt !== null) turn.isDueTouched = true
  const insert = engine.sql.insertDelivery
  if (deliverAt !== null && deliverAt > turn.now) {
    insert.run(group.id, seq, rowState.scheduled, priority, deliverAt, null, expiresAt)
    turn.isDueTouched = true
    return true
  }
  const state = firstState(engine, turn, { groupId: group.id, chain })
  insert.run(group.id, seq, state, priority, null, chain, expiresAt)
  return true
}

/** Ready, or blocked when the chain has a holder. */
export function firstState(
  engine: Engine,
  turn: Turn,
  row: { groupId: number; chain: string | null },
): number {
  const { groupId, chain } = row
  const isHeld = chain !== null && engine.sql.chainHolder.get(groupId, chain) !== undefined
  if (isHeld) return rowState.blocked
  turn.readied.add(groupId)
  return rowState.ready
}

/** Writes the message itself. `originSeq`: the message that a replay stands for. */
export function insertLog(
  engine: Engine,
  row: {
    topic: Topic
    seq: number
    record: IncomingRecord
    prepared: Prepared
    originSeq: number | null
  },
): void {
  const { topic, seq, record, prepared, originSeq } = row
  const isKept = topic.retentionMs !== undefined && originSeq === null
  engine.sql.insertLog.run(
    seq,
    topic.id,
    record.id,
    record.type,
    record.key ?? null,
    record.contentType,
    prepared.headers,
    prepared.priority,
    prepared.expiresAt,
    prepared.deliverAt,
    record.correlationId ?? null,
    record.causationId ?? null,
    record.publishedAt,
    record.body,
    isKept ? 1 : 0,
    originSeq,
  )
}
