import type { BrokerInventory, TopologySurplus } from '../../transport.ts'
import { inUse } from '../sqlite/surplus.ts'
import type { GroupText } from './groups.ts'
import type { Reply } from './resp.ts'
import type { Session } from './session.ts'
import { removeChannelScript, removeGroupScript } from './topology-scripts.ts'

/** All channels and lasting groups under our prefix. */
export async function inventory(session: Session): Promise<BrokerInventory> {
  const { link, names } = session
  const listed = (await link.ask(() => link.call('SMEMBERS', names.addresses))) as readonly Reply[]
  const groups = new Map<string, { name: string; consumer: string; addresses: string[] }>()
  const channels: { address: string; messages: number }[] = []
  for (const address of listed.map(String).sort()) {
    const base = names.base(address)
    const meta = (await link.ask(() =>
      link.call('HMGET', `${base}:channel`, 'lanes', 'urgent'),
    )) as readonly Reply[]
    if (meta[0] === null) continue
    const lanes = Array.from({ length: Number(meta[0]) + Number(meta[1]) }, (_, lane) => lane)
    const lengths = await Promise.all(
      lanes.map((lane) => link.ask(() => link.call('XLEN', names.lane(address, lane)))),
    )
    channels.push({
      address,
      messages: lengths.reduce<number>((sum, each) => sum + Number(each), 0),
    })
    const pairs = (await link.ask(() => link.call('HGETALL', `${base}:groups`))) as readonly Reply[]
    for (let at = 0; at + 1 < pairs.length; at += 2) {
      const [name, text] = [String(pairs[at]), JSON.parse(String(pairs[at + 1])) as GroupText]
      if (text.ephemeral === true) continue
      const group = groups.get(name) ?? { name, consumer: text.consumer, addresses: [] }
      group.addresses.push(address)
      groups.set(name, group)
    }
  }
  return { channels, groups: [...groups.values()] }
}

/** @throws TOPOLOGY_IN_USE */
export async function removeSurplus(session: Session, surplus: TopologySurplus): Promise<void> {
  const { link, names } = session
  for (const { group, address } of surplus.subscriptions) await removeFrom(session, group, address)
  for (const group of surplus.groups) {
    const listed = await link.ask(() => link.call('SMEMBERS', names.addressesOf(group)))
    for (const address of listed as readonly Reply[])
      await removeFrom(session, group, String(address))
  }
  for (const address of surplus.channels) await removeChannel(session, address)
}

async function removeFrom(session: Session, group: string, address: string): Promise<void> {
  await removeGroup(session, { group, address, onlyIfGone: false, withChannel: false })
}

/** Takes a group off a channel, and forgets its name with its last channel. */
export async function removeGroup(
  session: Session,
  what: {
    readonly group: string
    readonly address: string
    /** Leaves one whose connection has come back. */
    readonly onlyIfGone: boolean
    /** The channel goes too when nothing keeps it. */
    readonly withChannel: boolean
  },
): Promise<void> {
  const { link, names } = session
  const { group, address, onlyIfGone, withChannel } = what
  const args = [group, onlyIfGone ? '1' : '0', withChannel ? '1' : '0']
  const answer = await link.ask(() => link.run(removeGroupScript, names.base(address), args))
  const [wentGroup, goesChannel] = answer as readonly number[]
  if (wentGroup === 0 && onlyIfGone) return
  await link.ask(() => link.call('SREM', names.addressesOf(group), address))
  const left = await link.ask(() => link.call('EXISTS', names.addressesOf(group)))
  if (left === 0) await link.ask(() => link.call('SREM', names.groups, group))
  if (goesChannel === 1) await removeChannel(session, address)
}

async function removeChannel(session: Session, address: string): Promise<void> {
  const { link, names } = session
  const base = names.base(address)
  const answer = await link.ask(() => link.run(removeChannelScript, base, []))
  if (answer === -1) {
    const groups = (await link.ask(() => link.call('HKEYS', `${base}:groups`))) as readonly Reply[]
    throw inUse(address, String(groups[0]))
  }
  session.addresses.delete(address)
  await keepCounts(session, answer as readonly Reply[])
  // Its dead letters stay, and are found by its address.
  const letters = await link.ask(() => link.call('EXISTS', names.letters(address)))
  if (letters === 0) await link.ask(() => link.call('SREM', names.addresses, address))
}

async function keepCounts({ link, names }: Session, pairs: readonly Reply[]): Promise<void> {
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const [field, amount] = [pairs[at], pairs[at + 1]]
    await link.call('HINCRBY', names.past, field as Buffer, String(amount))
  }
}
