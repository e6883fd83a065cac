import type { ChannelDocument, GroupDocument, LedgerDocument } from './definitions.ts'
import { lanesOf } from './definitions.ts'
import { fromDocument, type LaneDocument, type LaneState } from './lane-state.ts'
import { publishedThrough, readLedger } from './ledger.ts'
import { channelSubject, laneFilter } from './names.ts'
import { laneName } from './owned-lane.ts'
import { countFrom, readNext } from './reads.ts'
import type { Session } from './session.ts'
import { type StreamInfo, streamInfo } from './streams.ts'

/** Takes away what every group has finished. */
export interface Trimming {
  round(groups: readonly GroupDocument[]): Promise<void>
}

/** Fewer messages are not worth a request. */
const worthwhile = 200

/**
 * A stream is trimmed below the lowest place that some group has still to handle, of all lanes, in one go. Before that, what was
 * published up to there goes into the ledger. One process does it for each channel: the one that owns the first lane of its
 * first group; without groups whoever publishes.
 */
export function createTrimming(session: Session): Trimming {
  /** The place up to which each channel could be trimmed at the last look: readers of the ledger had the time until now to see it. */
  const ripe = new Map<string, number>()
  return {
    async round(groups) {
      const known = new Set(session.definitions.known())
      for (const { channels } of session.groups.values()) {
        for (const { address } of channels) known.add(address)
      }
      for (const address of known) {
        const channel = await session.definitions.channel(address)
        if (channel === undefined || channel.isBorrowed === true) continue
        const readers = groups.filter(({ subscriptions }) =>
          subscriptions.some((each) => each.address === address),
        )
        if (readers.length > 0 && !isOurs(session, channel, readers)) continue
        const floor = await findFloor(session, channel, readers)
        const before = ripe.get(address)
        if (floor === undefined) ripe.delete(address)
        else ripe.set(address, floor)
        if (before !== undefined) await trim(session, channel, before)
      }
    },
  }
}

function isOurs(
  session: Session,
  channel: ChannelDocument,
  readers: readonly GroupDocument[],
): boolean {
  const [first] = readers
  if (first === undefined) return false
  const [lane = '0'] = lanesOf(channel)
  return session.groups.get(first.name)?.owned.has(laneName(channel.address, lane)) === true
}

/** The place below which nobody needs anything; the ledger knows what was published up to it. */
async function findFloor(
  session: Session,
  channel: ChannelDocument,
  readers: readonly GroupDocument[],
): Promise<number | undefined> {
  const { address, stream } = channel
  const info = await streamInfo(session.wire, stream)
  if (info === undefined || info.state.messages < worthwhile) return undefined
  const kept = (await oldestKept(session, channel, info)) - 1
  const place =
    readers.length === 0
      ? await placeWithoutReaders(session, channel, Math.min(kept, info.state.last_seq))
      : await placeOfReaders(session, channel, { readers, last: info.state.last_seq })
  if (place === undefined) return undefined
  const ledger = await readLedger(session, address)
  const next: LedgerDocument = { lanes: place.lanes }
  const subject = session.places.ledger(address)
  if ((await session.state.write(subject, next, ledger.seq)) === 'conflict') return undefined
  return Math.min(place.floor, kept)
}

interface Place {
  readonly floor: number
  readonly lanes: LedgerDocument['lanes']
}

async function placeWithoutReaders(
  session: Session,
  channel: ChannelDocument,
  floor: number,
): Promise<Place> {
  const published = await publishedThrough(session, channel, { after: floor, last: floor })
  const lanes = Object.fromEntries(
    lanesOf(channel).map((lane) => [lane, { through: floor, published: published[lane] ?? {} }]),
  )
  return { floor, lanes }
}

async function placeOfReaders(
  session: Session,
  channel: ChannelDocument,
  at: { readonly readers: readonly GroupDocument[]; readonly last: number },
): Promise<Place | undefined> {
  const { readers } = at
  const { address, stream } = channel
  const states = await Promise.all(
    readers.map(async ({ name }) => {
      const found = await session.state.all<LaneDocument>(session.places.lane(name, address, '*'))
      return new Map(found.map(({ subject, value }) => [subject, fromDocument(value)]))
    }),
  )
  const lanes: Record<string, LedgerDocument['lanes'][string]> = {}
  let floor = at.last
  for (const lane of lanesOf(channel)) {
    const lowest = lowestOf(readers, states, (name) => session.places.lane(name, address, lane))
    // A lane that nobody has owned yet needs all there is.
    if (lowest === undefined) return undefined
    lanes[lane] = { through: lowest.low, published: lowest.passed }
    if (lowest.low >= floor) continue
    const waits = await countFrom(session.wire, stream, {
      filter: laneFilter(address, lane),
      from: lowest.low + 1,
    })
    // Without anything behind its place a lane holds nothing up.
    if (waits.count > 0) floor = Math.min(floor, lowest.low)
  }
  return { floor, lanes }
}

function lowestOf(
  readers: readonly GroupDocument[],
  states: readonly ReadonlyMap<string, LaneState>[],
  subjectOf: (group: string) => string,
): LaneState | undefined {
  let lowest: LaneState | undefined
  for (const [at, { name }] of readers.entries()) {
    const state = states[at]?.get(subjectOf(name))
    if (state === undefined) return undefined
    if (lowest === undefined || state.low < lowest.low) lowest = state
  }
  return lowest
}

/** The first message that retention still keeps. */
async function oldestKept(
  session: Session,
  { retentionMs, stream }: ChannelDocument,
  info: StreamInfo,
): Promise<number> {
  if (retentionMs === undefined) return Number.MAX_SAFE_INTEGER
  const limit = session.clock.now() - retentionMs
  let [low, high] = [info.state.first_seq, info.state.last_seq + 1]
  // Times grow with the numbers: halve until the first that is young enough.
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const found = await readNext(session.wire, stream, { filter: '>', from: middle })
    const isYoung = found === undefined || Number(found.timeNs / 1_000_000n) >= limit
    if (isYoung) high = middle
    else low = Math.max(found.seq, middle) + 1
  }
  return low
}

async function trim(session: Session, channel: ChannelDocument, floor: number): Promise<void> {
  const { wire } = session
  const { address, stream } = channel
  const info = await streamInfo(wire, stream, `${channelSubject(address)}.@.at.>`)
  if (info === undefined || floor - info.state.first_seq + 1 < worthwhile) return
  const seq = floor + 1
  if (Object.keys(info.state.subjects ?? {}).length === 0) {
    await wire.api(`STREAM.PURGE.${stream}`, { seq })
    return
  }
  // What waits for its time lies between: lane by lane then.
  for (const lane of lanesOf(channel)) {
    await wire.api(`STREAM.PURGE.${stream}`, { filter: laneFilter(address, lane), seq })
  }
}
