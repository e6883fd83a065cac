import { TreatyError } from '../../../core/errors.ts'
import type { Finding } from '../../../core/finding.ts'
import type { ChannelTopology, GroupTopology, Topology, TopologyDiff } from '../../transport.ts'
import { note, type Report, severityOf } from '../sqlite/topology-drift.ts'
import { refusedRetentionMs } from './dead-index.ts'
import { deadConfigs } from './dead-letters.ts'
import { groupIdOf, type Place, topicOf } from './names.ts'
import { offsetsOf, startOfLog } from './reader.ts'
import type { Beginning, KnownChannel, KnownGroup, Registry } from './registry.ts'
import type { States } from './states.ts'
import { createTopics, readConfigs, setConfigs, type TopicWish } from './topics.ts'
import type { Wire } from './wire.ts'

export interface TopologyOptions {
  readonly wire: Wire
  readonly registry: Registry
  readonly states: States
  readonly messageBytesMax: number
  /** An ephemeral group lives as long as we are its member. */
  stayIn(group: KnownGroup): Promise<void>
}

const lanesDefault = 12
/** Room for headers beside a body of the largest size. */
const headerBytesMax = 131_072
const forever = '-1'
const minInSync = 'min.insync.replicas'

/** What one call of `ensure` works with. */
interface Ensuring extends TopologyOptions {
  readonly isCreate: boolean
  readonly report: Report
  /** Channels that are made in this call: nothing is in them yet. */
  readonly fresh: Set<string>
}

/** Creates what is missing, or only looks. How differences are treated: as by the embedded broker, see {@link Report}. */
export async function ensureTopology(
  options: TopologyOptions,
  topology: Topology,
  mode: 'create' | 'verify',
): Promise<TopologyDiff> {
  const report: Report = { missing: [], created: [], drift: [] }
  const ensuring: Ensuring = { ...options, isCreate: mode === 'create', report, fresh: new Set() }
  await options.registry.refresh()
  if (ensuring.isCreate && !options.registry.exists) await createOwnTopics(options)
  const channels = withImplied(topology, options.registry)
  await ensureChannels(ensuring, channels, topology.groups)
  await Promise.all(topology.groups.map((group) => ensureGroup(ensuring, group)))
  return report
}

/** The topics that Treaty itself needs: the registry, the states, and the letters that no consumer has. */
async function createOwnTopics({ wire, registry, states }: TopologyOptions): Promise<void> {
  const { prefix } = wire.target
  const refused = `${prefix}treaty.dead`
  await states.create()
  const configs = deadConfigs(refusedRetentionMs)
  await createTopics(wire, [{ name: refused, partitions: 1, configs }])
  // Last, because it says that all of it is there.
  await registry.create()
}

/** Channels that are only subscribed to keep no order that we know of. */
function withImplied(topology: Topology, registry: Registry): ChannelTopology[] {
  const channels = new Map(topology.channels.map((channel) => [channel.address, channel]))
  for (const { subscriptions } of topology.groups) {
    for (const { address } of subscriptions) {
      if (channels.has(address) || registry.channel(address) !== undefined) continue
      channels.set(address, { address, ordering: 'none' })
    }
  }
  return [...channels.values()]
}

async function ensureChannels(
  ensuring: Ensuring,
  channels: readonly ChannelTopology[],
  groups: readonly GroupTopology[],
): Promise<void> {
  const { wire, registry, report, isCreate, fresh } = ensuring
  const topics = new Map(channels.map((channel) => [channel, topicFor(ensuring, channel.address)]))
  const there = await wire.topics([...topics.values()], true)
  const wishes: TopicWish[] = []
  for (const [channel, topic] of topics) {
    if (there.has(topic)) continue
    if (!isCreate) continue
    fresh.add(channel.address)
    wishes.push(channelWish(ensuring, { channel, topic, groups }))
  }
  const dead = isCreate ? deadTopics(ensuring, groups) : new Map<string, number>()
  await createTopics(wire, [...wishes, ...(await deadWishes(ensuring, dead))])
  const facts = await wire.topics([...topics.values()])
  for (const [channel, topic] of topics) {
    const { address } = channel
    const known = registry.channel(address)
    const partitions = facts.get(topic)?.leaders.length
    if (known !== undefined && partitions !== undefined) {
      await compareChannel(ensuring, channel, { known, partitions })
    } else if (!isCreate || partitions === undefined) report.missing.push(`channel ${address}`)
    else {
      const { ordering, retentionMs } = channel
      const kept = retentionMs === undefined ? {} : { retentionMs }
      await registry.putChannel({ address, topic, ordering, ...kept, lanes: partitions })
      report.created.push(`channel ${address}`)
      await compareSettings(ensuring, channel, topic)
    }
  }
}

function topicFor({ registry, wire }: Ensuring, address: string): string {
  return registry.channel(address)?.topic ?? topicOf(address, wire.target.prefix)
}

interface KafkaBinding {
  readonly partitions?: unknown
  readonly replicas?: unknown
}

function bindingOf(channel: ChannelTopology): KafkaBinding {
  const binding = channel.bindings?.kafka
  return typeof binding === 'object' && binding !== null ? binding : {}
}

function channelWish(
  { messageBytesMax }: Ensuring,
  made: { channel: ChannelTopology; topic: string; groups: readonly GroupTopology[] },
): TopicWish {
  const { channel, topic, groups } = made
  const { replicas } = bindingOf(channel)
  return {
    name: topic,
    partitions: lanesOf(channel, groups),
    configs: {
      'cleanup.policy': 'delete',
      'retention.ms': channel.retentionMs === undefined ? forever : wholeMs(channel.retentionMs),
      'retention.bytes': forever,
      'max.message.bytes': String(messageBytesMax + headerBytesMax),
    },
    ...(typeof replicas === 'number' ? { replicas } : {}),
  }
}

function lanesOf(channel: ChannelTopology, groups: readonly GroupTopology[]): number {
  if (channel.ordering === 'per-channel') return 1
  const { partitions } = bindingOf(channel)
  if (typeof partitions === 'number' && partitions > 0) return Math.trunc(partitions)
  const readers = groups.filter(({ subscriptions }) =>
    subscriptions.some(({ address }) => address === channel.address),
  )
  const isReplies = readers.length > 0 && readers.every(({ ephemeral }) => ephemeral === true)
  return isReplies ? 1 : lanesDefault
}

function wholeMs(ms: number): string {
  return String(Math.max(1, Math.ceil(ms)))
}

/** Topics of dead letters and how long they keep them. */
function deadTopics({ wire }: Ensuring, groups: readonly GroupTopology[]): Map<string, number> {
  const topics = new Map<string, number>()
  for (const { deadLetter, ephemeral } of groups) {
    if (ephemeral === true) continue
    const name = topicOf(deadLetter.address, wire.target.prefix)
    topics.set(name, Math.max(topics.get(name) ?? 0, deadLetter.retentionMs))
  }
  return topics
}

/** Those that are missing; of those that are there the longer time stays. */
async function deadWishes(
  { wire, registry }: Ensuring,
  topics: ReadonlyMap<string, number>,
): Promise<TopicWish[]> {
  const there = await wire.topics([...topics.keys()], true)
  const wishes: TopicWish[] = []
  for (const [name, retentionMs] of topics) {
    const keptMs = registry.deadTopics.get(name)
    if (!there.has(name)) {
      wishes.push({ name, partitions: 1, configs: deadConfigs(retentionMs) })
    } else if (keptMs !== undefined && keptMs < retentionMs) {
      await setConfigs(wire, name, { 'retention.ms': wholeMs(retentionMs) })
    }
    if ((keptMs ?? 0) < retentionMs) await registry.putDeadTopic(name, retentionMs)
  }
  return wishes
}

const orderingRank = { none: 0, 'per-key': 1, 'per-channel': 2 } as const

/** The stricter order and the longer retention stay. */
async function compareChannel(
  ensuring: Ensuring,
  channel: ChannelTopology,
  present: { known: KnownChannel; partitions: number },
): Promise<void> {
  const { registry, report, isCreate } = ensuring
  const { known, partitions } = present
  const { address, ordering } = channel
  const hint = 'Start every process with the same version of the contract.'
  let kept = known
  if (known.ordering !== ordering) {
    const isWeaker = orderingRank[known.ordering] < orderingRank[ordering]
    note(report, {
      code: 'TOPOLOGY_ORDERING_DIFFERS',
      severity: severityOf(isWeaker, isCreate),
      message: `the channel '${address}' is ordered ${known.ordering}, and the contract says ${ordering}`,
      hint,
    })
    if (isWeaker) kept = { ...kept, ordering }
  }
  const [keptMs, wantedMs] = [known.retentionMs ?? 0, channel.retentionMs ?? 0]
  if (keptMs !== wantedMs) {
    note(report, {
      code: 'TOPOLOGY_RETENTION_DIFFERS',
      severity: severityOf(keptMs < wantedMs, isCreate),
      message: `the channel '${address}' keeps messages for ${keptMs} ms, and the contract says ${wantedMs} ms`,
      hint,
    })
    if (keptMs < wantedMs) kept = { ...kept, retentionMs: wantedMs }
  }
  comparePartitions(report, channel, { ...present, lanes: known.lanes, partitions })
  if (isCreate && kept !== known) {
    if (kept.retentionMs !== known.retentionMs) {
      const retention = wholeMs(kept.retentionMs ?? 0)
      await setConfigs(ensuring.wire, known.topic, { 'retention.ms': retention })
    }
    await registry.putChannel(kept)
  }
  await compareSettings(ensuring, { ...channel, retentionMs: kept.retentionMs ?? 0 }, known.topic)
}

function comparePartitions(
  report: Report,
  channel: ChannelTopology,
  { lanes, partitions }: { lanes: number; partitions: number },
): void {
  const { partitions: asked } = bindingOf(channel)
  const wanted = channel.ordering === 'per-channel' ? 1 : typeof asked === 'number' ? asked : lanes
  const add = (severity: 'error' | 'info', message: string, hint: string) =>
    note(report, { code: 'TOPOLOGY_DRIFT', severity, message, hint })
  if (channel.ordering === 'per-channel' && lanes > 1) {
    add(
      'error',
      `the topic of '${channel.address}' has ${lanes} partitions, so it keeps no order over the whole channel`,
      'Give the channel a topic with one partition.',
    )
  } else if (partitions < wanted) {
    add(
      'error',
      `the topic of '${channel.address}' has ${partitions} partitions, and the contract says ${wanted}`,
      'Create the topic anew with more partitions; adding some would move keys and break their order.',
    )
  }
}

/** Settings of the topic itself that would break a promise: somebody may have changed them past us. */
async function compareSettings(
  { wire, report, isCreate }: Ensuring,
  channel: ChannelTopology,
  topic: string,
): Promise<void> {
  const keys = ['retention.ms', 'cleanup.policy', 'retention.bytes', minInSync]
  const configs = (await readConfigs(wire, [topic], keys)).get(topic)
  if (configs === undefined) return
  const add = (message: string, hint: string) =>
    note(report, { code: 'TOPOLOGY_DRIFT', severity: 'error', message, hint })
  const copies = (await wire.topics([topic])).get(topic)?.copies ?? 1
  const wantedCopies = Number(configs.get(minInSync) ?? 1)
  if (wantedCopies > copies) {
    // Brokers before 3.5 take no messages then; later ones go by the copies that there are (KIP-966).
    note(report, {
      code: 'TOPOLOGY_DRIFT',
      severity: severityOf(true, isCreate),
      message: `the topic '${topic}' has ${copies} replicas, and its ${minInSync} is ${wantedCopies}: fewer copies than it wants, or no messages at all`,
      hint: `Give the topic more replicas, or lower its ${minInSync}.`,
    })
  }
  const policy = configs.get('cleanup.policy') ?? 'delete'
  if (policy.includes('compact')) {
    add(
      `the topic '${topic}' is compacted, so messages of one key replace each other`,
      'Set cleanup.policy=delete on the topic.',
    )
  }
  const keptMs = Number(configs.get('retention.ms') ?? forever)
  const wantedMs = channel.retentionMs ?? 0
  if (keptMs >= 0 && keptMs < (wantedMs === 0 ? Number.POSITIVE_INFINITY : wantedMs)) {
    const wanted = wantedMs === 0 ? 'until every consumer is done' : `for ${wantedMs} ms`
    add(
      `the topic '${topic}' keeps messages for ${keptMs} ms, and the contract says ${wanted}`,
      `Set retention.ms=${wantedMs === 0 ? forever : wantedMs} on the topic.`,
    )
  }
}

async function ensureGroup(ensuring: Ensuring, group: GroupTopology): Promise<void> {
  const { registry, report, isCreate, wire } = ensuring
  const present = registry.group(group.name)
  const added = group.subscriptions.filter(
    ({ address }) => present?.subscriptions.every((each) => each.address !== address) ?? true,
  )
  if (!isCreate) {
    if (present === undefined) report.missing.push(`group ${group.name}`)
    else {
      for (const { address } of added) {
        report.missing.push(`subscription of ${group.name} to ${address}`)
      }
      compareGroup(ensuring, group, present)
    }
    return
  }
  const beginnings: Record<string, Beginning> = { ...present?.beginnings }
  for (const { address } of added) {
    const channel = registry.channel(address)
    if (channel === undefined) throw noChannel(address)
    beginnings[address] = await beginningOf(ensuring, channel, present?.start ?? group.start)
  }
  const groupId = groupIdOf(group.name, wire.target.prefix)
  const merged = present === undefined ? group : merge(group, present)
  const next: KnownGroup = { ...merged, groupId, beginnings }
  if (group.ephemeral === true) await ensuring.stayIn(next)
  if (present === undefined || JSON.stringify(present) !== JSON.stringify(next)) {
    await registry.putGroup(next)
  }
  if (present === undefined) report.created.push(`group ${group.name}`)
  else {
    for (const { address } of added) {
      report.created.push(`subscription of ${group.name} to ${address}`)
    }
    compareGroup(ensuring, group, present)
  }
}

function noChannel(address: string): TreatyError {
  return new TreatyError('CHANNEL_NOT_FOUND', `the channel '${address}' is not there`, {
    details: { address },
  })
}

/** What was there stays in its order, so that ensuring the same thing twice changes nothing. */
function merge(group: GroupTopology, present: KnownGroup): GroupTopology {
  const subscriptions = present.subscriptions.map((had) => {
    const wants = group.subscriptions.find(({ address }) => address === had.address)
    if (wants === undefined) return had
    const types = [...new Set([...had.types, ...wants.types])]
    const isAll = had.types === '*' || wants.types === '*'
    return { ...had, ...wants, types: isAll ? ('*' as const) : types }
  })
  const added = group.subscriptions.filter(
    ({ address }) => !present.subscriptions.some((each) => each.address === address),
  )
  const retentionMs = Math.max(group.deadLetter.retentionMs, present.deadLetter.retentionMs)
  return {
    ...group,
    start: present.start,
    subscriptions: [...subscriptions, ...added],
    deadLetter: { ...group.deadLetter, retentionMs },
  }
}

/** Where a new group starts, and how many messages are before that. */
async function beginningOf(
  { wire, states, fresh }: Ensuring,
  channel: KnownChannel,
  start: GroupTopology['start'],
): Promise<Beginning> {
  const { topic, lanes, address } = channel
  const count = (await wire.topics([topic])).get(topic)?.leaders.length ?? lanes
  const places: Place[] = Array.from({ length: count }, (_, partition) => ({ topic, partition }))
  if (fresh.has(address)) return { offsets: places.map(() => 0), before: [] }
  const counted = await states.meter.read(places)
  const oldest = await offsetsOf(wire, places, startOfLog)
  const metered = await Promise.all(
    places.map(async (place) => {
      const name = `${place.topic}#${place.partition}`
      const total = counted.get(name)
      const begin = oldest.get(name) ?? 0
      if (start === 'latest' || total === undefined) return total
      return begin === 0 ? undefined : states.meter.before(place, begin)
    }),
  )
  return {
    offsets: metered.map((each) => each?.offset ?? 0),
    before: metered.map((each) => [...(each?.published ?? [])]),
  }
}

function compareGroup(
  { report, isCreate }: Ensuring,
  group: GroupTopology,
  present: KnownGroup,
): void {
  const { deadLetter, consumer } = group
  const had = present.deadLetter
  const differences: (readonly [string, unknown, unknown])[] = [
    ['dead-letter address', had.address, deadLetter.address],
    ['onDead', had.onDead, deadLetter.onDead],
    ['onExpired', had.onExpired, deadLetter.onExpired],
    ['deliveriesMax', present.deliveriesMax, group.deliveriesMax],
  ]
  const isShort = had.retentionMs < deadLetter.retentionMs
  if (isShort) {
    differences.push(['dead-letter retention', had.retentionMs, deadLetter.retentionMs])
  }
  for (const [what, has, wants] of differences) {
    if (has === wants) continue
    note(report, {
      code: 'TOPOLOGY_POLICY_DIFFERS',
      severity: severityOf(true, isCreate),
      message: `the group '${group.name}' has ${what} ${has}, and the contract says ${wants}`,
      hint: 'Start every process with the same version of the contract.',
      consumer,
    })
  }
  for (const { address, types } of group.subscriptions) {
    const has = present.subscriptions.find((each) => each.address === address)?.types
    if (has !== undefined) noteTypes({ report, isCreate }, group, { address, has, wants: types })
  }
}

function noteTypes(
  { report, isCreate }: { report: Report; isCreate: boolean },
  { name, consumer }: GroupTopology,
  at: { address: string; has: readonly string[] | '*'; wants: readonly string[] | '*' },
): void {
  const { address, has, wants } = at
  const code: Finding['code'] = 'TOPOLOGY_TYPES_DIFFER'
  const added = missingTypes(has, wants)
  const extra = missingTypes(wants, has)
  if (added.length > 0) {
    note(report, {
      code,
      severity: severityOf(true, isCreate),
      message: `the group '${name}' did not get ${added.join(', ')} from '${address}'`,
      hint: 'Start one process with topology: create, so that the types are added.',
      consumer,
    })
  }
  if (extra.length > 0) {
    note(report, {
      code,
      severity: 'info',
      message: `the group '${name}' also gets ${extra.join(', ')} from '${address}', which this contract does not list`,
      hint: 'Nothing needs doing while two versions of the contract run.',
      consumer,
    })
  }
}

function missingTypes(has: readonly string[] | '*', wants: readonly string[] | '*'): string[] {
  if (has === '*') return []
  if (wants === '*') return ['*']
  return wants.filter((type) => !has.includes(type))
}
