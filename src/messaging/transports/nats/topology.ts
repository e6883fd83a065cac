import { TreatyError } from '../../../core/errors.ts'
import type { ChannelTopology, GroupTopology, Topology, TopologyDiff } from '../../transport.ts'
import { note, type Report, severityOf } from '../sqlite/topology-drift.ts'
import {
  type ChannelDocument,
  type GroupDocument,
  type SubscriptionDocument,
  wantedChannel,
} from './definitions.ts'
import type { Document } from './documents.ts'
import { isApiError, jsCode } from './errors.ts'
import { publishedThrough } from './ledger.ts'
import { channelSubjects } from './names.ts'
import type { Session } from './session.ts'
import {
  channelConfig,
  createStream,
  isOurs,
  limitsOf,
  type StreamConfig,
  streamInfo,
  upgradeStream,
} from './streams.ts'

const orderingRank = { none: 0, 'per-key': 1, 'per-channel': 2 } as const
const sameVersion = 'Start every process with the same version of the contract.'

/** What one call of `ensure` works with. */
interface Ensuring {
  readonly session: Session
  readonly isCreate: boolean
  readonly report: Report
  /** Tells this connection's life to the others, because a group hangs on it. */
  readonly beginLife: (topology: Topology) => Promise<void>
  readonly topology: Topology
}

/** Creates what is missing, or only looks. How differences are treated: as by the embedded broker, see {@link Report}. */
export async function ensureTopology(
  session: Session,
  wanted: { readonly topology: Topology; readonly mode: 'create' | 'verify' },
  beginLife: Ensuring['beginLife'],
): Promise<TopologyDiff> {
  const { topology, mode } = wanted
  const report: Report = { missing: [], created: [], drift: [] }
  const ensuring: Ensuring = { session, isCreate: mode === 'create', report, beginLife, topology }
  const named = new Set(topology.channels.map(({ address }) => address))
  const channels: ChannelTopology[] = [...topology.channels]
  for (const { address } of topology.groups.flatMap(({ subscriptions }) => subscriptions)) {
    if (named.has(address)) continue
    named.add(address)
    if ((await session.definitions.channel(address)) === undefined) {
      channels.push({ address, ordering: 'none' })
    }
  }
  for (const channel of channels) await ensureChannel(ensuring, channel, topology.groups)
  for (const group of topology.groups) await ensureGroup(ensuring, group)
  return report
}

async function ensureChannel(
  ensuring: Ensuring,
  channel: ChannelTopology,
  groups: readonly GroupTopology[],
): Promise<void> {
  const { session, isCreate, report } = ensuring
  const { address } = channel
  session.definitions.forget(address)
  const readers = groups.filter((group) =>
    group.subscriptions.some((subscription) => subscription.address === address),
  )
  const isEphemeral = readers.length > 0 && readers.every(({ ephemeral }) => ephemeral === true)
  const wanted = wantedChannel(channel, isEphemeral)
  const subject = session.places.channel(address)
  const present = await session.state.read<ChannelDocument>(subject)
  if (present === undefined) {
    if (!isCreate) {
      report.missing.push(`channel ${address}`)
      return
    }
    const isBorrowed = !(await ensureStream(ensuring, wanted))
    const document = isBorrowed ? { ...wanted, isBorrowed } : wanted
    const isFirst = (await session.state.write(subject, document, 0)) !== 'conflict'
    if (isFirst) report.created.push(`channel ${address}`)
    else await ensureChannel(ensuring, channel, groups)
    return
  }
  await compareStream(ensuring, present.value)
  await compareChannel(ensuring, { wanted, present, subject })
}

/** True: the stream is ours alone. */
async function ensureStream({ session }: Ensuring, channel: ChannelDocument): Promise<boolean> {
  const { wire } = session
  const config = channelConfig(wire, channel, session)
  try {
    if (await createStream(wire, config)) return true
  } catch (error) {
    if (isApiError(error, jsCode.subjectsOverlap)) throw subjectsTaken(channel)
    throw error
  }
  const found = await streamInfo(wire, channel.stream)
  if (found === undefined) return false
  const subjects = found.config.subjects ?? []
  const lacking = channelSubjects(channel.address).filter((each) => !subjects.includes(each))
  const isSame = found.config.description === config.description
  if (isSame && lacking.length === 0) return true
  if (isOurs(found.config) && !isSame) {
    // Two that trim one stream would take each other's messages away.
    throw new TreatyError(
      'TOPOLOGY_IN_USE',
      `the stream '${channel.stream}' is taken: ${found.config.description}`,
      {
        hint: 'Use the same ?namespace= for all who share a channel, or another stream in bindings.nats.stream.',
        details: { address: channel.address, stream: channel.stream },
      },
    )
  }
  await addTo(session, { ...channel, subjects: [...subjects, ...lacking] }, found.config)
  return isSame
}

/** Somebody else's stream is only added to. */
async function addTo(
  { wire, features }: Session,
  channel: ChannelDocument & { readonly subjects: readonly string[] },
  config: StreamConfig,
): Promise<void> {
  const { batches, schedules, ttl } = features
  try {
    await wire.api(`STREAM.UPDATE.${channel.stream}`, {
      ...config,
      subjects: channel.subjects,
      allow_direct: true,
      ...(batches ? { allow_atomic: true } : {}),
      ...(schedules && config.discard !== 'new' ? { allow_msg_schedules: true } : {}),
      ...(ttl ? { allow_msg_ttl: true } : {}),
    })
  } catch (error) {
    if (isApiError(error, jsCode.subjectsOverlap)) throw subjectsTaken(channel)
    throw error
  }
}

function subjectsTaken({ address, stream }: ChannelDocument): TreatyError {
  const [own, below] = channelSubjects(address)
  return new TreatyError(
    'TOPOLOGY_IN_USE',
    `another stream listens to '${own}' or '${below}', which the channel '${address}' needs`,
    {
      hint: 'Name that stream in bindings.nats.stream of the channel, or use another address.',
      details: { address, stream },
    },
  )
}

/** A stream that is gone, or that forgets by itself, breaks the promise that nothing is lost. */
async function compareStream(ensuring: Ensuring, channel: ChannelDocument): Promise<void> {
  const { session, isCreate, report } = ensuring
  const found = await streamInfo(session.wire, channel.stream)
  const { address, stream } = channel
  if (found === undefined) {
    if (!isCreate) {
      report.missing.push(`stream ${stream} of channel ${address}`)
      return
    }
    await ensureStream(ensuring, channel)
    report.created.push(`stream ${stream} of channel ${address}`)
    return
  }
  // A server that was upgraded can more than when the stream was made.
  if (isCreate)
    await upgradeStream(session.wire, found, channelConfig(session.wire, channel, session))
  const limits = limitsOf(found.config)
  if (limits.length > 0) {
    note(report, {
      code: 'TOPOLOGY_RETENTION_DIFFERS',
      severity: 'error',
      message: `the stream '${stream}' of the channel '${address}' may drop messages that nobody has read: ${limits.join(', ')}`,
      hint: 'Remove these limits from the stream: Treaty takes away what every group has finished.',
    })
  }
}

async function compareChannel(
  { session, isCreate, report }: Ensuring,
  at: {
    readonly wanted: ChannelDocument
    readonly present: Document<ChannelDocument>
    readonly subject: string
  },
): Promise<void> {
  const { wanted, subject } = at
  const { value: present, seq } = at.present
  const { address, ordering } = wanted
  let next = present
  if (present.ordering !== ordering) {
    const isWeaker = orderingRank[present.ordering] < orderingRank[ordering]
    note(report, {
      code: 'TOPOLOGY_ORDERING_DIFFERS',
      severity: severityOf(isWeaker, isCreate),
      message: `the channel '${address}' is ordered ${present.ordering}, and the contract says ${ordering}`,
      hint: sameVersion,
    })
    if (isWeaker) next = { ...next, ordering }
  } else if (present.partitions !== wanted.partitions && present.isEphemeral !== true) {
    note(report, {
      code: 'TOPOLOGY_ORDERING_DIFFERS',
      severity: severityOf(present.partitions < wanted.partitions, false),
      message: `the channel '${address}' has ${present.partitions} lanes, and the contract says ${wanted.partitions}`,
      hint: 'Lanes cannot be added to a channel, because keys would change theirs: use another address, or the old number.',
    })
  }
  const [keptMs, wantedMs] = [present.retentionMs ?? 0, wanted.retentionMs ?? 0]
  if (keptMs !== wantedMs) {
    note(report, {
      code: 'TOPOLOGY_RETENTION_DIFFERS',
      severity: severityOf(keptMs < wantedMs, isCreate),
      message: `the channel '${address}' keeps messages for ${keptMs} ms, and the contract says ${wantedMs} ms`,
      hint: sameVersion,
    })
    if (keptMs < wantedMs) next = { ...next, retentionMs: wantedMs }
  }
  if (!isCreate || next === present) return
  await session.state.write(subject, next, seq)
  session.definitions.forget(address)
}

async function ensureGroup(ensuring: Ensuring, group: GroupTopology): Promise<void> {
  const { session, isCreate, report } = ensuring
  const subject = session.places.group(group.name)
  const found = await session.state.read<GroupDocument>(subject)
  if (found === undefined && !isCreate) {
    report.missing.push(`group ${group.name}`)
    return
  }
  if (group.ephemeral === true && isCreate) {
    const channels = ensuring.topology.channels.filter(({ address }) =>
      group.subscriptions.some((subscription) => subscription.address === address),
    )
    await ensuring.beginLife({ channels, groups: [group] })
  }
  const { ephemeral, subscriptions: _, ...plain } = group
  const base: GroupDocument =
    found?.value ??
    ({
      ...plain,
      ...(ephemeral === true ? { connection: session.id } : {}),
      subscriptions: [],
    } satisfies GroupDocument)
  const policy = found === undefined ? base : comparePolicy(ensuring, group, base)
  const made: string[] = found === undefined ? [`group ${group.name}`] : []
  const subscriptions: SubscriptionDocument[] = [...policy.subscriptions]
  for (const wanted of group.subscriptions) {
    await mergeSubscription(ensuring, { group, wanted, subscriptions, made })
  }
  const next = { ...policy, subscriptions }
  if (!isCreate || JSON.stringify(next) === JSON.stringify(found?.value)) return
  if ((await session.state.write(subject, next, found?.seq ?? 0)) === 'conflict') {
    await ensureGroup(ensuring, group)
    return
  }
  report.created.push(...made)
}

/** Adds what the group lacks to `subscriptions`. */
async function mergeSubscription(
  ensuring: Ensuring,
  at: {
    readonly group: GroupTopology
    readonly wanted: GroupTopology['subscriptions'][number]
    readonly subscriptions: SubscriptionDocument[]
    readonly made: string[]
  },
): Promise<void> {
  const { session, isCreate, report } = ensuring
  const { group, wanted, subscriptions, made } = at
  const { address, types, ignored } = wanted
  const place = subscriptions.findIndex((each) => each.address === address)
  const present = subscriptions[place]
  const name = `subscription of ${group.name} to ${address}`
  if (present === undefined) {
    const channel = await session.definitions.channel(address)
    if (!isCreate || channel === undefined) {
      report.missing.push(name)
      return
    }
    const begin = await beginningOf(session, channel, group.start)
    const more = ignored === undefined ? {} : { ignored }
    subscriptions.push({ address, types, ...more, ...begin })
    made.push(name)
    return
  }
  const added = missingTypes(present.types, types)
  const extra = missingTypes(types, present.types)
  noteTypes(ensuring, { group, address, added, extra })
  const isAll = added.includes('*') || present.types === '*'
  const { ignored: formerly, ...rest } = present
  const known = ignored ?? formerly
  subscriptions[place] = {
    ...rest,
    types: isAll ? '*' : [...(present.types as readonly string[]), ...added],
    ...(known === undefined ? {} : { ignored: known }),
  }
}

/** Where a new group begins, and what was published before that. */
async function beginningOf(
  session: Session,
  channel: ChannelDocument,
  start: GroupTopology['start'],
): Promise<Pick<SubscriptionDocument, 'after' | 'before'>> {
  for (;;) {
    const info = await streamInfo(session.wire, channel.stream)
    const state = info?.state ?? { first_seq: 0, last_seq: 0 }
    const after = start === 'latest' ? state.last_seq : Math.max(0, state.first_seq - 1)
    const before = await publishedThrough(session, channel, { after, last: state.last_seq })
    const again = await streamInfo(session.wire, channel.stream)
    // Trimmed while it was counted: count again.
    if ((again?.state.first_seq ?? 0) === state.first_seq) return { after, before }
  }
}

function missingTypes(has: readonly string[] | '*', wants: readonly string[] | '*'): string[] {
  if (has === '*') return []
  if (wants === '*') return ['*']
  return wants.filter((type) => !has.includes(type))
}

function noteTypes(
  { report, isCreate }: Ensuring,
  found: {
    readonly group: GroupTopology
    readonly address: string
    readonly added: readonly string[]
    readonly extra: readonly string[]
  },
): void {
  const { group, address, added, extra } = found
  const { name, consumer } = group
  if (added.length > 0) {
    note(report, {
      code: 'TOPOLOGY_TYPES_DIFFER',
      severity: severityOf(true, isCreate),
      message: `the group '${name}' did not get ${added.join(', ')} from '${address}'`,
      hint: 'Start one process with topology: create, so that the types are added.',
      consumer,
    })
  }
  if (extra.length > 0) {
    note(report, {
      code: 'TOPOLOGY_TYPES_DIFFER',
      severity: 'info',
      message: `the group '${name}' also gets ${extra.join(', ')} from '${address}', which this contract does not list`,
      hint: 'Nothing needs doing while two versions of the contract run.',
      consumer,
    })
  }
}

/** The policy of the latest that creates wins; dead letters are kept for the longer time. */
function comparePolicy(
  { report, isCreate }: Ensuring,
  group: GroupTopology,
  present: GroupDocument,
): GroupDocument {
  const { deadLetter, deliveriesMax } = group
  const has = present.deadLetter
  const differences = [
    ['dead-letter address', has.address, deadLetter.address],
    ['onDead', has.onDead, deadLetter.onDead],
    ['onExpired', has.onExpired, deadLetter.onExpired],
    ['deliveriesMax', present.deliveriesMax, deliveriesMax],
  ].filter(([, now, wants]) => now !== wants)
  if (has.retentionMs < deadLetter.retentionMs) {
    differences.push(['dead-letter retention', has.retentionMs, deadLetter.retentionMs])
  }
  for (const [what, now, wants] of differences) {
    note(report, {
      code: 'TOPOLOGY_POLICY_DIFFERS',
      severity: severityOf(true, isCreate),
      message: `the group '${group.name}' has ${what} ${now}, and the contract says ${wants}`,
      hint: sameVersion,
      consumer: group.consumer,
    })
  }
  const retentionMs = Math.max(has.retentionMs, deadLetter.retentionMs)
  return { ...present, deliveriesMax, deadLetter: { ...deadLetter, retentionMs } }
}
