import { hostname } from 'node:os'
import { TreatyError } from '../../../core/errors.ts'
import type { Query } from '../../../store/index.ts'
import { lockOf } from './locks.ts'
import type { Session } from './session.ts'
import { makeGroup } from './topology.ts'

/** Gives us a place among the owners, with a number that nobody had before. */
export async function registerOwner(session: Session): Promise<void> {
  const { access, schema, leaseMs } = session
  const [row] = await access.write(
    `INSERT INTO ${schema}.bus_owner (id, name, lease_until)
     VALUES (nextval('${schema}.bus_owner_id'), $1, ${schema}.bus_now() + $2) RETURNING id`,
    [`${hostname()} ${process.pid}`, Math.ceil(leaseMs)],
  )
  session.ownerId = Number(row?.id)
}

/**
 * Renews our lease, only while it has not ended: an owner whose work may be with others never comes back, it begins anew under
 * another number.
 */
export async function renewOwner(session: Session): Promise<void> {
  const { access, schema, leaseMs, ownerId } = session
  // Doing it twice does no harm, so it may be repeated like a read.
  const [row] = await access.read(
    `UPDATE ${schema}.bus_owner SET lease_until = ${schema}.bus_now() + $2
     WHERE id = $1 AND lease_until > ${schema}.bus_now() RETURNING id`,
    [ownerId, Math.ceil(leaseMs)],
  )
  if (row !== undefined || session.isEnded) return
  const count = session.leases.size
  session.leases.clear()
  await registerOwner(session)
  for (const group of session.ephemeral.values()) {
    await access.transaction((query) => makeGroup(session, query, group))
  }
  await learnGroups(session)
  if (count > 0) {
    session.reportError(
      new TreatyError(
        'LEASES_LOST',
        `${count} deliveries were handed to others because this process was silent for longer than its lease`,
        {
          hint: 'Keep handlers from blocking the event loop, or raise leaseMs.',
          details: { count },
        },
      ),
    )
  }
}

/** Numbers of the groups served here: an ephemeral group that was made anew has another. */
async function learnGroups(session: Session): Promise<void> {
  const { access, schema, groups, groupIds } = session
  const rows = await access.read(
    `SELECT id, name FROM ${schema}.bus_group WHERE name = ANY ($1::text[])`,
    [[...groups.keys()]],
  )
  for (const row of rows) groupIds.set(String(row.name), Number(row.id))
  session.wake([...groupIds.values()], 'local')
}

/** Frees what others had out whose lease has ended; the groups that have work again. */
export async function removeGoneOwners(session: Session, query: Query): Promise<number[]> {
  const { schema, ownerId } = session
  const gone = await query(
    `SELECT id FROM ${schema}.bus_owner WHERE lease_until <= ${schema}.bus_now() AND id <> $1
     ORDER BY id FOR UPDATE SKIP LOCKED`,
    [ownerId],
  )
  const touched = new Set<number>()
  for (const { id } of gone) {
    for (const group of await removeOwner(session, query, Number(id))) touched.add(group)
  }
  return [...touched]
}

/** Rows whose effect is committing just now are left to the next round, and with them the owner. */
async function removeOwner(session: Session, query: Query, id: number): Promise<number[]> {
  const { schema } = session
  const freed = await query(
    `WITH locked AS (
       SELECT seq, grp FROM ${schema}.bus_delivery WHERE state = 1 AND owner = $1 FOR UPDATE SKIP LOCKED
     ), freed AS (
       UPDATE ${schema}.bus_delivery AS line SET state = 0, owner = NULL FROM locked
       WHERE line.seq = locked.seq AND line.grp = locked.grp RETURNING line.grp
     )
     SELECT DISTINCT grp FROM freed`,
    [id],
  )
  const [left] = await query(
    `SELECT 1 FROM ${schema}.bus_delivery WHERE state = 1 AND owner = $1 LIMIT 1`,
    [id],
  )
  if (left === undefined) {
    await removeEphemeralGroups(session, query, id)
    await query(`DELETE FROM ${schema}.bus_owner WHERE id = $1`, [id])
  }
  return freed.map((row) => Number(row.grp))
}

async function removeEphemeralGroups(session: Session, query: Query, id: number): Promise<void> {
  const { schema } = session
  const groups = await query(`SELECT id FROM ${schema}.bus_group WHERE owner = $1`, [id])
  if (groups.length === 0) return
  await query(`SELECT ${lockOf.topologyAlone(schema)}`)
  for (const group of groups) {
    const id = Number(group.id)
    const topics = await query(`SELECT topic FROM ${schema}.bus_subscription WHERE grp = $1`, [id])
    await removeGroup(session, query, id)
    await query(
      `DELETE FROM ${schema}.bus_topic AS topic WHERE id = ANY ($1) AND retention_ms IS NULL
       AND NOT EXISTS (SELECT FROM ${schema}.bus_subscription AS sub WHERE sub.topic = topic.id)
       AND NOT EXISTS (SELECT FROM ${schema}.bus_log AS message WHERE message.topic = topic.id)`,
      [topics.map((row) => Number(row.topic))],
    )
  }
}

/** Takes a group away, with what waits in it. Its dead letters stay, and know it by its name. Under the topology's lock. */
export async function removeGroup(session: Session, query: Query, id: number): Promise<void> {
  const { schema } = session
  await removeDeliveries(session, query, { id })
  await query(`DELETE FROM ${schema}.bus_subscription WHERE grp = $1`, [id])
  await query(`DELETE FROM ${schema}.bus_inbox WHERE grp = $1`, [id])
  await query(`UPDATE ${schema}.bus_dead SET grp = NULL WHERE grp = $1`, [id])
  await query(`DELETE FROM ${schema}.bus_group WHERE id = $1`, [id])
}

/** What waits in a group, or in its part of one topic, goes. */
export async function removeDeliveries(
  session: Session,
  query: Query,
  of: { id: number; topic?: number },
): Promise<void> {
  const { schema } = session
  const { id, topic = null } = of
  await query(`SELECT ${lockOf.groupAlone(schema, '$1')}`, [id])
  // Nobody is left to handle them: their time is over.
  await query(
    `SELECT ${schema}.bus_tally(-1, array_agg(event), array_agg(consumer), array_agg(counter), array_agg(amount))
     FROM (
       SELECT line.type AS event, team.consumer, counter, sum(amount)::bigint AS amount
       FROM ${schema}.bus_delivery AS line
       JOIN ${schema}.bus_group AS team ON team.id = line.grp
       CROSS JOIN LATERAL (VALUES ('expired', 1), ('waiting', -1)) AS change (counter, amount)
       WHERE line.grp = $1 AND line.state <> 4 AND ($2::integer IS NULL OR line.topic = $2)
       GROUP BY 1, 2, 3
     ) AS counted HAVING count(*) > 0`,
    [id, topic],
  )
  await query(
    `WITH gone AS (
       DELETE FROM ${schema}.bus_delivery AS line
       WHERE grp = $1 AND ($2::integer IS NULL OR line.topic = $2) RETURNING line
     )
     SELECT ${schema}.bus_finished(array_agg(line)) FROM gone HAVING count(*) > 0`,
    [id, topic],
  )
}

/** Leaves in good order: what is out is ready again at once, and no attempt counts. */
export async function forgetOwner(session: Session): Promise<void> {
  const { access, schema, ownerId } = session
  const freed = await access.transaction(async (query) => {
    const rows = await query(
      `WITH freed AS (
         UPDATE ${schema}.bus_delivery SET state = 0, owner = NULL, releases = releases + 1
         WHERE state = 1 AND owner = $1 RETURNING grp
       )
       SELECT DISTINCT grp FROM freed`,
      [ownerId],
    )
    await removeOwner(session, query, ownerId)
    return rows.map((row) => Number(row.grp))
  })
  session.wake(freed)
}
