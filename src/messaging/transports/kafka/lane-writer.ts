import { delay } from '../../../core/clock.ts'
import type { LaneEntry, LaneWrite, WriteResult } from '../../lanes/driver.ts'
import type { DeadIndex } from './dead-index.ts'
import { tombstone } from './dead-letters.ts'
import { encodeDead, factsOf } from './dead-record.ts'
import { type Hold, letterIdOf } from './hold.ts'
import type { LaneState } from './lane-state.ts'
import type { Member } from './member.ts'
import type { Appended, Producer } from './producer.ts'
import type { GroupId, States } from './states.ts'
import type { Wire } from './wire.ts'

/** Makes the changes of lanes durable: dead letters first, then the states under the fence of our membership. */
export interface LaneWriter {
  write(writes: readonly LaneWrite[]): Promise<readonly WriteResult[]>
  /** Commits what is known of lanes that are given back. */
  release(holds: readonly Hold[]): Promise<void>
}

export interface LaneWriterOptions {
  readonly wire: Wire
  readonly producer: Producer
  readonly states: States
  readonly index: DeadIndex
  readonly group: GroupId
  readonly holds: ReadonlyMap<string, Hold>
  readonly member: () => Member
}

const boundMs = 8000
const topicGone = 3
const metadataTooLarge = 12
const illegalGeneration = 22
const unknownMember = 25
const rebalanceInProgress = 27
const permissionCodes: readonly number[] = [29, 30, 31]

export function createLaneWriter(options: LaneWriterOptions): LaneWriter {
  const { producer } = options
  return {
    async write(writes) {
      const drafts = writes.map((write) => {
        const hold = options.holds.get(write.lane)
        return hold && { write, hold, draft: hold.book.after(write) }
      })
      const ours = drafts.filter((each) => each !== undefined)
      const letters = ours.flatMap(({ write, hold }) => lettersOf(options, write, hold))
      if (letters.length > 0) await producer.appendAll(letters)
      const wanted = ours.map(({ hold, draft }) => ({ hold, state: draft.state }))
      const written = await commit(options, wanted)
      const answered: Appended[] = []
      const results = drafts.map((each): WriteResult => {
        if (each === undefined || !written.has(each.hold)) return 'fenced'
        each.draft.accept()
        answered.push(...answeredBy(options, each.write, each.hold))
        return 'written'
      })
      if (answered.length > 0) await producer.appendAll(answered)
      return results
    },
    async release(holds) {
      await commit(
        options,
        holds.map((hold) => ({ hold, state: hold.book.released() })),
      )
    },
  }
}

function lettersOf({ index, group }: LaneWriterOptions, write: LaneWrite, hold: Hold): Appended[] {
  const topic = index.topicFor(group.name)
  const changes = [
    ...write.ended.map(({ entry, as, letter }) => ({ entry, letter, as, isHeld: false })),
    ...write.kept.map(({ entry, letter }) => ({ entry, letter, as: 'dead', isHeld: true })),
  ]
  return changes.flatMap(({ entry, letter, as, isHeld }) => {
    if (letter === undefined) return []
    const facts = factsOf(letter, as === 'expired' ? 'expired' : 'dead', isHeld)
    const key = Buffer.from(letterIdOf(group.name, hold, entry))
    return [{ topic, partition: 0, key, ...encodeDead(entry.record, facts) }]
  })
}

/** What a replay or discard asked for is done: its letter goes. */
function answeredBy({ index, group }: LaneWriterOptions, write: LaneWrite, hold: Hold): Appended[] {
  const topic = index.topicFor(group.name)
  const entries: readonly LaneEntry[] = [
    ...write.kept.filter(({ why }) => why === 'unblocked').map(({ entry }) => entry),
    ...write.ended.filter(({ as }) => as === 'discarded').map(({ entry }) => entry),
  ]
  return entries.map((entry) => tombstone({ topic, id: letterIdOf(group.name, hold, entry) }))
}

/**
 * Commits states under the generation and name that we have now. The lanes for which it is done; the others are not ours any more.
 *
 * @throws TreatyError when it is not known whether it was done
 */
async function commit(
  options: LaneWriterOptions,
  wanted: readonly { readonly hold: Hold; readonly state: LaneState }[],
): Promise<ReadonlySet<Hold>> {
  const { wire, states, group, holds } = options
  const member = options.member()
  const until = wire.clock.monotonic() + boundMs
  const written = new Set<Hold>()
  let open = wanted
  for (;;) {
    open = open.filter(({ hold }) => !written.has(hold) && holds.get(hold.lane) === hold)
    const { ticket } = member
    if (open.length === 0 || ticket === undefined) return written
    const commits = open.map(({ hold: { topic, partition }, state }) => ({
      topic,
      partition,
      state,
    }))
    let codes: ReadonlyMap<string, number>
    try {
      codes = await states.commit(group, ticket, commits)
    } catch (error) {
      if (wire.isClosed || wire.clock.monotonic() > until) throw wire.known(error)
      await wire.coordinator(group.groupId, true).catch(() => undefined)
      await delay(wire.clock, 100)
      continue
    }
    for (const { hold } of open) if (codes.get(hold.lane) === 0) written.add(hold)
    const code = [...codes.values()].find((each) => each !== 0)
    if (code === undefined) continue
    if (code === unknownMember) member.expelled(ticket)
    else if (code === topicGone) return written
    else await beforeNextTry(options, code, until)
  }
}

async function beforeNextTry(
  { wire, group, member }: LaneWriterOptions,
  code: number,
  until: number,
): Promise<void> {
  if (wire.clock.monotonic() > until || permissionCodes.includes(code)) {
    throw wire.known(new wire.driver.ProtocolError(code))
  }
  if (code === illegalGeneration || code === rebalanceInProgress) await member().settled(2000)
  else if (code !== metadataTooLarge) await wire.coordinator(group.groupId, true)
  await delay(wire.clock, 20)
}
