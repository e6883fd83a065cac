import { type Clock, delay, systemClock, type TimerHandle } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import type { Capabilities, Transport, TransportOptions } from '../../transport.ts'
import { createAcks } from './acks.ts'
import { browse } from './browse.ts'
import { createDeadLetters } from './dead-letters.ts'
import { createDefinitions } from './definitions.ts'
import { createDocuments } from './documents.ts'
import { asTreatyError } from './errors.ts'
import { inventory, remove } from './inventory.ts'
import { type Life as ConnectionLife, createLife, createSweeping } from './life.ts'
import { subscribe } from './local-group.ts'
import { placesOf } from './names.ts'
import { createPublisher, type Publisher } from './publish.ts'
import { createRetention } from './retention.ts'
import type { Session } from './session.ts'
import { settle } from './settle.ts'
import { createStats } from './stats.ts'
import { ensureOwnStreams, featuresOf } from './streams.ts'
import { ensureTopology } from './topology.ts'
import { createTrimming } from './trim.ts'
import { readNatsUrl } from './url.ts'
import { openWire } from './wire.ts'

export interface BrokerOptions extends TransportOptions {
  readonly url: string
  /** As claimed; how large a message may be is known once connected. */
  readonly capabilities: (payloadMax: number | undefined) => Capabilities
}

/** A lane's lease costs nothing but heartbeats, so that the death of a replica is noticed well within 10 s. */
const leaseMsMax = 6000
const upkeepMs = 1000
const flushMsMax = 3000

/** A broker that is connected. */
interface Opened {
  readonly session: Session
  readonly publisher: Publisher
  readonly dead: Transport['dead']
  readonly stats: Transport['stats']
  readonly life: ConnectionLife
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

/** The broker on NATS JetStream behind the port. */
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
    name: 'nats',
    get capabilities() {
      return options.capabilities(life.opened?.session.wire.payloadMax)
    },
    connect: (signal) => connect(life, signal),
    close: ({ drainMs }) => close(life, drainMs),
    ensure(topology, mode) {
      return told('did not give the topology', () => {
        const { session, life: connection } = openForIntake(life)
        return ensureTopology(session, { topology, mode }, (hanging) => connection.begin(hanging))
      })
    },
    publish: async (records, signal) => open(life).publisher.publish(records, signal),
    subscribe: (spec, sink) =>
      told('has no such group', () => subscribe(openForIntake(life).session, spec, sink)),
    async settle(settlements) {
      // What was out when the transport closed was given back: it is with others now.
      if (life.opened?.session.isEnded === true) {
        return settlements.map(() => ({ ok: false, reason: 'lost' }))
      }
      return settle(open(life).session, settlements)
    },
    dead: deadLettersOf(life),
    stats: () => told('did not give its counts', () => open(life).stats()),
    browse: (query) => told('cannot be read', () => browse(open(life).session, query)),
    inventory: () => told('cannot be read', () => inventory(open(life).session)),
    remove: (surplus) => told('kept what was to go', () => remove(open(life).session, surplus)),
    onError: (listener) => void life.errorListeners.add(listener),
  }
}

/** Whatever the client or the server says, callers get errors of the catalogue. */
async function told<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw asTreatyError(error, what)
  }
}

function deadLettersOf(life: Life): Transport['dead'] {
  const ask = <Result>(work: (dead: Transport['dead']) => Promise<Result>) =>
    told('did not give its dead letters', () => work(open(life).dead))
  return {
    list: (filter, page) => ask((dead) => dead.list(filter, page)),
    get: (id) => ask((dead) => dead.get(id)),
    replay: (id) => ask((dead) => dead.replay(id)),
    discard: (id) => ask((dead) => dead.discard(id)),
    count: (filter) => ask((dead) => dead.count(filter)),
    put: (letter) => ask((dead) => dead.put(letter)),
  }
}

function open({ opened }: Life): Opened {
  if (opened?.session.isEnded === true) throw closedError()
  if (opened !== undefined) return opened
  throw new TreatyError('TRANSPORT_NOT_CONNECTED', 'the transport nats is not open', {
    hint: 'Call connect and wait for it before anything else.',
  })
}

/** As {@link open}, for what may not begin any more once close was called. */
function openForIntake(life: Life): Opened {
  if (life.closing !== undefined) throw closedError()
  return open(life)
}

function closedError(): TreatyError {
  return new TreatyError('BUS_CLOSED', 'the transport nats was closed', {
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
  const { clock } = session
  const groups = [...session.groups.values()]
  const bounded = (work: Promise<unknown>, ms: number) =>
    Promise.race([work, delay(clock, ms, life.hurry.signal).catch(() => undefined)])
  if (drainMs > 0) await bounded(Promise.all(groups.map(({ sharing }) => sharing.stop())), drainMs)
  // What was settled is written, as far as the broker answers.
  await Promise.race([
    Promise.all(groups.map(({ lanes }) => lanes.flush())),
    delay(clock, session.wire.isUp ? flushMsMax : 0),
  ])
  await Promise.race([opened.publisher.idle(), delay(clock, flushMsMax)])
  session.isEnded = true
  await Promise.race([
    Promise.all(groups.map(({ sharing }) => sharing.leave())),
    delay(clock, session.wire.isUp ? flushMsMax : 0),
  ])
  await opened.end()
}

async function openBroker({ options, errorListeners }: Life): Promise<Opened> {
  const { clock = systemClock } = options
  const place = readNatsUrl(options.url)
  const reportError = (error: TreatyError) => {
    for (const listener of errorListeners) listener(error)
  }
  const wire = await openWire(place, { clock, onError: reportError })
  const places = placesOf(place.namespace)
  const acks = createAcks(wire, clock)
  const state = createDocuments(wire, acks, places.stateStream)
  const session: Session = {
    wire,
    acks,
    clock,
    places,
    features: featuresOf(wire),
    state,
    members: createDocuments(wire, acks, places.memberStream),
    dead: createDocuments(wire, acks, places.deadStream),
    definitions: createDefinitions(state, places),
    leaseMs: Math.min(leaseMsMax, options.leaseMs ?? leaseMsMax),
    replicas: place.replicas,
    namespace: place.namespace,
    id: crypto.randomUUID().replaceAll('-', '').slice(0, 16),
    messageBytesMax: options.capabilities(wire.payloadMax).messageBytesMax,
    groups: new Map(),
    reportError,
    isEnded: false,
  }
  try {
    await ensureOwnStreams(wire, places, place)
  } catch (error) {
    acks.close()
    await wire.close()
    throw asTreatyError(error, 'refused')
  }
  const publisher = createPublisher(session)
  const life = createLife(session, (topology) =>
    ensureTopology(session, { topology, mode: 'create' }, async () => undefined),
  )
  const stopUpkeep = startUpkeep(session, clock, life)
  return {
    session,
    publisher,
    dead: createDeadLetters(session, publisher),
    stats: createStats(session),
    life,
    async end() {
      await stopUpkeep()
      if (wire.isUp) await life.end().catch(() => undefined)
      for (const group of session.groups.values()) group.lanes.close()
      acks.close()
      await wire.close()
    },
  }
}

/** What has to be done again and again, whoever does it. Returns the way to stop it. */
function startUpkeep(session: Session, clock: Clock, life: ConnectionLife): () => Promise<void> {
  const trimming = createTrimming(session)
  const sweep = createSweeping(session)
  const retention = createRetention(session)
  let isOver = false
  let timer: TimerHandle | undefined
  let running: Promise<void> = Promise.resolve()
  let rounds = 0
  const round = async () => {
    if (!session.wire.isUp) return
    await life.beat()
    rounds += 1
    if (rounds % 2 === 0) return
    const groups = await session.definitions.groups()
    await sweep(groups)
    await trimming.round(groups)
    await retention(groups)
  }
  const arm = () => {
    if (isOver) return
    timer = clock.setTimeout(
      () => {
        running = round()
          .catch((error: unknown) => {
            if (!isOver) session.reportError(asTreatyError(error, 'upkeep failed'))
          })
          .finally(arm)
      },
      Math.min(upkeepMs, session.leaseMs / 4),
    )
  }
  arm()
  return async () => {
    isOver = true
    if (timer !== undefined) clock.clearTimeout(timer)
    await running
  }
}
