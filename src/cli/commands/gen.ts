import { resolve } from 'node:path'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { plural } from '../finding-text.ts'
import { projectContracts } from '../project.ts'
import { writeText } from '../write-text.ts'

const outDefault = 'treaty.gen.d.ts'

interface Data {
  readonly contracts: number
  /** Null: printed. */
  readonly file: string | null
  readonly types?: string
}

/** Writes TypeScript types for the contracts. */
export const gen: Command<CommandTable['gen'], Data> = {
  async run({ out = outDefault }, context) {
    const contracts = await projectContracts(context)
    const { generateTypes } = await import('../../contracts/index.ts')
    const types = await generateTypes(contracts)
    if (out === '-') {
      return {
        data: { contracts: contracts.length, file: null, types },
        toText: () => types.trimEnd(),
      }
    }
    const file = resolve(context.cwd, out)
    writeText(file, types)
    return {
      data: { contracts: contracts.length, file },
      toText: ({ green, symbols }) =>
        `${green(`${symbols.ok} written`)}  ${out}, ${plural(contracts.length, 'contract')}\n  next: openBus<Contracts>({ … }) with import type { Contracts } from './${out.replace(/\.d\.ts$/, '.js')}'`,
    }
  },
}
