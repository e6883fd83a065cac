import { resolve } from 'node:path'
import { hasErrors } from '../../core/finding.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import { countFindings, plural } from '../finding-text.ts'
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
}

/** Finds every mistake in contracts. */
export const check: Command<CommandTable['check'], Data> = {
  async run({ path }, context) {
    const paths = path === undefined ? undefined : [resolve(context.cwd, path)]
    const { contracts, findings } = await loadProjectContracts(context, paths)
    const count = (severity: string) =>
      findings.filter((finding) => finding.severity === severity).length
    const failed = hasErrors(findings)
    return {
      exitCode: failed ? exitCode.findings : exitCode.ok,
      findings,
      data: {
        contracts: contracts.map(({ id, version, file }) => ({
          id,
          version,
          ...(file === undefined ? {} : { file }),
        })),
        errors: count('error'),
        warnings: count('warning'),
      },
      toText({ green, red, symbols }) {
        const verdict = failed ? red(`${symbols.fail} failed`) : green(`${symbols.ok} ok`)
        return `${verdict}  ${plural(contracts.length, 'contract')}, ${countFindings(findings)}`
      },
    }
  },
}
