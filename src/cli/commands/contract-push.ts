import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Contract } from '../../contracts/index.ts'
import { contractToSource, parseYaml } from '../../contracts/index.ts'
import { errorMessage, TreatyError } from '../../core/errors.ts'
import { type Finding, hasErrors } from '../../core/finding.ts'
import { isJsonObject, type JsonObject } from '../../core/json.ts'
import type { ArgumentsOf, Command, CommandContext, CommandResult } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { projectContracts } from '../project.ts'
import { callRegistry } from '../registry-call.ts'
import type { Style } from '../style.ts'

type Arguments = ArgumentsOf<CommandTable['contract push']>

interface Pushed {
  readonly id: string
  readonly version: string
  readonly outcome: 'registered' | 'unchanged' | 'judged'
}
interface PushedConsumer {
  readonly contract: string
  readonly consumer: string
  readonly version: string
  readonly since: string
}
type Data =
  | { readonly contracts: readonly Pushed[] }
  | { readonly consumers: readonly PushedConsumer[] }

/** Registers contracts with a registry, or what a consumer needs. */
export const contractPush: Command<CommandTable['contract push'], Data> = {
  run: (args, context) =>
    args.consumes === undefined
      ? pushContracts(args, context)
      : pushConsumers(args, context, args.consumes),
}

async function pushContracts(
  args: Arguments,
  context: CommandContext,
): Promise<CommandResult<Data>> {
  const pushed: Pushed[] = []
  const findings: Finding[] = []
  for (const contract of await projectContracts(context)) {
    const answer = await callRegistry(context, args, {
      method: 'POST',
      path: `/api/contracts${args.dryRun === true ? '?dryRun=true' : ''}`,
      body: contractToSource(contract),
    })
    if (Array.isArray(answer.findings)) findings.push(...(answer.findings as unknown as Finding[]))
    pushed.push({ ...named(contract), outcome: outcomeOf(answer) })
  }
  return {
    data: { contracts: pushed },
    findings,
    toText: (style) =>
      pushed.map(({ id, version, outcome }) => line(style, `${id} ${version}`, outcome)).join('\n'),
  }
}

function named({ id, version }: Contract) {
  return { id, version }
}

function outcomeOf({ created }: JsonObject): Pushed['outcome'] {
  if (created === undefined) return 'judged'
  return created === true ? 'registered' : 'unchanged'
}

function line(style: Style, name: string, outcome: string): string {
  return `${style.green(style.symbols.ok)} ${name}  ${outcome}`
}

async function pushConsumers(
  args: Arguments,
  context: CommandContext,
  file: string,
): Promise<CommandResult<Data>> {
  const { serviceVersion: version, to: environment } = args
  if (version === undefined) {
    throw new TreatyError('USAGE', '--service-version is missing', {
      hint: 'Add the version of the consumer: --service-version $(git rev-parse --short HEAD).',
    })
  }
  const { contract, entries } = readConsumes(resolve(context.cwd, file))
  const consumers: PushedConsumer[] = []
  for (const [consumer, entry] of entries) {
    const where = environment === undefined ? {} : { environment }
    const answer = await callRegistry(context, args, {
      method: 'POST',
      path: '/api/consumers',
      body: { contract, consumer, version, ...where, entry },
    })
    consumers.push({ contract, consumer, version, since: String(answer.since) })
  }
  return {
    data: { consumers },
    toText: (style) =>
      consumers
        .map(({ consumer, since }) =>
          line(style, `${consumer} ${version}`, `needs of ${contract} ${since} registered`),
        )
        .join('\n'),
  }
}

/** @throws FILE_NOT_FOUND · CONTRACT_INVALID with findings */
function readConsumes(file: string): { contract: string; entries: [string, JsonObject][] } {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new TreatyError('FILE_NOT_FOUND', `${file} cannot be read: ${errorMessage(cause)}`, {
      hint: 'Check the path after --consumes.',
      cause,
    })
  }
  const { value, report } = parseYaml(text, file)
  const document = isJsonObject(value) ? value : {}
  const { contract, consumers } = document
  const entries = Object.entries(isJsonObject(consumers) ? consumers : {})
  const isRight =
    typeof contract === 'string' &&
    entries.length > 0 &&
    entries.every(([, entry]) => isJsonObject(entry))
  if (isRight && !hasErrors(report.findings)) {
    return { contract, entries: entries as [string, JsonObject][] }
  }
  throw new TreatyError('CONTRACT_INVALID', `${file} does not say what a consumer needs`, {
    hint: 'Write contract: ID, and under consumers: each one as a contract file has it.',
    findings: report.findings,
  })
}
