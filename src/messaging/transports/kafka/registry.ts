import { TreatyError } from '../../../core/errors.ts'
import type { ChannelTopology, GroupTopology } from '../../transport.ts'
import { type CompactedTopic, followCompacted } from './compacted.ts'
import type { LogRecord } from './log-record.ts'
import type { Producer } from './producer.ts'
import { createTopics } from './topics.ts'
import type { Line, Wire } from './wire.ts'

/** A channel as the registry has it. */
export interface KnownChannel {
  readonly address: string
  readonly topic: string
  readonly ordering: ChannelTopology['ordering']
  readonly retentionMs?: number
  /** Lanes over which keys are spread: never changes, or keys would change their lane. */
  readonly lanes: number
}
/** Where a group begins to read a channel: offsets by partition; absent: at the oldest message that is kept. */
export interface Beginning {
  readonly offsets: readonly number[]
  /** Messages before that, by type, for each partition: they are none of the group's. */
  readonly before: readonly (readonly (readonly [type: string, count: number])[])[]
}
export interface KnownGroup extends GroupTopology {
  readonly groupId: string
  /** By address. */
  readonly beginnings: Readonly<Record<string, Beginning>>
}

/**
 * What the contracts made here, told to every process by a compacted topic. Whoever writes first where a group begins has written it for good,
 * so that two processes that make a group at the same time agree.
 */
export interface Registry {
  /** Reads what others wrote. */
  refresh(): Promise<void>
  /** Makes the topic behind it. */
  create(): Promise<void>
  readonly exists: boolean
  channel(address: string): KnownChannel | undefined
  channelOfTopic(topic: string): KnownChannel | undefined
  group(name: string): KnownGroup | undefined
  readonly channels: readonly KnownChannel[]
  readonly groups: readonly KnownGroup[]
  /** Every topic that ever was the place of a group's dead letters, and how long it keeps them. */
  readonly deadTopics: ReadonlyMap<string, number>
  /** Resolves once it is read back, merged with what others wrote before. */
  putChannel(channel: KnownChannel): Promise<void>
  putGroup(group: KnownGroup): Promise<void>
  putDeadTopic(topic: string, retentionMs: number): Promise<void>
  removeChannel(address: string): Promise<void>
  removeGroup(name: string): Promise<void>
}

/** While two records of a key are this young both are kept, so that the first can win. */
export const compactionLagMs = 600_000
/** Settings of the topics that hold the last value of each key. */
export const compactedConfigs = {
  'cleanup.policy': 'compact',
  'min.compaction.lag.ms': String(compactionLagMs),
  'max.message.bytes': '4194304',
}

export function createRegistry(options: {
  readonly wire: Wire
  readonly line: Line
  readonly producer: Producer
}): Registry {
  const { wire } = options
  const topic = `${wire.target.prefix}treaty.topology`
  const channels = new Map<string, KnownChannel>()
  const byTopic = new Map<string, KnownChannel>()
  const groups = new Map<string, KnownGroup>()
  const deadTopics = new Map<string, number>()
  let isThere = false
  const log: CompactedTopic = followCompacted({
    ...options,
    topic,
    take: (record) => take(record, { channels, byTopic, groups, deadTopics }),
  })
  const write = async (key: string, value: unknown) => {
    const bytes = value === undefined ? null : Buffer.from(JSON.stringify(value))
    await log.put(key, bytes)
    await log.refresh()
  }
  const self: Registry = {
    get exists() {
      return isThere
    },
    async refresh() {
      isThere = await log.refresh()
    },
    async create() {
      await createTopics(wire, [{ name: topic, partitions: 1, configs: compactedConfigs }])
      await self.refresh()
    },
    channel: (address) => channels.get(address),
    channelOfTopic: (name) => byTopic.get(name),
    group: (name) => groups.get(name),
    get channels() {
      return [...channels.values()]
    },
    get groups() {
      return [...groups.values()]
    },
    deadTopics,
    putDeadTopic: (name, retentionMs) => write(`dead:${name}`, retentionMs),
    putChannel: (channel) => write(`channel:${channel.address}`, channel),
    async putGroup(group) {
      await write(`group:${group.name}`, group)
      const merged = groups.get(group.name)
      // Somebody was first: the last record has to say what counts once the first is compacted away.
      if (merged !== undefined && !isSame(merged, group)) await write(`group:${group.name}`, merged)
    },
    removeChannel: (address) => write(`channel:${address}`, undefined),
    removeGroup: (name) => write(`group:${name}`, undefined),
  }
  return self
}

function isSame(one: KnownGroup, two: KnownGroup): boolean {
  return JSON.stringify(one.beginnings) === JSON.stringify(two.beginnings)
}

function take(
  { key, value }: LogRecord,
  known: {
    readonly channels: Map<string, KnownChannel>
    readonly byTopic: Map<string, KnownChannel>
    readonly groups: Map<string, KnownGroup>
    readonly deadTopics: Map<string, number>
  },
): void {
  const name = key?.toString() ?? ''
  const id = name.slice(name.indexOf(':') + 1)
  if (name.startsWith('dead:')) {
    if (value !== null) known.deadTopics.set(id, Number(value.toString()))
  } else if (name.startsWith('channel:')) {
    const before = known.channels.get(id)
    if (before !== undefined) known.byTopic.delete(before.topic)
    known.channels.delete(id)
    if (value === null) return
    const channel = parse(value) as KnownChannel
    known.channels.set(id, channel)
    known.byTopic.set(channel.topic, channel)
  } else if (name.startsWith('group:')) {
    if (value === null) {
      known.groups.delete(id)
      return
    }
    const group = parse(value) as KnownGroup
    const beginnings = { ...group.beginnings, ...known.groups.get(id)?.beginnings }
    known.groups.set(id, { ...group, beginnings })
  }
}

function parse(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString())
  } catch (cause) {
    throw new TreatyError(
      'TRANSPORT_FAILED',
      'the topic of the topology holds a record that is not ours',
      {
        hint: 'Give Treaty a prefix of its own: kafka://…?prefix=NAME.',
        cause,
      },
    )
  }
}
