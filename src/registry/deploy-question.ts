import type { Contract } from '../contracts/index.ts'
import type { CanIDeployRequest } from './can-i-deploy.ts'
import { needEnvironment } from './can-i-deploy-facts.ts'
import { consumerFrom } from './contract-document.ts'
import type { Registry } from './model.ts'

/** What a service asks before it is deployed. */
export interface DeployQuestion {
  readonly service: string
  readonly version: string
  readonly environment: string
  /** Contract id → its version that the build was made against. Default: what a record of this version says. */
  readonly contracts?: Readonly<Record<string, string>>
  /** True: the environment may be unknown, and nothing runs there then. Default false. */
  readonly newEnvironment?: boolean
}

/** The question with all that the registry knows of it, as `canIDeploy` takes it. @throws ENVIRONMENT_NOT_FOUND */
export async function deployRequest(
  registry: Registry,
  question: DeployQuestion,
): Promise<CanIDeployRequest> {
  const { service, version, environment: name, contracts: built } = question
  const [deployments, environments, pushed] = await Promise.all([
    registry.deployments(),
    registry.environments(),
    registry.consumers(),
  ])
  const environment = environments.find((each) => each.name === name)
  if (question.newEnvironment !== true) {
    needEnvironment(
      name,
      environments.map((each) => each.name),
    )
  }
  const running = deployments.flatMap(({ contracts }) => Object.keys(contracts))
  const contracts: Contract[] = []
  for (const id of new Set([...Object.keys(built ?? {}), ...running])) {
    for (const known of await registry.versions(id)) {
      const contract = await registry.contract(id, known.version)
      if (contract) contracts.push(contract)
    }
  }
  const consumers = pushed.flatMap((registration) => {
    const of = contracts.filter(({ id }) => id === registration.contract)
    const base = of.find((each) => each.version === registration.since) ?? of.at(-1)
    const entry = base && consumerFrom(base, registration)
    const { contract, consumer, version: own } = registration
    return entry ? [{ contract, consumer, version: own, entry }] : []
  })
  return {
    service,
    version,
    environment: { name, ...(environment ? { production: environment.production } : {}) },
    contracts,
    deployments,
    consumers,
    ...(built ? { built } : {}),
  }
}
