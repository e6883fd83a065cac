import { hostname } from 'node:os'
import { TreatyError } from '../../../core/errors.ts'
import type { Query } from '../../../store/index.ts'
import { forgetUnhanded, unhandedOf, unleaseRows } from './claim.ts'
import { lockOf } from './locks.ts'
import type { Session } from './session.ts'
import { makeGroup } from './topology.ts'

/** Milliseconds between two signs of life at most, and after how many of silence a lost connection counts. */
export const heartbeatMsMax = 1000
const silentMs = 3500

/** Gives us a place among the owners, with a number that nobody had before. */
export async function registerOwner(session: Session): Promise<void> {
  const { access, schema, leaseMs } = session
  const [row] = await access.write(
    `INSERT INTO ${schema}.bus_owner (id, name, lease_until, renewed_at, is_watched)
     VALUES (nextval('${schema}.bus_owner_id'), $1, ${schema}.bus_now() + $2, ${schema}.bus_now(), false)
     RETURNING id`,
    [`${hostname()} ${process.pid}`, Math.ceil(leaseMs)],
  )
  session.ownerId = Number(row?.id)
  await session.showAlive(session.ownerId)
  await session.greet()
}

/** Told when our connection shows that we live: from now on its end says something. */
export async function watchOwner({ access, schema }: Session, ownerId: number): Promise<void> {
  await access.read(`UPDATE ${schema}.bus_owner SET is_watched = true WHERE id = $1`, [ownerId])
}

/**
 * Renews our lease, only while it has not ended: an owner whose work may be with others never comes back, it begins anew under
 * another number.
 */
export async function renewOwner(session: Session): Promise<void> {
  const { access, schema, leaseMs, ownerId } = session
  // Doing it twice does no harm, so it may be repeated like a read.
  const [row] = await access.read(
    `UPDATE ${schema}.bus_owner SET lease_until = ${schema}.bus_now() + $2, renewed_at = ${schema}.bus_now()
     WHERE id = $1 AND lease_until > ${schema}.bus_now()
     RETURNING EXISTS (SELECT FROM ${schema}.bus_owner AS other WHERE other.id <> $1) AS has_others`,
    [ownerId, Math.ceil(leaseMs)],
  )
  if (row !== undefined) session.hasOthers = row.has_others === true
  if (row !== undefined || session.isEnded) return
  const count = session.leases.size
  session.leases.clear()
  for (const local of session.groups.values()) forgetUnhanded(local)
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

/**
 * Frees what others had out whose lease has ended, or who have lost the connection that shows that they live and then were silent as well: a
 * process that was killed is noticed in seconds, however long its lease. The groups that have work again.
 */
export async function removeGoneOwners(session: Session, query: Query): Promise<number[]> {
  const { schema, ownerId } = session
  const gone = await query(
    `SELECT id FROM ${schema}.bus_owner WHERE id <> $1 AND (
       lease_until <= ${schema}.bus_now()
       OR is_watched AND renewed_at <= ${schema}.bus_now() - $2 AND ${lockOf.ownerIsGone(schema, 'id')}
     ) ORDER BY id FOR UPDATE SKIP LOCKED`,
    [ownerId, silentMs],
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
  const unleased = await unleaseOwner(session, query, { id, released: 0 })
  const [left] = await query(
    `SELECT 1 WHERE EXISTS (SELECT FROM ${schema}.bus_delivery WHERE state = 1 AND owner = $1)
       OR EXISTS (SELECT FROM ${schema}.bus_lease WHERE owner = $1)`,
    [id],
  )
  if (left === undefined) {
    await removeEphemeralGroups(session, query, id)
    await query(`DELETE FROM ${schema}.bus_owner WHERE id = $1`, [id])
  }
  return [...freed.map((row) => Number(row.grp)), ...unleased]
}

/** The same for what is leased in bulk. `released`: 1 where the owner gives it back itself, 0 where it is gone. */
async function unleaseOwner(
  { schema }: Session,
  query: Query,
  of: { id: number; released: 0 | 1 },
): Promise<number[]> {
  const groups = await query(
    `SELECT DISTINCT grp FROM ${schema}.bus_lease WHERE owner = $1 ORDER BY grp`,
    [of.id],
  )
  for (const { grp } of groups) {
    await query(`SELECT ${lockOf.groupAlone(schema, '$1')}`, [grp])
    await query(
      `WITH named AS MATERIALIZED (
         SELECT lease.no, one.seq FROM ${schema}.bus_lease AS lease CROSS JOIN LATERAL unnest(lease.seqs) AS one (seq)
         WHERE lease.owner = $1 AND lease.grp = $2
       ), locked AS MATERIALIZED (
         SELECT line.seq FROM ${schema}.bus_delivery AS line
         WHERE line.seq = ANY (ARRAY(SELECT seq FROM named)) AND line.grp = $2 AND line.state = 6
         FOR UPDATE SKIP LOCKED
       ), chosen AS (
         SELECT no, seq FROM named WHERE seq IN (SELECT seq FROM locked) OR NOT EXISTS (
           SELECT FROM ${schema}.bus_delivery AS line
           WHERE line.seq = named.seq AND line.grp = $2 AND line.state = 6)
       )
       SELECT ${schema}.bus_unlease($1, $2, array_agg(no), array_agg(seq), 1, $3) FROM chosen HAVING count(*) > 0`,
      [of.id, grp, of.released],
    )
  }
  return groups.map(({ grp }) => Number(grp))
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
  const unhanded = [...session.groups.values()].flatMap((local) => {
    const leases = unhandedOf(local)
    forgetUnhanded(local)
    return leases
  })
  const groupIds = [...session.groupIds.values()].sort((a, b) => a - b)
  const freed = await access.transaction(async (query) => {
    for (const id of groupIds) await query(`SELECT ${lockOf.groupAlone(schema, '$1')}`, [id])
    // A claim of ours that is still under way ends before, or finds us gone.
    await query(`SELECT FROM ${schema}.bus_owner WHERE id = $1 FOR UPDATE`, [ownerId])
    await unleaseRows(session, query, unhanded)
    const unleased = await unleaseOwner(session, query, { id: ownerId, released: 1 })
    const rows = await query(
      `WITH freed AS (
         UPDATE ${schema}.bus_delivery SET state = 0, owner = NULL, releases = releases + 1
         WHERE state = 1 AND owner = $1 RETURNING grp
       )
       SELECT DISTINCT grp FROM freed`,
      [ownerId],
    )
    await removeOwner(session, query, ownerId)
    return [...rows.map((row) => Number(row.grp)), ...unleased]
  })
  session.wake(freed)
}
