import type { SqliteFile } from '../../../store/index.ts'
import type { ChannelTopology } from '../../transport.ts'

/** A group as the database has it. */
export interface Group {
  readonly id: number
  readonly name: string
  readonly consumer: string
  readonly start: 'earliest' | 'latest'
  readonly deadAddress: string
  readonly deadRetentionMs: number
  readonly onDead: 'next' | 'block'
  readonly onExpired: 'dead-letter' | 'drop'
  readonly deliveriesMax: number
  /** The owner with which it vanishes; null: it stays. */
  readonly ownerId: number | null
}

/** What one group takes from one topic. */
export interface TopicSubscription {
  readonly group: Group
  readonly topicId: number
  readonly types: ReadonlySet<string> | '*'
  /** Messages up to this seq are before the group's time. */
  readonly startSeq: number
}

export interface Topic {
  readonly id: number
  readonly address: string
  readonly ordering: ChannelTopology['ordering']
  readonly retentionMs: number | undefined
  readonly subscriptions: readonly TopicSubscription[]
}

/** Channels and groups of the database, read once for each version of the topology. */
export interface TopologyView {
  readonly version: number
  readonly topics: ReadonlyMap<string, Topic>
  readonly topicsById: ReadonlyMap<number, Topic>
  readonly groups: ReadonlyMap<string, Group>
  readonly groupsById: ReadonlyMap<number, Group>
}

export const noTopology: TopologyView = {
  version: -1,
  topics: new Map(),
  topicsById: new Map(),
  groups: new Map(),
  groupsById: new Map(),
}

/** True when the group wants messages of this type from the topic. */
export function takes(subscription: TopicSubscription, type: string): boolean {
  return subscription.types === '*' || subscription.types.has(type)
}

/** The chain that a message belongs to in each group; null: no order is kept for it. */
export function chainOf(topic: Topic, key: string | null | undefined): string | null {
  if (topic.ordering === 'per-channel') return `${topic.id}`
  if (topic.ordering === 'none' || key === undefined || key === null) return null
  return `${topic.id}:${key}`
}

export function readTopology(file: SqliteFile, version: number): TopologyView {
  const groupsById = new Map<number, Group>()
  for (const row of file.prepare('SELECT * FROM bus_group ORDER BY id').all()) {
    groupsById.set(Number(row.id), {
      id: Number(row.id),
      name: String(row.name),
      consumer: String(row.consumer),
      start: row.start as Group['start'],
      deadAddress: String(row.dead_address),
      deadRetentionMs: Number(row.dead_retention_ms),
      onDead: row.on_dead as Group['onDead'],
      onExpired: row.on_expired as Group['onExpired'],
      deliveriesMax: Number(row.deliveries_max),
      ownerId: row.owner === null ? null : Number(row.owner),
    })
  }
  const subscriptions = new Map<number, TopicSubscription[]>()
  for (const row of file.prepare('SELECT * FROM bus_subscription ORDER BY topic, grp').all()) {
    const group = groupsById.get(Number(row.grp))
    if (group === undefined) continue
    const topicId = Number(row.topic)
    const types = JSON.parse(String(row.types)) as string[] | '*'
    const entry: TopicSubscription = {
      group,
      topicId,
      types: types === '*' ? '*' : new Set(types),
      startSeq: Number(row.start_seq),
    }
    subscriptions.set(topicId, [...(subscriptions.get(topicId) ?? []), entry])
  }
  const topicsById = new Map<number, Topic>()
  for (const row of file.prepare('SELECT * FROM bus_topic ORDER BY id').all()) {
    const id = Number(row.id)
    topicsById.set(id, {
      id,
      address: String(row.address),
      ordering: row.ordering as Topic['ordering'],
      retentionMs: row.retention_ms === null ? undefined : Number(row.retention_ms),
      subscriptions: subscriptions.get(id) ?? [],
    })
  }
  return {
    version,
    topicsById,
    groupsById,
    topics: new Map([...topicsById.values()].map((topic) => [topic.address, topic])),
    groups: new Map([...groupsById.values()].map((group) => [group.name, group])),
  }
}
