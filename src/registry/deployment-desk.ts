import { TreatyError } from '../core/errors.ts'
import type { StoredChange } from './changes.ts'
import type { Ledger } from './ledger.ts'
import type { Deployment, Environment, Registry } from './model.ts'
import { keyOf, type RegistryState } from './state.ts'

/** What runs where. */
export type DeploymentDesk = Pick<
  Registry,
  'environments' | 'environment' | 'setEnvironment' | 'deploy' | 'undeploy' | 'deployments'
>

export function createDeploymentDesk(ledger: Ledger<RegistryState, StoredChange>): DeploymentDesk {
  return {
    async environments() {
      const { environments } = await ledger.read()
      return [...environments.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    },
    async environment(name) {
      return (await ledger.read()).environments.get(name)
    },
    setEnvironment: (name, production, by) =>
      ledger.change((state) => ({
        changes:
          state.environments.get(name)?.production === production
            ? []
            : [{ kind: 'environment-set', by, name, production }],
        result: () => state.environments.get(name) as Environment,
      })),
    deploy: ({ production, ...input }, by) =>
      ledger.change((state) => {
        const { service, version, environment, contracts = {} } = input
        const key = keyOf(environment, service, version)
        const known = state.deployments.get(key)
        const isSame = known && sameText(known.contracts, contracts)
        const isNew = !state.environments.has(environment)
        const deployed = { kind: 'deployed', by, service, version, environment, contracts } as const
        return {
          changes: [
            ...(isNew
              ? [
                  {
                    kind: 'environment-set',
                    by,
                    name: environment,
                    production: production ?? /^prod/i.test(environment),
                  } as const,
                ]
              : []),
            ...(isSame ? [] : [deployed]),
          ],
          result: () => state.deployments.get(key) as Deployment,
        }
      }),
    undeploy: ({ service, version, environment }, by) =>
      ledger.change((state) => {
        if (!state.deployments.has(keyOf(environment, service, version))) {
          throw new TreatyError(
            'DEPLOYMENT_NOT_FOUND',
            `${service} ${version} is not recorded as running in ${environment}`,
            {
              hint: 'List what runs where with GET /api/deployments.',
              details: { service, version, environment },
            },
          )
        }
        return {
          changes: [{ kind: 'undeployed', by, service, version, environment }],
          result: () => undefined,
        }
      }),
    async deployments({ service, environment } = {}) {
      const { deployments } = await ledger.read()
      return [...deployments.values()].filter(
        (one) =>
          (service === undefined || one.service === service) &&
          (environment === undefined || one.environment === environment),
      )
    },
  }
}

function sameText(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>) {
  const text = (map: Readonly<Record<string, string>>) => JSON.stringify(Object.entries(map).sort())
  return text(a) === text(b)
}
