import type { ErrorCode } from '../../core/errors.ts'
import { hasErrors } from '../../core/finding.ts'
import { redactUrl } from '../../core/secret.ts'
import type { BrokerFacts, OutboxStatus, TopologyPlan } from '../../messaging/index.ts'
import type { CommandContext } from '../command.ts'
import type { Settings } from '../config/settings.ts'
import { plural } from '../finding-text.ts'
import { withOutbox } from '../outbox-place.ts'
import { projectContracts } from '../project.ts'
import { type Check, failed, passed, unborn, unbornCheck } from './check.ts'

const answers = 'a transport that answers'

/** Reachable, which version, how safe, whose clock, and whether what the contracts need is there. Looking makes nothing. */
export async function transportChecks(
  settings: Settings,
  context: CommandContext,
): Promise<readonly Check[]> {
  const title = `transport ${redactUrl(settings.transport)}`
  const path = unborn(settings.transport)
  if (path !== undefined) return [unbornCheck('transport', title, path)]
  try {
    const { brokerFacts } = await import('../../messaging/index.ts')
    const url = context.reveal(settings.transport)
    const facts = await brokerFacts(url, { clock: context.clock })
    const { groups, topology } = await lookInside(url, context)
    const found = `answers${facts === undefined ? '' : `, ${facts.version}`}, ${plural(groups, 'consumer group')}`
    const reachable = passed('transport', title, found, answers)
    return [reachable, ...(await factChecks(facts, settings)), topology]
  } catch (error) {
    return [failed('transport', title, answers, error)]
  }
}

async function lookInside(
  url: string,
  context: CommandContext,
): Promise<{ readonly groups: number; readonly topology: Check }> {
  const { openTransport } = await import('../../messaging/index.ts')
  const transport = await openTransport(url, { clock: context.clock })
  try {
    await transport.connect()
    const { groups } = await transport.stats()
    return { groups: groups.length, topology: await topologyCheck(transport, context) }
  } finally {
    await transport.close({ drainMs: 0 })
  }
}

async function factChecks(
  facts: BrokerFacts | undefined,
  settings: Settings,
): Promise<readonly Check[]> {
  if (facts === undefined) return []
  return [settingsCheck(facts), await clockSkewCheck(facts, settings.transport)]
}

/** What the broker's settings promise less than people expect. */
export function settingsCheck({ unsafe }: BrokerFacts): Check {
  const expected = 'settings that keep what was acknowledged'
  const title = 'broker settings'
  if (unsafe.length === 0) return passed('broker-settings', title, 'safe', expected)
  return {
    id: 'broker-settings',
    title,
    status: 'warn',
    found: unsafe.join('; '),
    expected,
    fix: 'Change it on the broker, or in the URL, where that loss would hurt.',
  }
}

/** Both clocks judge expiry, delays and ages. */
export async function clockSkewCheck(facts: BrokerFacts, url: string): Promise<Check> {
  const { clockSkewMsMax, clockSkewProblem } = await import('../../messaging/index.ts')
  const title = 'broker clock'
  const expected = `within ${clockSkewMsMax / 1000} s of this host's`
  const { clockAheadMs, clockErrorMs = 0 } = facts
  if (clockAheadMs === undefined) {
    const found = 'this broker does not tell its time'
    return { id: 'broker-clock', title, status: 'skip', found, expected, fix: null }
  }
  const problem = clockSkewProblem(facts, url)
  if (problem === undefined) {
    const found = `${Math.abs(clockAheadMs)} ms ${clockAheadMs < 0 ? 'behind' : 'ahead'}, give or take ${clockErrorMs} ms`
    return passed('broker-clock', title, found, expected)
  }
  const code: ErrorCode = 'CLOCK_SKEW'
  const fix = `Let both hosts set their clocks by the same time servers. See treaty explain ${code}.`
  return { id: 'broker-clock', title, status: 'warn', found: problem, expected, fix }
}

async function topologyCheck(
  transport: Parameters<typeof import('../../messaging/index.ts')['planTopology']>[0],
  context: CommandContext,
): Promise<Check> {
  const expected = 'the topology that the contracts need'
  try {
    const contracts = await projectContracts(context)
    const { planTopology } = await import('../../messaging/index.ts')
    return topologyFound(await planTopology(transport, contracts))
  } catch (error) {
    return failed('topology', 'topology', expected, error)
  }
}

/** What is there against what is needed; what is missing is made at the first start. */
export function topologyFound({ missing, drift }: Pick<TopologyPlan, 'missing' | 'drift'>): Check {
  const expected = 'the topology that the contracts need'
  const check = (status: Check['status'], found: string, fix: string | null): Check => {
    return { id: 'topology', title: 'topology', status, found, expected, fix }
  }
  const said = drift.map(({ message }) => message).join('; ')
  if (hasErrors(drift)) {
    return check('fail', `drift: ${said}`, 'Run treaty topology plan, and mend what it lists.')
  }
  if (drift.length > 0) return check('warn', `drift: ${said}`, 'Run treaty topology plan.')
  if (missing.length > 0) {
    return check('ok', `${plural(missing.length, 'part')} missing, made at the first start`, null)
  }
  return check('ok', 'everything is there', null)
}

/** What waits in the outbox, where the configuration names one. */
export async function outboxChecks(
  { outbox }: Settings,
  context: CommandContext,
): Promise<readonly Check[]> {
  if (outbox?.url === undefined) return []
  const title = `outbox ${redactUrl(outbox.url)}`
  const path = unborn(outbox.url)
  if (path !== undefined) return [unbornCheck('outbox', title, path)]
  try {
    return [outboxFound(title, await withOutbox(undefined, context, (desk) => desk.status()))]
  } catch (error) {
    return [failed('outbox', title, 'an outbox that is sent', error)]
  }
}

const outboxAgeMsMax = 60_000

function outboxFound(title: string, { backlog, parked, oldestAgeMs }: OutboxStatus): Check {
  const expected = 'an outbox that is sent'
  const age = oldestAgeMs === null ? '' : `, the oldest for ${Math.round(oldestAgeMs / 1000)} s`
  const found = `${backlog} waiting${age}, ${parked} parked`
  const isStuck = parked > 0 || (oldestAgeMs ?? 0) > outboxAgeMsMax
  if (!isStuck) return passed('outbox', title, found, expected)
  const fix = 'Run treaty outbox parked, and see that a relay runs.'
  return { id: 'outbox', title, status: 'warn', found, expected, fix }
}
