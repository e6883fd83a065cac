import { resolve } from 'node:path'
import { stringify } from 'yaml'
import { TreatyError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/json.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { contractById, projectContracts } from '../project.ts'
import { writeText } from '../write-text.ts'

interface Data {
  readonly document: JsonObject
  readonly file?: string
}

/** Writes a contract, or what one of its parties does, as AsyncAPI. */
export const exportAsyncApiCommand: Command<CommandTable['export asyncapi'], Data> = {
  async run({ id, service, out }, context) {
    const contracts = await projectContracts(context)
    const [only, ...others] = contracts
    if (id === undefined && others.length > 0) {
      throw new TreatyError(
        'USAGE',
        `there are ${contracts.length} contracts, and one is exported`,
        {
          hint: `Name one of ${contracts.map((contract) => contract.id).join(', ')}.`,
        },
      )
    }
    const contract = id === undefined && only ? only : contractById(contracts, id ?? '')
    const { exportAsyncApi } = await import('../../contracts/index.ts')
    const document = exportAsyncApi(contract, service === undefined ? {} : { application: service })
    const isJson = out !== undefined && /\.json$/i.test(out)
    const text = isJson
      ? `${JSON.stringify(document, undefined, 2)}\n`
      : stringify(document, { aliasDuplicateObjects: false, lineWidth: 100 })
    if (out === undefined) return { data: { document }, toText: () => text.trimEnd() }
    const file = resolve(context.cwd, out)
    writeText(file, text)
    return { data: { document, file }, toText: () => `${contract.id} written to ${out}` }
  },
}
