import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Contract } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import { hasErrors } from '../../core/finding.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { contractById, loadProjectContracts } from '../project.ts'
import { suggest } from '../suggest.ts'

interface Data {
  readonly contract: string
  readonly consumer: string
  readonly by: string
  readonly at: string
  readonly digest: string
  readonly file: string
}

/** Records that a consumer has read a contract as it is now. */
export const review: Command<CommandTable['review'], Data> = {
  async run({ id, consumer, by }, context) {
    if (consumer === undefined || by === undefined) {
      throw new TreatyError('USAGE', `the option --${consumer ? 'by' : 'consumer'} is missing`, {
        hint: 'Write treaty review --consumer NAME --by WHO.',
      })
    }
    const { contracts, findings } = await loadProjectContracts(context)
    if (hasErrors(findings)) {
      throw new TreatyError('CONTRACT_INVALID', 'a contract with errors cannot be reviewed', {
        hint: 'Run treaty check and mend what it lists.',
        findings: findings.filter(({ severity }) => severity === 'error'),
      })
    }
    const contract = chosen(contracts, id, consumer)
    const { contractDigest } = await import('../../contracts/index.ts')
    const { withReview } = await import('../evolution/yaml-edit.ts')
    const file = contract.file
    if (file === undefined || !/\.ya?ml$/i.test(file)) {
      throw new TreatyError('FILE_UNREADABLE', `${contract.id} is in no YAML file`, {
        hint: 'Add the review where the contract is written.',
      })
    }
    const at = new Date(context.clock.now()).toISOString().slice(0, 10)
    const entry = { consumer, by, at, digest: contractDigest(contract) }
    const path = resolve(file)
    writeFileSync(path, withReview(readFileSync(path, 'utf8'), entry))
    return {
      data: { contract: contract.id, ...entry, file },
      toText: ({ green, symbols }) =>
        `${green(`${symbols.ok} reviewed`)}  ${contract.id} ${contract.version} by ${by} for ${consumer}; any later edit voids it`,
    }
  },
}

/** The contract of this id, else the only one that has the consumer. */
function chosen(
  contracts: readonly Contract[],
  id: string | undefined,
  consumer: string,
): Contract {
  const having = contracts.filter(({ consumers }) => consumers[consumer] !== undefined)
  const [only, ...others] = id === undefined ? having : [contractById(contracts, id)]
  const names = contracts.flatMap(({ consumers }) => Object.keys(consumers))
  if (only === undefined || only.consumers[consumer] === undefined) {
    throw new TreatyError('CONSUMER_NOT_FOUND', `no contract has a consumer ${consumer}`, {
      hint: suggest(consumer, names) ?? 'Run treaty contract show for a list.',
    })
  }
  if (others.length === 0) return only
  throw new TreatyError('USAGE', `${having.length} contracts have a consumer ${consumer}`, {
    hint: `Name one: ${having.map((contract) => contract.id).join(', ')}.`,
  })
}
