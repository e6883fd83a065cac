import { existsSync } from 'node:fs'
import type { Contract, LoadedContracts } from '../contracts/index.ts'
import { TreatyError } from '../core/errors.ts'
import { hasErrors } from '../core/finding.ts'
import type { Bus, Transport } from '../messaging/index.ts'
import { wireExtras } from './bus-extras.ts'
import type { CommandContext } from './command.ts'
import { countFindings } from './finding-text.ts'
import { withPatience } from './patience.ts'
import { createProblems } from './problems.ts'
import { aborted } from './stopping.ts'
import { suggest } from './suggest.ts'

/**
 * The contracts of the settings, with everything that is wrong with them.
 *
 * @throws FILE_NOT_FOUND · PACK_NOT_FOUND · CONFIG_INVALID
 */
export async function loadProjectContracts(
  context: CommandContext,
  paths?: readonly string[],
): Promise<LoadedContracts> {
  const { loadContracts } = await import('../contracts/index.ts')
  const contracts: Contract[] = []
  const findings: LoadedContracts['findings'] = []
  for (const path of paths ?? (await context.settings()).contracts) {
    if (!existsSync(path)) {
      throw new TreatyError('FILE_NOT_FOUND', `there is no file or folder ${path}`, {
        hint: 'Point --contracts at the folder that holds the contracts, or run treaty init.',
        details: { path },
      })
    }
    const loaded = await loadContracts(path)
    contracts.push(...loaded.contracts)
    findings.push(...loaded.findings)
  }
  return { contracts, findings }
}

/**
 * The contracts of the settings, good enough to work with.
 *
 * @throws CONTRACT_INVALID with all findings · FILE_NOT_FOUND · PACK_NOT_FOUND
 */
export async function projectContracts(context: CommandContext): Promise<readonly Contract[]> {
  const { contracts, findings } = await loadProjectContracts(context)
  if (!hasErrors(findings)) return contracts
  const errors = findings.filter((finding) => finding.severity === 'error')
  throw new TreatyError('CONTRACT_INVALID', `the contracts have ${countFindings(errors)}`, {
    hint: 'Run treaty check and mend what it lists.',
    findings: errors,
  })
}

/**
 * Checks that a contract names the consumer.
 *
 * @throws CONSUMER_NOT_FOUND
 */
export function needConsumer(contracts: readonly Contract[], consumer: string): void {
  const names = contracts.flatMap((contract) => [
    ...Object.values(contract.consumers).map(({ name }) => name),
    ...Object.values(contract.commands).map(({ handler }) => handler),
  ])
  if (names.includes(consumer)) return
  throw new TreatyError('CONSUMER_NOT_FOUND', `no contract names the consumer ${consumer}`, {
    hint: suggest(consumer, [...new Set(names)]) ?? 'Look with treaty contract show.',
    details: { consumer },
  })
}

/** The contract of this id. @throws CONTRACT_NOT_FOUND */
export function contractById(contracts: readonly Contract[], id: string): Contract {
  const found = contracts.find((contract) => contract.id === id)
  if (found) return found
  const ids = contracts.map((contract) => contract.id)
  throw new TreatyError('CONTRACT_NOT_FOUND', `there is no contract ${id}`, {
    hint: suggest(id, ids) ?? 'Run treaty contract show for a list.',
    details: { id },
  })
}

/**
 * Opens the bus of the settings, runs `work` and closes it, whatever happens.
 *
 * @param ifStopped What the command comes to when it is asked to stop while the bus still opens: a broker may keep it
 *   waiting for long.
 *
 * @throws CONTRACT_INVALID · SECRET_NOT_FOUND · the TRANSPORT_ and STORE_ codes
 */
export async function withBus<Result>(
  context: CommandContext,
  work: (bus: Bus) => Promise<Result>,
  ifStopped?: () => Result,
): Promise<Result> {
  const settings = await context.settings()
  const contracts = await projectContracts(context)
  const { openBus } = await import('../messaging/index.ts')
  const { service, profile, store, limits } = settings
  const opening: Promise<Bus> = openBus({
    contracts,
    transport: context.reveal(settings.transport),
    profile,
    clock: context.clock,
    ...(service === undefined ? {} : { service }),
    ...(store === undefined ? {} : { store: context.reveal(store) }),
    ...wireExtras(settings, (text) => context.reveal(text)),
    ...limits,
  })
  if (ifStopped) {
    const isStopped = await Promise.race([
      withPatience(context, settings.transport, opening).then(() => false),
      aborted(context.stopping).then(() => true),
    ])
    if (isStopped) {
      // Nobody waits for it any more, nor for what goes wrong with it.
      opening.then((late) => late.close({ drainMs: 0 })).catch(() => undefined)
      return ifStopped()
    }
  }
  const told = async () => {
    const bus = await opening
    bus.onError(createProblems(context.clock, (line) => context.note(`problem ${line}`)))
    try {
      return await work(bus)
    } finally {
      await bus.close({ drainMs: 0 })
    }
  }
  // A stream has its own way of showing that it lives.
  return ifStopped ? told() : withPatience(context, settings.transport, told())
}

/**
 * Connects the transport of the settings, without making anything on it that the contracts need, and closes it afterwards.
 *
 * @throws CONTRACT_INVALID · SECRET_NOT_FOUND · the TRANSPORT_, BROKER_ and STORE_ codes
 */
export async function withTransport<Result>(
  context: CommandContext,
  work: (transport: Transport, contracts: readonly Contract[]) => Promise<Result>,
): Promise<Result> {
  const settings = await context.settings()
  const contracts = await projectContracts(context)
  const { openTransport } = await import('../messaging/index.ts')
  const { leaseMs } = settings.limits
  const transport = await openTransport(context.reveal(settings.transport), {
    clock: context.clock,
    ...(leaseMs === undefined ? {} : { leaseMs }),
  })
  transport.onError(createProblems(context.clock, (line) => context.note(`problem ${line}`)))
  const told = async () => {
    try {
      await transport.connect()
      return await work(transport, contracts)
    } finally {
      await transport.close({ drainMs: 0 })
    }
  }
  return withPatience(context, settings.transport, told())
}
