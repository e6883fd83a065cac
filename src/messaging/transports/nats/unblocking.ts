import type { LaneGroup } from '../../lanes/driver.ts'
import type { UnblockRequest } from './dead-letters.ts'
import type { GroupDocument } from './definitions.ts'
import type { OwnedLane } from './groups.ts'
import { laneName } from './owned-lane.ts'
import type { Session } from './session.ts'

/**
 * Does what was asked about messages that hold their place under `onDead: block`, as far as their lanes are ours. A request goes
 * only once the state without the block is written: whoever owns the lane by then finds it otherwise.
 */
export async function obeyRequests(
  session: Session,
  group: GroupDocument,
  here: { readonly owned: ReadonlyMap<string, OwnedLane>; readonly lanes: LaneGroup },
): Promise<void> {
  const requests = await session.state.all<UnblockRequest>(
    session.places.all('request', group.name),
  )
  for (const { seq, value } of requests) {
    const lane = here.owned.get(laneName(value.address, value.lane))
    if (lane === undefined) continue
    const isBlocked = lane.state.kept.some(
      (kept) => kept.seq === value.seq && kept.state.blocked === true,
    )
    if (!isBlocked) await session.state.remove(seq)
    else here.lanes.unblock(lane.name, String(value.seq), value.how)
  }
}
