import type { Clock } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import type { Capabilities, Transport } from '../../transport.ts'
import { type BrowseOptions, browse } from './browse.ts'
import { createDeadIndex } from './dead-index.ts'
import { createDeadLetters } from './dead-letters.ts'
import { createEphemerals, type Ephemerals } from './ephemerals.ts'
import { createKafkaGroup, type GroupShared, type KafkaGroup } from './group.ts'
import { removeSurplus, takeInventory } from './inventory.ts'
import { type KafkaDriver, loadKafkaDriver } from './kafka-driver.ts'
import { createProducer } from './producer.ts'
import { createPublisher, type Publisher } from './publish.ts'
import { createRegistry, type KnownGroup } from './registry.ts'
import { createStates } from './states.ts'
import { readStats } from './stats.ts'
import type { TopologyOptions } from './topology.ts'
import { trimLogs } from './trim.ts'
import { parseKafkaUrl } from './url.ts'
import { createWire } from './wire.ts'

export interface SessionOptions {
  readonly url: string
  readonly capabilities: Capabilities
  readonly leaseMs?: number
  readonly load?: () => Promise<KafkaDriver>
  readonly clock: Clock
  onError(error: TreatyError): void
}

/** What a connected transport consists of. */
export interface Opened extends GroupShared {
  readonly groups: ReadonlyMap<string, KafkaGroup>
  readonly publisher: Publisher
  readonly dead: Transport['dead']
  readonly topology: TopologyOptions
  /** @throws GROUP_NOT_FOUND */
  group(name: string): Promise<KafkaGroup>
  readonly stats: Transport['stats']
  readonly browse: NonNullable<Transport['browse']>
  readonly inventory: NonNullable<Transport['inventory']>
  readonly remove: NonNullable<Transport['remove']>
  /** Lets go of what every group is done with, where the contract keeps nothing. */
  trim(): Promise<void>
  end(drainMs: number): Promise<void>
}

/** The lowest session timeout that a broker allows by default (group.min.session.timeout.ms). */
const sessionMsMin = 6000
const sessionMsMax = 1_800_000
const sessionMsDefault = 6000
const lookupMs = 10_000
const heartbeatSilenceMs = 5000

/** Connects and puts the parts together. @throws the BROKER_ codes, DRIVER_MISSING */
export async function openSession(options: SessionOptions): Promise<Opened> {
  const { clock } = options
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
  const asked = options.leaseMs ?? sessionMsDefault
  return assemble(options, lookup, {
    wire,
    line,
    producer,
    registry,
    states: createStates({ wire, line, lookup, producer }),
    index: createDeadIndex({ wire, line: lookup, producer, registry, clock }),
    sessionMs: Math.min(sessionMsMax, Math.max(sessionMsMin, asked)),
    onError: options.onError,
  })
}

function assemble(
  { capabilities }: SessionOptions,
  lookup: BrowseOptions['line'],
  shared: GroupShared,
): Opened {
  const { wire, producer, registry, states } = shared
  const { messageBytesMax } = capabilities
  const groups = new Map<string, KafkaGroup>()
  const join = (group: KnownGroup) => {
    const made = groups.get(group.name) ?? createKafkaGroup(shared, group)
    groups.set(group.name, made)
    return made
  }
  const ephemerals: Ephemerals = createEphemerals({ ...shared, join })
  const reading = { ...shared, line: lookup }
  const stats = () =>
    readStats({
      ...reading,
      gaugesOf: (group) => groups.get(group)?.gauges() ?? new Map(),
      sweep: () => ephemerals.sweep(),
    })
  return {
    ...shared,
    groups,
    publisher: createPublisher({ ...shared, messageBytesMax }),
    dead: createDeadLetters(shared),
    topology: { ...shared, messageBytesMax, stayIn: (group) => ephemerals.stayIn(group) },
    group: async (name) => join(await knownGroup(shared, groups, name)),
    browse: (query) => browse(reading, query),
    stats,
    inventory: () => takeInventory(shared, stats),
    remove: (surplus) => removeSurplus(shared, surplus),
    trim: () => trimLogs({ ...reading, groups }),
    async end(drainMs) {
      await Promise.all([...groups.values()].map((group) => group.close(drainMs)))
      await ephemerals.end()
      if (registry.exists) await states.meter.save().catch(() => undefined)
      await producer.close()
      await wire.close()
    },
  }
}

async function knownGroup(
  { registry }: GroupShared,
  groups: ReadonlyMap<string, KafkaGroup>,
  name: string,
): Promise<KnownGroup> {
  if (!groups.has(name)) await registry.refresh()
  const known = registry.group(name)
  if (known !== undefined) return known
  throw new TreatyError('GROUP_NOT_FOUND', `the group '${name}' is not there`, {
    hint: 'Ensure the topology that names it before subscribing.',
    details: { group: name },
  })
}
