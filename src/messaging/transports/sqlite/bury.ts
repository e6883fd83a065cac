import type { Failure, IncomingRecord } from '../../transport.ts'
import type { Engine, Turn } from './engine.ts'
import { rowState } from './schema.ts'
import type { Group, Topic } from './topology-view.ts'

/** A delivery row that comes to its end. */
export interface EndingRow {
  readonly group: Group
  readonly topicId: number
  readonly seq: number
  readonly chain: string | null
  /** True where the row holds its chain; a blocked one holds nobody up. */
  readonly isHolder: boolean
  readonly record: IncomingRecord
  readonly firstFailedAt: number | null
}

/**
 * After the row was deleted: counts it, lets the message go if nobody needs it, and the next of
 * its chain come.
 */
export function finishRow(
  engine: Engine,
  turn: Turn,
  ended: { row: EndingRow; as: 'handled' | 'skipped' | 'dead' | 'expired' },
): void {
  const { row, as } = ended
  const { group, topicId, seq, chain, record } = row
  engine.tally.add(record.type, group.consumer, as, 1)
  engine.tally.add(record.type, group.consumer, 'waiting', -1)
  trimLog(engine, { topicId, seq })
  if (chain !== null && row.isHolder) promoteNext(engine, turn, { groupId: group.id, chain })
}

/**
 * Deletes the message when no group has work left with it and its channel keeps nothing.
 * `isShared`: another group may need it, whatever the topology says.
 */
export function trimLog(
  engine: Engine,
  message: { topicId: number; seq: number; isShared?: boolean },
): void {
  const { topicId, seq, isShared = false } = message
  engine.records.delete(seq)
  const topic = engine.topology.topicsById.get(topicId)
  if (!isShared && isSingleGroup(topic)) engine.sql.deleteLog.run(seq)
  else engine.sql.deleteLogUnlessNeeded.run(seq, topicId)
}

function isSingleGroup(topic: Topic | undefined): boolean {
  return topic !== undefined && topic.subscriptions.length === 1
}

/**
 * The chain has lost its holder: its first row is next, unless that one is dead and waits for a
 * person.
 */
export function promoteNext(
  engine: Engine,
  turn: Turn,
  at: { groupId: number; chain: string },
): void {
  const head = readHead(engine, at)
  if (head === undefined || head[1] !== rowState.blocked) return
  engine.sql.makeReady.run(at.groupId, head[0])
  turn.readied.add(at.groupId)
}

/**
 * As {@link promoteNext}, where it is not known whether the chain has a holder: a dead row in its
 * midst was replayed or discarded.
 */
export function resumeChain(
  engine: Engine,
  turn: Turn,
  at: { groupId: number; chain: string },
): void {
  const head = readHead(engine, at)
  if (head === undefined || head[1] !== rowState.blocked) return
  const holder = engine.file
    .prepare(
      `SELECT 1 FROM bus_delivery INDEXED BY bus_delivery_chain
       WHERE grp = ? AND chain = ? AND chain IS NOT NULL
       AND state IN (${rowState.ready}, ${rowState.leased}, ${rowState.delayed}) LIMIT 1`,
    )
    .get(at.groupId, at.chain)
  if (holder === undefined) promoteNext(engine, turn, at)
}

function readHead(
  engine: Engine,
  at: { groupId: number; chain: string },
): readonly [seq: number, state: number] | undefined {
  return engine.sql.chainHead.get(at.groupId, at.chain) as unknown as
    | readonly [number, number]
    | undefined
}

/** Moves a message to the dead letters of its consumer, in the same transaction. */
export function bury(
  engine: Engine,
  turn: Turn,
  given: {
    row: EndingRow
    failure: Failure
    as: 'dead' | 'expired'
    /** Attempts of the handler, the failed last one included. */
    attempts: number
  },
): void {
  const { row, failure, as, attempts } = given
  const { group, record } = row
  writeDead(engine, {
    letter: {
      messageId: record.id,
      event: record.type,
      consumer: group.consumer,
      group: group.name,
      attempts,
      firstFailedAt: row.firstFailedAt ?? turn.now,
      failedAt: turn.now,
      address: record.address,
    },
    record,
    failure,
    groupId: group.id,
    seq: row.seq,
    countedAs: as,
  })
  if (group.onDead === 'block' && row.chain !== null) {
    engine.tally.add(record.type, group.consumer, as, 1)
    engine.tally.add(record.type, group.consumer, 'waiting', -1)
    engine.sql.keepAsDead.run(group.id, row.seq)
    return
  }
  engine.sql.deleteDelivery.run(group.id, row.seq)
  finishRow(engine, turn, { row, as })
}

/** What a dead letter says beside the message and the failure. */
export interface LetterHead {
  readonly messageId: string
  readonly event: string
  readonly consumer: string | null
  readonly group: string | null
  readonly attempts: number
  readonly firstFailedAt: number
  readonly failedAt: number
  readonly address: string
}

/** The bytes of a dead letter and what is needed to publish them again. */
export type LetterBody = Pick<IncomingRecord, 'body' | 'headers' | 'contentType'> &
  Partial<IncomingRecord>

/** Writes one dead letter; the new letter's id. */
export function writeDead(
  engine: Engine,
  given: {
    letter: LetterHead
    record: LetterBody
    failure: Failure
    groupId: number | null
    seq: number | null
    countedAs: 'dead' | 'expired'
  },
): string {
  const { letter, record, failure, groupId, seq, countedAs } = given
  const id = engine.newId()
  const { reason, stack, ...rest } = failure
  const { lastInsertRowid } = engine.file
    .prepare(
      `INSERT INTO bus_dead (id, grp, group_name, consumer, event, message_id, reason, attempts,
         first_failed_at, failed_at, address, seq, key, correlation_id, content_type, counted, failure)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      id,
      groupId,
      letter.group,
      letter.consumer,
      letter.event,
      letter.messageId,
      reason,
      letter.attempts,
      Math.trunc(letter.firstFailedAt),
      Math.trunc(letter.failedAt),
      letter.address,
      seq,
      record.key ?? null,
      record.correlationId ?? null,
      record.contentType,
      countedAs,
      JSON.stringify(rest),
    )
  engine.file
    .prepare(
      `INSERT INTO bus_dead_body (no, headers, priority, causation_id, published_at, stack, body)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      lastInsertRowid,
      JSON.stringify(record.headers),
      record.priority ?? 1,
      record.causationId ?? null,
      record.publishedAt ?? null,
      stack ?? null,
      record.body,
    )
  return id
}
