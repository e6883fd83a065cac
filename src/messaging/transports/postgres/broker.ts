import { type Clock, delay, systemClock, type TimerHandle } from '../../../core/clock.ts'
import { isTreatyError, TreatyError } from '../../../core/errors.ts'
import type { Random } from '../../../core/random.ts'
import { migratePostgres, openPostgresAccess, type PostgresAccess } from '../../../store/index.ts'
import type { Capabilities, Transport, TransportOptions } from '../../transport.ts'
import { browse } from './browse.ts'
import { createDeadLetters } from './dead-letters.ts'
import { creditOfGroup } from './groups.ts'
import { type Listener, openListener } from './listener.ts'
import { lockOf } from './locks.ts'
import { forgetOwner, heartbeatMsMax, registerOwner, renewOwner, watchOwner } from './owners.ts'
import { createPublisher, type Publisher } from './publish.ts'
import { brokerMigrations } from './schema.ts'
import type { Session } from './session.ts'
import { createSettle } from './settle.ts'
import { createStats } from './stats.ts'
import { subscribe } from './subscribe.ts'
import { inventory, removeSurplus } from './surplus.ts'
import { ensureTopology } from './topology.ts'
import { keepUp } from './upkeep.ts'
import { createWaking } from './waking.ts'

export interface BrokerOptions extends TransportOptions {
  readonly url: string
  readonly capabilities: Capabilities
  readonly random?: Random
  readonly poolMax?: number
}

const leaseMsDefault = 30_000
/** Longest pause between two looks for what no message told of. */
const pollMs = 500
const upkeepMs = 1000
const statementMsMin = 5000
const poolMaxDefault = 10

/** A broker that is connected. */
interface Opened {
  readonly session: Session
  readonly publisher: Publisher
  readonly settle: Transport['settle']
  readonly dead: Transport['dead']
  readonly stats: Transport['stats']
  end(): Promise<void>
}

/** Where a transport is in its life. */
interface Life {
  readonly options: BrokerOptions
  readonly errorListeners: Set<(error: TreatyError) => void>
  connecting: Promise<Opened> | undefined
  opened: Opened | undefined
  closing: Promise<void> | undefined
  readonly hurry: AbortController
}

/** The broker on PostgreSQL behind the port. */
export function createBroker(options: BrokerOptions): Transport {
  const life: Life = {
    options,
    errorListeners: new Set(),
    connecting: undefined,
    opened: undefined,
    closing: undefined,
    hurry: new AbortController(),
  }
  return {
    name: 'postgres',
    capabilities: options.capabilities,
    connect: (signal) => connect(life, signal),
    close: ({ drainMs }) => close(life, drainMs),
    ensure: async (topology, mode) =>
      ensureTopology(openForIntake(life).session, { topology, mode }),
    publish: async (records, signal) => open(life).publisher.publish(records, signal),
    subscribe: async (spec, sink) => subscribe(openForIntake(life).session, spec, sink),
    async settle(settlements) {
      // What was out when the transport closed was given back: it is with others now.
      if (life.opened?.session.isEnded)
        return settlements.map(() => ({ ok: false, reason: 'lost' }))
      return open(life).settle(settlements)
    },
    dead: {
      list: async (filter, page) => open(life).dead.list(filter, page),
      get: async (id) => open(life).dead.get(id),
      replay: async (id) => open(life).dead.replay(id),
      discard: async (id) => open(life).dead.discard(id),
      count: async (filter) => open(life).dead.count(filter),
      put: async (letter) => open(life).dead.put(letter),
    },
    stats: async () => open(life).stats(),
    browse: async (query) => browse(open(life).session, query),
    inventory: async () => inventory(open(life).session),
    remove: async (surplus) => removeSurplus(openForIntake(life).session, surplus),
    inboxSeen: async (group, keys) => seenKeys(open(life).session, group, keys),
    onError: (listener) => void life.errorListeners.add(listener),
  }
}

function open({ opened }: Life): Opened {
  if (opened?.session.isEnded) throw closedError()
  if (opened !== undefined) return opened
  throw new TreatyError('TRANSPORT_NOT_CONNECTED', 'the transport postgres is not open', {
    hint: 'Call connect and wait for it before anything else.',
  })
}

/** As {@link open}, for what may not begin any more once close was called. */
function openForIntake(life: Life): Opened {
  if (life.closing !== undefined) throw closedError()
  return open(life)
}

function closedError(): TreatyError {
  return new TreatyError('BUS_CLOSED', 'the transport postgres was closed', {
    hint: 'Open a new one; publish before calling close.',
  })
}

async function connect(life: Life, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  if (life.closing !== undefined) throw closedError()
  life.connecting ??= openBroker(life)
  try {
    life.opened = await life.connecting
  } catch (error) {
    life.connecting = undefined
    throw error
  }
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
  const { session } = opened
  for (const local of session.groups.values()) {
    for (const subscription of local.subscriptions) subscription.isStopped = true
  }
  const deadline = session.clock.monotonic() + drainMs
  while (session.leases.size > 0 && session.clock.monotonic() < deadline) {
    if (life.hurry.signal.aborted) break
    await delay(session.clock, 5, life.hurry.signal).catch(() => undefined)
  }
  await opened.publisher.idle()
  session.isEnded = true
  await opened.end()
}

async function openBroker(life: Life): Promise<Opened> {
  const { options, errorListeners } = life
  const { url, clock = systemClock, random, poolMax = poolMaxDefault } = options
  const { leaseMs = leaseMsDefault } = options
  const access = await openPostgresAccess(url, {
    clock,
    poolMax,
    // A heartbeat that gets no answer must be given up before the lease ends.
    statementMs: Math.max(statementMsMin, leaseMs / 2),
    ...(random === undefined ? {} : { random }),
  })
  const session = createSession(access, { options, clock, errorListeners })
  const waking = createWaking(session)
  session.wake = waking.wake
  session.greet = waking.greet
  let listener: Listener | undefined
  session.showAlive = async (ownerId) => {
    await listener?.also(`SELECT ${lockOf.ownerAlive(session.schema, String(ownerId))}`)
    await watchOwner(session, ownerId)
  }
  try {
    await migratePostgres(access, [brokerMigrations])
    listener = await openListener({
      connection: access.place.connection,
      name: access.place.name,
      channel: waking.channel,
      clock,
      onMessage: waking.hear,
    })
    await registerOwner(session)
  } catch (error) {
    await listener?.close()
    await access.close()
    throw error
  }
  const stopRounds = startRounds(session)
  return {
    session,
    publisher: createPublisher(session),
    settle: createSettle(session),
    dead: createDeadLetters(session),
    stats: createStats(session),
    async end() {
      await stopRounds()
      for (const { dueTimer } of session.groups.values()) {
        if (dueTimer !== undefined) clock.clearTimeout(dueTimer)
      }
      try {
        await forgetOwner(session)
      } catch (error) {
        // What is out comes free when others see that our lease has ended.
        report(session, error)
      }
      session.leases.clear()
      await waking.flush()
      await listener?.close()
      await access.close()
    },
  }
}

function createSession(
  access: PostgresAccess,
  given: {
    options: BrokerOptions
    clock: Clock
    errorListeners: ReadonlySet<(error: TreatyError) => void>
  },
): Session {
  const { options, clock, errorListeners } = given
  return {
    access,
    schema: access.schema,
    clock,
    leaseMs: options.leaseMs ?? leaseMsDefault,
    messageBytesMax: options.capabilities.messageBytesMax,
    poolMax: options.poolMax ?? poolMaxDefault,
    ownerId: 0,
    leases: new Set(),
    groups: new Map(),
    groupIds: new Map(),
    ephemeral: new Map(),
    batches: 0,
    bulks: 0,
    hasOthers: true,
    wake: () => undefined,
    greet: async () => undefined,
    showAlive: async () => undefined,
    reportError(error) {
      for (const listener of errorListeners) listener(error)
    },
    isEnded: false,
  }
}

function report(session: Session, error: unknown): void {
  session.reportError(
    isTreatyError(error)
      ? error
      : new TreatyError('TRANSPORT_FAILED', String(error), { cause: error }),
  )
}

/** Heartbeat, poll and upkeep, each again after its pause. Returns the way to stop them all. */
function startRounds(session: Session): () => Promise<void> {
  const { leaseMs } = session
  const stops = [
    every(session, Math.min(heartbeatMsMax, leaseMs / 4), () => renewOwner(session)),
    every(session, pollMs, () => poll(session)),
    every(session, Math.min(upkeepMs, Math.max(50, leaseMs / 4)), () => keepUp(session)),
  ]
  return async () => {
    await Promise.all(stops.map((stop) => stop()))
  }
}

function every(session: Session, pauseMs: number, round: () => Promise<void>) {
  const { clock } = session
  let timer: TimerHandle | undefined
  let running: Promise<void> | undefined
  let isOver = false
  const arm = () => {
    if (isOver) return
    timer = clock.setTimeout(() => {
      running = round()
        .catch((error: unknown) => {
          if (!isOver) report(session, error)
        })
        .finally(arm)
    }, pauseMs)
  }
  arm()
  return async () => {
    isOver = true
    if (timer !== undefined) clock.clearTimeout(timer)
    await running
  }
}

/** What no message told of: its sender died before it could, or our ear was cut off. */
async function poll(session: Session): Promise<void> {
  const { access, schema } = session
  const hungry = [...session.groups.values()].filter((local) => creditOfGroup(local) > 0)
  const ids = hungry.flatMap(({ name }) => session.groupIds.get(name) ?? [])
  if (ids.length === 0) return
  const rows = await access.read(
    `SELECT grp FROM unnest($1::integer[]) AS one (grp) WHERE
       EXISTS (SELECT FROM ${schema}.bus_delivery AS line WHERE line.grp = one.grp AND state = 0)
       OR EXISTS (SELECT FROM ${schema}.bus_delivery AS line WHERE line.grp = one.grp AND state = 6)
       OR EXISTS (SELECT FROM ${schema}.bus_delivery AS line WHERE line.grp = one.grp AND state = 7)
       OR EXISTS (SELECT FROM ${schema}.bus_delivery AS line
                  WHERE line.grp = one.grp AND ready_at <= ${schema}.bus_now())`,
    [ids],
  )
  session.wake(
    rows.map((row) => Number(row.grp)),
    'local',
  )
}

async function seenKeys(
  { access, schema }: Session,
  group: string,
  keys: readonly string[],
): Promise<boolean[]> {
  const rows = await access.read(
    `SELECT key FROM ${schema}.bus_inbox AS inbox JOIN ${schema}.bus_group AS team ON team.id = inbox.grp
     WHERE team.name = $1 AND key = ANY ($2::text[]) AND until > ${schema}.bus_now()`,
    [group, keys],
  )
  const seen = new Set(rows.map((row) => String(row.key)))
  return keys.map((key) => seen.has(key))
}
