import type { Contract } from '../../contracts/index.ts'
import type { Finding } from '../../core/finding.ts'
import type { AppliedPlan, TopologyPlan, Transport } from '../../messaging/index.ts'
import type { Command, CommandContext, CommandResult } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import { withTransport } from '../project.ts'
import { appliedText, planText } from '../topology-text.ts'

const messaging = () => import('../../messaging/index.ts')

/** Shows the difference; changes nothing. */
export const topologyPlan: Command<CommandTable['topology plan'], TopologyPlan> = {
  run: (_args, context) => withTransport(context, planned),
}

async function planned(
  transport: Transport,
  contracts: readonly Contract[],
): Promise<CommandResult<TopologyPlan>> {
  const { planTopology } = await messaging()
  const plan = await planTopology(transport, contracts)
  const { groups, subscriptions, channels } = plan.surplus
  const count =
    plan.missing.length +
    plan.drift.filter(({ severity }) => severity !== 'info').length +
    groups.length +
    subscriptions.length +
    channels.length
  return {
    exitCode: count > 0 ? exitCode.findings : exitCode.ok,
    data: plan,
    findings: findingsOf(plan),
    showsFindings: true,
    toText: (style) => planText(plan, style),
  }
}

/** Makes and mends, and takes away where that is allowed. */
export const topologyApply: Command<CommandTable['topology apply'], TopologyPlan | AppliedPlan> = {
  run: ({ allowDelete = false, dryRun = false }, context) =>
    withTransport(context, async (transport, contracts) => {
      if (dryRun) return planned(transport, contracts)
      const { applyTopology, keepsPromises } = await messaging()
      const plan = await applyTopology(transport, contracts, { allowDelete })
      return {
        exitCode: keepsPromises(plan) ? exitCode.ok : exitCode.findings,
        data: plan,
        findings: findingsOf(plan),
        showsFindings: true,
        toText: (style) => appliedText(plan, style),
      }
    }),
}

/** Says whether every promise holds. */
export const topologyVerify: Command<CommandTable['topology verify'], TopologyPlan> = {
  run: (_args, context: CommandContext) =>
    withTransport(context, async (transport, contracts) => {
      const { keepsPromises, planTopology } = await messaging()
      const plan = await planTopology(transport, contracts)
      const isKept = keepsPromises(plan)
      return {
        exitCode: isKept ? exitCode.ok : exitCode.findings,
        data: plan,
        findings: findingsOf(plan),
        toText: ({ green, red, symbols }) =>
          isKept
            ? `${green(`${symbols.ok} ok`)}  ${plan.broker} keeps every promise of the contracts`
            : `${red(`${symbols.fail} failed`)}  ${plan.broker} does not keep every promise`,
      }
    }),
}

function findingsOf({ missing, drift }: TopologyPlan): Finding[] {
  return [
    ...missing.map(
      (name): Finding => ({
        code: 'TOPOLOGY_MISSING',
        severity: 'error',
        message: `"${name}" is not there`,
        hint: 'Run treaty topology apply.',
      }),
    ),
    ...drift,
  ]
}
