import type { Severity } from '../../../core/finding.ts'
import type { ChannelTopology, GroupTopology } from '../../transport.ts'
import { note, type Report, severityOf } from '../sqlite/topology-drift.ts'
import type { ChannelDefinition, GroupDefinition } from './catalogue.ts'
import { lanesOf } from './topology-lanes.ts'

/** What differences are noted in, and whether they are mended. */
interface Context {
  readonly report: Report
  readonly isCreate: boolean
}

const orderingRank = { none: 0, 'per-key': 1, 'per-channel': 2 } as const
const hint = 'Start every process with the same version of the contract.'

/** The stricter order and the longer retention stay; the number of lanes never changes. */
export function compareChannel(
  channel: ChannelTopology,
  has: ChannelDefinition,
  { report, isCreate }: Context,
): ChannelDefinition {
  const { address, ordering, retentionMs = 0 } = channel
  const isWeaker = orderingRank[has.ordering] < orderingRank[ordering]
  const isShorter = has.retentionMs < retentionMs
  if (has.ordering !== ordering) {
    note(report, {
      code: 'TOPOLOGY_ORDERING_DIFFERS',
      severity: severityOf(isWeaker, isCreate),
      message: `the channel '${address}' is ordered ${has.ordering}, and the contract says ${ordering}`,
      hint,
    })
  }
  if (has.retentionMs !== retentionMs) {
    note(report, {
      code: 'TOPOLOGY_RETENTION_DIFFERS',
      severity: severityOf(isShorter, isCreate),
      message: `the channel '${address}' keeps messages for ${has.retentionMs} ms, and the contract says ${retentionMs} ms`,
      hint,
    })
  }
  noteLanes(channel, has, report)
  if (!isWeaker && !isShorter) return has
  return {
    ...has,
    ordering: isWeaker ? ordering : has.ordering,
    retentionMs: Math.max(has.retentionMs, retentionMs),
  }
}

function noteLanes(channel: ChannelTopology, has: ChannelDefinition, report: Report): void {
  const lanes = lanesOf(channel)
  // One lane is enough for the whole channel in order, and others stay as they are when the order was another.
  if (lanes === has.lanes || channel.ordering !== has.ordering) return
  note(report, {
    code: 'TOPOLOGY_POLICY_DIFFERS',
    severity: 'warning',
    message: `the channel '${channel.address}' has ${has.lanes} lanes, and the contract says ${lanes}`,
    hint: 'Remove the channel and make it anew to change the number: messages of one key must stay in one lane.',
  })
}

/** The policy of the latest that creates wins; types are added, and dead letters kept for the longer time. */
export function compareGroup(
  group: GroupTopology,
  has: GroupDefinition,
  { report, isCreate }: Context,
): GroupDefinition {
  const { deadLetter } = group
  const differences = [
    ['dead-letter address', has.deadLetter.address, deadLetter.address],
    ['onDead', has.deadLetter.onDead, deadLetter.onDead],
    ['onExpired', has.deadLetter.onExpired, deadLetter.onExpired],
    ['deliveriesMax', has.deliveriesMax, group.deliveriesMax],
  ].filter(([, one, other]) => one !== other)
  if (has.deadLetter.retentionMs < deadLetter.retentionMs) {
    differences.push(['dead-letter retention', has.deadLetter.retentionMs, deadLetter.retentionMs])
  }
  for (const [what, one, other] of differences) {
    note(report, {
      code: 'TOPOLOGY_POLICY_DIFFERS',
      severity: severityOf(true, isCreate),
      message: `the group '${group.name}' has ${what} ${one}, and the contract says ${other}`,
      hint,
      consumer: group.consumer,
    })
  }
  const subscriptions = mergedSubscriptions(group, has, { report, isCreate })
  if (differences.length === 0 && subscriptions === has.subscriptions && has.isRemoved !== true) {
    return has
  }
  const retentionMs = Math.max(has.deadLetter.retentionMs, deadLetter.retentionMs)
  const { isRemoved: _isRemoved, ...rest } = has
  return {
    ...rest,
    consumer: group.consumer,
    deliveriesMax: group.deliveriesMax,
    deadLetter: { ...deadLetter, retentionMs },
    subscriptions,
  }
}

type Subscription = GroupDefinition['subscriptions'][number]

function mergedSubscriptions(
  group: GroupTopology,
  has: GroupDefinition,
  context: Context,
): readonly Subscription[] {
  let isSame = true
  const merged = new Map(has.subscriptions.map((each) => [each.address, each]))
  for (const wanted of group.subscriptions) {
    const present = merged.get(wanted.address)
    const next = present === undefined ? wanted : mergedTypes(group, present, { wanted, context })
    if (next === present) continue
    merged.set(wanted.address, next)
    isSame = false
  }
  return isSame ? has.subscriptions : [...merged.values()]
}

function mergedTypes(
  group: GroupTopology,
  present: Subscription,
  { wanted, context }: { wanted: Subscription; context: Context },
): Subscription {
  const { report, isCreate } = context
  const added = missingTypes(present.types, wanted.types)
  const extra = missingTypes(wanted.types, present.types)
  const add = (severity: Severity, message: string, what: string) =>
    note(report, {
      code: 'TOPOLOGY_TYPES_DIFFER',
      severity,
      message,
      hint: what,
      consumer: group.consumer,
    })
  if (added.length > 0) {
    add(
      severityOf(true, isCreate),
      `the group '${group.name}' did not get ${added.join(', ')} from '${wanted.address}'`,
      'Start one process with topology: create, so that the types are added.',
    )
  }
  if (extra.length > 0) {
    add(
      'info',
      `the group '${group.name}' also gets ${extra.join(', ')} from '${wanted.address}', which this contract does not list`,
      'Nothing needs doing while two versions of the contract run.',
    )
  }
  const isIgnoring = JSON.stringify(present.ignored) === JSON.stringify(wanted.ignored)
  if (added.length === 0 && isIgnoring) return present
  const isAll = added.includes('*') || present.types === '*'
  return { ...wanted, types: isAll ? '*' : [...present.types, ...added] }
}

function missingTypes(has: readonly string[] | '*', wants: readonly string[] | '*'): string[] {
  if (has === '*') return []
  if (wants === '*') return ['*']
  return wants.filter((type) => !has.includes(type))
}

/** A queue begins when it is made: nothing that was published before is in it. */
export function noPast(group: GroupTopology, address: string, report: Report): void {
  if (group.start !== 'earliest') return
  note(report, {
    code: 'TOPOLOGY_POLICY_DIFFERS',
    severity: 'warning',
    message: `the group '${group.name}' says start: earliest, and RabbitMQ has nothing for it from the time before it was made on '${address}'`,
    hint: 'Say start: latest, or use a transport that keeps what was handled.',
    consumer: group.consumer,
  })
}
