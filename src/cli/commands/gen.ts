import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ConnectorSchemas } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { configuredConnectors, connectorContract } from '../connectors.ts'
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

/** The connectors of the configuration that have a contract. @throws CONNECTOR_INVALID */
async function connectorsOf(context: CommandContext): Promise<readonly ConnectorSchemas[]> {
  const all: ConnectorSchemas[] = []
  for (const [name, config] of await configuredConnectors(context)) {
    if (config.contract === undefined) continue
    const { connectorSchemas } = await import('../../http/index.ts')
    const contract = await connectorContract(config, context)
    if (contract.findings.length > 0) {
      throw new TreatyError(
        'CONNECTOR_INVALID',
        `the contract of the connector ${name} has mistakes`,
        {
          findings: contract.findings,
        },
      )
    }
    all.push(connectorSchemas(name, contract))
  }
  return all
}

/** Writes TypeScript types for the contracts, and for the operations of connectors. */
export const gen: Command<CommandTable['gen'], Data> = {
  async run({ out = outDefault }, context) {
    const connectors = await connectorsOf(context)
    // A project may have neighbours and no contracts of its own.
    const { contracts: paths } = await context.settings()
    const isBare = connectors.length > 0 && !paths.some((path) => existsSync(path))
    const contracts = isBare ? [] : await projectContracts(context)
    const { generateTypes } = await import('../../contracts/index.ts')
    const types = await generateTypes(contracts, connectors)
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
