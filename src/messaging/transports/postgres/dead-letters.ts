import { TreatyError } from '../../../core/errors.ts'
import type { Query, Row } from '../../../store/index.ts'
import type {
  DeadFilter,
  DeadLetter,
  DeadLetterStore,
  DeadLetterSummary,
  Failure,
  OutgoingRecord,
} from '../../transport.ts'
import { positionOf } from '../sqlite/position.ts'
import { parseHeaders } from '../sqlite/records.ts'
import { arrivalSql } from './leases.ts'
import { lockOf } from './locks.ts'
import { levelOf, publishArguments } from './records.ts'
import { type Session, shardOf } from './session.ts'
import { publishSql } from './settle.ts'

/** Letters of one page at most. */
const pageMax = 1000

/** Dead letters in the database; listed in the order in which they died. */
export function createDeadLetters(session: Session): DeadLetterStore {
  const { access, schema } = session
  const table = `${schema}.bus_dead`
  return {
    async list(filter, { limit, cursor }) {
      const most = Math.min(Math.max(1, Math.trunc(limit)), pageMax)
      const { where, values } = conditions(filter, 2)
      const rows = await access.read(
        `SELECT * FROM ${table} WHERE no > $1 ${where} ORDER BY no LIMIT $2`,
        [parseCursor(cursor), most + 1, ...values],
      )
      const items = rows.slice(0, most).map(summaryOf)
      return rows.length > most ? { items, next: String(rows[most - 1]?.no) } : { items }
    },
    async get(id) {
      const [row] = await access.read(`SELECT * FROM ${table} WHERE id = $1`, [id])
      return row === undefined ? undefined : letterOf(row)
    },
    async replay(id) {
      const touched = await access.transaction((query) => replay(session, query, id))
      if (touched !== undefined) session.wake(touched)
      return touched !== undefined
    },
    async discard(id) {
      const touched = await access.transaction(async (query) => {
        const row = await lockLetter(session, query, id)
        return row && removeLetter(session, query, row)
      })
      if (touched !== undefined) session.wake(touched)
      return touched !== undefined
    },
    async count(filter) {
      const { where, values } = conditions(filter, 0)
      const [row] = await access.read(
        `SELECT count(*) AS letters FROM ${table} WHERE true ${where}`,
        values,
      )
      return Number(row?.letters)
    },
    put: (letter) => access.transaction((query) => put(session, query, letter)),
  }
}

export function parseCursor(cursor: string | undefined): number {
  if (cursor === undefined) return 0
  const no = Number(cursor)
  if (Number.isSafeInteger(no) && no >= 0) return no
  throw new TreatyError('CURSOR_INVALID', `the cursor '${cursor}' is not one that was given out`, {
    hint: 'Give back next of the page before, unchanged.',
  })
}

function conditions(filter: DeadFilter, taken: number): { where: string; values: unknown[] } {
  const parts: (readonly [string, string | number | undefined])[] = [
    ['consumer =', filter.consumer],
    ['event =', filter.event],
    ['reason =', filter.reason],
    ['failed_at >=', filter.failedAfter],
    ['failed_at <=', filter.failedBefore],
  ]
  const given = parts.filter(([, value]) => value !== undefined)
  return {
    where: given.map(([text], index) => `AND ${text} $${taken + 1 + index}`).join(' '),
    values: given.map(([, value]) => value),
  }
}

function summaryOf(row: Row): DeadLetterSummary {
  const failure = JSON.parse(String(row.failure)) as Omit<Failure, 'reason'>
  return {
    ...failure,
    id: String(row.id),
    messageId: String(row.message_id),
    event: String(row.event),
    consumer: row.consumer as string | null,
    group: row.group_name as string | null,
    reason: String(row.reason),
    attempts: Number(row.attempts),
    firstFailedAt: Number(row.first_failed_at),
    failedAt: Number(row.failed_at),
    address: String(row.address),
    contentType: String(row.content_type),
    ...(row.seq === null ? {} : { position: positionOf(Number(row.seq)) }),
    ...(row.key === null ? {} : { key: String(row.key) }),
    ...(row.correlation_id === null ? {} : { correlationId: String(row.correlation_id) }),
  }
}

function letterOf(row: Row): DeadLetter {
  return {
    ...summaryOf(row),
    ...(row.stack === null ? {} : { stack: String(row.stack) }),
    body: row.body as Uint8Array,
    headers: parseHeaders(String(row.headers)),
  }
}

/** The letter, and the lock of its group, so that its chain stands still. */
async function lockLetter(session: Session, query: Query, id: string): Promise<Row | undefined> {
  const { schema } = session
  const [found] = await query(`SELECT grp FROM ${schema}.bus_dead WHERE id = $1`, [id])
  if (found === undefined) return undefined
  if (found.grp !== null) await query(`SELECT ${lockOf.groupAlone(schema, '$1')}`, [found.grp])
  // Somebody else may have taken it while we waited.
  const [row] = await query(`SELECT * FROM ${schema}.bus_dead WHERE id = $1 FOR UPDATE`, [id])
  return row
}

/** Deletes a dead letter; a chain that it held goes on. The groups that may have work. */
export async function removeLetter(session: Session, query: Query, row: Row): Promise<number[]> {
  const { schema } = session
  await query(`DELETE FROM ${schema}.bus_dead WHERE no = $1`, [row.no])
  if (row.grp === null || row.seq === null) return []
  await query(
    `WITH held AS (
       DELETE FROM ${schema}.bus_delivery AS line WHERE seq = $1 AND grp = $2 AND state = 4 RETURNING line
     ), finished AS (SELECT ${schema}.bus_finished(array_agg(line)) FROM held HAVING count(*) > 0)
     SELECT ${schema}.bus_resume((line).grp, (line).chain) FROM held, finished`,
    [row.seq, row.grp],
  )
  return [Number(row.grp)]
}

async function replay(session: Session, query: Query, id: string): Promise<number[] | undefined> {
  const { schema } = session
  const row = await lockLetter(session, query, id)
  if (row === undefined) return undefined
  const touched =
    row.group_name === null
      ? await publishAnew(session, query, row)
      : await replayToGroup(session, query, row)
  await query(`DELETE FROM ${schema}.bus_dead WHERE no = $1`, [row.no])
  return touched
}

async function tally(
  session: Session,
  query: Query,
  row: Row,
  changes: readonly (readonly [counter: string, amount: number])[],
): Promise<void> {
  await query(`SELECT ${session.schema}.bus_tally($1, $2, $3, $4, $5)`, [
    shardOf(session, 'settle'),
    changes.map(() => row.event),
    changes.map(() => row.consumer ?? ''),
    changes.map(([counter]) => counter),
    changes.map(([, amount]) => amount),
  ])
}

/** Refused before it reached a consumer, so it reaches them all now, as if it had just been sent. */
async function publishAnew(session: Session, query: Query, row: Row): Promise<number[]> {
  await requireChannel(session, query, row)
  const [result] = await query(publishSql(session.schema), [
    shardOf(session, 'settle'),
    ...publishArguments([recordOfLetter(row)]),
  ])
  await tally(session, query, row, [
    ['dead', -1],
    ['deliveries', -1],
  ])
  return (result?.touched as number[] | null) ?? []
}

function recordOfLetter(row: Row): OutgoingRecord {
  return {
    id: String(row.message_id),
    address: String(row.address),
    type: String(row.event),
    body: row.body as Uint8Array,
    headers: parseHeaders(String(row.headers)),
    contentType: String(row.content_type),
    priority: Number(row.priority),
    ...(row.key === null ? {} : { key: String(row.key) }),
    ...(row.correlation_id === null ? {} : { correlationId: String(row.correlation_id) }),
    ...(row.causation_id === null ? {} : { causationId: String(row.causation_id) }),
  }
}

async function requireChannel(session: Session, query: Query, row: Row): Promise<void> {
  const [topic] = await query(`SELECT 1 FROM ${session.schema}.bus_topic WHERE address = $1`, [
    row.address,
  ])
  if (topic !== undefined) return
  throw new TreatyError('CHANNEL_NOT_FOUND', `the channel '${row.address}' is not there`, {
    hint: 'Start a process whose contract names the channel, then replay again.',
    details: { address: String(row.address), deadLetter: String(row.id) },
  })
}

/** In its place where it still holds it, else at the end of its chain, for this group alone. */
async function replayToGroup(session: Session, query: Query, row: Row): Promise<number[]> {
  const { schema } = session
  const [group] = await query(`SELECT id FROM ${schema}.bus_group WHERE name = $1`, [
    row.group_name,
  ])
  if (group === undefined) {
    throw new TreatyError(
      'GROUP_NOT_FOUND',
      `the group '${row.group_name}' is not there any more`,
      {
        hint: 'Discard the dead letter, or start a process whose contract names the consumer.',
        details: { group: String(row.group_name), deadLetter: String(row.id) },
      },
    )
  }
  const inPlace = await query(
    `UPDATE ${schema}.bus_delivery SET state = 2, attempts = 0, deliveries = 0, releases = 0,
       first_failed_at = NULL
     WHERE grp = $1 AND seq = $2 AND state = 4 RETURNING chain`,
    [group.id, row.seq],
  )
  if (inPlace[0] === undefined) await joinTail(session, query, { row, groupId: Number(group.id) })
  else await query(`SELECT ${schema}.bus_resume($1, $2)`, [group.id, inPlace[0].chain])
  await tally(session, query, row, [
    [String(row.counted), -1],
    ['waiting', 1],
  ])
  return [Number(group.id)]
}

async function joinTail(
  session: Session,
  query: Query,
  at: { row: Row; groupId: number },
): Promise<void> {
  const { schema } = session
  const { row, groupId } = at
  await requireChannel(session, query, row)
  await query(
    `WITH message AS (
       INSERT INTO ${schema}.bus_log (seq, topic, id, type, key, content_type, headers, priority,
         correlation_id, causation_id, published_at, kept, origin, body)
       SELECT number, topic.id, $3, $4, $5, $6, $7, $8::smallint, $9, $10, $11::bigint, false,
         coalesce($12::bigint, number), $13::bytea
       FROM nextval('${schema}.bus_seq') AS number, ${schema}.bus_topic AS topic WHERE topic.address = $2
       RETURNING *
     )
     INSERT INTO ${schema}.bus_delivery (seq, grp, topic, type, state, priority, chain)
     SELECT message.seq, $1::integer, message.topic, message.type,
       ${arrivalSql({ chain: 'chain', priority: 'message.priority', expiresAt: 'message.expires_at' })},
       message.priority, chain
     FROM message JOIN ${schema}.bus_topic AS topic ON topic.id = message.topic
     CROSS JOIN LATERAL ${schema}.bus_chain(topic.ordering, topic.id, message.key) AS chain`,
    [
      groupId,
      row.address,
      row.message_id,
      row.event,
      row.key,
      row.content_type,
      row.headers,
      row.priority,
      row.correlation_id,
      row.causation_id,
      row.published_at ?? row.failed_at,
      row.seq,
      row.body,
    ],
  )
}

async function put(
  session: Session,
  query: Query,
  letter: Omit<DeadLetter, 'id'>,
): Promise<string> {
  const { schema } = session
  const { reason, message, errorClass, stack, findings, contract, contractVersion } = letter
  // Bytes that come again under their id are one letter; other bytes are another: nothing that came may be lost.
  const [known] = await query(
    `SELECT id FROM ${schema}.bus_dead
     WHERE message_id = $1 AND consumer IS NULL AND $2::text IS NULL AND event = $3 AND reason = $4
       AND body = $5`,
    [letter.messageId, letter.consumer, letter.event, reason, Buffer.from(letter.body)],
  )
  if (known !== undefined) return String(known.id)
  const [made] = await query(
    `INSERT INTO ${schema}.bus_dead (grp, group_name, consumer, event, message_id, reason, attempts,
       first_failed_at, failed_at, address, key, correlation_id, content_type, counted, failure, stack,
       headers, priority, body)
     VALUES ((SELECT id FROM ${schema}.bus_group WHERE name = $1), $1, $2, $3, $4, $5, $6, $7, $8, $9,
       $10, $11, $12, 'dead', $13, $14, $15, $16, $17)
     RETURNING id, event, consumer`,
    [
      letter.group,
      letter.consumer,
      letter.event,
      letter.messageId,
      reason,
      letter.attempts,
      Math.trunc(letter.firstFailedAt),
      Math.trunc(letter.failedAt),
      letter.address,
      letter.key ?? null,
      letter.correlationId ?? null,
      letter.contentType,
      JSON.stringify({ message, errorClass, findings, contract, contractVersion }),
      stack ?? null,
      JSON.stringify(letter.headers),
      levelOf(undefined),
      Buffer.from(letter.body),
    ],
  )
  await tally(session, query, made ?? {}, [
    ['deliveries', 1],
    ['dead', 1],
  ])
  return String(made?.id)
}
