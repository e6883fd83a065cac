import type { Clock } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import type {
  ChannelTopology,
  Delivery,
  GroupTopology,
  OutgoingRecord,
  PublishResult,
  Settlement,
  SettleResult,
  Topology,
  Transport,
  TransportSubscription,
} from '../../transport.ts'
import { createBroker } from './broker.ts'
import { embeddedCapabilities } from './index.ts'
import type { ProcessTable } from './owners.ts'

/** A clock that a test moves. */
export interface MovedClock extends Clock {
  advance(ms: number): Promise<void>
}

type GroupChange = Partial<Omit<GroupTopology, 'deadLetter'>> & {
  readonly deadLetter?: Partial<GroupTopology['deadLetter']>
}
interface SceneOptions {
  readonly clock: MovedClock
  /** Default `:memory:`. */
  readonly path?: string
  readonly leaseMs?: number
  readonly busyWaitMs?: number
  readonly processes?: ProcessTable
  readonly onError?: (error: TreatyError) => void
  readonly channel?: Partial<ChannelTopology>
  readonly groups?: readonly GroupChange[]
}

/** One transport with a channel `orders` and its groups, for this room's own tests. */
export interface Scene {
  readonly transport: Transport
  readonly clock: MovedClock
  readonly topology: Topology
  publish(...records: (Partial<OutgoingRecord> & { id: string })[]): Promise<PublishResult[]>
  /** A consumer that only collects. */
  join(credit?: number, group?: string): Promise<Collector>
}
export interface Collector {
  readonly subscription: TransportSubscription
  /** All that came, in order. */
  readonly deliveries: Delivery[]
  ids(): string[]
  /** The last delivery of the message. */
  of(id: string): Delivery
  settle(...settlements: Settlement[]): Promise<SettleResult[]>
  ack(...ids: string[]): Promise<SettleResult[]>
}

export function groupOf(change: GroupChange = {}): GroupTopology {
  const { deadLetter, ...rest } = change
  const name = rest.name ?? 'shop.billing'
  return {
    name,
    consumer: name.split('.').at(-1) ?? name,
    subscriptions: [{ address: 'orders', types: '*' }],
    start: 'earliest',
    deliveriesMax: 20,
    ...rest,
    deadLetter: {
      address: `orders.${name}.dlq`,
      retentionMs: 86_400_000,
      onDead: 'next',
      onExpired: 'dead-letter',
      ...deadLetter,
    },
  }
}

export function recordOf(given: Partial<OutgoingRecord> & { id: string }): OutgoingRecord {
  return {
    address: 'orders',
    type: 'order.placed',
    body: new TextEncoder().encode(given.id),
    headers: {},
    contentType: 'text/plain',
    ...given,
  }
}

export async function openScene(options: SceneOptions): Promise<Scene> {
  const { clock, path = ':memory:', channel, groups = [{}], onError = () => undefined } = options
  const { leaseMs, busyWaitMs, processes } = options
  const transport = createBroker({
    name: 'scene',
    capabilities: embeddedCapabilities(10_000),
    path,
    clock,
    random: () => 0.5,
    ...(leaseMs === undefined ? {} : { leaseMs }),
    ...(busyWaitMs === undefined ? {} : { busyWaitMs }),
    ...(processes === undefined ? {} : { processes }),
  })
  transport.onError(onError)
  await transport.connect()
  const topology: Topology = {
    channels: [{ address: 'orders', ordering: 'per-key', ...channel }],
    groups: groups.map(groupOf),
  }
  await transport.ensure(topology, 'create')
  return {
    transport,
    clock,
    topology,
    publish: (...records) => transport.publish(records.map(recordOf)),
    join: (credit = 100, group = topology.groups[0]?.name ?? '') =>
      collect(transport, group, credit),
  }
}

async function collect(transport: Transport, group: string, credit: number): Promise<Collector> {
  const deliveries: Delivery[] = []
  const subscription = await transport.subscribe({ group }, (arrived) => {
    deliveries.push(...arrived)
  })
  subscription.grant(credit)
  // One turn, so that what was ready is there.
  await transport.settle([])
  await nextTurn()
  const of = (id: string) => {
    const found = deliveries.findLast(({ record }) => record.id === id)
    if (found === undefined) throw new Error(`the message '${id}' was not handed out`)
    return found
  }
  const settle = async (...settlements: Settlement[]) => {
    const results = await transport.settle(settlements)
    await nextTurn()
    return results
  }
  return {
    subscription,
    deliveries,
    ids: () => deliveries.map(({ record }) => record.id),
    of,
    settle,
    ack: (...ids) => settle(...ids.map((id) => ({ outcome: 'ack' as const, delivery: of(id) }))),
  }
}

/** Lets the transactions run that are due by now. */
export async function nextTurn(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
