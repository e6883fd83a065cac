import { TreatyError } from '../../../core/errors.ts'
import type { BrokerInventory, TopologySurplus, TransportStats } from '../../transport.ts'
import { brokerErrorIds } from './errors.ts'
import { laneName, type Place } from './names.ts'
import { offsetsOf, startOfLog } from './reader.ts'
import type { KnownGroup, Registry } from './registry.ts'
import type { States } from './states.ts'
import { deleteGroups, deleteTopics } from './topics.ts'
import type { Wire } from './wire.ts'

export interface InventoryOptions {
  readonly wire: Wire
  readonly registry: Registry
  readonly states: States
}

/** What the registry knows: topics and groups of other programs are none of ours. */
export async function takeInventory(
  options: InventoryOptions,
  stats: () => Promise<TransportStats>,
): Promise<BrokerInventory> {
  const { registry } = options
  const gauges = new Map((await stats()).groups.map((each) => [each.group, each]))
  const groups = registry.groups.filter(({ ephemeral }) => ephemeral !== true)
  const replies = new Set(
    registry.groups.flatMap(({ ephemeral, subscriptions }) =>
      ephemeral === true ? subscriptions.map(({ address }) => address) : [],
    ),
  )
  const channels = registry.channels.filter(({ address }) => !replies.has(address))
  return {
    channels: await Promise.all(
      channels.map(async ({ address, topic }) => ({
        address,
        messages: await messagesIn(options, topic),
      })),
    ),
    groups: groups.map(({ name, consumer, subscriptions }) => {
      const { ready = 0, inFlight = 0, delayed = 0, blocked = 0 } = gauges.get(name) ?? {}
      const addresses = subscriptions.map(({ address }) => address)
      return { name, consumer, addresses, waiting: ready + inFlight + delayed + blocked }
    }),
  }
}

async function placesOf({ wire }: InventoryOptions, topic: string): Promise<Place[]> {
  const leaders = (await wire.topics([topic])).get(topic)?.leaders ?? []
  return leaders.map((_, partition) => ({ topic, partition }))
}

async function messagesIn(options: InventoryOptions, topic: string): Promise<number> {
  const places = await placesOf(options, topic)
  const starts = await offsetsOf(options.wire, places, startOfLog)
  const ends = await offsetsOf(options.wire, places)
  return places.reduce((sum, place) => {
    const name = laneName(place)
    return sum + (ends.get(name) ?? 0) - (starts.get(name) ?? 0)
  }, 0)
}

/** Takes away what is named; what is not there any more is no error. @throws TOPOLOGY_IN_USE */
export async function removeSurplus(
  options: InventoryOptions,
  surplus: TopologySurplus,
): Promise<void> {
  const { registry } = options
  await registry.refresh()
  for (const { group, address } of surplus.subscriptions) {
    const known = registry.group(group)
    if (known !== undefined) await removeSubscription(options, known, address)
  }
  for (const name of surplus.groups) {
    const known = registry.group(name)
    if (known !== undefined) await removeGroup(options, known)
  }
  for (const address of surplus.channels) await removeChannel(options, address)
}

async function removeSubscription(
  options: InventoryOptions,
  group: KnownGroup,
  address: string,
): Promise<void> {
  const { registry, states } = options
  const { [address]: gone, ...beginnings } = group.beginnings
  const subscriptions = group.subscriptions.filter((each) => each.address !== address)
  const topic = registry.channel(address)?.topic
  // The record before would hand its beginning on: a new one starts after a clean cut.
  await registry.removeGroup(group.name)
  await registry.putGroup({ ...group, subscriptions, beginnings })
  if (topic !== undefined) await states.forget(group, await placesOf(options, topic))
}

async function removeGroup(options: InventoryOptions, group: KnownGroup): Promise<void> {
  const { wire, registry, states } = options
  try {
    await deleteGroups(wire, [group.groupId])
  } catch (error) {
    const { cause } = error as { cause?: unknown }
    if (!brokerErrorIds(cause).has('NON_EMPTY_GROUP')) throw error
    throw inUse(`the group '${group.name}' has consumers that are connected`)
  }
  for (const { address } of group.subscriptions) {
    const topic = registry.channel(address)?.topic
    if (topic !== undefined) await states.forget(group, await placesOf(options, topic))
  }
  await registry.removeGroup(group.name)
}

async function removeChannel(options: InventoryOptions, address: string): Promise<void> {
  const { wire, registry, states } = options
  const channel = registry.channel(address)
  if (channel === undefined) return
  const reader = registry.groups.find(({ subscriptions }) =>
    subscriptions.some((each) => each.address === address),
  )
  if (reader !== undefined) {
    throw inUse(`the channel '${address}' is still read by the group '${reader.name}'`)
  }
  const places = await placesOf(options, channel.topic)
  await deleteTopics(wire, [channel.topic])
  await states.forgetCounts(places)
  await registry.removeChannel(address)
}

function inUse(message: string): TreatyError {
  return new TreatyError('TOPOLOGY_IN_USE', message, {
    hint: 'Stop its consumers, or take the group away first.',
  })
}
