import { TreatyError } from '../../../core/errors.ts'
import type { LaneWrite, WriteResult } from '../../lanes/driver.ts'
import { createFreshness } from '../../lanes/freshness.ts'
import { createLaneGroup } from '../../lanes/lane-group.ts'
import type { DeliverySink, SubscriptionSpec, TransportSubscription } from '../../transport.ts'
import { type ChannelDocument, topologyOf } from './definitions.ts'
import { asTreatyError } from './errors.ts'
import type { LocalGroup, OwnedLane, PreparedWrite } from './groups.ts'
import type { Session } from './session.ts'
import { startSharing } from './sharing.ts'

/** Messages that may start beyond what is written, in numbers of the stream, which all lanes share. */
const reserve = 512
const window = 128

/** Begins to hand deliveries of a group to `sink`. @throws GROUP_NOT_FOUND */
export async function subscribe(
  session: Session,
  { group: name, onLost }: SubscriptionSpec,
  sink: DeliverySink,
): Promise<TransportSubscription> {
  const group = session.groups.get(name) ?? (await openLocalGroup(session, name))
  const inner = group.lanes.subscribe(sink, onLost)
  group.subscriptions += 1
  group.sharing.start()
  let isStopped = false
  return {
    grant: (count) => inner.grant(count),
    pause: () => inner.pause(),
    resume: () => inner.resume(),
    async stop() {
      if (isStopped) return
      isStopped = true
      await inner.stop()
      group.subscriptions -= 1
      // What is out stays valid: the lanes go one by one, as their handlers end.
      if (group.subscriptions === 0) void group.sharing.stop()
    },
    get isReady() {
      return !isStopped && group.sharing.isJoined && group.freshness.isFresh()
    },
  }
}

async function openLocalGroup(session: Session, name: string): Promise<LocalGroup> {
  const document = await session.definitions.group(name)
  if (document === undefined) {
    throw new TreatyError('GROUP_NOT_FOUND', `there is no group '${name}'`, {
      hint: 'Ensure the topology of the contract before subscribing.',
      details: { group: name },
    })
  }
  const channels: ChannelDocument[] = []
  for (const { address } of document.subscriptions) {
    const channel = await session.definitions.channel(address)
    if (channel !== undefined) channels.push(channel)
  }
  // Two callers at once: the second finds what the first made.
  const present = session.groups.get(name)
  if (present !== undefined) return present
  const owned = new Map<string, OwnedLane>()
  const freshness = createFreshness(session.clock, session.leaseMs)
  const lanes = createLaneGroup({
    group: topologyOf(document),
    orderingOf: (address) => channels.find((each) => each.address === address)?.ordering ?? 'none',
    clock: session.clock,
    // One batch for all lanes, so that they share the server's sync.
    writes: 'together',
    reserve,
    window,
    onError: (error) => session.reportError(error),
    driver: {
      write: (writes) => writeLanes(session, owned, writes),
      mayStart: () => freshness.isFresh(),
      onRoom: (lane) => owned.get(lane)?.wake(),
    },
  })
  const group: LocalGroup = {
    document,
    channels,
    lanes,
    owned,
    freshness,
    subscriptions: 0,
    sharing: startSharing({ session, document, channels, lanes, owned, freshness }),
  }
  session.groups.set(name, group)
  return group
}

/** Dead letters first; then all states at once, or one by one where the server or a fence does not let them. */
async function writeLanes(
  session: Session,
  owned: Map<string, OwnedLane>,
  writes: readonly LaneWrite[],
): Promise<readonly WriteResult[]> {
  const jobs = writes.map((write) => {
    const lane = owned.get(write.lane)
    // What the write sees is only right now.
    return lane === undefined ? undefined : { lane, prepared: lane.prepare(write) }
  })
  const there = jobs.filter((job) => job !== undefined)
  const writing = writeJobs(session, there)
  for (const { lane } of there) lane.busyWith(writing)
  const results = await writing.catch((error: unknown) => {
    throw asTreatyError(error, 'did not take what was settled')
  })
  for (const { lane } of there) {
    if (results.get(lane) !== 'fenced' || owned.get(lane.name) !== lane) continue
    owned.delete(lane.name)
    lane.close()
  }
  return jobs.map((job) => (job === undefined ? 'fenced' : (results.get(job.lane) ?? 'fenced')))
}

interface Job {
  readonly lane: OwnedLane
  readonly prepared: PreparedWrite
}

async function writeJobs(
  session: Session,
  jobs: readonly Job[],
): Promise<Map<OwnedLane, WriteResult>> {
  await Promise.all(jobs.map(({ prepared }) => prepared.keepLetters()))
  if (session.features.batches && jobs.length > 1) {
    const documents = jobs.map(({ prepared: { subject, document, expected } }) => ({
      subject,
      value: document,
      expected,
    }))
    const seqs = await session.state.writeTogether(documents)
    if (seqs !== 'conflict') {
      for (const [at, { lane, prepared }] of jobs.entries())
        lane.taken(prepared, seqs[at] as number)
      return new Map(jobs.map(({ lane }) => [lane, 'written']))
    }
  }
  const results = await Promise.all(jobs.map(({ lane, prepared }) => lane.put(prepared.state)))
  return new Map(jobs.map(({ lane }, at) => [lane, results[at] as WriteResult]))
}
