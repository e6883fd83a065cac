import type { TimerHandle } from '../../../core/clock.ts'
import { asBrokerError } from './failures.ts'
import { LostAnswer } from './link.ts'
import type { Reply } from './resp.ts'
import type { Session } from './session.ts'
import { removeGroup } from './surplus.ts'
import { makeGroup } from './topology.ts'
import { upkeepScript } from './upkeep-scripts.ts'

const roundMs = 2000
/** So short that the next round of whoever comes first finds the door open. */
const turnMs = 1500

/** Frees what is done with, ends what is too old, and keeps what vanishes with this connection alive. Returns the way to stop. */
export function startUpkeep(session: Session): () => Promise<void> {
  const { leaseMs } = session
  const stops = [
    every(session, roundMs, () => tidy(session)),
    every(session, Math.min(roundMs, leaseMs / 4), () => renewEphemeral(session)),
  ]
  return async () => {
    await Promise.all(stops.map((stop) => stop()))
  }
}

function every(session: Session, pauseMs: number, round: () => Promise<void>): () => Promise<void> {
  const { clock } = session
  let timer: TimerHandle | undefined
  let running: Promise<void> | undefined
  let isOver = false
  const arm = () => {
    if (isOver) return
    timer = clock.setTimeout(() => {
      running = round()
        .catch((error: unknown) => report(session, error))
        .finally(arm)
    }, pauseMs)
  }
  arm()
  return async () => {
    isOver = true
    if (timer !== undefined) clock.clearTimeout(timer)
    await running
  }
}

function report(session: Session, error: unknown): void {
  if (session.isEnded || error instanceof LostAnswer || !session.link.isReady) return
  session.reportError(asBrokerError(error, session.place.name))
}

async function tidy(session: Session): Promise<void> {
  const { link, names, addresses } = session
  if (!link.isReady) return
  for (const address of addresses) {
    const gone = await link.run(upkeepScript, names.base(address), [turnMs])
    for (const each of gone as readonly Reply[]) {
      await removeGroup(session, {
        group: String(each),
        address,
        onlyIfGone: true,
        withChannel: true,
      })
    }
  }
}

/** Made anew where another process took it for gone. */
async function renewEphemeral(session: Session): Promise<void> {
  if (!session.link.isReady) return
  for (const group of session.ephemeral.values()) {
    for (const subscription of group.subscriptions) await makeGroup(session, group, subscription)
  }
}

/** What vanishes with this connection goes now. */
export async function removeEphemeral(session: Session): Promise<void> {
  for (const group of session.ephemeral.values()) {
    for (const { address } of group.subscriptions) {
      await removeGroup(session, {
        group: group.name,
        address,
        onlyIfGone: false,
        withChannel: true,
      })
    }
  }
  session.ephemeral.clear()
}
