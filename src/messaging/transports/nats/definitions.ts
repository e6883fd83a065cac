import type { ChannelTopology, GroupTopology } from '../../transport.ts'
import type { Documents } from './documents.ts'
import { foreignLane, type Places, streamNameOf } from './names.ts'

/** A channel as it is written on the broker. */
export interface ChannelDocument {
  readonly address: string
  readonly ordering: ChannelTopology['ordering']
  readonly stream: string
  readonly partitions: number
  readonly retentionMs?: number
  /** Made for groups that vanish with their connection, and vanishes with them. */
  readonly isEphemeral?: boolean
  /** The stream was there before us: nothing is ever taken out of it. */
  readonly isBorrowed?: boolean
}

/** Where a group begins in one channel. */
export interface SubscriptionDocument {
  readonly address: string
  readonly types: readonly string[] | '*'
  readonly ignored?: readonly string[]
  /** Messages up to this number are not the group's. */
  readonly after: number
  /** How many of each type were published up to there, by lane. */
  readonly before: Readonly<Record<string, Readonly<Record<string, number>>>>
}
export interface GroupDocument extends Omit<GroupTopology, 'subscriptions' | 'ephemeral'> {
  readonly subscriptions: readonly SubscriptionDocument[]
  /** The connection that it vanishes with. */
  readonly connection?: string
}

/** What left a channel, or was counted, by lane and type; see `trim.ts`. */
export interface LedgerDocument {
  readonly lanes: Readonly<
    Record<
      string,
      { readonly through: number; readonly published: Readonly<Record<string, number>> }
    >
  >
}

/** Channels and groups as the broker knows them. */
export interface Definitions {
  channel(address: string): Promise<ChannelDocument | undefined>
  group(name: string): Promise<GroupDocument | undefined>
  channels(): Promise<ChannelDocument[]>
  groups(): Promise<GroupDocument[]>
  /** Addresses that were asked for here. */
  known(): readonly string[]
  /** The channel is known no more here; the next question goes to the broker. */
  forget(address: string): void
}

export const partitionsDefault = 12

export function lanesOf(channel: ChannelDocument): string[] {
  const lanes = Array.from({ length: channel.partitions }, (_, lane) => String(lane))
  return channel.isEphemeral === true ? lanes : [...lanes, foreignLane]
}

/** What the contract says of a channel on NATS. */
export function wantedChannel(channel: ChannelTopology, isEphemeral: boolean): ChannelDocument {
  const { address, ordering, retentionMs, bindings } = channel
  const nats = bindings?.nats as { stream?: unknown; partitions?: unknown } | undefined
  const asked = Number(nats?.partitions)
  const partitions =
    Number.isInteger(asked) && asked > 0 && asked <= 512 ? asked : partitionsDefault
  const single = ordering === 'per-channel' || isEphemeral
  return {
    address,
    ordering,
    stream:
      typeof nats?.stream === 'string' && nats.stream !== '' ? nats.stream : streamNameOf(address),
    partitions: single ? 1 : partitions,
    ...(retentionMs === undefined ? {} : { retentionMs }),
    ...(isEphemeral ? { isEphemeral } : {}),
  }
}

/** A group as the core knows it. */
export function topologyOf(group: GroupDocument): GroupTopology {
  const { connection, subscriptions, ...rest } = group
  return {
    ...rest,
    subscriptions: subscriptions.map(({ address, types, ignored }) => ({
      address,
      types,
      ...(ignored === undefined ? {} : { ignored }),
    })),
    ...(connection === undefined ? {} : { ephemeral: true }),
  }
}

export function createDefinitions(documents: Documents, places: Places): Definitions {
  const known = new Map<string, ChannelDocument>()
  return {
    async channel(address) {
      const found = known.get(address)
      if (found !== undefined) return found
      const document = await documents.read<ChannelDocument>(places.channel(address))
      if (document !== undefined) known.set(address, document.value)
      return document?.value
    },
    group: async (name) => (await documents.read<GroupDocument>(places.group(name)))?.value,
    channels: async () =>
      (await documents.all<ChannelDocument>(places.all('channel'))).map(({ value }) => value),
    groups: async () =>
      (await documents.all<GroupDocument>(places.all('group')))
        .map(({ value }) => value)
        .sort((one, two) => (one.name < two.name ? -1 : 1)),
    known: () => [...known.keys()],
    forget: (address) => void known.delete(address),
  }
}
