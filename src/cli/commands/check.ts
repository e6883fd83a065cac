import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ContractVerdict } from '../../contracts/compat/index.ts'
import type { Contract } from '../../contracts/index.ts'
import { type Finding, hasErrors } from '../../core/finding.ts'
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
  /** What --fix has written, one sentence each. */
  readonly fixed?: readonly string[]
}
type Arguments = ArgumentsOf<CommandTable['check']>

/** Finds every mistake in contracts; with --against also what a change breaks. */
export const check: Command<CommandTable['check'], Data> = {
  async run(args, context) {
    const paths =
      args.path === undefined
        ? (await context.settings()).contracts
        : [resolve(context.cwd, args.path)]
    const read = await loadProjectContracts(context, paths)
    const fixed = args.fix === true ? await fixSince(read.contracts) : []
    const { contracts, findings } =
      fixed.length === 0 ? read : await loadProjectContracts(context, paths)
    const { verdicts, proofs } = await compare(args, { contracts, paths }, context)
    const own = [...findings, ...proofs]
    const all = [...own, ...verdicts.flatMap((verdict) => verdict.findings)]
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
      ...(args.fix === true ? { fixed } : {}),
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
          renderFindings(own, style),
          ...verdicts.map((each) => renderVerdict(each, style)),
          fixed.map((text) => `${green(`${symbols.ok} fixed`)}  ${text}`).join('\n'),
          `${verdict}  ${plural(contracts.length, 'contract')}, ${countFindings(all)}`,
        ]
        return blocks.filter((block) => block !== '').join('\n\n')
      },
    }
  },
}

/** Writes `since`, the present version, into entries of consumers that lack it; what was written, in words. */
async function fixSince(contracts: readonly Contract[]): Promise<readonly string[]> {
  const { withSince } = await import('../evolution/yaml-edit.ts')
  const fixed: string[] = []
  for (const { id, version, file, consumers } of contracts) {
    if (file === undefined || !/\.ya?ml$/i.test(file)) continue
    const path = resolve(file)
    const before = readFileSync(path, 'utf8')
    let text = before
    for (const { name, since } of Object.values(consumers)) {
      if (since !== undefined) continue
      const written = withSince(text, name, version)
      if (written !== text) fixed.push(`\`${name}\` of ${id} says since: ${version}`)
      text = written
    }
    if (text !== before) writeFileSync(path, text)
  }
  return fixed
}

interface Checked {
  readonly contracts: readonly Contract[]
  readonly paths: readonly string[]
}

/** Upcasts, and needs that are schemas: neither is right by its form alone. */
function needsProof({ evolution, consumers }: Contract): boolean {
  const needs = Object.values(consumers).flatMap(({ events }) => Object.values(events))
  return evolution.upcast.length > 0 || needs.some((each) => each.needsSchema !== undefined)
}

/** What became of each contract since the baseline, and what is wrong with their upcasts and needs. */
async function compare(
  { against }: Arguments,
  { contracts, paths }: Checked,
  context: CommandContext,
): Promise<{
  readonly verdicts: readonly ContractVerdict[]
  readonly proofs: readonly Finding[]
}> {
  // The prover is only loaded where there is something to prove.
  if (against === undefined && !contracts.some(needsProof)) return { verdicts: [], proofs: [] }
  const [{ loadBaseline }, { checkNeeds, checkUpcasts, compareContracts }, { withWaivers }] =
    await Promise.all([
      import('../evolution/baseline.ts'),
      import('../../contracts/compat/index.ts'),
      import('../../registry/gate/index.ts'),
    ])
  const now = new Date(context.clock.now())
  const { cwd, stopping: signal } = context
  const ids = contracts.map(({ id }) => id)
  const baseline =
    against === undefined ? undefined : await loadBaseline({ against, paths, cwd, ids, signal })
  const verdicts: ContractVerdict[] = []
  const proofs: Finding[] = []
  for (const contract of contracts) {
    const earlier = baseline?.versions.get(contract.id) ?? []
    if (earlier.length > 0) {
      const verdict = compareContracts(earlier, contract, { signal })
      verdicts.push({ ...verdict, findings: withWaivers(verdict.findings, contract, now) })
    }
    const own = [...checkNeeds(contract), ...(await checkUpcasts(contract, earlier))]
    proofs.push(...withWaivers(own, contract, now))
  }
  return { verdicts, proofs }
}
