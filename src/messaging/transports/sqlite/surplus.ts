import { TreatyError } from '../../../core/errors.ts'
import type { BrokerInventory, TopologySurplus } from '../../transport.ts'
import type { Engine, Turn } from './engine.ts'
import { removeDeliveries, removeGroup } from './owners.ts'
import { refresh } from './topology.ts'

/** All channels and lasting groups of the file. */
export function inventory(engine: Engine): BrokerInventory {
  const { file } = engine
  const channels = file
    .prepare(
      `SELECT address, (SELECT count(*) FROM bus_log WHERE topic = t.id) AS messages
       FROM bus_topic t ORDER BY address`,
    )
    .all()
  const subscribed = file.prepare(
    `SELECT t.address FROM bus_subscription s JOIN bus_topic t ON t.id = s.topic
     WHERE s.grp = ? ORDER BY t.address`,
  )
  const groups = file
    .prepare(
      `SELECT id, name, consumer, (SELECT count(*) FROM bus_delivery WHERE grp = g.id AND state <> 4) AS waiting
       FROM bus_group g WHERE owner IS NULL ORDER BY name`,
    )
    .all()
  return {
    channels: channels.map((row) => ({
      address: String(row.address),
      messages: Number(row.messages),
    })),
    groups: groups.map((row) => ({
      name: String(row.name),
      consumer: String(row.consumer),
      addresses: subscribed.all(row.id as number).map(({ address }) => String(address)),
      waiting: Number(row.waiting),
    })),
  }
}

/** @throws TOPOLOGY_IN_USE */
export function removeSurplus(engine: Engine, turn: Turn, surplus: TopologySurplus): void {
  const { file, topology } = engine
  for (const { group: name, address } of surplus.subscriptions) {
    const [group, topic] = [topology.groups.get(name), topology.topics.get(address)]
    if (group === undefined || topic === undefined) continue
    removeDeliveries(engine, { id: group.id, consumer: group.consumer, topic: topic.id })
    file.prepare('DELETE FROM bus_subscription WHERE grp = ? AND topic = ?').run(group.id, topic.id)
    turn.isTopologyTouched = true
  }
  for (const name of surplus.groups) {
    const group = topology.groups.get(name)
    if (group !== undefined) removeGroup(engine, turn, group)
  }
  refresh(engine, turn)
  for (const address of surplus.channels) {
    const topic = engine.topology.topics.get(address)
    if (topic === undefined) continue
    const [reader] = topic.subscriptions
    if (reader !== undefined) throw inUse(address, reader.group.name)
    for (const table of ['bus_log', 'bus_dedup']) {
      file.prepare(`DELETE FROM ${table} WHERE topic = ?`).run(topic.id)
    }
    file.prepare('DELETE FROM bus_topic WHERE id = ?').run(topic.id)
    turn.isTopologyTouched = true
  }
  refresh(engine, turn)
}

/** The refusal of a channel that somebody reads. */
export function inUse(address: string, group: string): TreatyError {
  return new TreatyError(
    'TOPOLOGY_IN_USE',
    `the channel '${address}' is still read by the group '${group}'`,
    { hint: 'Remove the group first, or keep the channel.', details: { address, group } },
  )
}
