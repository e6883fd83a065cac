import { claimFor } from './claim.ts'
import type { Session } from './session.ts'

/** Groups named in one message at most: a payload holds 8000 bytes. */
const groupsMax = 500

/** How processes tell each other, and themselves, that a group may have work. */
export interface Waking {
  /** Channel of NOTIFY for this schema. */
  readonly channel: string
  readonly wake: Session['wake']
  /** Takes what a NOTIFY brought; undefined: some may have been missed. */
  hear(payload: string | undefined): void
  readonly greet: Session['greet']
  /** Resolves when everybody has been told. */
  flush(): Promise<void>
}

/**
 * NOTIFY is sent after the commit that it tells of, for many at once and without waiting for the disk: inside the
 * transaction it would make all commits of the database queue. What a crash swallows the poll finds. Whoever comes says so, and where nobody
 * has come nobody is told: each message is a transaction of its own.
 */
export function createWaking(session: Session): Waking {
  const { access } = session
  const channel = `treaty_${access.place.schema}`.slice(0, 63)
  const waiting = new Set<number>()
  let sending: Promise<void> | undefined

  const say = async (groups: readonly number[]) => {
    await access
      .read(`SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`, [
        channel,
        `${session.ownerId}:${groups.join(',')}`,
      ])
      // Nobody is told of it: the poll finds what is there.
      .catch(() => undefined)
  }
  const send = async () => {
    while (waiting.size > 0) {
      const groups = [...waiting].slice(0, groupsMax)
      for (const group of groups) waiting.delete(group)
      await say(groups)
    }
    sending = undefined
  }
  const wakeHere = (isMeant: (groupId: number) => boolean) => {
    for (const local of session.groups.values()) {
      const id = session.groupIds.get(local.name)
      if (id === undefined || isMeant(id)) void claimFor(session, local)
    }
  }

  return {
    channel,
    wake(groupIds, whom) {
      if (groupIds.length === 0) return
      if (whom !== 'others') wakeHere((id) => groupIds.includes(id))
      if (whom === 'local' || !session.hasOthers) return
      for (const id of groupIds) waiting.add(id)
      sending ??= send()
    },
    hear(payload) {
      if (payload === undefined) {
        wakeHere(() => true)
        return
      }
      const [owner, list = ''] = payload.split(':')
      if (Number(owner) === session.ownerId) return
      session.hasOthers = true
      const groups = new Set(list.split(',').map(Number))
      wakeHere((id) => groups.has(id))
    },
    greet: () => say([]),
    flush: async () => sending,
  }
}
