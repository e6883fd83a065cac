import { existsSync } from 'node:fs'
import type { Contract } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { DeployAnswer, DeployCheck, DeployFacts } from '../../registry/index.ts'
import type { ArgumentsOf, Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import { plural } from '../finding-text.ts'
import { loadProjectContracts } from '../project.ts'
import type { Style } from '../style.ts'

type Arguments = ArgumentsOf<CommandTable['can-i-deploy']>
type Data = Omit<DeployAnswer, 'findings'>

/** Says whether a version of a service may go into an environment. @throws ENVIRONMENT_NOT_FOUND */
export const canIDeployCommand: Command<CommandTable['can-i-deploy'], Data> = {
  async run(args, context) {
    const { service, version, to } = args
    if (to === undefined) {
      throw new TreatyError('USAGE', 'the option --to is missing', {
        hint: 'Name the environment: --to prod.',
      })
    }
    const own = await ownContracts(context, service)
    const facts = await factsFor(args, context, own)
    const { canIDeploy, needEnvironment } = await import('../../registry/index.ts')
    if (args.newEnvironment !== true) needEnvironment(to, [...facts.environments.keys()])
    const isRecorded = facts.deployments.some(
      (each) => each.service === service && each.version === version,
    )
    // What is checked out is what the version was built against, where no record says otherwise.
    const built =
      isRecorded || own.length === 0
        ? {}
        : { built: Object.fromEntries(own.map((contract) => [contract.id, contract.version])) }
    const production = facts.environments.get(to)
    const answer = await canIDeploy({
      service,
      version,
      environment: { name: to, ...(production === undefined ? {} : { production }) },
      contracts: [...facts.contracts, ...unknownTo(facts, own)],
      deployments: facts.deployments,
      ...(facts.consumers === undefined ? {} : { consumers: facts.consumers }),
      ...built,
    })
    const { findings, ...data } = answer
    return {
      exitCode: answer.ok ? exitCode.ok : exitCode.findings,
      data,
      findings,
      showsFindings: true,
      toText: (style) => renderAnswer(answer, style),
    }
  },
}

/** The contracts of the project that the service takes part in; none where there is no project. */
async function ownContracts(
  context: CommandContext,
  service: string,
): Promise<readonly Contract[]> {
  const { contracts: paths } = await context.settings()
  const present = paths.filter((path) => existsSync(path))
  const { contracts } = await loadProjectContracts(context, present)
  return contracts.filter(
    ({ producers, consumers, commands }) =>
      producers[service] !== undefined ||
      consumers[service] !== undefined ||
      Object.values(commands).some(({ handler }) => handler === service),
  )
}

function unknownTo(facts: DeployFacts, own: readonly Contract[]): readonly Contract[] {
  return own.filter(
    ({ id, version }) =>
      !facts.contracts.some((known) => known.id === id && known.version === version),
  )
}

async function factsFor(
  { registry }: Arguments,
  context: CommandContext,
  own: readonly Contract[],
): Promise<DeployFacts> {
  const { factsFromUrl } = await import('../evolution/deploy-facts.ts')
  const ids = own.map(({ id }) => id)
  if (registry !== undefined && /^https?:\/\//i.test(registry)) {
    return factsFromUrl(registry, ids, context.stopping)
  }
  const settings = await context.settings()
  const { storeUrlFor } = await import('../../messaging/index.ts')
  const { openStore } = await import('../../store/index.ts')
  const { factsFromRegistry, openRegistry } = await import('../../registry/index.ts')
  const url = registry ?? settings.store ?? storeUrlFor(context.reveal(settings.transport))
  const store = await openStore(context.reveal(url), { clock: context.clock })
  try {
    return await factsFromRegistry(openRegistry(store), ids)
  } finally {
    await store.close()
  }
}

/** One block: the verdict, then each counterpart with the message that proves it, then what to do. */
function renderAnswer(answer: DeployAnswer, style: Style): string {
  const { service, version, environment, ok, verdict, checks, findings } = answer
  const { green, red, yellow, bold, symbols } = style
  const title = `${bold(`${service} ${version}`)} → ${environment}`
  const head = ok
    ? verdict === 'yes'
      ? green(`${symbols.ok} ${title}   may be deployed`)
      : yellow(`${symbols.warn} ${title}   may be deployed, though not everything is known`)
    : red(`${symbols.fail} ${title}   must not be deployed`)
  const counterparts = new Map<string, DeployCheck[]>()
  for (const check of checks) {
    const name = [check.counterpart, check.counterpartVersion].filter(Boolean).join(' ')
    counterparts.set(name, [...(counterparts.get(name) ?? []), check])
  }
  const lines = [...counterparts].flatMap(([name, own]) => renderCounterpart(name, own, style))
  const hints = new Set(
    findings.filter(({ severity }) => severity !== 'info').flatMap(({ hint }) => hint ?? []),
  )
  return [head, ...lines, ...[...hints].map((hint) => `  ${green('fix:')} ${hint}`)].join('\n')
}

function renderCounterpart(name: string, checks: readonly DeployCheck[], style: Style): string[] {
  const bad = checks.filter(({ verdict }) => verdict !== 'compatible')
  const pending = checks.every((check) => check.pending) ? ' (pending)' : ''
  if (bad.length === 0) {
    const count = plural(new Set(checks.map(({ message }) => message)).size, 'message')
    return [`  ${style.bold(name)}${pending} ${style.dim(`fits: ${count} proved`)}`]
  }
  return bad.flatMap(({ message, direction, reason = '', witness }) => {
    const what =
      message === ''
        ? reason
        : direction === 'service writes'
          ? `cannot read ${message}: ${reason}`
          : `sends ${message}, which cannot be read: ${reason}`
    const proof =
      witness === undefined ? [] : ['  This message shows it:', `    ${JSON.stringify(witness)}`]
    return [`  ${style.bold(name)}${pending}${name === '' ? '' : ' '}${what}`, ...proof]
  })
}
