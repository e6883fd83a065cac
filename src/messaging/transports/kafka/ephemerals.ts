import type { KafkaGroup } from './group.ts'
import type { KnownGroup, Registry } from './registry.ts'
import type { States } from './states.ts'
import { deleteGroups, deleteTopics } from './topics.ts'
import { type Wire, withPartErrors } from './wire.ts'

/** Groups that live as long as a connection: Kafka's own membership says whether they do. */
export interface Ephemerals {
  /** Makes us a member of it until the end. */
  stayIn(group: KnownGroup): Promise<void>
  /** Takes away those of others whose process is gone. */
  sweep(): Promise<void>
  /** Takes away our own. */
  end(): Promise<void>
}

export interface EphemeralOptions {
  readonly wire: Wire
  readonly registry: Registry
  readonly states: States
  join(group: KnownGroup): KafkaGroup
}

/** A group without members is in one of these. */
const abandoned = ['Empty', 'Dead']

export function createEphemerals(options: EphemeralOptions): Ephemerals {
  const { wire, registry, states } = options
  const own = new Set<string>()

  async function remove(group: KnownGroup): Promise<void> {
    const addresses = group.subscriptions.map(({ address }) => address)
    await registry.removeGroup(group.name)
    await deleteGroups(wire, [group.groupId]).catch(() => undefined)
    for (const address of addresses) {
      const channel = registry.channel(address)
      const isRead = registry.groups.some(({ subscriptions }) =>
        subscriptions.some((each) => each.address === address),
      )
      if (channel === undefined || isRead) continue
      await registry.removeChannel(address)
      await deleteTopics(wire, [channel.topic])
      const places = [{ topic: channel.topic, partition: 0 }]
      await states.forgetCounts(places)
      await states.forget(group, places)
    }
  }

  async function isAbandoned(group: KnownGroup): Promise<boolean> {
    const server = await wire.coordinator(group.groupId)
    const { api } = wire.driver.describeGroupsV5
    const answer = await withPartErrors(wire.control.call(server, api, [group.groupId], false))
    const [found] = answer.groups
    return found !== undefined && abandoned.includes(found.groupState)
  }

  return {
    async stayIn(group) {
      own.add(group.name)
      await options.join(group).stay()
    },
    async sweep() {
      for (const group of registry.groups) {
        if (group.ephemeral !== true || own.has(group.name)) continue
        if (await isAbandoned(group).catch(() => false)) await remove(group)
      }
    },
    async end() {
      for (const name of own) {
        const group = registry.group(name)
        if (group !== undefined) await remove(group).catch(() => undefined)
      }
      own.clear()
    },
  }
}
