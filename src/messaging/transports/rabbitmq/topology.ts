import type { ConfirmChannel } from 'amqplib'
import type { ChannelTopology, GroupTopology, Topology, TopologyDiff } from '../../transport.ts'
import { note, type Report } from '../sqlite/topology-drift.ts'
import { inspect, isOtherwise, onChannels } from './bulk.ts'
import type {
  CatalogueChange,
  ChannelDefinition,
  Definition,
  Definitions,
  GroupDefinition,
} from './catalogue.ts'
import { createEphemeralRunner, exists } from './ephemeral-runner.ts'
import { lockedQueue } from './queues.ts'
import { placesOf, type Session } from './session.ts'
import { compareChannel, compareGroup, noPast } from './topology-drift.ts'
import { lanesOf } from './topology-lanes.ts'

/** What one call of `ensure` works with. */
interface Wanted {
  readonly channels: readonly ChannelTopology[]
  readonly groups: readonly GroupTopology[]
  readonly ephemeral: readonly GroupTopology[]
}

/** Creates what is missing, or only looks. */
export async function ensureTopology(
  session: Session,
  { topology, mode }: { topology: Topology; mode: 'create' | 'verify' },
): Promise<TopologyDiff> {
  const wanted = sorted(topology, await session.catalogue.read(0))
  if (mode === 'verify') return verify(session, wanted)
  let report = emptyReport()
  const found = await session.catalogue.update((present) => {
    // Runs again when the connection ends in the middle.
    report = emptyReport()
    return compare(wanted, present, { report, isCreate: true })
  })
  remember(session, found)
  const channels = wanted.channels.flatMap(({ address }) => found.channels.get(address) ?? [])
  const groups = wanted.groups.flatMap(({ name }) => found.groups.get(name) ?? [])
  await declare(session, { channels, groups, found, report })
  for (const group of wanted.ephemeral) await ensureEphemeral(session, group, report)
  return report
}

function emptyReport(): Report {
  return { missing: [], created: [], drift: [] }
}

/** Channels that only groups of connections read go with them, and are nobody else's business. */
function sorted({ channels, groups }: Topology, found: Definitions): Wanted {
  const lasting = groups.filter(({ ephemeral }) => ephemeral !== true)
  const ephemeral = groups.filter((group) => group.ephemeral === true)
  const reads = (group: GroupTopology, address: string) =>
    group.subscriptions.some((each) => each.address === address)
  const isTransient = (address: string) =>
    !found.channels.has(address) &&
    ephemeral.some((group) => reads(group, address)) &&
    !lasting.some((group) => reads(group, address))
  const named = new Set(channels.map(({ address }) => address))
  const implied = lasting
    .flatMap(({ subscriptions }) => subscriptions.map(({ address }) => address))
    .filter((address) => !named.has(address) && !found.channels.has(address))
  return {
    channels: [
      ...channels.filter(({ address }) => !isTransient(address)),
      ...[...new Set(implied)].map((address) => ({ address, ordering: 'none' as const })),
    ],
    groups: lasting,
    ephemeral,
  }
}

/** What is to be written to the catalogue. */
function compare(
  { channels, groups }: Wanted,
  present: Definitions,
  context: { report: Report; isCreate: boolean },
): CatalogueChange | undefined {
  const { report, isCreate } = context
  const put: Definition[] = []
  const missing = (name: string) => void (isCreate ? report.created : report.missing).push(name)
  for (const channel of channels) {
    const has = present.channels.get(channel.address)
    if (has === undefined) missing(`channel ${channel.address}`)
    const next = has === undefined ? newChannel(channel) : compareChannel(channel, has, context)
    if (next !== has) put.push(next)
  }
  for (const group of groups) {
    const has = present.groups.get(group.name)
    if (has === undefined || has.isRemoved === true) missing(`group ${group.name}`)
    for (const { address } of group.subscriptions) {
      if (has?.subscriptions.some((each) => each.address === address)) continue
      if (has !== undefined) missing(`subscription of ${group.name} to ${address}`)
      if (present.channels.has(address)) noPast(group, address, report)
    }
    const next = has === undefined ? newGroup(group) : compareGroup(group, has, context)
    if (next !== has) put.push(next)
  }
  return put.length === 0 || !isCreate ? undefined : { put }
}

function newChannel(channel: ChannelTopology): ChannelDefinition {
  const { address, ordering, retentionMs = 0 } = channel
  return { kind: 'channel', address, ordering, retentionMs, lanes: lanesOf(channel) }
}

function newGroup(group: GroupTopology): GroupDefinition {
  const { ephemeral: _ephemeral, ...rest } = group
  return { kind: 'group', ...rest }
}

/** Publishers of this process find their way without asking. */
export function remember(session: Session, { channels }: Definitions): void {
  for (const [address, channel] of channels) session.channels.set(address, channel)
}

interface Declaring {
  readonly channels: readonly ChannelDefinition[]
  readonly groups: readonly GroupDefinition[]
  readonly found: Definitions
  readonly report: Report
}

type Task = (channel: ConfirmChannel) => Promise<unknown>

async function declare(
  session: Session,
  { channels, groups, found, report }: Declaring,
): Promise<void> {
  const { control } = session
  const guarded = (what: string, task: Task) => async () => {
    // A refused declaration closes its channel.
    try {
      await onChannels(control, [task])
    } catch (error) {
      if (!isOtherwise(error)) throw error
      noteOtherwise(report, what, error)
    }
  }
  const run = (tasks: readonly (readonly [string, Task])[]) =>
    onChannels(
      control,
      tasks.map(([, task]) => task),
    ).catch(async (error: unknown) => {
      if (!isOtherwise(error)) throw error
      for (const [what, task] of tasks) await guarded(what, task)()
    })
  await run(channels.map((each) => [`channel ${each.address}`, declareChannel(session, each)]))
  await run(groups.flatMap((group) => groupTasks(session, group, found)))
}

function noteOtherwise(report: Report, what: string, error: unknown): void {
  note(report, {
    code: 'TOPOLOGY_POLICY_DIFFERS',
    severity: 'error',
    message: `the ${what} is on the broker in another form: ${String((error as Error).message)}`,
    hint: 'Use the same ?queues= everywhere, or delete what is there when it is empty.',
  })
}

function declareChannel({ names, control }: Session, { address }: ChannelDefinition): Task {
  const [exchange, lanes, others] = [
    names.exchange(address),
    names.lanes(address),
    names.others(address),
  ]
  return async (channel) => {
    await channel.assertExchange(others, 'fanout', { durable: true, internal: true })
    await channel.assertExchange(lanes, 'direct', {
      durable: true,
      internal: true,
      alternateExchange: others,
    })
    await channel.assertExchange(exchange, 'fanout', { durable: true })
    await channel.bindExchange(lanes, exchange, '')
    await channel.assertQueue(names.tally(address), lockedQueue(control.place.queues))
  }
}

function groupTasks(
  { names, control }: Session,
  group: GroupDefinition,
  found: Definitions,
): (readonly [string, Task])[] {
  const what = `group ${group.name}`
  const options = lockedQueue(control.place.queues)
  const places = group.subscriptions.flatMap(({ address }) => {
    const channel = found.channels.get(address)
    return channel === undefined ? [] : placesOf(channel)
  })
  return [
    [what, (channel) => channel.assertQueue(names.dead(group.name), options)],
    ...places.map(({ address, lane }): readonly [string, Task] => [
      what,
      async (channel) => {
        const queue = names.lane(group.name, address, lane)
        await channel.assertQueue(names.journal(group.name, address, lane), options)
        await channel.assertQueue(queue, options)
        await channel.bindQueue(queue, names.lanes(address), String(lane))
        // What other programs send with a routing key of their own.
        if (lane === 0) await channel.bindQueue(queue, names.others(address), '')
      },
    ]),
  ]
}

async function verify(session: Session, wanted: Wanted): Promise<TopologyDiff> {
  const { catalogue, control, names, ephemeral } = session
  const present = await catalogue.read(0)
  const report = emptyReport()
  compare(wanted, present, { report, isCreate: false })
  for (const { address } of wanted.channels) {
    if (!present.channels.has(address)) continue
    const parts = [names.exchange(address), names.lanes(address), names.others(address)]
    const there = await Promise.all(parts.map((exchange) => exists(control, exchange)))
    if (there.includes(false)) report.missing.push(`channel ${address}`)
  }
  for (const { name } of wanted.groups) {
    const group = present.groups.get(name)
    if (group === undefined) continue
    const places = group.subscriptions.flatMap(({ address }) => {
      const channel = present.channels.get(address)
      return channel === undefined ? [] : placesOf(channel)
    })
    const queues = [
      names.dead(name),
      ...places.flatMap(({ address, lane }) => [
        names.lane(name, address, lane),
        names.journal(name, address, lane),
      ]),
    ]
    const looks = await inspect(control, queues)
    if (looks.size < queues.length) report.missing.push(`group ${name}`)
  }
  for (const { name } of wanted.ephemeral) {
    if (!ephemeral.has(name)) report.missing.push(`group ${name}`)
  }
  return report
}

async function ensureEphemeral(
  session: Session,
  group: GroupTopology,
  report: Report,
): Promise<void> {
  const { ephemeral, control, clock, names, members } = session
  if (ephemeral.has(group.name)) return
  const runner = createEphemeralRunner({
    group,
    link: control,
    clock,
    names,
    isFresh: () => members.isFresh(),
    onError: (error) => session.reportError(error),
  })
  await runner.declare()
  ephemeral.set(group.name, runner)
  report.created.push(`group ${group.name}`)
}
