import type { Finding } from '../../core/finding.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { configuredConnectors, connectorContract } from '../connectors.ts'
import { exitCode } from '../exit-code.ts'
import { renderTable } from '../table.ts'

interface Data {
  readonly connectors: readonly {
    readonly name: string
    readonly baseUrl: string | null
    readonly contract: string | null
    readonly operations: readonly {
      readonly name: string
      readonly method: string
      readonly path: string
      readonly summary: string
    }[]
  }[]
}

/** Lists the connectors of the configuration with their operations. */
export const connectorList: Command<CommandTable['connector list'], Data> = {
  async run(_args, context) {
    const findings: Finding[] = []
    const connectors: Data['connectors'][number][] = []
    for (const [name, config] of await configuredConnectors(context)) {
      const contract = await connectorContract(config, context)
      findings.push(...contract.findings)
      connectors.push({
        name,
        baseUrl: config.baseUrl ?? contract.server ?? null,
        contract: config.contract ?? null,
        operations: [...contract.operations.values()].map(({ name, method, path, summary }) => ({
          name,
          method,
          path,
          summary,
        })),
      })
    }
    return {
      exitCode: findings.length > 0 ? exitCode.findings : exitCode.ok,
      data: { connectors },
      findings,
      toText(style) {
        if (connectors.length === 0) return 'the configuration has no connectors'
        const rows = connectors.flatMap(({ name, baseUrl, operations }) => [
          [name, '', baseUrl ?? '', ''],
          ...operations.map((each) => [`  ${each.name}`, each.method, each.path, each.summary]),
        ])
        return renderTable(['connector', 'method', 'path', 'purpose'], rows, style)
      },
    }
  },
}
