import { createHash } from 'node:crypto'
import { shareOf } from '../../lanes/share.ts'

/**
 * The lanes that `self` should own: each lane in turn goes to the member with the highest hash of lane and member that has room left. Every member
 * finds the same, and few lanes move when somebody comes or goes. Empty when `self` is not a member.
 */
export function targetOf(
  lanes: readonly string[],
  members: readonly string[],
  self: string,
): ReadonlySet<string> {
  const rooms = new Map(members.map((member) => [member, shareOf(lanes.length, members, member)]))
  const mine = new Set<string>()
  for (const lane of lanes) {
    let chosen: string | undefined
    let highest = ''
    for (const [member, room] of rooms) {
      if (room === 0) continue
      const hash = createHash('sha256').update(`${lane}\n${member}`).digest('hex')
      if (hash <= highest) continue
      chosen = member
      highest = hash
    }
    if (chosen === undefined) break
    rooms.set(chosen, (rooms.get(chosen) ?? 0) - 1)
    if (chosen === self) mine.add(lane)
  }
  return mine
}
