import type { Finding, Severity } from '../../../core/finding.ts'
import type { Query, Row } from '../../../store/index.ts'
import type { ChannelTopology, GroupTopology, Topology, TopologyDiff } from '../../transport.ts'
import { note, type Report, severityOf } from '../sqlite/topology-drift.ts'
import { arrivalSql } from './leases.ts'
import { lockOf } from './locks.ts'
import { wholeMs } from './records.ts'
import type { Session } from './session.ts'

const orderingRank = { none: 0, 'per-key': 1, 'per-channel': 2 } as const

/** What one call of `ensure` works with. */
interface Ensuring {
  readonly session: Session
  readonly query: Query
  readonly isCreate: boolean
  readonly report: Report
}

/**
 * Creates what is missing, or only looks. How differences are treated: as by the embedded broker, see {@link Report}.
 */
export async function ensureTopology(
  session: Session,
  wanted: { topology: Topology; mode: 'create' | 'verify' },
): Promise<TopologyDiff> {
  const { topology, mode } = wanted
  return session.access.transaction(async (query) => {
    const report: Report = { missing: [], created: [], drift: [] }
    const isCreate = mode === 'create'
    const ensuring: Ensuring = { session, query, isCreate, report }
    // Publishes wait meanwhile: a new group gets each message once, from what is kept or from then on.
    if (isCreate) await query(`SELECT ${lockOf.topologyAlone(session.schema)}`)
    for (const channel of topology.channels) await ensureChannel(ensuring, channel)
    for (const { subscriptions } of topology.groups) {
      for (const { address } of subscriptions) {
        if (topology.channels.some((channel) => channel.address === address)) continue
        if ((await readTopic(ensuring, address)) !== undefined) continue
        await ensureChannel(ensuring, { address, ordering: 'none' })
      }
    }
    for (const group of topology.groups) await ensureGroup(ensuring, group)
    return report
  })
}

async function readTopic({ session, query }: Ensuring, address: string): Promise<Row | undefined> {
  const [row] = await query(`SELECT * FROM ${session.schema}.bus_topic WHERE address = $1`, [
    address,
  ])
  return row
}

async function ensureChannel(ensuring: Ensuring, channel: ChannelTopology): Promise<void> {
  const { session, query, isCreate, report } = ensuring
  const { address, ordering, retentionMs } = channel
  const present = await readTopic(ensuring, address)
  if (present !== undefined) {
    await compareChannel(ensuring, channel, present)
    return
  }
  if (!isCreate) {
    report.missing.push(`channel ${address}`)
    return
  }
  await query(
    `INSERT INTO ${session.schema}.bus_topic (address, ordering, retention_ms) VALUES ($1, $2, $3)`,
    [address, ordering, retentionMs === undefined ? null : wholeMs(retentionMs)],
  )
  report.created.push(`channel ${address}`)
}

/** The stricter order and the longer retention stay. */
async function compareChannel(
  ensuring: Ensuring,
  channel: ChannelTopology,
  present: Row,
): Promise<void> {
  const { session, query, isCreate, report } = ensuring
  const { address, ordering } = channel
  const has = present.ordering as ChannelTopology['ordering']
  const hint = 'Start every process with the same version of the contract.'
  if (has !== ordering) {
    const isWeaker = orderingRank[has] < orderingRank[ordering]
    note(report, {
      code: 'TOPOLOGY_ORDERING_DIFFERS',
      severity: severityOf(isWeaker, isCreate),
      message: `the channel '${address}' is ordered ${has}, and the contract says ${ordering}`,
      hint,
    })
    if (isCreate && isWeaker) {
      await query(`UPDATE ${session.schema}.bus_topic SET ordering = $1 WHERE id = $2`, [
        ordering,
        present.id,
      ])
    }
  }
  const [keptMs, wantedMs] = [Number(present.retention_ms ?? 0), wholeMs(channel.retentionMs ?? 0)]
  if (keptMs === wantedMs) return
  note(report, {
    code: 'TOPOLOGY_RETENTION_DIFFERS',
    severity: severityOf(keptMs < wantedMs, isCreate),
    message: `the channel '${address}' keeps messages for ${keptMs} ms, and the contract says ${wantedMs} ms`,
    hint,
  })
  if (!isCreate || keptMs > wantedMs) return
  await query(`UPDATE ${session.schema}.bus_topic SET retention_ms = $1 WHERE id = $2`, [
    wantedMs,
    present.id,
  ])
}

async function ensureGroup(ensuring: Ensuring, group: GroupTopology): Promise<void> {
  const { session, query, isCreate, report } = ensuring
  const name = `group ${group.name}`
  const [present] = await query(`SELECT * FROM ${session.schema}.bus_group WHERE name = $1`, [
    group.name,
  ])
  if (present === undefined && !isCreate) {
    report.missing.push(name)
    return
  }
  if (present === undefined) {
    await insertGroup(session, query, group)
    report.created.push(name)
  } else {
    await comparePolicy(ensuring, group, present)
  }
  if (group.ephemeral === true && isCreate) session.ephemeral.set(group.name, group)
  for (const subscription of group.subscriptions) {
    await ensureSubscription(ensuring, group, subscription)
  }
}

async function insertGroup(session: Session, query: Query, group: GroupTopology): Promise<void> {
  const { deadLetter } = group
  await query(
    `INSERT INTO ${session.schema}.bus_group (name, consumer, start, dead_address, dead_retention_ms,
       on_dead, on_expired, deliveries_max, owner) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      group.name,
      group.consumer,
      group.start,
      deadLetter.address,
      wholeMs(deadLetter.retentionMs),
      deadLetter.onDead,
      deadLetter.onExpired,
      group.deliveriesMax,
      group.ephemeral === true ? session.ownerId : null,
    ],
  )
}

/** Makes a group with its subscriptions: one that vanished with our place, anew. */
export async function makeGroup(
  session: Session,
  query: Query,
  group: GroupTopology,
): Promise<void> {
  const report: Report = { missing: [], created: [], drift: [] }
  await query(`SELECT ${lockOf.topologyAlone(session.schema)}`)
  await ensureGroup({ session, query, isCreate: true, report }, group)
}

/** The policy of the latest that creates wins; dead letters are kept for the longer time. */
async function comparePolicy(
  { session, query, isCreate, report }: Ensuring,
  group: GroupTopology,
  present: Row,
): Promise<void> {
  const { deadLetter } = group
  const differences = [
    ['dead-letter address', present.dead_address, deadLetter.address],
    ['onDead', present.on_dead, deadLetter.onDead],
    ['onExpired', present.on_expired, deadLetter.onExpired],
    ['deliveriesMax', present.deliveries_max, group.deliveriesMax],
  ].filter(([, has, wants]) => has !== wants)
  const keptMs = wholeMs(deadLetter.retentionMs)
  const presentMs = Number(present.dead_retention_ms)
  if (presentMs < keptMs) differences.push(['dead-letter retention', presentMs, keptMs])
  for (const [what, has, wants] of differences) {
    note(report, {
      code: 'TOPOLOGY_POLICY_DIFFERS',
      severity: severityOf(true, isCreate),
      message: `the group '${group.name}' has ${what} ${has}, and the contract says ${wants}`,
      hint: 'Start every process with the same version of the contract.',
      consumer: group.consumer,
    })
  }
  if (!isCreate || differences.length === 0) return
  await query(
    `UPDATE ${session.schema}.bus_group SET dead_address = $1, on_dead = $3, on_expired = $4,
       dead_retention_ms = greatest(dead_retention_ms, $2), deliveries_max = $5 WHERE id = $6`,
    [
      deadLetter.address,
      keptMs,
      deadLetter.onDead,
      deadLetter.onExpired,
      group.deliveriesMax,
      present.id,
    ],
  )
}

async function ensureSubscription(
  ensuring: Ensuring,
  group: GroupTopology,
  wanted: GroupTopology['subscriptions'][number],
): Promise<void> {
  const { session, query, isCreate, report } = ensuring
  const { schema } = session
  const { address, types } = wanted
  const [place] = await query(
    `SELECT topic.id AS topic, team.id AS grp, team.start, sub.grp IS NOT NULL AS is_there, sub.types
     FROM ${schema}.bus_topic AS topic CROSS JOIN ${schema}.bus_group AS team
     LEFT JOIN ${schema}.bus_subscription AS sub ON sub.topic = topic.id AND sub.grp = team.id
     WHERE topic.address = $1 AND team.name = $2`,
    [address, group.name],
  )
  const name = `subscription of ${group.name} to ${address}`
  if (place === undefined || (place.is_there !== true && !isCreate)) {
    report.missing.push(name)
    return
  }
  if (place.is_there !== true) {
    await subscribeGroup(ensuring, place, types)
    report.created.push(name)
    return
  }
  const present = (place.types as string[] | null) ?? '*'
  const added = missingTypes(present, types)
  noteTypes(report, { group, address, isCreate, added, extra: missingTypes(types, present) })
  if (added.length === 0 || !isCreate) return
  const union = added.includes('*') || present === '*' ? null : [...present, ...added]
  await query(`UPDATE ${schema}.bus_subscription SET types = $1 WHERE grp = $2 AND topic = $3`, [
    union,
    place.grp,
    place.topic,
  ])
}

function missingTypes(has: readonly string[] | '*', wants: readonly string[] | '*'): string[] {
  if (has === '*') return []
  if (wants === '*') return ['*']
  return wants.filter((type) => !has.includes(type))
}

function noteTypes(
  report: Report,
  found: {
    group: GroupTopology
    address: string
    isCreate: boolean
    added: readonly string[]
    extra: readonly string[]
  },
): void {
  const { group, address, isCreate, added, extra } = found
  const add = (severity: Severity, message: string, hint: string) => {
    const code: Finding['code'] = 'TOPOLOGY_TYPES_DIFFER'
    note(report, { code, severity, message, hint, consumer: group.consumer })
  }
  if (added.length > 0) {
    add(
      severityOf(true, isCreate),
      `the group '${group.name}' did not get ${added.join(', ')} from '${address}'`,
      'Start one process with topology: create, so that the types are added.',
    )
  }
  if (extra.length > 0) {
    add(
      'info',
      `the group '${group.name}' also gets ${extra.join(', ')} from '${address}', which this contract does not list`,
      'Nothing needs doing while two versions of the contract run.',
    )
  }
}

/** The group begins with what comes, or also gets what is still there. */
async function subscribeGroup(
  { session, query }: Ensuring,
  place: Row,
  types: readonly string[] | '*',
): Promise<void> {
  const { schema } = session
  const wanted = types === '*' ? null : [...types]
  const isLatest = place.start === 'latest'
  await query(
    `INSERT INTO ${schema}.bus_subscription (topic, grp, types, start_seq)
     VALUES ($1, $2, $3, CASE WHEN $4 THEN nextval('${schema}.bus_seq') ELSE 0 END)`,
    [place.topic, place.grp, wanted, isLatest],
  )
  if (isLatest) return
  await query(
    `WITH kept AS MATERIALIZED (
       SELECT message.*, team.consumer, $3::text[] IS NULL OR message.type = ANY ($3) AS is_wanted,
         ${schema}.bus_chain(topic.ordering, topic.id, message.key) AS chain
       FROM ${schema}.bus_log AS message
       JOIN ${schema}.bus_topic AS topic ON topic.id = message.topic
       JOIN ${schema}.bus_group AS team ON team.id = $2
       WHERE message.topic = $1 AND message.origin IS NULL
     ), routed AS (
       INSERT INTO ${schema}.bus_delivery
         (seq, grp, topic, type, state, priority, ready_at, chain, expires_at)
       SELECT seq, $2, topic, type,
         CASE WHEN deliver_at > ${schema}.bus_now() THEN 5
           ELSE ${arrivalSql({ chain: 'chain', priority: 'priority', expiresAt: 'expires_at' })} END, priority,
         CASE WHEN deliver_at > ${schema}.bus_now() THEN deliver_at END, chain, expires_at
       FROM kept WHERE is_wanted
     ), counted AS (
       SELECT type AS event, consumer, 'deliveries' AS counter, count(*) AS amount
       FROM kept GROUP BY type, consumer
       UNION ALL
       SELECT type, consumer, CASE WHEN is_wanted THEN 'waiting' ELSE 'skipped' END, count(*)
       FROM kept GROUP BY type, consumer, is_wanted
     )
     SELECT ${schema}.bus_tally(-1, array_agg(event), array_agg(consumer), array_agg(counter), array_agg(amount))
     FROM counted`,
    [place.topic, place.grp, wanted],
  )
}
