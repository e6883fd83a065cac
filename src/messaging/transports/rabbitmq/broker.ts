import { type Clock, systemClock } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { type Random, systemRandom } from '../../../core/random.ts'
import type {
  Capabilities,
  DeliverySink,
  GroupTopology,
  Settlement,
  SettleResult,
  SubscriptionSpec,
  Transport,
  TransportOptions,
  TransportSubscription,
} from '../../transport.ts'
import { createDeadLetters } from './dead-letters.ts'
import { loadRabbitmqDriver } from './driver.ts'
import { rabbitmqError } from './errors.ts'
import { createRunner, type Runner } from './group-runner.ts'
import { type OpenedSession, openSession } from './open-session.ts'
import { placesOf, type Session } from './session.ts'
import { createStats } from './stats.ts'
import { inventory, removeSurplus } from './surplus.ts'
import { ensureTopology } from './topology.ts'
import type { RabbitmqPlace } from './url.ts'

export interface BrokerOptions extends TransportOptions {
  readonly place: RabbitmqPlace
  readonly capabilities: Capabilities
  readonly random?: Random
  readonly patienceMs: number
}

/** Where a transport is in its life. */
interface Life {
  readonly options: BrokerOptions
  readonly clock: Clock
  readonly errorListeners: Set<(error: TreatyError) => void>
  connecting: Promise<OpenedSession> | undefined
  opened: OpenedSession | undefined
  closing: Promise<void> | undefined
  isEnded: boolean
  readonly hurry: AbortController
}

/** How long what is being published may take when the transport closes. */
const flushMs = 5000

/** The broker on RabbitMQ behind the port. */
export function createBroker(options: BrokerOptions): Transport {
  const life: Life = {
    options,
    clock: options.clock ?? systemClock,
    errorListeners: new Set(),
    connecting: undefined,
    opened: undefined,
    closing: undefined,
    isEnded: false,
    hurry: new AbortController(),
  }
  const dead = () => createDeadLetters(open(life))
  return namedErrors(life, {
    name: 'rabbitmq',
    capabilities: options.capabilities,
    connect: (signal) => connect(life, signal),
    close: ({ drainMs }) => close(life, drainMs),
    ensure: async (topology, mode) => ensureTopology(openForIntake(life), { topology, mode }),
    publish: async (records, signal) => open(life).publisher.publish(records, signal),
    subscribe: async (spec, sink) => subscribe(openForIntake(life), spec, sink),
    settle: async (settlements) => settle(life, settlements),
    dead: {
      list: async (filter, page) => dead().list(filter, page),
      get: async (id) => dead().get(id),
      replay: async (id) => dead().replay(id),
      discard: async (id) => dead().discard(id),
      count: async (filter) => dead().count(filter),
      put: async (letter) => dead().put(letter),
    },
    stats: async () => createStats(open(life))(),
    inventory: async () => inventory(open(life)),
    remove: async (surplus) => removeSurplus(open(life), surplus),
    onError: (listener) => void life.errorListeners.add(listener),
  })
}

/** What the driver says when its channel goes in the middle of a conversation is said in our words, too. */
function namedErrors({ options }: Life, bare: Transport): Transport {
  const named =
    <Given extends unknown[], Result>(work: (...given: Given) => Promise<Result>) =>
    async (...given: Given): Promise<Result> => {
      try {
        return await work(...given)
      } catch (error) {
        throw rabbitmqError(error, options.place.name)
      }
    }
  const { list, get, replay, discard, count, put } = bare.dead
  const { inventory: look, remove } = bare
  return {
    ...bare,
    ensure: named(bare.ensure),
    subscribe: named(bare.subscribe),
    stats: named(bare.stats),
    dead: {
      list: named(list),
      get: named(get),
      replay: named(replay),
      discard: named(discard),
      count: named(count),
      put: named(put),
    },
    ...(look === undefined ? {} : { inventory: named(look) }),
    ...(remove === undefined ? {} : { remove: named(remove) }),
  }
}

function open({ opened, isEnded }: Life): Session {
  if (isEnded) throw closedError()
  if (opened !== undefined) return opened.session
  throw new TreatyError('TRANSPORT_NOT_CONNECTED', 'the transport rabbitmq is not open', {
    hint: 'Call connect and wait for it before anything else.',
  })
}

/** As {@link open}, for what may not begin any more once close was called. */
function openForIntake(life: Life): Session {
  if (life.closing !== undefined) throw closedError()
  return open(life)
}

function closedError(): TreatyError {
  return new TreatyError('BUS_CLOSED', 'the transport rabbitmq was closed', {
    hint: 'Open a new one; publish before calling close.',
  })
}

async function connect(life: Life, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  if (life.closing !== undefined) throw closedError()
  life.connecting ??= openLife(life, signal)
  try {
    life.opened = await life.connecting
  } catch (error) {
    life.connecting = undefined
    throw error
  }
}

async function openLife(life: Life, signal: AbortSignal | undefined): Promise<OpenedSession> {
  const { options, clock, errorListeners } = life
  const driver = await loadRabbitmqDriver()
  return openSession({
    driver,
    place: options.place,
    clock,
    random: options.random ?? systemRandom,
    messageBytesMax: options.capabilities.messageBytesMax,
    patienceMs: options.patienceMs,
    reportError(error) {
      for (const listener of errorListeners) listener(error)
    },
    ...(signal === undefined ? {} : { signal }),
  })
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
  if (opened === undefined) {
    life.isEnded = true
    return
  }
  const { session } = opened
  const { runners, ephemeral, members, publisher } = session
  const deadline = life.clock.monotonic() + drainMs
  // Others take over as soon as a lane comes free.
  for (const group of runners.keys()) members.leave(group)
  const ends = [...runners.values(), ...ephemeral.values()].map((runner) =>
    runner.close(deadline, life.hurry.signal),
  )
  await Promise.all(ends)
  await publisher.idle(flushMs)
  life.isEnded = true
  await opened.close()
}

function groupNotFound(group: string): TreatyError {
  return new TreatyError('GROUP_NOT_FOUND', `there is no group '${group}'`, {
    hint: 'Ensure the topology of the contract before subscribing.',
    details: { group },
  })
}

/** Begins to hand deliveries of a group to `sink`, as far as credit goes. @throws GROUP_NOT_FOUND */
async function subscribe(
  session: Session,
  { group }: SubscriptionSpec,
  sink: DeliverySink,
): Promise<TransportSubscription> {
  const runner = session.ephemeral.get(group) ?? (await runnerOf(session, group))
  const subscription = runner.subscribe(sink)
  session.movers.start()
  await runner.settled()
  return subscription
}

async function runnerOf(session: Session, name: string): Promise<Runner> {
  const known = session.runners.get(name)
  if (known !== undefined) return known
  const { catalogue, control, clock, names, members } = session
  const { groups, channels } = await catalogue.read(0)
  const found = groups.get(name)
  if (found === undefined || found.isRemoved === true) throw groupNotFound(name)
  const again = session.runners.get(name)
  if (again !== undefined) return again
  const { kind: _kind, isRemoved: _isRemoved, ...group } = found
  await session.movers.declare()
  const runner = createRunner({
    group: group satisfies GroupTopology,
    places: group.subscriptions.flatMap(({ address }) => {
      const channel = channels.get(address)
      return channel === undefined ? [] : placesOf(channel)
    }),
    orderingOf: (address) =>
      (session.channels.get(address) ?? channels.get(address))?.ordering ?? 'none',
    link: control,
    clock,
    names,
    members,
    onError: (error) => session.reportError(error),
  })
  session.runners.set(name, runner)
  return runner
}

async function settle(life: Life, settlements: readonly Settlement[]): Promise<SettleResult[]> {
  // What was out when the transport closed was given back: it is with others now.
  if (life.isEnded) return settlements.map(() => ({ ok: false, reason: 'lost' }))
  const { runners, ephemeral } = open(life)
  const results: SettleResult[] = settlements.map(() => ({ ok: false, reason: 'lost' }))
  const byGroup = Map.groupBy(settlements.keys(), (at) => settlements[at]?.delivery.group ?? '')
  await Promise.all(
    [...byGroup].map(async ([group, places]) => {
      const runner = runners.get(group) ?? ephemeral.get(group)
      const mine = places.flatMap((at) => settlements[at] ?? [])
      const settled = (await runner?.lanes.settle(mine)) ?? []
      places.forEach((at, index) => {
        results[at] = settled[index] ?? { ok: false, reason: 'lost' }
      })
    }),
  )
  return results
}
