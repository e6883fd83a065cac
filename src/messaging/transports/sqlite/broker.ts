import { systemClock } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { type Random, systemRandom } from '../../../core/random.ts'
import { type Durability, mapSqliteError, openSqliteFile } from '../../../store/index.ts'
import type {
  Capabilities,
  SubscriptionSpec,
  Transport,
  TransportOptions,
  TransportSubscription,
} from '../../transport.ts'
import { browse } from './browse.ts'
import { createDeadLetters } from './dead-letters.ts'
import { creditOf, type LocalSubscription } from './local-groups.ts'
import { createProcessTable, type ProcessTable } from './owners.ts'
import { brokerMigrations } from './schema.ts'
import { createSession, type Session } from './session.ts'
import { createStats } from './stats.ts'
import { ensureTopology } from './topology.ts'

/** Milliseconds that one statement blocks for a lock; the waiting proper is done without blocking. */
const busyTimeoutMs = 50

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

/** The embedded broker behind the port: the same engine for a file and for memory. */
export function createBroker(options: BrokerOptions): Transport {
  const errorListeners = new Set<(error: TreatyError) => void>()
  let connecting: Promise<Opened> | undefined
  let opened: Opened | undefined
  let closing: Promise<void> | undefined
  let hurry: (() => void) | undefined
  let isEnded = false

  const reportError = (error: TreatyError) => {
    for (const listener of errorListeners) listener(error)
  }
  const use = (): Opened => {
    if (isEnded) throw closedError(options.name)
    if (opened === undefined) {
      throw new TreatyError(
        'TRANSPORT_NOT_CONNECTED',
        `the transport ${options.name} is not open`,
        {
          hint: 'Call connect and wait for it before anything else.',
        },
      )
    }
    return opened
  }
  const useForIntake = (): Opened => {
    if (closing !== undefined) throw closedError(options.name)
    return use()
  }
  const read = async <T>(work: (open: Opened) => T | Promise<T>): Promise<T> => {
    const open = use()
    try {
      return await work(open)
    } catch (error) {
      throw mapSqliteError(error, options.path)
    }
  }

  async function end(drainMs: number): Promise<void> {
    const open = opened ?? (await connecting?.catch(() => undefined))
    if (open !== undefined) {
      for (const local of open.session.engine.local.all.values()) {
        for (const subscription of local.subscriptions) subscription.isStopped = true
      }
      const early = new Promise<void>((resolve) => {
        hurry = resolve
      })
      await Promise.race([open.session.drained(drainMs), early])
      isEnded = true
      await open.session.end()
    }
    isEnded = true
  }

  return {
    name: options.name,
    capabilities: options.capabilities,
    async connect(signal) {
      signal?.throwIfAborted()
      if (closing !== undefined) throw closedError(options.name)
      connecting ??= open(options, reportError)
      try {
        opened = await connecting
      } catch (error) {
        connecting = undefined
        throw error
      }
    },
    close({ drainMs }) {
      // A second call that wants to wait no longer ends the waiting of the first.
      if (closing !== undefined && drainMs <= 0) hurry?.()
      closing ??= end(drainMs)
      return closing
    },
    async ensure(topology, mode) {
      const { session } = useForIntake()
      if (mode === 'verify') {
        return read(() => verifyOnly(session, topology))
      }
      return session.intake.inTurn((turn) =>
        ensureTopology(session.engine, turn, { topology, mode }),
      )
    },
    async publish(records, signal) {
      return use().session.intake.publish(records, signal)
    },
    async subscribe(spec, sink) {
      const { session } = useForIntake()
      await requireGroup(session, spec)
      const subscription = session.engine.local.add(spec.group, sink)
      session.subscribersChanged()
      return subscriptionOf(session, subscription)
    },
    async settle(settlements) {
      // What was out when the transport closed was given back: it is with others now.
      if (isEnded) return settlements.map(() => ({ ok: false, reason: 'lost' }) as const)
      return use().session.intake.settle(settlements)
    },
    dead: {
      list: (filter, page) => read(({ dead }) => dead.list(filter, page)),
      get: (id) => read(({ dead }) => dead.get(id)),
      replay: (id) => read(({ dead }) => dead.replay(id)),
      discard: (id) => read(({ dead }) => dead.discard(id)),
      count: (filter) => read(({ dead }) => dead.count(filter)),
      put: (letter) => read(({ dead }) => dead.put(letter)),
    },
    stats: () => read(({ stats }) => stats()),
    browse: (query) => read(({ session }) => browse(session.engine, query)),
    inboxSeen: (group, keys) => read(({ session }) => seenKeys(session, group, keys)),
    onError(listener) {
      errorListeners.add(listener)
    },
  }
}

function closedError(name: string): TreatyError {
  return new TreatyError('BUS_CLOSED', `the transport ${name} was closed`, {
    hint: 'Open a new one; publish before calling close.',
  })
}

async function open(
  options: BrokerOptions,
  reportError: (error: TreatyError) => void,
): Promise<Opened> {
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
    reportError,
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

/** Looks only, in a transaction that changes nothing, so that the topology is of one moment. */
function verifyOnly(session: Session, topology: Parameters<Transport['ensure']>[0]) {
  return session.intake.inTurn((turn) =>
    ensureTopology(session.engine, turn, { topology, mode: 'verify' }),
  )
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
