import { emptyState } from './lane-state.ts'
import { laneName, type Place } from './names.ts'
import { offsetsOf, startOfLog } from './reader.ts'
import type { KnownChannel, Registry } from './registry.ts'
import type { States } from './states.ts'
import { deleteRecords } from './topics.ts'
import type { Wire } from './wire.ts'

export interface TrimOptions {
  readonly wire: Wire
  readonly registry: Registry
  readonly states: States
  /** Groups that this process works for. */
  readonly groups: ReadonlyMap<string, unknown>
}

/** Fewer messages than this are not worth a request. */
const batchMin = 1000

/**
 * Where the contract keeps nothing, messages go once every group is done with them: up to the lowest committed offset, and never
 * what is not counted yet. Only where a group of ours gets on: a cluster may have thousands of channels that are no business of this process.
 */
export async function trimLogs(options: TrimOptions): Promise<void> {
  const { wire, registry, groups } = options
  await registry.refresh()
  const read = new Set(
    registry.groups.flatMap(({ name, subscriptions }) =>
      groups.has(name) ? subscriptions.map(({ address }) => address) : [],
    ),
  )
  const loose = registry.channels.filter(
    ({ address, retentionMs }) => retentionMs === undefined && read.has(address),
  )
  const facts = await wire.topics(loose.map(({ topic }) => topic))
  for (const channel of loose) {
    const { topic } = channel
    const places = (facts.get(topic)?.leaders ?? []).map((_, partition) => ({ topic, partition }))
    if (places.length > 0) await trimChannel(options, channel, places)
  }
}

async function trimChannel(
  { wire, registry, states }: TrimOptions,
  { address }: KnownChannel,
  places: readonly Place[],
): Promise<void> {
  const groups = registry.groups.filter(({ subscriptions }) =>
    subscriptions.some((each) => each.address === address),
  )
  if (groups.length === 0) return
  const committed = await states.readMany(groups.map((group) => ({ group, places })))
  const starts = await offsetsOf(wire, places, startOfLog)
  const before = places.flatMap((place) => {
    const name = laneName(place)
    const lows = groups.map((group) => {
      const beginning = group.beginnings[address]?.offsets[place.partition] ?? 0
      return (committed.get(group.name)?.get(name) ?? emptyState(beginning)).low
    })
    const offset = Math.min(states.meter.savedOffset(place), ...lows)
    return offset - (starts.get(name) ?? 0) >= batchMin ? [{ ...place, offset }] : []
  })
  await deleteRecords(wire, before)
}
