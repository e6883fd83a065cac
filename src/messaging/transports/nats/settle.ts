import type { Settlement, SettleResult } from '../../transport.ts'
import type { Session } from './session.ts'

/** Hands settlements to the groups that they are of; the results come in the order of the settlements. */
export async function settle(
  session: Session,
  settlements: readonly Settlement[],
): Promise<SettleResult[]> {
  const results: SettleResult[] = settlements.map(() => ({ ok: false, reason: 'lost' }))
  const byGroup = new Map<string, number[]>()
  for (const [at, { delivery }] of settlements.entries()) {
    const places = byGroup.get(delivery.group)
    if (places === undefined) byGroup.set(delivery.group, [at])
    else places.push(at)
  }
  await Promise.all(
    [...byGroup].map(async ([name, places]) => {
      const group = session.groups.get(name)
      const settled = await group?.lanes.settle(places.map((at) => settlements[at] as Settlement))
      settled?.forEach((result, index) => {
        results[places[index] as number] = result
      })
    }),
  )
  return results
}
