import type { GroupDocument } from './definitions.ts'
import { summaryOf } from './letters.ts'
import { scan } from './reads.ts'
import type { Session } from './session.ts'

const pauseMs = 300_000
/** Letters without a consumer have no contract that says how long they are kept. */
export const refusedRetentionMs = 30 * 86_400_000

/** Removes dead letters whose time has come, on servers that do not do it by themselves (before 2.11). */
export function createRetention(
  session: Session,
): (groups: readonly GroupDocument[]) => Promise<void> {
  let doneAt = session.clock.monotonic()
  return async (groups) => {
    if (session.features.ttl || session.clock.monotonic() - doneAt < pauseMs) return
    doneAt = session.clock.monotonic()
    const keptMs = new Map(groups.map(({ name, deadLetter }) => [name, deadLetter.retentionMs]))
    const now = session.clock.now()
    const old: number[] = []
    await scan(session.wire, session.places.deadStream, {
      filter: session.places.deadFilter({}),
      headersOnly: true,
      take(stored) {
        const { group, failedAt } = summaryOf(stored)
        const retentionMs = keptMs.get(group ?? '') ?? refusedRetentionMs
        if (failedAt < now - retentionMs) old.push(stored.seq)
      },
    })
    for (const seq of old) await session.dead.remove(seq)
  }
}
