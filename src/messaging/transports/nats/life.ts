import type { Topology } from '../../transport.ts'
import type { GroupDocument } from './definitions.ts'
import { asTreatyError } from './errors.ts'
import type { Session } from './session.ts'

/** Says on the broker that this connection lives, because groups vanish with it. */
export interface Life {
  /** Begins for a group, with its channels; resolves when the others can see it. */
  begin(topology: Topology): Promise<void>
  /** Says it again, when it is time; makes groups anew that were taken away because we had fallen silent. */
  beat(): Promise<void>
  end(): Promise<void>
}

interface ConnectionDocument {
  readonly lease: number
}

/** `restore` creates what is missing of a topology. */
export function createLife(
  session: Session,
  restore: (topology: Topology) => Promise<unknown>,
): Life {
  let beatAt = Number.NEGATIVE_INFINITY
  const hanging = new Map<string, Topology>()
  const subject = session.places.member(null, session.id)

  async function write(): Promise<void> {
    const value: ConnectionDocument = { lease: session.leaseMs }
    const sentAt = session.clock.monotonic()
    // Only we write here, so there is nobody to compare with.
    await session.members.write(subject, value)
    beatAt = sentAt
  }

  async function restoreLost(): Promise<void> {
    for (const [name, topology] of hanging) {
      if ((await session.definitions.group(name)) !== undefined) continue
      await restore(topology)
      const document = await session.definitions.group(name)
      if (document !== undefined) session.groups.get(name)?.sharing.renew(document)
    }
  }

  return {
    async begin(topology) {
      const isFirst = hanging.size === 0
      for (const { name } of topology.groups) hanging.set(name, topology)
      if (isFirst) await write()
    },
    async beat() {
      if (hanging.size === 0 || !session.wire.isUp) return
      if (session.clock.monotonic() - beatAt < session.leaseMs / 4) return
      await write()
      await restoreLost()
    },
    async end() {
      if (hanging.size === 0) return
      for (const group of await session.definitions.groups()) {
        if (group.connection === session.id) await removeGroup(session, group)
      }
      await session.members.purge(subject)
    },
  }
}

/** Takes away a group with all that is known of it, and the channels that were made for it. */
export async function removeGroup(session: Session, group: GroupDocument): Promise<void> {
  const { state, places } = session
  await state.purge(places.group(group.name))
  await state.purge(places.all('lane', group.name))
  await state.purge(places.all('request', group.name))
  if (group.connection === undefined) return
  for (const { address } of group.subscriptions) await removeChannel(session, address, 'ephemeral')
}

/** Takes away a channel with its messages. */
export async function removeChannel(
  session: Session,
  address: string,
  only?: 'ephemeral',
): Promise<void> {
  const { definitions, state, places, wire } = session
  definitions.forget(address)
  const channel = await definitions.channel(address)
  if (channel === undefined || (only === 'ephemeral' && channel.isEphemeral !== true)) return
  await state.purge(places.channel(address))
  await state.purge(places.ledger(address))
  definitions.forget(address)
  if (channel.isBorrowed === true) return
  await wire.api(`STREAM.DELETE.${channel.stream}`).catch((error: unknown) => {
    session.reportError(asTreatyError(error, `keeps the stream ${channel.stream}`))
  })
}

/**
 * Removes groups whose connection is gone: whose last sign of life has stayed the same for its lease, by our own watch, so that no
 * two clocks are compared.
 */
export function createSweeping(
  session: Session,
): (groups: readonly GroupDocument[]) => Promise<void> {
  let seen = new Map<string, { readonly seq: number; readonly at: number }>()
  return async (groups) => {
    const hanging = groups.filter(({ connection }) => connection !== undefined)
    if (hanging.length === 0) return
    const now = session.clock.monotonic()
    const lives = await session.members.all<ConnectionDocument>(session.places.members(null))
    const next = new Map<string, { readonly seq: number; readonly at: number }>()
    for (const { connection } of hanging) {
      const id = connection ?? ''
      const life = lives.find(({ subject }) => subject.endsWith(`.${id}`))
      const before = seen.get(id)
      const seq = life?.seq ?? 0
      const since = before?.seq === seq ? before : { seq, at: now }
      next.set(id, since)
    }
    seen = next
    for (const group of hanging) {
      const id = group.connection ?? ''
      const since = next.get(id)
      const life = lives.find(({ subject }) => subject.endsWith(`.${id}`))
      const leaseMs = life?.value.lease ?? session.leaseMs
      if (id === session.id || since === undefined || now - since.at <= leaseMs) continue
      // Only this very sign: one that came meanwhile says that it lives.
      if (life !== undefined && !(await session.members.remove(life.seq))) continue
      await removeGroup(session, group)
    }
  }
}
