import { type Clock, systemClock, type TimerHandle } from '../../../core/clock.ts'
import { isTreatyError, TreatyError } from '../../../core/errors.ts'
import type { Capabilities, Transport, TransportOptions } from '../../transport.ts'
import { createDeadIndex } from './dead-index.ts'
import { createDeadLetters } from './dead-letters.ts'
import { createEphemerals, type Ephemerals } from './ephemerals.ts'
import { createKafkaGroup, type GroupShared, type KafkaGroup } from './group.ts'
import { type KafkaDriver, loadKafkaDriver } from './kafka-driver.ts'
import { createProducer } from './producer.ts'
import { createPublisher, type Publisher } from './publish.ts'
import { createRegistry, type KnownGroup } from './registry.ts'
import { createStates } from './states.ts'
import { readStats } from './stats.ts'
import { ensureTopology, type TopologyOptions } from './topology.ts'
import { parseKafkaUrl } from './url.ts'
import { createWire } from './wire.ts'

export interface BrokerOptions extends TransportOptions {
  readonly url: string
  readonly capabilities: Capabilities
  readonly load?: () => Promise<KafkaDriver>
}

/** The lowest session timeout that a broker allows by default (group.min.session.timeout.ms). */
const sessionMsMin = 6000
const sessionMsMax = 1_800_000
const sessionMsDefault = 6000
const lookupMs = 10_000
const heartbeatSilenceMs = 5000
const upkeepMs = 5000

/** What a connected transport consists of. */
interface Opened extends GroupShared {
  readonly groups: Map<string, KafkaGroup>
  readonly publisher: Publisher
  readonly dead: Transport['dead']
  readonly ephemerals: Ephemerals
  readonly topology: TopologyOptions
  stats(): ReturnType<Transport['stats']>
  end(drainMs: number): Promise<void>
}

/** Where a transport is in its life. */
interface Life {
  readonly options: BrokerOptions
  readonly clock: Clock
  readonly errorListeners: Set<(error: TreatyError) => void>
  connecting: Promise<Opened> | undefined
  opened: Opened | undefined
  closing: Promise<void> | undefined
}

/** The broker on Kafka behind the port. */
export function createBroker(options: BrokerOptions): Transport {
  const life: Life = {
    options,
    clock: options.clock ?? systemClock,
    errorListeners: new Set(),
    connecting: undefined,
    opened: undefined,
    closing: undefined,
  }
  return {
    name: 'kafka',
    capabilities: options.capabilities,
    connect: (signal) => connect(life, signal),
    close: ({ drainMs }) => close(life, drainMs),
    ensure: async (topology, mode) => ensureTopology(open(life).topology, topology, mode),
    publish: async (records) => open(life).publisher.publish(records),
    async subscribe(spec, sink) {
      const opened = open(life)
      return (await groupOf(opened, spec.group)).subscribe(sink)
    },
    async settle(settlements) {
      // What was out when the transport closed was given back: it is with others now.
      const opened = life.opened
      if (opened === undefined) return settlements.map(() => ({ ok: false, reason: 'lost' }))
      const byGroup = Map.groupBy(settlements, ({ delivery }) => delivery.group)
      const results = new Map<unknown, Awaited<ReturnType<KafkaGroup['settle']>>[number]>()
      await Promise.all(
        [...byGroup].map(async ([name, list]) => {
          const settled = await opened.groups.get(name)?.settle(list)
          for (const [at, each] of list.entries()) {
            results.set(each, settled?.[at] ?? { ok: false, reason: 'lost' })
          }
        }),
      )
      return settlements.map((each) => results.get(each) ?? { ok: false, reason: 'lost' })
    },
    get dead() {
      return deadOf(life)
    },
    stats: async () => open(life).stats(),
    onError: (listener) => void life.errorListeners.add(listener),
  }
}

function deadOf(life: Life): Transport['dead'] {
  const store = () => open(life).dead
  return {
    list: async (filter, page) => store().list(filter, page),
    get: async (id) => store().get(id),
    replay: async (id) => store().replay(id),
    discard: async (id) => store().discard(id),
    count: async (filter) => store().count(filter),
    put: async (letter) => store().put(letter),
  }
}

function open(life: Life): Opened {
  if (life.opened !== undefined && life.closing === undefined) return life.opened
  const word = life.closing === undefined ? 'not connected' : 'closed'
  throw new TreatyError('TRANSPORT_NOT_CONNECTED', `the transport to Kafka is ${word}`, {
    hint: 'Connect it first.',
  })
}

async function connect(life: Life, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  if (life.closing !== undefined) open(life)
  life.connecting ??= openAll(life).catch((error: unknown) => {
    life.connecting = undefined
    throw error
  })
  life.opened = await life.connecting
}

async function openAll(life: Life): Promise<Opened> {
  const { options, clock } = life
  const target = parseKafkaUrl(options.url)
  const wire = createWire(await loadKafkaDriver(options.load), target, clock)
  try {
    await wire.open()
  } catch (error) {
    await wire.close()
    throw error
  }
  const lookup = wire.line({ requestMs: lookupMs })
  const line = wire.line({ requestMs: heartbeatSilenceMs })
  const producer = createProducer(wire)
  const registry = createRegistry({ wire, line: lookup, producer })
  const states = createStates({ wire, line, lookup, producer })
  const index = createDeadIndex({ wire, line: lookup, producer, registry, clock })
  const asked = options.leaseMs ?? sessionMsDefault
  const shared: GroupShared = {
    wire,
    line,
    producer,
    registry,
    states,
    index,
    sessionMs: Math.min(sessionMsMax, Math.max(sessionMsMin, asked)),
    onError: (error) => report(life, error),
  }
  const groups = new Map<string, KafkaGroup>()
  const ephemerals = createEphemerals({ ...shared, join: (group) => kafkaGroup(opened, group) })
  const opened: Opened = {
    ...shared,
    groups,
    ephemerals,
    publisher: createPublisher({
      wire,
      producer,
      registry,
      messageBytesMax: options.capabilities.messageBytesMax,
    }),
    dead: createDeadLetters({ wire, producer, registry, index }),
    topology: {
      wire,
      registry,
      states,
      messageBytesMax: options.capabilities.messageBytesMax,
      stayIn: (group) => ephemerals.stayIn(group),
    },
    stats: () =>
      readStats({
        ...shared,
        line: lookup,
        gaugesOf: (group) => groups.get(group)?.gauges() ?? new Map(),
        sweep: () => ephemerals.sweep(),
      }),
    async end(drainMs) {
      await Promise.all([...groups.values()].map((group) => group.close(drainMs)))
      await ephemerals.end()
      await states.meter.save().catch(() => undefined)
      await producer.close()
      await wire.close()
    },
  }
  const stopUpkeep = keepUp(life, opened)
  return {
    ...opened,
    async end(drainMs) {
      await stopUpkeep()
      await opened.end(drainMs)
    },
  }
}

function report(life: Life, error: unknown): void {
  if (life.closing !== undefined) return
  const known = isTreatyError(error)
    ? error
    : new TreatyError('TRANSPORT_FAILED', String(error), { cause: error })
  for (const listener of life.errorListeners) listener(known)
}

function kafkaGroup(opened: Opened, group: KnownGroup): KafkaGroup {
  const present = opened.groups.get(group.name)
  if (present !== undefined) return present
  const made = createKafkaGroup(opened, group)
  opened.groups.set(group.name, made)
  return made
}

async function groupOf(opened: Opened, name: string): Promise<KafkaGroup> {
  const present = opened.groups.get(name)
  if (present !== undefined) return present
  await opened.registry.refresh()
  const known = opened.registry.group(name)
  if (known !== undefined) return kafkaGroup(opened, known)
  throw new TreatyError('GROUP_NOT_FOUND', `the group '${name}' is not there`, {
    hint: 'Ensure the topology that names it before subscribing.',
    details: { group: name },
  })
}

/** What has to be looked after from time to time while there is a consumer. */
function keepUp(life: Life, opened: Opened): () => Promise<void> {
  const { clock } = life
  let timer: TimerHandle | undefined
  let running: Promise<void> | undefined
  let isOver = false
  const arm = () => {
    if (isOver) return
    timer = clock.setTimeout(() => {
      running = upkeep(opened)
        .catch((error: unknown) => report(life, error))
        .finally(arm)
    }, upkeepMs)
  }
  arm()
  return async () => {
    isOver = true
    if (timer !== undefined) clock.clearTimeout(timer)
    await running
  }
}

async function upkeep(opened: Opened): Promise<void> {
  if (opened.groups.size === 0) return
  for (const group of opened.groups.values()) await group.check()
  await opened.states.meter.save()
}

async function close(life: Life, drainMs: number): Promise<void> {
  life.closing ??= (async () => {
    const opened = await life.connecting?.catch(() => undefined)
    await opened?.end(drainMs)
    life.opened = undefined
  })()
  await life.closing
}
