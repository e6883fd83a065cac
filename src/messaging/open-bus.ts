import type { Contract, ContractTypes, ContractTypesOf } from '../contracts/index.ts'
import { createMessageValidator, loadContracts } from '../contracts/index.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import { TreatyError } from '../core/errors.ts'
import type { Finding } from '../core/finding.ts'
import { hasErrors } from '../core/finding.ts'
import { limits } from '../core/limits.ts'
import { systemRandom } from '../core/random.ts'
import { openStore } from '../store/index.ts'
import { busOver } from './bus.ts'
import { BusCore } from './bus-core.ts'
import { createCatalogue } from './catalogue.ts'
import { withConfluentWire } from './confluent/transport.ts'
import type { InboxDatabase } from './inbox/inbox.ts'
import { openInbox } from './inbox/open-inbox.ts'
import { openTransport, storeUrlFor, transportUrlDefault } from './open-transport.ts'
import { openBusOutbox } from './outbox/index.ts'
import { topologyOf } from './topology/topology.ts'
import type { Transport } from './transport.ts'
import type { Bus, BusOptions } from './types.ts'
import { brokerFacts } from './watch/ask-broker.ts'
import { type BrokerWatch, createBrokerWatch } from './watch/broker-watch.ts'

const leaseMsDefault = 30_000

/** The types that a list of contracts carries, merged; contracts without types leave everything open. */
type TypesOf<List extends readonly Contract[]> =
  UnionToIntersection<ContractTypesOf<List[number]>> extends infer Types extends ContractTypes
    ? Types
    : ContractTypes
type UnionToIntersection<U> = (U extends unknown ? (item: U) => void : never) extends (
  item: infer I,
) => void
  ? I
  : never

/**
 * Opens a bus on contracts: loads them, connects, and makes the topology that they need, so that
 * what is published before a consumer first connects is there for it.
 *
 * `openBus<Contracts>(…)` with the types that `treaty gen` writes, or with contracts from
 * `defineContract`, types event names, data, consumers and replies.
 *
 * @throws CONTRACT_INVALID with all findings · TRANSPORT_UNKNOWN · TOPOLOGY_DRIFT under `verify` · the STORE_ codes
 */
export async function openBus<const List extends readonly Contract[]>(
  options: Omit<BusOptions, 'contracts'> & { readonly contracts: List },
): Promise<Bus<TypesOf<List>>>
export async function openBus<C extends ContractTypes>(options: BusOptions): Promise<Bus<C>>
export async function openBus(options: BusOptions): Promise<Bus>
export async function openBus(options: BusOptions): Promise<Bus> {
  const contracts = await contractsOf(options.contracts)
  const catalogue = createCatalogue(contracts)
  const clock = options.clock ?? systemClock
  const leaseMs = options.leaseMs ?? leaseMsDefault
  const named = options.transport ?? transportUrlDefault
  // Each transport knows a lease that suits its broker; a wish of the caller's comes first.
  const lease = options.leaseMs === undefined ? {} : { leaseMs }
  const bare = typeof named === 'string' ? await openTransport(named, { clock, ...lease }) : named
  const { confluent } = options
  const transport =
    confluent === undefined ? bare : withConfluentWire(bare, contracts, { ...confluent, clock })
  await transport.connect()
  try {
    await ensureTopology(transport, contracts, options.topology ?? 'create')
    const { profile = 'default', store } = options
    const inbox = await inboxOf(options, transport, clock)
    const core = new BusCore({
      inbox,
      catalogue,
      transport,
      producerView: createMessageValidator({ contracts, profile, view: 'producer' }),
      readerView: createMessageValidator({ contracts, profile, view: 'reader' }),
      service: options.service,
      openStore: async () =>
        typeof store === 'object' ? store : openStore(store ?? storeUrlFor(named), { clock }),
      ownsStore: typeof store !== 'object',
      clock,
      random: options.random ?? systemRandom,
      leaseMs,
      messageBytesMax: options.messageBytesMax ?? limits.messageBytesMax,
      brokerWatch: watchOver(transport, { named, contracts, clock }),
    })
    core.attachOutbox(
      await openBusOutbox({
        options: options.outbox,
        transportUrl: typeof named === 'string' ? named : undefined,
        transport,
        tables: options.topology ?? 'create',
        clock,
        random: options.random ?? systemRandom,
        onError: (error) => core.report(error),
      }),
    )
    return busOver(core)
  } catch (error) {
    await transport.close({ drainMs: 0 })
    throw error
  }
}

function watchOver(
  transport: Transport,
  given: { named: string | Transport; contracts: readonly Contract[]; clock: Clock },
): BrokerWatch {
  const { named, contracts, clock } = given
  return createBrokerWatch(clock, async () => {
    const facts = typeof named === 'string' ? await brokerFacts(named, { clock }) : undefined
    const { drift } = await transport.ensure(topologyOf(contracts), 'verify')
    return { drift, ...(facts === undefined ? {} : { facts }) }
  })
}

/** Where it is asked for; else only where the broker has no transaction that an effect could be part of. */
async function inboxOf(
  options: BusOptions,
  transport: Transport,
  clock: Clock,
): Promise<InboxDatabase | undefined> {
  const isNeeded = transport.capabilities.transactions === 'none'
  const url = options.inbox?.url ?? (isNeeded ? options.outbox?.url : undefined)
  if (url === undefined || url === options.transport) return undefined
  const { random = systemRandom, topology: tables = 'create' } = options
  return openInbox(url, { clock, random, tables })
}

async function contractsOf(given: BusOptions['contracts']): Promise<Contract[]> {
  const sources = typeof given === 'string' ? [given] : given
  const contracts: Contract[] = []
  const findings: Finding[] = []
  for (const source of sources) {
    if (typeof source !== 'string') {
      contracts.push(source)
      continue
    }
    const loaded = await loadContracts(source)
    contracts.push(...loaded.contracts)
    findings.push(...loaded.findings)
  }
  if (hasErrors(findings)) {
    const errors = findings.filter((finding) => finding.severity === 'error')
    throw new TreatyError(
      'CONTRACT_INVALID',
      `the contracts have ${errors.length} ${errors.length === 1 ? 'error' : 'errors'}: ${errors[0]?.message}`,
      {
        hint: 'Run treaty check and mend what it lists.',
        findings,
      },
    )
  }
  if (contracts.length === 0) {
    throw new TreatyError(
      'CONTRACT_NOT_FOUND',
      `no contract was found in ${JSON.stringify(given)}`,
      {
        hint: 'Point contracts at a file or folder with contracts, or run treaty init.',
      },
    )
  }
  return contracts
}

async function ensureTopology(
  transport: Transport,
  contracts: readonly Contract[],
  mode: 'create' | 'verify',
): Promise<void> {
  const diff = await transport.ensure(topologyOf(contracts), mode)
  if (mode === 'create') return
  const missing = diff.missing.map(
    (name): Finding => ({
      code: 'TOPOLOGY_MISSING',
      severity: 'error',
      message: `"${name}" is not there`,
    }),
  )
  const findings = [...missing, ...diff.drift]
  if (!hasErrors(findings)) return
  throw new TreatyError(
    'TOPOLOGY_DRIFT',
    `the topology of "${transport.name}" is not what the contracts need`,
    {
      hint: "Open the bus once with topology 'create', or mend what the findings name.",
      findings,
    },
  )
}
