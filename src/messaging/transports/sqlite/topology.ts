import type { Finding, Severity } from '../../../core/finding.ts'
import type { ChannelTopology, GroupTopology, Topology, TopologyDiff } from '../../transport.ts'
import { type Engine, type Turn, wholeMs } from './engine.ts'
import { insertDelivery } from './publish.ts'
import { chainOf, type Group, readTopology, type Topic } from './topology-view.ts'

/**
 * What `ensure` does when two contracts (two versions of one, usually) want different things of
 * the same channel or group. A transport is not told versions, so no version can win. Instead:
 *
 * - What only adds is taken on and never taken back: more types, longer retention, stricter
 *   ordering. The process that wants less loses nothing: the bus acknowledges types that it does
 *   not list unseen.
 * - How a group treats failures (dead-letter address, onDead, onExpired, deliveriesMax) is the
 *   consumer's own affair: the latest `create` wins.
 *
 * Each difference is reported: `error` where the asker's promise would break (only in `verify`),
 * `warning` where somebody else's was changed, `info` where there is more than asked for.
 */
interface Report {
  readonly missing: string[]
  readonly created: string[]
  readonly drift: Finding[]
}

const orderingRank = { none: 0, 'per-key': 1, 'per-channel': 2 } as const

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

function note(
  report: Report,
  found: { code: string; severity: Severity; message: string; hint: string; consumer?: string },
): void {
  report.drift.push(found)
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

function compareOrdering(
  engine: Engine,
  turn: Turn,
  at: { present: Topic; ordering: Topic['ordering']; isCreate: boolean; report: Report },
): void {
  const { present, ordering, isCreate, report } = at
  if (present.ordering === ordering) return
  const isWeaker = orderingRank[present.ordering] < orderingRank[ordering]
  note(report, {
    code: 'TOPOLOGY_ORDERING_DIFFERS',
    severity: severityOf(isWeaker, isCreate),
    message: `the channel '${present.address}' is ordered ${present.ordering}, and the contract says ${ordering}`,
    hint: 'Start every process with the same version of the contract.',
  })
  if (!isCreate || !isWeaker) return
  engine.file.prepare('UPDATE bus_topic SET ordering = ? WHERE id = ?').run(ordering, present.id)
  turn.isTopologyTouched = true
}

function compareRetention(
  engine: Engine,
  turn: Turn,
  at: { present: Topic; retentionMs: number | null; isCreate: boolean; report: Report },
): void {
  const { present, retentionMs, isCreate, report } = at
  const has = present.retentionMs ?? 0
  const wants = retentionMs ?? 0
  if (has === wants) return
  note(report, {
    code: 'TOPOLOGY_RETENTION_DIFFERS',
    severity: severityOf(has < wants, isCreate),
    message: `the channel '${present.address}' keeps messages for ${has} ms, and the contract says ${wants} ms`,
    hint: 'Start every process with the same version of the contract.',
  })
  if (!isCreate || has > wants) return
  engine.file
    .prepare('UPDATE bus_topic SET retention_ms = ? WHERE id = ?')
    .run(retentionMs, present.id)
  turn.isTopologyTouched = true
}

/** More than asked for breaks no promise; less breaks one unless it was just mended. */
function severityOf(isLess: boolean, isCreate: boolean): Severity {
  if (!isLess) return 'info'
  return isCreate ? 'warning' : 'error'
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

function comparePolicy(
  engine: Engine,
  turn: Turn,
  at: { present: Group; group: GroupTopology; isCreate: boolean; report: Report },
): void {
  const { present, group, isCreate, report } = at
  const { deadLetter } = group
  const differences = [
    ['dead-letter address', present.deadAddress, deadLetter.address],
    ['dead-letter retention', present.deadRetentionMs, wholeMs(deadLetter.retentionMs)],
    ['onDead', present.onDead, deadLetter.onDead],
    ['onExpired', present.onExpired, deadLetter.onExpired],
    ['deliveriesMax', present.deliveriesMax, group.deliveriesMax],
  ].filter(([, has, wants]) => has !== wants)
  if (differences.length === 0) return
  for (const [what, has, wants] of differences) {
    note(report, {
      code: 'TOPOLOGY_POLICY_DIFFERS',
      severity: severityOf(true, isCreate),
      message: `the group '${group.name}' has ${what} ${has}, and the contract says ${wants}`,
      hint: 'Start every process with the same version of the contract.',
      consumer: group.consumer,
    })
  }
  if (!isCreate) return
  engine.file
    .prepare(
      `UPDATE bus_group SET dead_address = ?, dead_retention_ms = max(dead_retention_ms, ?),
         on_dead = ?, on_expired = ?, deliveries_max = ? WHERE id = ?`,
    )
    .run(
      deadLetter.address,
      wholeMs(deadLetter.retentionMs),
      deadLetter.onDead,
      deadLetter.onExpired,
      group.deliveriesMax,
      present.id,
    )
  turn.isTopologyTouched = true
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
