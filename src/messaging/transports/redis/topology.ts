import type { ChannelTopology, GroupTopology, Topology, TopologyDiff } from '../../transport.ts'
import { note, type Report, severityOf } from '../sqlite/topology-drift.ts'
import { type GroupText, textOfGroup } from './groups.ts'
import { readEntry } from './records.ts'
import type { Reply } from './resp.ts'
import type { Session } from './session.ts'
import { channelScript, countedScript, groupScript } from './topology-scripts.ts'

const lanesDefault = 12
const lanesMax = 512
/** Lanes for urgent messages without an order to keep, so that they pass a backlog. */
const urgentLanes = 2
const orderingRank = { none: 0, 'per-key': 1, 'per-channel': 2 } as const
const sameVersion = 'Start every process with the same version of the contract.'
const scanned = 1000

/** What one call of `ensure` works with. */
interface Ensuring {
  readonly session: Session
  readonly isCreate: boolean
  readonly report: Report
}

/** Creates what is missing, or only looks. How differences are treated: as by the embedded broker, see {@link Report}. */
export async function ensureTopology(
  session: Session,
  wanted: { readonly topology: Topology; readonly mode: 'create' | 'verify' },
): Promise<TopologyDiff> {
  const { topology, mode } = wanted
  const report: Report = { missing: [], created: [], drift: [] }
  const ensuring: Ensuring = { session, isCreate: mode === 'create', report }
  for (const channel of topology.channels) await ensureChannel(ensuring, channel)
  for (const { subscriptions } of topology.groups) {
    for (const { address } of subscriptions) {
      if (topology.channels.some((channel) => channel.address === address)) continue
      const { link, names } = session
      const there = await link.ask(() => link.call('EXISTS', `${names.base(address)}:channel`))
      if (there === 0) await ensureChannel(ensuring, { address, ordering: 'none' })
    }
  }
  for (const group of topology.groups) await ensureGroup(ensuring, group)
  noteFsync(ensuring)
  return report
}

/** What `appendfsync` costs is no refusal, but nobody should learn it from a power failure. */
function noteFsync({ session, report }: Ensuring): void {
  const fsync = session.fsync()
  if (fsync === undefined || fsync === 'always') return
  const lost = fsync === 'everysec' ? 'up to a second of' : 'half a minute or more of'
  note(report, {
    code: 'BROKER_UNSAFE',
    severity: 'warning',
    message: `the Redis server ${session.place.name} has appendfsync ${fsync}: a power failure loses ${lost} what it acknowledged`,
    hint: 'Set appendfsync always on the server.',
  })
}

/** Lanes of a channel: 12, or `partitions` of its bindings; one where the whole channel keeps one order. */
function lanesOf(channel: ChannelTopology): number {
  return channel.ordering === 'per-channel' ? 1 : (partitionsOf(channel) ?? lanesDefault)
}

function partitionsOf({ ordering, bindings }: ChannelTopology): number | undefined {
  const wanted = Number((bindings?.redis as { partitions?: unknown } | undefined)?.partitions)
  const isUsable = Number.isSafeInteger(wanted) && wanted >= 1 && wanted <= lanesMax
  return isUsable && ordering !== 'per-channel' ? wanted : undefined
}

async function ensureChannel(
  { session, isCreate, report }: Ensuring,
  channel: ChannelTopology,
): Promise<void> {
  const { link, names } = session
  const { address, ordering, retentionMs } = channel
  const wanted = { lanes: lanesOf(channel), urgent: ordering === 'per-channel' ? 0 : urgentLanes }
  if (isCreate) await link.ask(() => link.call('SADD', names.addresses, address))
  const there = (await link.ask(() =>
    link.run(channelScript, names.base(address), [
      ordering,
      retentionMs === undefined ? '' : Math.ceil(retentionMs),
      wanted.lanes,
      wanted.urgent,
      isCreate ? '1' : '0',
    ]),
  )) as readonly Reply[]
  session.addresses.add(address)
  if (there.length === 0) {
    if (isCreate) report.created.push(`channel ${address}`)
    else report.missing.push(`channel ${address}`)
    return
  }
  compareChannel({ session, isCreate, report }, channel, {
    ordering: String(there[0]) as ChannelTopology['ordering'],
    retentionMs: Number(there[1]),
    lanes: Number(there[2]),
  })
}

/** The stricter order and the longer retention stay; the number of lanes cannot change without breaking the order of keys. */
function compareChannel(
  { isCreate, report }: Ensuring,
  channel: ChannelTopology,
  present: Pick<ChannelTopology, 'ordering'> & {
    readonly retentionMs: number
    readonly lanes: number
  },
): void {
  const { address, ordering } = channel
  if (present.ordering !== ordering) {
    const isWeaker = orderingRank[present.ordering] < orderingRank[ordering]
    note(report, {
      code: 'TOPOLOGY_ORDERING_DIFFERS',
      severity: severityOf(isWeaker, isCreate),
      message: `the channel '${address}' is ordered ${present.ordering}, and the contract says ${ordering}`,
      hint: sameVersion,
    })
  }
  const wantedLanes = partitionsOf(channel)
  if (wantedLanes !== undefined && present.lanes !== wantedLanes) {
    note(report, {
      code: 'TOPOLOGY_ORDERING_DIFFERS',
      severity: severityOf(present.lanes < wantedLanes, isCreate),
      message: `the channel '${address}' has ${present.lanes} lanes, and the contract says partitions: ${wantedLanes}`,
      hint: 'Keep the number: another one would break the order of keys. A new address can have another.',
    })
  }
  const wantedMs = Math.ceil(channel.retentionMs ?? 0)
  if (present.retentionMs !== wantedMs) {
    note(report, {
      code: 'TOPOLOGY_RETENTION_DIFFERS',
      severity: severityOf(present.retentionMs < wantedMs, isCreate),
      message: `the channel '${address}' keeps messages for ${present.retentionMs} ms, and the contract says ${wantedMs} ms`,
      hint: sameVersion,
    })
  }
}

async function ensureGroup(ensuring: Ensuring, group: GroupTopology): Promise<void> {
  const { session, isCreate, report } = ensuring
  const { link, names } = session
  let isNew = false
  for (const subscription of group.subscriptions) {
    const { address } = subscription
    const base = names.base(address)
    const text = await link.ask(() => link.call('HGET', `${base}:groups`, group.name))
    if (text !== null) {
      await compareGroup(ensuring, group, { subscription, has: JSON.parse(String(text)) })
      await finishCounting(session, address, group.name)
    } else if (!isCreate) {
      report.missing.push(`group ${group.name} on ${address}`)
    } else if (await makeGroup(session, group, subscription)) {
      isNew = true
    }
  }
  if (isNew) report.created.push(`group ${group.name}`)
  if (group.ephemeral === true && isCreate) session.ephemeral.set(group.name, group)
}

/** False: somebody else was faster. */
export async function makeGroup(
  session: Session,
  group: GroupTopology,
  subscription: GroupTopology['subscriptions'][number],
): Promise<boolean> {
  const { link, names } = session
  const { address } = subscription
  await link.ask(() => link.call('SADD', names.groups, group.name))
  await link.ask(() => link.call('SADD', names.addressesOf(group.name), address))
  const answer = (await link.ask(() =>
    link.run(groupScript, names.base(address), [
      group.name,
      JSON.stringify(textOfGroup(group, subscription)),
      group.start,
      group.ephemeral === true ? session.leaseMs : '',
    ]),
  )) as readonly Reply[]
  if (answer[0] === 0) return false
  await finishCounting(session, address, group.name)
  return true
}

/** Counts by type what a new group found on its channel, or what a process that died meanwhile has left uncounted. */
async function finishCounting(session: Session, address: string, group: string): Promise<void> {
  const { link, names } = session
  const base = names.base(address)
  const text = await link.ask(() => link.call('HGET', `${base}:counting`, group))
  if (text === null) return
  const [, ...pairs] = JSON.parse(String(text)) as (number | string)[]
  const found = new Map<string, number>()
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const lane = Number(pairs[at])
    const last = String(pairs[at + 1])
    for (let from = '-'; ; ) {
      const entries = (await link.ask(() =>
        link.call('XRANGE', names.lane(address, lane), from, last, 'COUNT', scanned),
      )) as readonly (readonly [Buffer, readonly Reply[]])[]
      for (const [id, fields] of entries) {
        const read = readEntry({ address, lane, entry: String(id) }, fields)
        if (read.isForeign || (read.to !== undefined && read.to !== group)) continue
        found.set(read.record.type, (found.get(read.record.type) ?? 0) + 1)
      }
      if (entries.length < scanned) break
      from = `(${entries.at(-1)?.[0]}`
    }
  }
  await link.ask(() => link.run(countedScript, base, [group, ...[...found].flat()]))
}

/** The policy of the latest that creates wins; dead letters are kept for the longer time; types are only added. */
async function compareGroup(
  ensuring: Ensuring,
  group: GroupTopology,
  at: { readonly subscription: GroupTopology['subscriptions'][number]; readonly has: GroupText },
): Promise<void> {
  const { session, isCreate, report } = ensuring
  const { subscription, has } = at
  const wants = textOfGroup(group, subscription)
  const differences = policyDifferences(has, wants)
  for (const [what, present, wanted] of differences) {
    note(report, {
      code: 'TOPOLOGY_POLICY_DIFFERS',
      severity: severityOf(true, isCreate),
      message: `the group '${group.name}' has ${what} ${present}, and the contract says ${wanted}`,
      hint: sameVersion,
      consumer: group.consumer,
    })
  }
  const added = missingTypes(has.types, wants.types)
  noteTypes(ensuring, {
    group,
    address: subscription.address,
    added,
    extra: missingTypes(wants.types, has.types),
  })
  const isOther = JSON.stringify(has.ignored) !== JSON.stringify(wants.ignored)
  if (!isCreate || (differences.length === 0 && added.length === 0 && !isOther)) return
  const retentionMs = Math.max(has.deadLetter.retentionMs, wants.deadLetter.retentionMs)
  const types = added.includes('*') || has.types === '*' ? '*' : [...has.types, ...added]
  const text: GroupText = { ...wants, types, deadLetter: { ...wants.deadLetter, retentionMs } }
  const { link, names } = session
  const key = `${names.base(subscription.address)}:groups`
  await link.ask(() => link.call('HSET', key, group.name, JSON.stringify(text)))
}

function policyDifferences(
  has: GroupText,
  wants: GroupText,
): (readonly [string, unknown, unknown])[] {
  const all: (readonly [string, unknown, unknown])[] = [
    ['dead-letter address', has.deadLetter.address, wants.deadLetter.address],
    ['onDead', has.deadLetter.onDead, wants.deadLetter.onDead],
    ['onExpired', has.deadLetter.onExpired, wants.deadLetter.onExpired],
    ['deliveriesMax', has.deliveriesMax, wants.deliveriesMax],
  ]
  const kept = [has.deadLetter.retentionMs, wants.deadLetter.retentionMs] as const
  const differing = all.filter(([, present, wanted]) => present !== wanted)
  return kept[0] < kept[1] ? [...differing, ['dead-letter retention', ...kept]] : differing
}

function missingTypes(has: readonly string[] | '*', wants: readonly string[] | '*'): string[] {
  if (has === '*') return []
  if (wants === '*') return ['*']
  return wants.filter((type) => !has.includes(type))
}

function noteTypes(
  { isCreate, report }: Ensuring,
  found: {
    readonly group: GroupTopology
    readonly address: string
    readonly added: readonly string[]
    readonly extra: readonly string[]
  },
): void {
  const { group, address, added, extra } = found
  const code = 'TOPOLOGY_TYPES_DIFFER'
  if (added.length > 0) {
    note(report, {
      code,
      severity: severityOf(true, isCreate),
      message: `the group '${group.name}' did not get ${added.join(', ')} from '${address}'`,
      hint: 'Start one process with topology: create, so that the types are added.',
      consumer: group.consumer,
    })
  }
  if (extra.length > 0) {
    note(report, {
      code,
      severity: 'info',
      message: `the group '${group.name}' also gets ${extra.join(', ')} from '${address}', which this contract does not list`,
      hint: 'Nothing needs doing while two versions of the contract run.',
      consumer: group.consumer,
    })
  }
}
