import type { ContractStatus, Review } from '../contracts/index.ts'
import { compareVersions, parseVersion } from '../contracts/index.ts'
import { TreatyError } from '../core/errors.ts'
import type { Change, ContractFacts } from './changes.ts'
import type { Recorded } from './ledger.ts'
import type { ConsumerRegistration, Deployment, Environment } from './model.ts'

/** One registered version, without its document. */
export interface VersionState {
  readonly id: string
  readonly version: string
  readonly hash: string
  readonly facts: ContractFacts
  readonly by: string
  /** Epoch milliseconds. */
  readonly at: number
  status: ContractStatus
  readonly reviews: Review[]
}

/** All that the history says, as maps. */
export interface RegistryState {
  /** Contract id → version → state. */
  readonly contracts: Map<string, Map<string, VersionState>>
  readonly byHash: Map<string, VersionState>
  /** Key of contract, consumer and version → registration. */
  readonly consumers: Map<string, ConsumerRegistration>
  readonly environments: Map<string, Environment>
  /** Key of environment, service and version → deployment. */
  readonly deployments: Map<string, Deployment>
}

export function emptyState(): RegistryState {
  return {
    contracts: new Map(),
    byHash: new Map(),
    consumers: new Map(),
    environments: new Map(),
    deployments: new Map(),
  }
}

/** One key from several names; the separator can be in none of them. */
export function keyOf(...names: readonly string[]): string {
  return names.join('\u0000')
}

function isoTime(at: number): string {
  return new Date(at).toISOString()
}

/** Takes one change in. */
export function applyChange(state: RegistryState, { at, change }: Recorded<Change>): void {
  switch (change.kind) {
    case 'contract-registered': {
      const { id, version, hash, facts, by } = change
      const entry = { id, version, hash, facts, by, at, status: facts.status, reviews: [] }
      const versions = state.contracts.get(id) ?? new Map<string, VersionState>()
      versions.set(version, entry)
      state.contracts.set(id, versions)
      state.byHash.set(hash, entry)
      return
    }
    case 'contract-status-changed': {
      const entry = state.contracts.get(change.id)?.get(change.version)
      if (entry) entry.status = change.status
      return
    }
    case 'reviewed': {
      const { by, consumer, digest, on = isoTime(at) } = change
      const reviews = state.contracts.get(change.id)?.get(change.version)?.reviews
      reviews?.push({ consumer, by, at: on, digest })
      return
    }
    case 'consumer-registered': {
      const { kind: _kind, ...registration } = change
      const { contract, consumer, version } = change
      const key = keyOf(contract, consumer, version)
      state.consumers.set(key, { ...registration, registeredAt: isoTime(at) })
      return
    }
    case 'consumer-withdrawn':
      state.consumers.delete(keyOf(change.contract, change.consumer, change.version))
      return
    case 'environment-set': {
      const { name, production } = change
      const since = state.environments.get(name)?.createdAt ?? isoTime(at)
      state.environments.set(name, { name, production, createdAt: since })
      return
    }
    case 'deployed': {
      const { kind: _kind, ...deployment } = change
      const key = keyOf(change.environment, change.service, change.version)
      state.deployments.set(key, { ...deployment, deployedAt: isoTime(at) })
      return
    }
    case 'undeployed':
      state.deployments.delete(keyOf(change.environment, change.service, change.version))
      return
    default:
      throw new TreatyError(
        'REGISTRY_TOO_NEW',
        'the history of the registry holds a change of a kind that is not known here',
        { details: { kind: (change as { kind: string }).kind } },
      )
  }
}

/** Versions in rising order; what is no semantic version comes first. */
export function inOrder<Item extends { readonly version: string }>(
  items: Iterable<Item>,
): readonly Item[] {
  return [...items].sort((a, b) => compareText(a.version, b.version))
}

/** Semantic versions by rank, other texts before them by code units. */
export function compareText(a: string, b: string): number {
  const [left, right] = [parseVersion(a), parseVersion(b)]
  if (left && right) return compareVersions(left, right)
  if (left || right) return left ? 1 : -1
  return a < b ? -1 : a > b ? 1 : 0
}

/** The highest release; where there is none, the highest pre-release. */
export function latestOf<Item extends { readonly version: string }>(
  items: Iterable<Item>,
): Item | undefined {
  const sorted = inOrder(items)
  return (
    sorted.findLast(({ version }) => parseVersion(version)?.prerelease.length === 0) ??
    sorted.at(-1)
  )
}
