import type { BrokerInventory, TopologySurplus } from '../../transport.ts'
import { inUse } from '../sqlite/surplus.ts'
import { inspect, onChannels } from './bulk.ts'
import type { Definition, Definitions, GroupDefinition } from './catalogue.ts'
import { placesOf, type Session } from './session.ts'
import { createStats } from './stats.ts'

/** All channels and lasting groups of the catalogue. */
export async function inventory(session: Session): Promise<BrokerInventory> {
  const { channels, groups } = await session.catalogue.read(0)
  const stats = await createStats(session)()
  const waiting = new Map(
    stats.groups.map(({ group, ready, inFlight, delayed, blocked }) => [
      group,
      ready + inFlight + delayed + blocked,
    ]),
  )
  return {
    channels: [...channels.keys()].sort().map((address) => ({ address })),
    groups: [...groups.values()]
      .filter(({ isRemoved }) => isRemoved !== true)
      .map(({ name, consumer, subscriptions }) => ({
        name,
        consumer,
        addresses: subscriptions.map(({ address }) => address).sort(),
        waiting: waiting.get(name) ?? 0,
      })),
  }
}

/** What goes from the broker and from the catalogue. */
interface Removal {
  readonly queues: string[]
  readonly exchanges: string[]
  readonly put: Definition[]
  readonly removed: Definition[]
}

/** @throws TOPOLOGY_IN_USE */
export async function removeSurplus(session: Session, surplus: TopologySurplus): Promise<void> {
  const { catalogue, control, names } = session
  const dead = surplus.groups.map((group) => names.dead(group))
  const shelved = await inspect(control, dead)
  const keeps = (group: string) => (shelved.get(names.dead(group))?.messages ?? 0) > 0
  const removal: Removal = { queues: [], exchanges: [], put: [], removed: [] }
  const before = await catalogue.read(0)
  const groups = new Map(before.groups)
  for (const { group, address } of surplus.subscriptions) {
    const found = groups.get(group)
    if (found === undefined) continue
    removal.queues.push(...laneQueues(session, before, found, address))
    const subscriptions = found.subscriptions.filter((each) => each.address !== address)
    groups.set(group, { ...found, subscriptions })
    removal.put.push({ ...found, subscriptions })
  }
  for (const name of surplus.groups) {
    const found = groups.get(name)
    if (found === undefined) continue
    for (const { address } of found.subscriptions) {
      removal.queues.push(...laneQueues(session, before, found, address))
    }
    groups.delete(name)
    // Its dead letters stay until their time has passed.
    if (keeps(name)) removal.put.push({ ...found, subscriptions: [], isRemoved: true })
    else {
      removal.queues.push(names.dead(name))
      removal.removed.push(found)
    }
  }
  for (const address of surplus.channels)
    removeChannel(session, removal, { address, groups, before })
  await apply(session, removal)
}

function laneQueues(
  { names }: Session,
  { channels }: Definitions,
  { name }: GroupDefinition,
  address: string,
): string[] {
  const channel = channels.get(address)
  if (channel === undefined) return []
  return placesOf(channel).flatMap(({ lane }) => [
    names.lane(name, address, lane),
    names.journal(name, address, lane),
  ])
}

function removeChannel(
  { names, channels }: Session,
  removal: Removal,
  of: { address: string; groups: ReadonlyMap<string, GroupDefinition>; before: Definitions },
): void {
  const { address, groups, before } = of
  const reader = [...groups.values()].find(({ subscriptions }) =>
    subscriptions.some((each) => each.address === address),
  )
  if (reader !== undefined) throw inUse(address, reader.name)
  const found = before.channels.get(address)
  if (found === undefined) return
  channels.delete(address)
  removal.removed.push(found)
  removal.queues.push(names.tally(address))
  removal.exchanges.push(names.exchange(address), names.lanes(address), names.others(address))
}

async function apply({ control, catalogue }: Session, removal: Removal): Promise<void> {
  const { queues, exchanges, put, removed } = removal
  // The broker takes the deletion of what is not there for done. One exchange after the other: the broker fails where two that are bound
  // to each other are deleted at once.
  await onChannels(control, [
    async (channel) => {
      for (const exchange of exchanges) await channel.deleteExchange(exchange)
    },
  ])
  await onChannels(
    control,
    queues.map((queue) => (channel) => channel.deleteQueue(queue)),
  )
  await catalogue.update(() => ({ put, removed }))
}
