import type { Query } from '../../../store/index.ts'
import type { BrokerInventory, TopologySurplus } from '../../transport.ts'
import { inUse } from '../sqlite/surplus.ts'
import { lockOf } from './locks.ts'
import { removeDeliveries, removeGroup } from './owners.ts'
import type { Session } from './session.ts'

/** All channels and lasting groups of the schema. */
export async function inventory({ access, schema }: Session): Promise<BrokerInventory> {
  const [channels, groups] = await Promise.all([
    access.read(
      `SELECT address, (SELECT count(*) FROM ${schema}.bus_log WHERE topic = one.id) AS messages
       FROM ${schema}.bus_topic AS one ORDER BY address`,
    ),
    access.read(
      `SELECT name, consumer,
         (SELECT count(*) FROM ${schema}.bus_delivery WHERE grp = team.id AND state <> 4) AS waiting,
         ARRAY(SELECT topic.address FROM ${schema}.bus_subscription AS sub
           JOIN ${schema}.bus_topic AS topic ON topic.id = sub.topic
           WHERE sub.grp = team.id ORDER BY topic.address) AS addresses
       FROM ${schema}.bus_group AS team WHERE owner IS NULL ORDER BY name`,
    ),
  ])
  return {
    channels: channels.map((row) => ({
      address: String(row.address),
      messages: Number(row.messages),
    })),
    groups: groups.map((row) => ({
      name: String(row.name),
      consumer: String(row.consumer),
      addresses: row.addresses as string[],
      waiting: Number(row.waiting),
    })),
  }
}

/** @throws TOPOLOGY_IN_USE */
export async function removeSurplus(session: Session, surplus: TopologySurplus): Promise<void> {
  const { access, schema } = session
  await access.transaction(async (query) => {
    await query(`SELECT ${lockOf.topologyAlone(schema)}`)
    for (const { group, address } of surplus.subscriptions) {
      const id = await idOf(query, `${schema}.bus_group WHERE name = $1`, group)
      const topic = await idOf(query, `${schema}.bus_topic WHERE address = $1`, address)
      if (id === undefined || topic === undefined) continue
      await removeDeliveries(session, query, { id, topic })
      await query(`DELETE FROM ${schema}.bus_subscription WHERE grp = $1 AND topic = $2`, [
        id,
        topic,
      ])
    }
    for (const name of surplus.groups) {
      const id = await idOf(query, `${schema}.bus_group WHERE name = $1`, name)
      if (id !== undefined) await removeGroup(session, query, id)
    }
    for (const address of surplus.channels) await removeChannel(session, query, address)
  })
}

async function idOf(query: Query, from: string, name: string): Promise<number | undefined> {
  const [row] = await query(`SELECT id FROM ${from}`, [name])
  return row === undefined ? undefined : Number(row.id)
}

async function removeChannel({ schema }: Session, query: Query, address: string): Promise<void> {
  const id = await idOf(query, `${schema}.bus_topic WHERE address = $1`, address)
  if (id === undefined) return
  const [reader] = await query(
    `SELECT team.name FROM ${schema}.bus_subscription AS sub JOIN ${schema}.bus_group AS team ON team.id = sub.grp
     WHERE sub.topic = $1 LIMIT 1`,
    [id],
  )
  if (reader !== undefined) throw inUse(address, String(reader.name))
  for (const table of ['bus_log', 'bus_dedup']) {
    await query(`DELETE FROM ${schema}.${table} WHERE topic = $1`, [id])
  }
  await query(`DELETE FROM ${schema}.bus_topic WHERE id = $1`, [id])
}
