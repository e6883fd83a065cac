import type { DeployFacts, LiveService } from '../../registry/index.ts'
import { concerned, environmentsOf, registered } from '../../registry/index.ts'
import { fetchHistory, getJson, itemsOf } from './registry-client.ts'

/** Asks a registry over HTTP. @throws BASELINE_UNAVAILABLE */
export async function factsFromUrl(
  base: string,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<DeployFacts> {
  const [deployed, environments, pushed] = await Promise.all(
    ['/api/deployments', '/api/environments', '/api/consumers'].map(async (path) =>
      itemsOf(await getJson(base, path, signal)),
    ),
  )
  const deployments = (deployed ?? []) as unknown as LiveService[]
  const wanted = concerned(deployments, ids)
  const history = await fetchHistory(base, {
    ids: wanted,
    ...(signal === undefined ? {} : { signal }),
  })
  const contracts = [...history.values()].flat()
  return {
    contracts,
    deployments,
    consumers: (pushed ?? []).flatMap((each) => registered(each, contracts)),
    environments: environmentsOf(environments ?? []),
  }
}
