import { randomUUID } from 'node:crypto'
import { type Clock, delay, systemClock } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { type Random, systemRandom } from '../../../core/random.ts'
import type {
  Capabilities,
  DeliverySink,
  Settlement,
  SettleResult,
  SubscriptionSpec,
  Transport,
  TransportOptions,
  TransportSubscription,
} from '../../transport.ts'
import { browse } from './browse.ts'
import { createDeadLetters } from './dead-letters.ts'
import { createDoorbell } from './doorbell.ts'
import { loadRedisDriver } from './driver.ts'
import { readGroup } from './groups.ts'
import { createLink, type Link, type LinkOptions } from './link.ts'
import { namesUnder } from './names.ts'
import { createPublisher, type Publisher } from './publish.ts'
import { openRuntime, type Runtime } from './runtime.ts'
import { checkServer } from './server-check.ts'
import type { Session } from './session.ts'
import { readStats } from './stats.ts'
import { inventory, removeSurplus } from './surplus.ts'
import { ensureTopology } from './topology.ts'
import { removeEphemeral, startUpkeep } from './upkeep.ts'
import type { RedisPlace } from './url.ts'

export interface BrokerOptions extends TransportOptions {
  readonly place: RedisPlace
  readonly capabilities: Capabilities
  readonly random?: Random
}

/** So short that the lanes of a process that was killed are at work again well within 10 s. */
const leaseMsDefault = 5000
const silenceMsMin = 2000
const silenceMsMax = 5000
/** What is left to settle when the time for draining is over gets so long. */
const flushMs = 1000
/** For what was published before, and perhaps waits for a connection. */
const publishMs = 6000

interface Opened {
  readonly session: Session
  readonly publisher: Publisher
  readonly dead: Transport['dead']
  readonly runtimes: Map<string, Promise<Runtime>>
  end(): Promise<void>
}

interface Life {
  readonly options: BrokerOptions
  readonly errorListeners: Set<(error: TreatyError) => void>
  readonly hurry: AbortController
  connecting: Promise<Opened> | undefined
  opened: Opened | undefined
  closing: Promise<void> | undefined
}

/** The broker on Redis behind the port. */
export function createBroker(options: BrokerOptions): Transport {
  const life: Life = {
    options,
    errorListeners: new Set(),
    hurry: new AbortController(),
    connecting: undefined,
    opened: undefined,
    closing: undefined,
  }
  return {
    name: 'redis',
    capabilities: options.capabilities,
    connect: (signal) => connect(life, signal),
    close: ({ drainMs }) => close(life, drainMs),
    ensure: async (topology, mode) => {
      const opened = openForIntake(life)
      const diff = await ensureTopology(opened.session, { topology, mode })
      if (mode === 'create')
        await tellRuntimes(
          opened,
          topology.groups.map(({ name }) => name),
        )
      return diff
    },
    publish: async (records, signal) => open(life).publisher.publish(records, signal),
    subscribe: async (spec, sink) => subscribe(openForIntake(life), spec, sink),
    async settle(settlements) {
      // What was out when the transport closed was given back: it is with others now.
      if (life.opened?.session.isEnded) return settlements.map(() => lost)
      return settle(open(life), settlements)
    },
    dead: {
      list: async (filter, page) => open(life).dead.list(filter, page),
      get: async (id) => open(life).dead.get(id),
      replay: async (id) => open(life).dead.replay(id),
      discard: async (id) => open(life).dead.discard(id),
      count: async (filter) => open(life).dead.count(filter),
      put: async (letter) => open(life).dead.put(letter),
    },
    stats: async () => {
      const { session, runtimes } = open(life)
      return readStats(session, async () => {
        const ready = await Promise.all(runtimes.values())
        await Promise.all(ready.map((runtime) => runtime.beat()))
      })
    },
    browse: async (query) => browse(open(life).session, query),
    inventory: async () => inventory(open(life).session),
    remove: async (surplus) => removeSurplus(open(life).session, surplus),
    onError: (listener) => void life.errorListeners.add(listener),
  }
}

const lost: SettleResult = { ok: false, reason: 'lost' }

function open({ opened }: Life): Opened {
  if (opened?.session.isEnded) throw closedError()
  if (opened !== undefined) return opened
  throw new TreatyError('TRANSPORT_NOT_CONNECTED', 'the transport redis is not open', {
    hint: 'Call connect and wait for it before anything else.',
  })
}

/** As {@link open}, for what may not begin any more once close was called. */
function openForIntake(life: Life): Opened {
  if (life.closing !== undefined) throw closedError()
  return open(life)
}

function closedError(): TreatyError {
  return new TreatyError('BUS_CLOSED', 'the transport redis was closed', {
    hint: 'Open a new one; publish before calling close.',
  })
}

async function connect(life: Life, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  if (life.closing !== undefined) throw closedError()
  life.connecting ??= openBroker(life, signal)
  try {
    life.opened = await life.connecting
  } catch (error) {
    life.connecting = undefined
    throw error
  }
}

async function openBroker(life: Life, signal: AbortSignal | undefined): Promise<Opened> {
  const { options, errorListeners } = life
  const { place, clock = systemClock, random = systemRandom, leaseMs = leaseMsDefault } = options
  const report = (error: TreatyError) => {
    for (const listener of errorListeners) listener(error)
  }
  const runtimes = new Map<string, Promise<Runtime>>()
  const common = {
    driver: await loadRedisDriver(),
    place,
    clock,
    random,
    silenceMs: Math.min(silenceMsMax, Math.max(silenceMsMin, leaseMs / 2)),
  }
  const { link, bell, fsync } = await openLinks(common, {
    ...(signal === undefined ? {} : { signal }),
    onUp() {
      // What is ours was perhaps lost meanwhile, and what is waiting rang for nobody.
      for (const opening of runtimes.values()) {
        opening.then((runtime) => runtime.beat()).catch(() => undefined)
      }
    },
    onDown(error) {
      if (life.closing === undefined) report(error)
    },
  })
  const session: Session = {
    link,
    doorbell: createDoorbell({ link: bell, clock, placeName: place.name, onError: report }),
    names: namesUnder(place.prefix),
    place,
    clock,
    random,
    leaseMs,
    messageBytesMax: options.capabilities.messageBytesMax,
    id: randomUUID(),
    fsync,
    addresses: new Set(),
    ephemeral: new Map(),
    reportError: report,
    isEnded: false,
  }
  const stopUpkeep = startUpkeep(session)
  return {
    session,
    publisher: createPublisher(session),
    dead: createDeadLetters(session),
    runtimes,
    async end() {
      await stopUpkeep()
      // Without a connection they vanish by themselves.
      if (link.isReady) await removeEphemeral(session).catch(() => undefined)
      await session.doorbell.close()
      link.close()
    },
  }
}

/** The connection for everything, and one that waits. */
async function openLinks(
  common: Omit<LinkOptions, 'check' | 'onUp' | 'onDown'>,
  on: Pick<LinkOptions, 'onUp' | 'onDown'> & { readonly signal?: AbortSignal },
): Promise<{ link: Link; bell: Link; fsync: Session['fsync'] }> {
  const { signal, ...listeners } = on
  let fsync: string | undefined
  const link = createLink({
    ...common,
    ...listeners,
    check: async (call) => {
      fsync = (await checkServer(call, common.place)).fsync
    },
  })
  const bell = createLink({
    ...common,
    check: async () => undefined,
    onDown: () => undefined,
  })
  await link.open(signal)
  try {
    await bell.open(signal)
  } catch (error) {
    link.close()
    throw error
  }
  return { link, bell, fsync: () => fsync }
}

async function subscribe(
  opened: Opened,
  spec: SubscriptionSpec,
  sink: DeliverySink,
): Promise<TransportSubscription> {
  const { runtimes, session } = opened
  const { group } = spec
  let opening = runtimes.get(group)
  if (opening === undefined) {
    opening = openRuntime(session, group, () => {
      if (runtimes.get(group) === opening) runtimes.delete(group)
    })
    runtimes.set(group, opening)
    opening.catch(() => runtimes.delete(group))
  }
  const runtime = await opening
  // The last subscription before this one has just ended it.
  return runtime.isClosed ? subscribe(opened, spec, sink) : runtime.subscribe(spec, sink)
}

/** Groups that are served here take on what was added to them. */
async function tellRuntimes(
  { session, runtimes }: Opened,
  groups: readonly string[],
): Promise<void> {
  for (const name of groups) {
    const runtime = await runtimes.get(name)
    if (runtime === undefined) continue
    const found = await readGroup(session, name)
    if (found !== undefined) runtime.changed(found)
  }
}

async function settle(
  { runtimes }: Opened,
  settlements: readonly Settlement[],
): Promise<SettleResult[]> {
  const results: SettleResult[] = settlements.map(() => lost)
  const byGroup = Map.groupBy(settlements.keys(), (at) => settlements[at]?.delivery.group ?? '')
  await Promise.all(
    [...byGroup].map(async ([group, places]) => {
      const runtime = await runtimes.get(group)
      if (runtime === undefined) return
      const own = places.map((at) => settlements[at] as Settlement)
      const settled = await runtime.lanes.settle(own)
      places.forEach((at, index) => {
        results[at] = settled[index] ?? lost
      })
    }),
  )
  return results
}

function close(life: Life, drainMs: number): Promise<void> {
  // A second call that wants to wait no longer ends the waiting of the first.
  if (life.closing !== undefined && drainMs <= 0) life.hurry.abort()
  life.closing ??= endLife(life, drainMs)
  return life.closing
}

async function endLife(life: Life, drainMs: number): Promise<void> {
  // What cannot be opened needs no closing; its error went to the caller of connect.
  const opened = life.opened ?? (await life.connecting?.catch(() => undefined))
  if (opened === undefined) return
  const { session, runtimes, publisher } = opened
  const { clock } = session
  const open = (
    await Promise.all([...runtimes.values()].map((one) => one.catch(() => undefined)))
  ).filter((one) => one !== undefined)
  const left = Promise.all(open.map((runtime) => runtime.leave()))
  await inTime(clock, left, { ms: drainMs, signal: life.hurry.signal })
  // What was settled is written, as far as the server answers.
  const flushed = Promise.all(open.map((runtime) => runtime.lanes.flush()))
  await inTime(clock, flushed, { ms: flushMs, signal: life.hurry.signal })
  await inTime(clock, publisher.idle(), { ms: publishMs })
  session.isEnded = true
  await Promise.all(open.map((runtime) => runtime.close()))
  await opened.end()
}

/** Waits for work, but no longer than it may take; the work itself goes on. */
async function inTime(
  clock: Clock,
  work: Promise<unknown>,
  { ms, signal }: { readonly ms: number; readonly signal?: AbortSignal },
): Promise<void> {
  if (ms <= 0) return
  const end = new AbortController()
  const onHurry = () => end.abort()
  signal?.addEventListener('abort', onHurry, { once: true })
  if (signal?.aborted) end.abort()
  await Promise.race([work, delay(clock, ms, end.signal).catch(() => undefined)])
  signal?.removeEventListener('abort', onHurry)
  end.abort()
}
