import { TreatyError } from '../../../core/errors.ts'
import type { BrokerInventory, TopologySurplus } from '../../transport.ts'
import type { GroupDocument } from './definitions.ts'
import { removeChannel, removeGroup } from './life.ts'
import type { Session } from './session.ts'
import { streamInfo } from './streams.ts'

/** Everything of Treaty's in this namespace. */
export async function inventory(session: Session): Promise<BrokerInventory> {
  const [channels, groups] = await Promise.all([
    session.definitions.channels(),
    session.definitions.groups(),
  ])
  return {
    channels: await Promise.all(
      channels
        .filter(({ isEphemeral }) => isEphemeral !== true)
        .map(async ({ address, stream }) => {
          const info = await streamInfo(session.wire, stream)
          return { address, ...(info === undefined ? {} : { messages: info.state.messages }) }
        }),
    ),
    groups: groups
      .filter(({ connection }) => connection === undefined)
      .map(({ name, consumer, subscriptions }) => ({
        name,
        consumer,
        addresses: subscriptions.map(({ address }) => address),
      })),
  }
}

/** Takes away what is named. @throws TOPOLOGY_IN_USE */
export async function remove(session: Session, surplus: TopologySurplus): Promise<void> {
  const { definitions, state, places } = session
  for (const { group, address } of surplus.subscriptions) {
    const subject = places.group(group)
    const found = await state.read<GroupDocument>(subject)
    if (found === undefined) continue
    const subscriptions = found.value.subscriptions.filter((each) => each.address !== address)
    await state.write(subject, { ...found.value, subscriptions }, found.seq)
    await state.purge(places.lane(group, address, '*'))
  }
  for (const name of surplus.groups) {
    const group = await definitions.group(name)
    if (group !== undefined) await removeGroup(session, group)
  }
  const groups = await definitions.groups()
  for (const address of surplus.channels) {
    const reader = groups.find((group) =>
      group.subscriptions.some((each) => each.address === address),
    )
    if (reader !== undefined) {
      throw new TreatyError(
        'TOPOLOGY_IN_USE',
        `the channel '${address}' is still read by the group '${reader.name}'`,
        { hint: 'Remove the group first.', details: { address, group: reader.name } },
      )
    }
    await removeChannel(session, address)
  }
}
