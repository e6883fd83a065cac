import type { GroupDocument } from './definitions.ts'
import { asTreatyError } from './errors.ts'
import type { Session } from './session.ts'

/** Says on the broker that this connection lives, because a group vanishes with it. */
export interface Life {
  /** Begins, once; resolves when the others can see it. */
  begin(): Promise<void>
  /** Says it again, when it is time; makes groups anew whose connection was taken for gone. */
  beat(): Promise<void>
  end(): Promise<void>
}

interface ConnectionDocument {
  readonly lease: number
}

export function createLife(session: Session): Life {
  let seq = 0
  let beatAt = Number.NEGATIVE_INFINITY
  let beginning: Promise<void> | undefined
  const subject = session.places.member(null, session.id)

  async function write(): Promise<void> {
    const value: ConnectionDocument = { lease: session.leaseMs }
    const sentAt = session.clock.monotonic()
    // Only we write here, so there is nobody to compare with.
    const written = await session.members.write(subject, value)
    if (written === 'conflict') return
    seq = written
    beatAt = sentAt
  }

  return {
    begin() {
      beginning ??= write()
      return beginning
    },
    async beat() {
      if (beginning === undefined || !session.wire.isUp) return
      if (session.clock.monotonic() - beatAt < session.leaseMs / 4) return
      await write()
    },
    async end() {
      if (beginning === undefined) return
      await beginning.catch(() => undefined)
      const groups = await session.definitions.groups()
      for (const group of groups.filter(({ connection }) => connection === session.id)) {
        await removeGroup(session, group)
      }
      await session.members.remove(seq)
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

/** Removes groups whose connection is gone. */
export async function sweepGroups(
  session: Session,
  groups: readonly GroupDocument[],
): Promise<void> {
  const hanging = groups.filter(({ connection }) => connection !== undefined)
  if (hanging.length === 0) return
  const lives = await session.members.all<ConnectionDocument>(session.places.members(null))
  // The youngest sign of life tells the server's time; nobody is judged by our own clock.
  const now = lives.reduce((latest, { timeNs }) => (timeNs > latest ? timeNs : latest), 0n)
  for (const group of hanging) {
    if (group.connection === session.id) continue
    const life = lives.find(({ subject }) => subject.endsWith(`.${group.connection}`))
    const silentMs = life === undefined ? undefined : Number((now - life.timeNs) / 1_000_000n)
    const isGone =
      life === undefined ||
      ((silentMs ?? 0) > life.value.lease && (await session.members.remove(life.seq)))
    if (isGone) await removeGroup(session, group)
  }
}
