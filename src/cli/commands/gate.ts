import { resolve } from 'node:path'
import type { Contract } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import type { GateReport } from '../../registry/gate/index.ts'
import type { Command, CommandResult } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import { renderFinding } from '../finding-text.ts'
import { loadProjectContracts } from '../project.ts'
import type { Style } from '../style.ts'

interface Data {
  readonly result: 'pass' | 'fail'
  readonly contracts: readonly Omit<GateReport, 'verdict'>[]
}

/** Runs the quality gate of each contract. */
export const gate: Command<CommandTable['gate'], Data> = {
  async run({ path, against }, context): Promise<CommandResult<Data>> {
    const paths =
      path === undefined ? (await context.settings()).contracts : [resolve(context.cwd, path)]
    const { contracts, findings } = await loadProjectContracts(context, paths)
    if (contracts.length === 0) {
      const hint = 'Run treaty check and mend what it lists.'
      throw new TreatyError('CONTRACT_INVALID', 'no contract could be read', { hint, findings })
    }
    const { runGate } = await import('../../registry/gate/index.ts')
    const { loadBaseline } = await import('../evolution/baseline.ts')
    const { cwd, stopping: signal, clock } = context
    const ids = contracts.map(({ id }) => id)
    const baseline =
      against === undefined ? undefined : await loadBaseline({ against, paths, cwd, ids, signal })
    const reports = contracts.map((contract) =>
      runGate({
        contract,
        findings: findings.filter(({ file }) => isOf(contract, contracts, file)),
        now: new Date(clock.now()),
        ...(baseline === undefined ? {} : { earlier: baseline.versions.get(contract.id) ?? [] }),
      }),
    )
    const failed = reports.some(({ result }) => result === 'fail')
    const told = reports.flatMap(({ checks }) =>
      checks.flatMap((check): Finding[] =>
        check.findings.map((finding) => ({
          ...finding,
          severity: check.blocking ? finding.severity : 'warning',
        })),
      ),
    )
    return {
      exitCode: failed ? exitCode.findings : exitCode.ok,
      data: {
        result: failed ? 'fail' : 'pass',
        contracts: reports.map(({ verdict: _verdict, ...report }) => report),
      },
      findings: distinct(told),
      showsFindings: true,
      toText: (style) => reports.map((report) => renderReport(report, style)).join('\n\n'),
    }
  },
}

/** A finding belongs to its contract, or to all of them where its file is shared: schemas and examples. */
function isOf(contract: Contract, all: readonly Contract[], file: string | undefined): boolean {
  if (file === contract.file) return true
  return !all.some((other) => other.file === file)
}

function distinct(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values()]
}

function renderReport({ id, version, result, checks }: GateReport, style: Style): string {
  const { green, red, yellow, bold, dim, symbols } = style
  const lines = checks.map(({ title, rule, result: outcome, blocking, findings, waived }) => {
    const note = waived.length === 0 ? '' : dim(`, ${waived.length} waived`)
    if (outcome === 'pass') return `  ${green(`${symbols.ok} passed`)}  ${title}${note}`
    const mark = blocking ? red(`${symbols.fail} failed`) : yellow(`${symbols.warn} warned`)
    const shown = findings.map((finding) => indented(renderFinding(finding, style)))
    return [`  ${mark}  ${title} ${dim(rule)}${note}`, ...shown].join('\n')
  })
  const verdict = result === 'pass' ? green(`${symbols.ok} passed`) : red(`${symbols.fail} failed`)
  return [...[`${bold(`${id} ${version}`)}`], ...lines, `${verdict}  quality gate`].join('\n')
}

const indented = (text: string) => text.replaceAll(/^/gm, '      ')
