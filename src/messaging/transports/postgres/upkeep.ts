import type { Query } from '../../../store/index.ts'
import { removeLetter } from './dead-letters.ts'
import { lockOf } from './locks.ts'
import { removeGoneOwners } from './owners.ts'
import { type Session, shardOf } from './session.ts'

/** Rows of one kind that one round handles at most, so that it never stops the traffic. */
const rowsMax = 1000
/** Letters without a consumer have no contract that says how long they are kept. */
const refusedRetentionMs = 30 * 86_400_000

/**
 * Looks after what belongs to nobody: owners that are gone, what falls due in groups that nobody serves, what has had
 * its time. One process at a time; the others find the lock taken and leave it at that.
 */
export async function keepUp(session: Session): Promise<void> {
  const { access, schema } = session
  const touched = await access.transaction(async (query) => {
    const [row] = await query(`SELECT ${lockOf.upkeepIfFree(schema)} AS is_ours`)
    if (row?.is_ours !== true) return []
    return removeGoneOwners(session, query)
  })
  session.wake(touched)
  await tendGroups(session)
  await access.transaction(async (query) => {
    const [row] = await query(`SELECT ${lockOf.upkeepIfFree(schema)} AS is_ours`)
    if (row?.is_ours === true) await removeOld(session, query)
  })
}

/** Also in groups that nobody here serves: their counts must be right. */
async function tendGroups(session: Session): Promise<void> {
  const { access, schema } = session
  const groups = await access.read(
    `SELECT id FROM ${schema}.bus_group AS team WHERE EXISTS (
       SELECT FROM ${schema}.bus_delivery WHERE grp = team.id AND ready_at <= ${schema}.bus_now()
     ) OR EXISTS (
       SELECT FROM ${schema}.bus_delivery
       WHERE grp = team.id AND expires_at <= ${schema}.bus_now() AND state NOT IN (1, 4)
     )`,
  )
  for (const { id } of groups) {
    await access.transaction(async (query) => {
      await query(`SELECT ${lockOf.claimsAlone(schema, '$1')}`, [id])
      await query(`SELECT ${lockOf.groupAlone(schema, '$1')}`, [id])
      await query(`SELECT ${schema}.bus_tend($1, $2)`, [id, shardOf(session, 'claim')])
    })
  }
  session.wake(groups.map(({ id }) => Number(id)))
}

async function removeOld(session: Session, query: Query): Promise<void> {
  const { schema } = session
  await removeKept(session, query)
  // By index, however many letters there are: this runs every second.
  const letters = await query(
    `SELECT letter.* FROM (
       SELECT old.no FROM ${schema}.bus_group AS team CROSS JOIN LATERAL (
         SELECT no FROM ${schema}.bus_dead
         WHERE grp = team.id AND failed_at < ${schema}.bus_now() - team.dead_retention_ms LIMIT ${rowsMax}
       ) AS old
       UNION ALL
       (SELECT no FROM ${schema}.bus_dead
        WHERE grp IS NULL AND failed_at < ${schema}.bus_now() - ${refusedRetentionMs} LIMIT ${rowsMax})
     ) AS old JOIN ${schema}.bus_dead AS letter ON letter.no = old.no
     ORDER BY letter.grp LIMIT ${rowsMax}`,
  )
  for (const letter of letters) {
    if (letter.grp !== null) await query(`SELECT ${lockOf.groupAlone(schema, '$1')}`, [letter.grp])
    await removeLetter(session, query, letter)
  }
  for (const table of ['bus_inbox', 'bus_dedup']) {
    await query(
      `DELETE FROM ${schema}.${table} WHERE ctid = ANY (ARRAY(
         SELECT ctid FROM ${schema}.${table} WHERE until <= ${schema}.bus_now()
         LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED))`,
    )
  }
}

/**
 * What a channel has kept for its time. Looked for on its own: a statement that deletes as well is planned as if there were something, and then
 * reads all that has gone from the tables since the last vacuum.
 */
async function removeKept({ schema }: Session, query: Query): Promise<void> {
  const old = await query(
    `SELECT message.seq FROM ${schema}.bus_topic AS topic CROSS JOIN LATERAL (
       SELECT seq FROM ${schema}.bus_log WHERE kept AND bus_log.topic = topic.id
         AND published_at < ${schema}.bus_now() - topic.retention_ms LIMIT ${rowsMax}
     ) AS message WHERE topic.retention_ms IS NOT NULL`,
  )
  if (old.length === 0) return
  await query(
    `WITH old AS (SELECT unnest($1::bigint[]) AS seq),
     forgotten AS (DELETE FROM ${schema}.bus_attempts USING old WHERE bus_attempts.seq = old.seq
     ), released AS (
       UPDATE ${schema}.bus_log AS message SET kept = false FROM old WHERE message.seq = old.seq
         AND EXISTS (SELECT FROM ${schema}.bus_delivery AS line WHERE line.seq = message.seq)
     )
     DELETE FROM ${schema}.bus_log AS message USING old WHERE message.seq = old.seq
       AND NOT EXISTS (SELECT FROM ${schema}.bus_delivery AS line WHERE line.seq = message.seq)`,
    [old.map(({ seq }) => seq)],
  )
}
