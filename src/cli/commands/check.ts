import { resolve } from 'node:path'
import type { ContractVerdict } from '../../contracts/compat/index.ts'
import type { Contract } from '../../contracts/index.ts'
import { hasErrors } from '../../core/finding.ts'
import type { ArgumentsOf, Command, CommandContext, CommandResult } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import { countFindings, plural, renderFindings } from '../finding-text.ts'
import { loadProjectContracts } from '../project.ts'

interface Data {
  /** Contracts that could be read. */
  readonly contracts: readonly {
    readonly id: string
    readonly version: string
    readonly file?: string
  }[]
  readonly errors: number
  readonly warnings: number
  /** What changed, with --against; without what the findings say already. */
  readonly changes?: readonly Omit<ContractVerdict, 'findings'>[]
}
type Arguments = ArgumentsOf<CommandTable['check']>

/** Finds every mistake in contracts; with --against also what a change breaks. */
export const check: Command<CommandTable['check'], Data> = {
  async run(args, context) {
    const paths =
      args.path === undefined
        ? (await context.settings()).contracts
        : [resolve(context.cwd, args.path)]
    const { contracts, findings } = await loadProjectContracts(context, paths)
    const verdicts = await compare(args, { contracts, paths }, context)
    const all = [...findings, ...verdicts.flatMap((verdict) => verdict.findings)]
    const data: Data = {
      contracts: contracts.map(({ id, version, file }) => ({
        id,
        version,
        ...(file === undefined ? {} : { file }),
      })),
      errors: all.filter(({ severity }) => severity === 'error').length,
      warnings: all.filter(({ severity }) => severity === 'warning').length,
      ...(args.against === undefined
        ? {}
        : { changes: verdicts.map(({ findings: _said, ...verdict }) => verdict) }),
    }
    const result: CommandResult<Data> = {
      exitCode: hasErrors(all) ? exitCode.findings : exitCode.ok,
      findings: all,
      data,
    }
    if (args.format === 'github' || args.format === 'sarif') {
      const { renderAs } = await import('../evolution/formats.ts')
      const text = renderAs(args.format, all)
      return { ...result, showsFindings: true, toText: () => text }
    }
    const { renderVerdict } = await import('../evolution/report.ts')
    return {
      ...result,
      showsFindings: true,
      toText(style) {
        const { green, red, symbols } = style
        const verdict = hasErrors(all) ? red(`${symbols.fail} failed`) : green(`${symbols.ok} ok`)
        const blocks = [
          renderFindings(findings, style),
          ...verdicts.map((each) => renderVerdict(each, style)),
          `${verdict}  ${plural(contracts.length, 'contract')}, ${countFindings(all)}`,
        ]
        return blocks.filter((block) => block !== '').join('\n\n')
      },
    }
  },
}

interface Checked {
  readonly contracts: readonly Contract[]
  readonly paths: readonly string[]
}

/** What became of each contract since the baseline; empty without one. */
async function compare(
  { against }: Arguments,
  { contracts, paths }: Checked,
  context: CommandContext,
): Promise<readonly ContractVerdict[]> {
  if (against === undefined) return []
  const [{ loadBaseline }, { compareContracts }] = await Promise.all([
    import('../evolution/baseline.ts'),
    import('../../contracts/compat/index.ts'),
  ])
  const ids = contracts.map(({ id }) => id)
  const { cwd, stopping: signal } = context
  const { versions } = await loadBaseline({ against, paths, cwd, ids, signal })
  return contracts.flatMap((contract) => {
    const earlier = versions.get(contract.id) ?? []
    return earlier.length === 0 ? [] : [compareContracts(earlier, contract, { signal })]
  })
}
