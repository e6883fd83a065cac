import type { Consumer, Contract, ContractInput } from '../contracts/index.ts'
import { contractToSource, defineContract } from '../contracts/index.ts'
import { TreatyError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { closest } from '../core/text.ts'
import type { CanIDeployRequest, DeployAnswer, LiveService } from './can-i-deploy.ts'
import { canIDeploy } from './can-i-deploy.ts'
import type { Registry } from './model.ts'

/** What a registry knows that matters for a deployment. */
export type DeployFacts = Pick<CanIDeployRequest, 'contracts' | 'deployments' | 'consumers'> & {
  /** Environment → whether it is production, as recorded. */
  readonly environments: ReadonlyMap<string, boolean>
}

const nowhere = { directory: '/dev/null/registry-entries-read-no-files' }

/** Contract ids that a deployment can concern: those that something runs with, and those of the project. */
export function concerned(deployments: readonly LiveService[], ids: readonly string[]): string[] {
  const running = deployments.flatMap(({ contracts }) => Object.keys(contracts))
  return [...new Set([...running, ...ids])]
}

/** What a registry knows of the contracts that run, and of those named by `ids`. */
export async function factsFromRegistry(
  registry: Registry,
  ids: readonly string[],
): Promise<DeployFacts> {
  const [deployments, environments, pushed] = await Promise.all([
    registry.deployments(),
    registry.environments(),
    registry.consumers(),
  ])
  const contracts: Contract[] = []
  for (const id of concerned(deployments, ids)) {
    for (const { version } of await registry.versions(id)) {
      const contract = await registry.contract(id, version)
      if (contract !== undefined) contracts.push(contract)
    }
  }
  return {
    contracts,
    deployments,
    consumers: pushed.flatMap((each) => registered(each as unknown as JsonObject, contracts)),
    environments: environmentsOf(environments as unknown as JsonObject[]),
  }
}

/** Environment → whether it is production. */
export function environmentsOf(items: readonly JsonObject[]): Map<string, boolean> {
  return new Map(items.map(({ name, production }) => [String(name), production === true]))
}

/**
 * Nothing runs in an environment that nobody knows, so a mistyped name would fit with everything: it is an error instead.
 *
 * @throws ENVIRONMENT_NOT_FOUND
 */
export function needEnvironment(name: string, known: readonly string[]): void {
  if (known.includes(name)) return
  const best = closest(name, known)
  const guess =
    best !== undefined
      ? `Did you mean '${best}'? `
      : known.length > 0 && known.length < 8
        ? `Known are ${known.join(', ')}. `
        : ''
  throw new TreatyError('ENVIRONMENT_NOT_FOUND', `there is no environment '${name}'`, {
    hint: `${guess}If it is new and nothing runs there yet, say so: --new-environment, over HTTP newEnvironment.`,
    details: { environment: name },
  })
}

/** A pushed entry as the model has it: read as a part of the contract that it is about. */
export function registered(
  { contract: id, consumer, version, entry, since }: JsonObject,
  contracts: readonly Contract[],
): NonNullable<DeployFacts['consumers']>[number][] {
  const contract =
    contracts.find((each) => each.id === id && each.version === since) ??
    contracts.findLast((each) => each.id === id)
  if (contract === undefined || !isJsonObject(entry)) return []
  const name = String(consumer)
  const source = contractToSource(contract)
  const consumers = { ...(source.consumers as JsonObject | undefined), [name]: entry as Json }
  try {
    const read = defineContract({ ...source, consumers } as unknown as ContractInput, nowhere)
    const found: Consumer | undefined = read.consumers[name]
    if (found === undefined) return []
    return [{ contract: String(id), consumer: name, version: String(version), entry: found }]
  } catch {
    // An entry of a newer Treaty: the contract's own entry speaks for the consumer then.
    return []
  }
}

/** Asks a registry whether a version of a service may go into an environment. See {@link canIDeploy}. @throws ENVIRONMENT_NOT_FOUND */
export async function askCanIDeploy(
  registry: Registry,
  question: {
    readonly service: string
    readonly version: string
    readonly environment: string
    /** Contract id → version that the service was built against. Default: what is recorded of this version. */
    readonly built?: Readonly<Record<string, string>>
    /** True: the environment may be unknown, and nothing runs there then. Default false. */
    readonly newEnvironment?: boolean
  },
): Promise<DeployAnswer> {
  const { service, version, environment: name, built, newEnvironment = false } = question
  const facts = await factsFromRegistry(registry, Object.keys(built ?? {}))
  if (!newEnvironment) needEnvironment(name, [...facts.environments.keys()])
  const production = facts.environments.get(name)
  return canIDeploy({
    service,
    version,
    environment: { name, ...(production === undefined ? {} : { production }) },
    contracts: facts.contracts,
    deployments: facts.deployments,
    ...(facts.consumers === undefined ? {} : { consumers: facts.consumers }),
    ...(built === undefined ? {} : { built }),
  })
}
