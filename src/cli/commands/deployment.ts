import type { Contract } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/json.ts'
import type { Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { projectContracts } from '../project.ts'
import { callRegistry } from '../registry-call.ts'

/** Records that a version of a service runs. */
export const deploymentRecord: Command<CommandTable['deployment record'], JsonObject> = {
  async run(args, context) {
    const { service, version } = args
    const environment = environmentOf(args.to)
    const data = await callRegistry(context, args, {
      method: 'POST',
      path: '/api/deployments',
      body: { service, version, environment, contracts: await contractsOf(context, service) },
    })
    return {
      data,
      toText: (style) =>
        `${style.green(style.symbols.ok)} ${service} ${version} runs in ${environment}`,
    }
  },
}

/** Records that a version of a service runs no more. */
export const deploymentEnd: Command<CommandTable['deployment end'], JsonObject> = {
  async run(args, context) {
    const { service, version } = args
    const environment = environmentOf(args.to)
    const path = [environment, service, version].map(encodeURIComponent).join('/')
    const data = await callRegistry(context, args, {
      method: 'DELETE',
      path: `/api/deployments/${path}`,
    })
    return {
      data,
      toText: (style) =>
        `${style.green(style.symbols.ok)} ${service} ${version} runs no more in ${environment}`,
    }
  },
}

function environmentOf(text: string | undefined): string {
  if (text !== undefined && text !== '') return text
  throw new TreatyError('USAGE', '--to is missing', {
    hint: 'Name the environment: --to prod.',
  })
}

/** The contracts that the service takes part in, with their versions. A project without contracts has none. */
async function contractsOf(context: CommandContext, service: string): Promise<JsonObject> {
  let contracts: readonly Contract[]
  try {
    contracts = await projectContracts(context)
  } catch (error) {
    if (error instanceof TreatyError && error.code === 'FILE_NOT_FOUND') return {}
    throw error
  }
  const own = contracts.filter(
    ({ producers, consumers, commands }) =>
      Object.hasOwn(producers, service) ||
      Object.hasOwn(consumers, service) ||
      Object.values(commands).some(({ handler }) => handler === service),
  )
  return Object.fromEntries(own.map(({ id, version }) => [id, version]))
}
