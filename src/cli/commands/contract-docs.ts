import { join, resolve } from 'node:path'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { plural } from '../finding-text.ts'
import { contractById, projectContracts } from '../project.ts'
import { writeText } from '../write-text.ts'

interface Data {
  readonly documents: readonly {
    readonly id: string
    readonly markdown: string
    readonly file?: string
  }[]
}

/** Writes contracts as Markdown. */
export const contractDocs: Command<CommandTable['contract docs'], Data> = {
  async run({ id, out }, context) {
    const all = await projectContracts(context)
    const contracts = id === undefined ? all : [contractById(all, id)]
    const { renderContract } = await import('../../contracts/index.ts')
    const documents = contracts.map((contract) => {
      const markdown = renderContract(contract)
      if (out === undefined) return { id: contract.id, markdown }
      const file = join(resolve(context.cwd, out), `${contract.id}.md`)
      writeText(file, markdown)
      return { id: contract.id, markdown, file }
    })
    return {
      data: { documents },
      toText: () =>
        out === undefined
          ? documents.map(({ markdown }) => markdown.trimEnd()).join('\n\n')
          : `${plural(documents.length, 'document')} written to ${out}`,
    }
  },
}
