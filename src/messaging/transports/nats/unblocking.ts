import type { LaneGroup } from '../../lanes/driver.ts'
import type { UnblockRequest } from './dead-letters.ts'
import type { GroupDocument } from './definitions.ts'
import type { OwnedLane } from './groups.ts'
import { letterId } from './letters.ts'
import { laneName } from './owned-lane.ts'
import { readNext } from './reads.ts'
import type { Session } from './session.ts'

/** Ends the waiting of keys behind messages that died under `onDead: block`, as far as their lanes are ours. */
export interface Unblocking {
  round(): Promise<void>
}

export interface UnblockingOptions {
  readonly session: Session
  readonly group: GroupDocument
  readonly owned: ReadonlyMap<string, OwnedLane>
  readonly lanes: LaneGroup
}

/** Pause between two looks for letters whose time has come, in milliseconds. */
const lookMs = 10_000

export function createUnblocking(options: UnblockingOptions): Unblocking {
  const { session, group } = options
  /** Blocked messages whose letter was not there at the last look. */
  let missing = new Set<string>()
  let lookedAt = session.clock.monotonic()
  return {
    async round() {
      const asked = await obeyRequests(options)
      if (session.clock.monotonic() - lookedAt < lookMs) return
      lookedAt = session.clock.monotonic()
      const now = new Set<string>()
      for (const { lane, address, seq } of blockedOf(options)) {
        const name = `${lane.name} ${seq}`
        if (asked.has(name)) continue
        const filter = session.places.deadFilter({ id: letterId(group.name, address, seq) })
        const stream = session.places.deadStream
        if ((await readNext(session.wire, stream, { filter, from: 1 })) !== undefined) continue
        // Twice: one that was just replayed is gone before the wish to replay it is seen.
        if (missing.has(name)) options.lanes.unblock(lane.name, String(seq), 'discard')
        else now.add(name)
      }
      missing = now
    },
  }
}

function blockedOf({ group, owned }: UnblockingOptions) {
  return group.subscriptions.flatMap(({ address }) =>
    [...owned.values()]
      .filter(({ name }) => name.startsWith(`${address}/`))
      .flatMap((lane) =>
        lane.state.kept
          .filter(({ state }) => state.blocked === true)
          .map(({ seq }) => ({ lane, address, seq })),
      ),
  )
}

/** Does what was asked. A request goes only once the state without the block is written: whoever owns the lane by then finds it otherwise. */
async function obeyRequests(options: UnblockingOptions): Promise<Set<string>> {
  const { session, group, owned, lanes } = options
  const asked = new Set<string>()
  const requests = await session.state.all<UnblockRequest>(
    session.places.all('request', group.name),
  )
  for (const { seq, value } of requests) {
    const lane = owned.get(laneName(value.address, value.lane))
    if (lane === undefined) continue
    asked.add(`${lane.name} ${value.seq}`)
    const isBlocked = lane.state.kept.some(
      (kept) => kept.seq === value.seq && kept.state.blocked === true,
    )
    if (!isBlocked) await session.state.remove(seq)
    else lanes.unblock(lane.name, String(value.seq), value.how)
  }
  return asked
}
