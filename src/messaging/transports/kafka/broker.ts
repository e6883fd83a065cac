import { type Clock, systemClock, type TimerHandle } from '../../../core/clock.ts'
import { isTreatyError, TreatyError } from '../../../core/errors.ts'
import type {
  Capabilities,
  Settlement,
  SettleResult,
  Transport,
  TransportOptions,
} from '../../transport.ts'
import type { KafkaDriver } from './kafka-driver.ts'
import { type Opened, openSession } from './session.ts'
import { ensureTopology } from './topology.ts'

export interface BrokerOptions extends TransportOptions {
  readonly url: string
  readonly capabilities: Capabilities
  readonly load?: () => Promise<KafkaDriver>
}

const upkeepMs = 5000
/** Every so many rounds the states of lanes are copied to where they outlive the committed offsets. */
const roundsOfCopies = 120

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
      return (await opened.group(spec.group)).subscribe(sink)
    },
    settle: (settlements) => settle(life.opened, settlements),
    get dead() {
      return deadOf(life)
    },
    stats: async () => open(life).stats(),
    browse: async (query) => open(life).browse(query),
    inventory: async () => open(life).inventory(),
    remove: async (surplus) => open(life).remove(surplus),
    onError: (listener) => void life.errorListeners.add(listener),
  }
}

/** What was out when the transport closed was given back: it is with others now. */
async function settle(
  opened: Opened | undefined,
  settlements: readonly Settlement[],
): Promise<SettleResult[]> {
  const name = settlements[0]?.delivery.group
  if (name === undefined) return []
  if (settlements.every(({ delivery }) => delivery.group === name)) {
    return (await opened?.groups.get(name)?.settle(settlements)) ?? settlements.map(() => lost)
  }
  const groups = [...Map.groupBy(settlements, ({ delivery }) => delivery.group).values()]
  const settled = await Promise.all(groups.map((list) => settle(opened, list)))
  const results = new Map(
    groups.flatMap((list, at) => list.map((each, index) => [each, settled[at]?.[index]] as const)),
  )
  return settlements.map((each) => results.get(each) ?? lost)
}
const lost: SettleResult = { ok: false, reason: 'lost' }

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
  const opened = await openSession({ ...options, clock, onError: (error) => report(life, error) })
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

/** What has to be looked after from time to time while there is a consumer. */
function keepUp(life: Life, opened: Opened): () => Promise<void> {
  const { clock } = life
  let timer: TimerHandle | undefined
  let running: Promise<void> | undefined
  let isOver = false
  let round = 0
  const arm = () => {
    if (isOver) return
    timer = clock.setTimeout(() => {
      round += 1
      running = upkeep(opened, round)
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

async function upkeep(opened: Opened, round: number): Promise<void> {
  if (opened.groups.size === 0) return
  for (const group of opened.groups.values()) await group.check()
  await opened.states.meter.save()
  await opened.trim()
  if (round % roundsOfCopies !== 0) return
  for (const group of opened.groups.values()) await group.keep()
}

async function close(life: Life, drainMs: number): Promise<void> {
  life.closing ??= (async () => {
    const opened = await life.connecting?.catch(() => undefined)
    await opened?.end(drainMs)
    life.opened = undefined
  })()
  await life.closing
}
