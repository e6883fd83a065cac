import { endedIn, type LaneState } from './lane-state.ts'
import { markOf, marks, typeOf } from './messages.ts'
import { laneName, type Place } from './names.ts'
import { readToEnd } from './reader.ts'
import type { Beginning } from './registry.ts'
import type { States } from './states.ts'
import type { Line, Wire } from './wire.ts'

export interface LossOptions {
  readonly wire: Wire
  readonly line: Line
  readonly states: States
  readonly group: string
}

/**
 * How many messages of each type are gone that the group never finished: what it should still have, less what is still there. Retention took
 * them, and they count as expired.
 */
export async function lostByRetention(
  { wire, line, states, group }: LossOptions,
  place: Place,
  at: { readonly state: LaneState; readonly beginning: Beginning | undefined },
): Promise<ReadonlyMap<string, number>> {
  const { state, beginning } = at
  const metered = (await states.meter.read([place])).get(laneName(place))
  if (metered === undefined) return new Map()
  const open = new Map(metered.published)
  const add = (type: string, count: number) => open.set(type, (open.get(type) ?? 0) + count)
  for (const [type, count] of beginning?.before[place.partition] ?? []) add(type, -count)
  for (const [type, { dead, expired }] of metered.replayed.get(group) ?? []) {
    add(type, dead + expired)
  }
  for (const [type, tally] of state.tallies) {
    const { handled, skipped, dead, expired } = tally
    add(type, -(handled + skipped + dead + expired))
  }
  const hasEnded = endedIn(state)
  for await (const chunk of readToEnd(wire, line, [{ ...place, offset: state.low }])) {
    for (const record of chunk.records) {
      // A message that died and waits in its lane is counted, and is still there.
      const isCounted = hasEnded(record.offset) || state.entries.get(record.offset)?.blocked
      if (record.offset >= metered.offset || isCounted === true) continue
      const to = markOf(record, marks.to)
      if (to === undefined || to === group) add(typeOf(record), -1)
    }
  }
  return new Map([...open].filter(([, count]) => count > 0))
}
