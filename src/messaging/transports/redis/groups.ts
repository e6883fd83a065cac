import type { ChannelTopology, GroupTopology } from '../../transport.ts'
import type { Reply } from './resp.ts'
import type { Session } from './session.ts'

/** A group on one channel, as it is kept there. */
export interface GroupText {
  readonly consumer: string
  readonly types: readonly string[] | '*'
  readonly ignored?: readonly string[]
  readonly start: 'earliest' | 'latest'
  readonly deadLetter: GroupTopology['deadLetter']
  readonly deliveriesMax: number
  readonly ephemeral?: boolean
}

export interface FoundGroup {
  readonly group: GroupTopology
  /** The order that each of its channels keeps. */
  readonly orderings: readonly (readonly [address: string, ordering: ChannelTopology['ordering']])[]
}

type Subscription = GroupTopology['subscriptions'][number]

export function textOfGroup(group: GroupTopology, { types, ignored }: Subscription): GroupText {
  const { consumer, start, deadLetter, deliveriesMax, ephemeral } = group
  return {
    consumer,
    types,
    start,
    deadLetter,
    deliveriesMax,
    ...(ignored === undefined ? {} : { ignored }),
    ...(ephemeral === undefined ? {} : { ephemeral }),
  }
}

/** A group as the broker knows it, on every channel that it reads; undefined: it is not there. */
export async function readGroup(session: Session, name: string): Promise<FoundGroup | undefined> {
  const { link, names } = session
  const listed = (await link.ask(() =>
    link.call('SMEMBERS', names.addressesOf(name)),
  )) as readonly Reply[]
  const found = await Promise.all(
    listed.map(async (each) => {
      const address = String(each)
      const base = names.base(address)
      const [text, ordering] = await Promise.all([
        link.ask(() => link.call('HGET', `${base}:groups`, name)),
        link.ask(() => link.call('HGET', `${base}:channel`, 'ordering')),
      ])
      if (text === null || ordering === null) return undefined
      return { address, text: JSON.parse(String(text)) as GroupText, ordering: String(ordering) }
    }),
  )
  const there = found.filter((each) => each !== undefined)
  const [first] = there
  if (first === undefined) return undefined
  const { types: _, ignored: __, ...policy } = first.text
  return {
    group: {
      ...policy,
      name,
      subscriptions: there.map(({ address, text: { types, ignored } }) => ({
        address,
        types,
        ...(ignored === undefined ? {} : { ignored }),
      })),
    },
    orderings: there.map(({ address, ordering }) => [
      address,
      ordering as ChannelTopology['ordering'],
    ]),
  }
}
