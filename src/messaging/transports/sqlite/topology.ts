import type { ChannelTopology, GroupTopology, Topology, TopologyDiff } from '../../transport.ts'
import { type Engine, type Turn, wholeMs } from './engine.ts'
import { insertDelivery } from './publish.ts'
import {
  compareOrdering,
  comparePolicy,
  compareRetention,
  note,
  type Report,
  severityOf,
} from './topology-drift.ts'
import { chainOf, type Group, readTopology, type Topic } from './topology-view.ts'

/**
 * Creates what is missing, or only looks. How differences are treated: {@link Report}.
 */
export function ensureTopology(
  engine: Engine,
  turn: Turn,
  wanted: { topology: Topology; mode: 'create' | 'verify' },
): TopologyDiff {
  const { topology, mode } = wanted
  const report: Report = { missing: [], created: [], drift: [] }
  const isCreate = mode === 'create'
  for (const channel of topology.channels) {
    ensureChannel(engine, turn, { channel, isCreate, report })
  }
  for (const group of topology.groups) {
    for (const { address } of group.subscriptions) {
      if (topology.channels.some((channel) => channel.address === address)) continue
      if (engine.topology.topics.has(address)) continue
      ensureChannel(engine, turn, { channel: { address, ordering: 'none' }, isCreate, report })
    }
  }
  refresh(engine, turn)
  for (const group of topology.groups) ensureGroup(engine, turn, { group, isCreate, report })
  refresh(engine, turn)
  return report
}

/** Reads the topology anew after this turn has changed it, so that the rest of the turn sees it. */
export function refresh(engine: Engine, turn: Turn): void {
  if (turn.isTopologyTouched) {
    engine.topology = readTopology(engine.file, engine.topology.version)
  }
}

function ensureChannel(
  engine: Engine,
  turn: Turn,
  at: { channel: ChannelTopology; isCreate: boolean; report: Report },
): void {
  const { channel, isCreate, report } = at
  const { address, ordering } = channel
  const retentionMs = channel.retentionMs === undefined ? null : wholeMs(channel.retentionMs)
  const present = engine.topology.topics.get(address)
  if (present === undefined) {
    const name = `channel ${address}`
    if (!isCreate) {
      report.missing.push(name)
      return
    }
    const made = engine.file
      .prepare(
        'INSERT INTO bus_topic (address, ordering, retention_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
      )
      .run(address, ordering, retentionMs)
    if (made.changes > 0) report.created.push(name)
    turn.isTopologyTouched = true
    return
  }
  compareOrdering(engine, turn, { present, ordering, isCreate, report })
  compareRetention(engine, turn, { present, retentionMs, isCreate, report })
}

function ensureGroup(
  engine: Engine,
  turn: Turn,
  at: { group: GroupTopology; isCreate: boolean; report: Report },
): void {
  const { group, isCreate, report } = at
  const present = engine.topology.groups.get(group.name)
  if (present === undefined && !isCreate) {
    report.missing.push(`group ${group.name}`)
    return
  }
  if (present === undefined) {
    insertGroup(engine, turn, group)
    report.created.push(`group ${group.name}`)
    refresh(engine, turn)
  } else {
    comparePolicy(engine, turn, { present, group, isCreate, report })
  }
  for (const { address, types } of group.subscriptions) {
    ensureSubscription(engine, turn, { group, address, types, isCreate, report })
  }
}

function insertGroup(engine: Engine, turn: Turn, group: GroupTopology): void {
  const { deadLetter } = group
  engine.file
    .prepare(
      `INSERT INTO bus_group (name, consumer, start, dead_address, dead_retention_ms, on_dead,
         on_expired, deliveries_max, owner)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      group.name,
      group.consumer,
      group.start,
      deadLetter.address,
      wholeMs(deadLetter.retentionMs),
      deadLetter.onDead,
      deadLetter.onExpired,
      group.deliveriesMax,
      group.ephemeral ? turn.ownerId : null,
    )
  turn.isTopologyTouched = true
  if (group.ephemeral) turn.afterCommit.push(() => engine.ephemeral.set(group.name, group))
}

function ensureSubscription(
  engine: Engine,
  turn: Turn,
  at: {
    group: GroupTopology
    address: string
    types: readonly string[] | '*'
    isCreate: boolean
    report: Report
  },
): void {
  const { group, address, types, isCreate, report } = at
  const name = `subscription of ${group.name} to ${address}`
  const row = engine.topology.groups.get(group.name)
  const topic = engine.topology.topics.get(address)
  const present = topic?.subscriptions.find((one) => one.group.id === row?.id)
  if (row === undefined || topic === undefined || (present === undefined && !isCreate)) {
    report.missing.push(name)
    return
  }
  if (present === undefined) {
    subscribeGroup(engine, turn, { row, topic, types })
    report.created.push(name)
    return
  }
  const added = missingTypes(present.types, types)
  const extra = missingTypes(types, present.types)
  if (added.length > 0) {
    note(report, {
      code: 'TOPOLOGY_TYPES_DIFFER',
      severity: severityOf(true, isCreate),
      message: `the group '${group.name}' did not get ${added.join(', ')} from '${address}'`,
      hint: 'Start one process with topology: create, so that the types are added.',
      consumer: group.consumer,
    })
  }
  if (extra.length > 0) {
    note(report, {
      code: 'TOPOLOGY_TYPES_DIFFER',
      severity: 'info',
      message: `the group '${group.name}' also gets ${extra.join(', ')} from '${address}', which this contract does not list`,
      hint: 'Nothing needs doing while two versions of the contract run.',
      consumer: group.consumer,
    })
  }
  if (added.length > 0 && isCreate) {
    const union = added.includes('*') || present.types === '*' ? '*' : [...present.types, ...added]
    engine.file
      .prepare('UPDATE bus_subscription SET types = ? WHERE grp = ? AND topic = ?')
      .run(JSON.stringify(union), row.id, topic.id)
    turn.isTopologyTouched = true
  }
}

function missingTypes(
  has: ReadonlySet<string> | readonly string[] | '*',
  wants: ReadonlySet<string> | readonly string[] | '*',
): string[] {
  if (has === '*') return []
  if (wants === '*') return ['*']
  const known = new Set(has)
  return [...wants].filter((type) => !known.has(type))
}

/** The group begins with what comes, or also gets what is still there. */
function subscribeGroup(
  engine: Engine,
  turn: Turn,
  at: { row: Group; topic: Topic; types: readonly string[] | '*' },
): void {
  const { row, topic, types } = at
  const startSeq = row.start === 'latest' ? turn.nextSeq - 1 : 0
  engine.file
    .prepare('INSERT INTO bus_subscription (grp, topic, types, start_seq) VALUES (?, ?, ?, ?)')
    .run(row.id, topic.id, JSON.stringify(types), startSeq)
  turn.isTopologyTouched = true
  if (row.start === 'latest') return
  const subscription = {
    group: row,
    topicId: topic.id,
    types: types === '*' ? types : new Set(types),
    startSeq,
  }
  const kept = engine.file
    .prepare(
      `SELECT seq, type, key, priority, expires_at, deliver_at FROM bus_log
       WHERE topic = ? AND origin IS NULL ORDER BY seq`,
    )
    .all(topic.id)
  for (const message of kept) {
    const key = message.key as string | null
    insertDelivery(engine, turn, {
      subscription,
      routed: {
        seq: Number(message.seq),
        type: String(message.type),
        priority: Number(message.priority),
        chain: chainOf(topic, key),
        expiresAt: message.expires_at as number | null,
        deliverAt: message.deliver_at as number | null,
      },
    })
  }
}
