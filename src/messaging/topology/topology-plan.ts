import type { Contract } from '../../contracts/index.ts'
import type { Finding } from '../../core/finding.ts'
import { hasErrors } from '../../core/finding.ts'
import type {
  BrokerInventory,
  GroupTopology,
  Topology,
  TopologyDiff,
  TopologySurplus,
  Transport,
} from '../transport.ts'
import { commandGroup, consumerGroup, topologyOf } from './topology.ts'

/** A group that these contracts made once and name no more. */
export interface SurplusGroup {
  readonly name: string
  /** Messages that would go with it; undefined: the broker does not say. */
  readonly waiting?: number
}
/** What is between the contracts and a broker. */
export interface TopologyPlan {
  readonly broker: string
  /** Channels, groups and subscriptions that the contracts need and that are not there. */
  readonly missing: readonly string[]
  /** What is there but other than needed. `error`: a promise would break. */
  readonly drift: readonly Finding[]
  readonly surplus: {
    readonly groups: readonly SurplusGroup[]
    readonly subscriptions: TopologySurplus['subscriptions']
    readonly channels: readonly { readonly address: string; readonly messages?: number }[]
  }
  /** False: this transport cannot say what is there beside what is needed. */
  readonly knowsSurplus: boolean
}
export interface AppliedPlan extends TopologyPlan {
  /** What was made; what is `missing` beside it could not be. */
  readonly created: readonly string[]
  /** True: the surplus is gone. */
  readonly isSurplusRemoved: boolean
}

/** True when every promise of the contracts holds on the broker as it is. Surplus breaks none. */
export function keepsPromises(plan: Pick<TopologyPlan, 'missing' | 'drift'>): boolean {
  return plan.missing.length === 0 && !hasErrors(plan.drift)
}

/** The difference between what the contracts need and what is there; changes nothing. */
export async function planTopology(
  transport: Transport,
  contracts: readonly Contract[],
): Promise<TopologyPlan> {
  const wanted = topologyOf(contracts)
  const diff = await transport.ensure(wanted, 'verify')
  return planOf(transport, { contracts, wanted, diff })
}

/**
 * Makes what is missing and mends what can be mended; takes the surplus away only with `allowDelete`. What is left afterwards is told.
 *
 * @throws TOPOLOGY_IN_USE where another group began to read a channel meanwhile
 */
export async function applyTopology(
  transport: Transport,
  contracts: readonly Contract[],
  options: { readonly allowDelete: boolean },
): Promise<AppliedPlan> {
  const wanted = topologyOf(contracts)
  const { created } = await transport.ensure(wanted, 'create')
  const before = await planTopology(transport, contracts)
  const { groups, subscriptions, channels } = before.surplus
  const isSurplus = groups.length + subscriptions.length + channels.length > 0
  if (!options.allowDelete || !isSurplus || transport.remove === undefined) {
    return { ...before, created, isSurplusRemoved: !isSurplus }
  }
  await transport.remove({
    subscriptions,
    groups: groups.map(({ name }) => name),
    channels: channels.map(({ address }) => address),
  })
  return { ...before, created, isSurplusRemoved: true }
}

async function planOf(
  transport: Transport,
  given: { contracts: readonly Contract[]; wanted: Topology; diff: TopologyDiff },
): Promise<TopologyPlan> {
  const { contracts, wanted, diff } = given
  const there = await transport.inventory?.()
  return {
    broker: transport.name,
    missing: diff.missing,
    drift: diff.drift,
    surplus: there
      ? surplusOf(contracts, wanted, there)
      : { groups: [], subscriptions: [], channels: [] },
    knowsSurplus: there !== undefined,
  }
}

/** Pending consumers too: theirs comes when they first connect. */
function groupsOf(contracts: readonly Contract[]): Map<string, GroupTopology> {
  const groups = contracts.flatMap((contract) => [
    ...Object.values(contract.consumers).map((consumer) => consumerGroup(contract, consumer)),
    ...Object.values(contract.commands).map((command) => commandGroup(contract, command)),
  ])
  return new Map(groups.map((group) => [group.name, group]))
}

function surplusOf(
  contracts: readonly Contract[],
  wanted: Topology,
  there: BrokerInventory,
): TopologyPlan['surplus'] {
  const needed = groupsOf(contracts)
  const groups = there.groups.filter(
    (group) => !needed.has(group.name) && contracts.some(({ id }) => isOf(id, group)),
  )
  const subscriptions = there.groups.flatMap((group) => {
    const own = needed.get(group.name)?.subscriptions.map(({ address }) => address)
    const extra = own ? group.addresses.filter((address) => !own.includes(address)) : []
    return extra.map((address) => ({ group: group.name, address }))
  })
  const kept = new Set(wanted.channels.map(({ address }) => address))
  const isGoing = (name: string, address: string) =>
    groups.some((group) => group.name === name) ||
    subscriptions.some((one) => one.group === name && one.address === address)
  // A channel is ours to take away only where nobody but what goes has read it.
  const channels = there.channels.filter(({ address }) => {
    const readers = there.groups.filter((group) => group.addresses.includes(address))
    return (
      !kept.has(address) &&
      readers.length > 0 &&
      readers.every(({ name }) => isGoing(name, address))
    )
  })
  return {
    groups: groups.map(({ name, waiting }) => ({
      name,
      ...(waiting === undefined ? {} : { waiting }),
    })),
    subscriptions,
    channels,
  }
}

/**
 * True when a group was made for this contract, and for no contract whose id begins like it: `shop.orders.billing` may be the
 * consumer `billing` of `shop.orders`, or a command's of `shop`, and only the recorded consumer tells.
 */
function isOf(id: string, group: BrokerInventory['groups'][number]): boolean {
  if (!group.name.startsWith(`${id}.`)) return false
  const rest = group.name.slice(id.length + 1)
  if (group.consumer === undefined) return !rest.includes('.')
  return rest === group.consumer || rest.startsWith(`${group.consumer}.`)
}
