import type { Row } from '../../../store/index.ts'
import type { BrowseQuery, Page, StoredMessage } from '../../transport.ts'
import { positionOf } from '../sqlite/position.ts'
import { parseCursor } from './dead-letters.ts'
import { recordOf } from './records.ts'
import { rowState } from './schema.ts'
import type { Session } from './session.ts'

type ConsumerState = StoredMessage['consumers'][number]

const pageMax = 1000

/** Messages that are still there, oldest first, with what became of each in every group. */
export async function browse(
  { access, schema }: Session,
  query: BrowseQuery,
): Promise<Page<StoredMessage>> {
  const most = Math.min(Math.max(1, Math.trunc(query.limit)), pageMax)
  // A replay is shown as what it stands for, as long as that is kept.
  const messages = await access.read(
    `SELECT message.*, topic.address FROM ${schema}.bus_log AS message
     JOIN ${schema}.bus_topic AS topic ON topic.id = message.topic
     WHERE message.seq > $1 AND ($2::text IS NULL OR correlation_id = $2) AND ($3::text IS NULL OR type = $3)
       AND ($5::bigint IS NULL OR message.published_at >= $5)
       AND ($6::text[] IS NULL OR topic.address = ANY ($6) OR starts_with(topic.address, 'treaty.reply.'))
       AND (origin IS NULL OR origin = message.seq
         OR NOT EXISTS (SELECT FROM ${schema}.bus_log AS first WHERE first.seq = message.origin))
     ORDER BY message.seq LIMIT $4`,
    [
      parseCursor(query.cursor),
      query.correlationId ?? null,
      query.event ?? null,
      most + 1,
      query.from === undefined ? null : Math.floor(query.from),
      query.addresses ?? null,
    ],
  )
  const page = messages.slice(0, most)
  const states = await access.read(statesSql(schema), [page.map((row) => row.seq)])
  const items = page.map((row) => ({
    record: recordOf(row),
    consumers: states.filter(({ seq }) => seq === row.seq).map(stateOf),
  }))
  const last = page.at(-1)
  return messages.length > most && last ? { items, next: positionOf(Number(last.seq)) } : { items }
}

/** For each message and group: the unfinished row of the message or of its replay, its dead letter, how it ended. */
function statesSql(schema: string): string {
  return `
    SELECT message.seq, team.consumer,
      CASE WHEN line.state = 6 AND EXISTS (SELECT FROM ${schema}.bus_lease AS lease
        WHERE lease.grp = team.id AND line.seq = ANY (lease.seqs)) THEN 1 ELSE line.state END AS state,
      line.attempts, letter.attempts AS dead_attempts,
      ended.attempts AS ended_attempts
    FROM ${schema}.bus_log AS message
    JOIN ${schema}.bus_subscription AS sub ON sub.topic = message.topic
      AND message.seq > sub.start_seq AND (sub.types IS NULL OR message.type = ANY (sub.types))
    JOIN ${schema}.bus_group AS team ON team.id = sub.grp
    LEFT JOIN LATERAL (
      SELECT seq, state, attempts FROM ${schema}.bus_delivery AS line WHERE line.grp = team.id AND line.seq IN (
        SELECT message.seq UNION ALL
        SELECT again.seq FROM ${schema}.bus_log AS again WHERE again.origin IS NOT NULL AND again.id = message.id)
      ORDER BY line.seq DESC LIMIT 1
    ) AS line ON true
    LEFT JOIN LATERAL (
      SELECT attempts FROM ${schema}.bus_dead WHERE message_id = message.id AND grp = team.id
      ORDER BY no DESC LIMIT 1
    ) AS letter ON true
    LEFT JOIN ${schema}.bus_attempts AS ended ON ended.seq = message.seq AND ended.grp = team.id
    WHERE message.seq = ANY ($1::bigint[]) AND (message.origin IS NULL OR line.state IS NOT NULL)
    ORDER BY message.seq, team.consumer`
}

function stateOf(row: Row): ConsumerState {
  const consumer = String(row.consumer)
  const failed = Number(row.attempts ?? 0)
  switch (row.state) {
    case null:
      if (row.dead_attempts !== null) {
        return { consumer, state: 'dead', attempts: Number(row.dead_attempts) }
      }
      return { consumer, state: 'done', attempts: Number(row.ended_attempts ?? 1) }
    case rowState.leased:
      return { consumer, state: 'in-flight', attempts: failed + 1 }
    case rowState.blocked:
      return { consumer, state: 'blocked', attempts: failed }
    case rowState.dead:
      return { consumer, state: 'dead', attempts: failed + 1 }
    default:
      return { consumer, state: failed > 0 ? 'retrying' : 'waiting', attempts: failed }
  }
}
