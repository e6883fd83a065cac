import { systemClock } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { type Random, systemRandom } from '../../../core/random.ts'
import { type Durability, mapSqliteError, openSqliteFile } from '../../../store/index.ts'
import type {
  Capabilities,
  DeliverySink,
  SubscriptionSpec,
  Transport,
  TransportOptions,
  TransportSubscription,
} from '../../transport.ts'
import { browse } from './browse.ts'
import { createDeadLetters } from './dead-letters.ts'
import { publishWithin } from './guest.ts'
import { creditOf, type LocalSubscription } from './local-groups.ts'
import { createProcessTable, type ProcessTable } from './owners.ts'
import { brokerMigrations } from './schema.ts'
import { createSession, type Session } from './session.ts'
import { createStats } from './stats.ts'
import { inventory, removeSurplus } from './surplus.ts'
import { ensureTopology } from './topology.ts'

/**
 * Milliseconds that one statement blocks for a lock; the waiting proper is done without
 * blocking.
 */
const busyTimeoutMs = 10

export interface BrokerOptions extends TransportOptions {
  readonly name: string
  readonly capabilities: Capabilities
  /** A file, `:memory:` or `memory:NAME`. */
  readonly path: string
  readonly durability?: Durability
  readonly random?: Random
  readonly busyWaitMs?: number
  readonly processes?: ProcessTable
}

const defaults = { leaseMs: 30_000, busyWaitMs: 10_000 } as const

interface Opened {
  readonly session: Session
  readonly dead: Transport['dead']
  readonly stats: ReturnType<typeof createStats>
}

/** Where a transport is in its life. */
interface Life {
  readonly options: BrokerOptions
  readonly errorListeners: Set<(error: TreatyError) => void>
  connecting: Promise<Opened> | undefined
  opened: Opened | undefined
  closing: Promise<void> | undefined
  /** Ends the waiting of a close that is under way. */
  hurry: (() => void) | undefined
  isEnded: boolean
}

/** The embedded broker behind the port: the same engine for a file and for memory. */
export function createBroker(options: BrokerOptions): Transport {
  const life: Life = {
    options,
    errorListeners: new Set(),
    connecting: undefined,
    opened: undefined,
    closing: undefined,
    hurry: undefined,
    isEnded: false,
  }
  return {
    name: options.name,
    capabilities: options.capabilities,
    connect: (signal) => connect(life, signal),
    close: ({ drainMs }) => close(life, drainMs),
    async ensure(topology, mode) {
      const { engine, intake } = openForIntake(life).session
      return intake.inTurn((turn) => ensureTopology(engine, turn, { topology, mode }))
    },
    async publish(records, signal) {
      return open(life).session.intake.publish(records, signal)
    },
    subscribe: (spec, sink) => subscribe(life, spec, sink),
    async settle(settlements) {
      // What was out when the transport closed was given back: it is with others now.
      if (life.isEnded) return settlements.map(() => ({ ok: false, reason: 'lost' }) as const)
      return open(life).session.intake.settle(settlements)
    },
    dead: deadLettersOf(life),
    stats: () => read(life, ({ stats }) => stats()),
    browse: (query) => read(life, ({ session }) => browse(session.engine, query)),
    inventory: () => read(life, ({ session }) => inventory(session.engine)),
    async remove(surplus) {
      const { engine, intake } = openForIntake(life).session
      await intake.inTurn((turn) => removeSurplus(engine, turn, surplus))
    },
    publishWithin: (tx, records) => publishWithin(open(life).session.engine, tx, records),
    inboxSeen: (group, keys) => read(life, ({ session }) => seenKeys(session, group, keys)),
    onError(listener) {
      life.errorListeners.add(listener)
    },
  }
}

function open({ options, opened, isEnded }: Life): Opened {
  if (isEnded) throw closedError(options.name)
  if (opened !== undefined) return opened
  throw new TreatyError('TRANSPORT_NOT_CONNECTED', `the transport ${options.name} is not open`, {
    hint: 'Call connect and wait for it before anything else.',
  })
}

/** As {@link open}, for what may not begin any more once close was called. */
function openForIntake(life: Life): Opened {
  if (life.closing !== undefined) throw closedError(life.options.name)
  return open(life)
}

async function read<T>(life: Life, work: (opened: Opened) => T | Promise<T>): Promise<T> {
  const opened = open(life)
  try {
    return await work(opened)
  } catch (error) {
    throw mapSqliteError(error, life.options.path)
  }
}

function deadLettersOf(life: Life): Transport['dead'] {
  return {
    list: (filter, page) => read(life, ({ dead }) => dead.list(filter, page)),
    get: (id) => read(life, ({ dead }) => dead.get(id)),
    replay: (id) => read(life, ({ dead }) => dead.replay(id)),
    discard: (id) => read(life, ({ dead }) => dead.discard(id)),
    count: (filter) => read(life, ({ dead }) => dead.count(filter)),
    put: (letter) => read(life, ({ dead }) => dead.put(letter)),
  }
}

async function connect(life: Life, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  if (life.closing !== undefined) throw closedError(life.options.name)
  life.connecting ??= openDatabase(life)
  try {
    life.opened = await life.connecting
  } catch (error) {
    life.connecting = undefined
    throw error
  }
}

function close(life: Life, drainMs: number): Promise<void> {
  // A second call that wants to wait no longer ends the waiting of the first.
  if (life.closing !== undefined && drainMs <= 0) life.hurry?.()
  life.closing ??= end(life, drainMs)
  return life.closing
}

async function end(life: Life, drainMs: number): Promise<void> {
  // What cannot be opened needs no closing; its error went to the caller of connect.
  const opened = life.opened ?? (await life.connecting?.catch(() => undefined))
  if (opened !== undefined) {
    const { session } = opened
    for (const local of session.engine.local.all.values()) {
      for (const subscription of local.subscriptions) subscription.isStopped = true
    }
    const early = new Promise<void>((resolve) => {
      life.hurry = resolve
    })
    await Promise.race([session.drained(drainMs), early])
    life.isEnded = true
    await session.end()
  }
  life.isEnded = true
}

function closedError(name: string): TreatyError {
  return new TreatyError('BUS_CLOSED', `the transport ${name} was closed`, {
    hint: 'Open a new one; publish before calling close.',
  })
}

async function openDatabase(life: Life): Promise<Opened> {
  const { options, errorListeners } = life
  const { path, durability, clock = systemClock } = options
  const file = openSqliteFile(path, {
    clock,
    migrations: [brokerMigrations],
    ...(durability === undefined ? {} : { durability }),
  })
  if (!file.isMemory) file.db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`)
  const session = createSession({
    file,
    clock,
    random: options.random ?? systemRandom,
    leaseMs: options.leaseMs ?? defaults.leaseMs,
    busyWaitMs: options.busyWaitMs ?? defaults.busyWaitMs,
    messageBytesMax: options.capabilities.messageBytesMax,
    processes: options.processes ?? createProcessTable(),
    reportError(error) {
      for (const listener of errorListeners) listener(error)
    },
  })
  try {
    await session.start()
  } catch (error) {
    await session.end()
    throw error
  }
  const dead = createDeadLetters(session.engine, (work) => session.intake.inTurn(work))
  return { session, dead, stats: createStats(session.engine) }
}

async function subscribe(
  life: Life,
  spec: SubscriptionSpec,
  sink: DeliverySink,
): Promise<TransportSubscription> {
  const { session } = openForIntake(life)
  await requireGroup(session, spec)
  const subscription = session.engine.local.add(spec.group, sink)
  session.subscribersChanged()
  return subscriptionOf(session, subscription)
}

async function requireGroup(session: Session, { group }: SubscriptionSpec): Promise<void> {
  // Another process may have made it a moment ago; a transaction reads the topology anew.
  if (!session.engine.topology.groups.has(group)) await session.intake.inTurn(() => undefined)
  if (session.engine.topology.groups.has(group)) return
  throw new TreatyError('GROUP_NOT_FOUND', `there is no group '${group}'`, {
    hint: 'Ensure the topology of the contract before subscribing.',
    details: { group },
  })
}

function subscriptionOf(session: Session, subscription: LocalSubscription): TransportSubscription {
  const { local } = subscription
  const wake = () => {
    if (local.mayHaveReady && creditOf(subscription) > 0) session.loop.wake()
  }
  return {
    grant(count) {
      if (!(count > 0)) return
      subscription.credit += Math.trunc(count)
      wake()
    },
    pause() {
      subscription.isPaused = true
    },
    resume() {
      subscription.isPaused = false
      wake()
    },
    async stop() {
      if (subscription.isStopped) return
      subscription.isStopped = true
      session.engine.local.remove(subscription)
      session.subscribersChanged()
    },
    get isReady() {
      return !subscription.isStopped
    },
  }
}

function seenKeys(session: Session, groupName: string, keys: readonly string[]): boolean[] {
  const { engine } = session
  const group = engine.topology.groups.get(groupName)
  const now = Math.trunc(engine.clock.now())
  return keys.map(
    (key) => group !== undefined && engine.sql.readInbox.get(group.id, key, now) !== undefined,
  )
}
