import { type Clock, systemClock } from '../core/clock.ts'
import type { Store } from '../store/index.ts'
import type { StoredChange } from './changes.ts'
import { comparingJudge } from './comparing-judge.ts'
import { createConsumerDesk } from './consumer-desk.ts'
import { createContractDesk } from './contract-desk.ts'
import { createDeploymentDesk } from './deployment-desk.ts'
import { openDocuments } from './documents.ts'
import { openLedger } from './ledger.ts'
import type { CompatibilityJudge, Registry } from './model.ts'
import { applyChange, emptyState, type RegistryState } from './state.ts'

export interface RegistryOptions {
  /** Default: the comparison of contracts, by proof. */
  readonly judge?: CompatibilityJudge
  /** Decides when waivers expire. */
  readonly clock?: Pick<Clock, 'now'>
}

/**
 * The registry in a store. It keeps a picture of the whole in memory (names, versions and digests; contents stay in the
 * store) and brings it up to date before each answer, which costs one read of what is new.
 */
export function openRegistry(store: Store, options: RegistryOptions = {}): Registry {
  const ledger = openLedger<RegistryState, StoredChange>({
    store,
    stream: 'registry',
    state: emptyState(),
    apply: applyChange,
  })
  const documents = openDocuments(store)
  const { judge = comparingJudge, clock = systemClock } = options
  const contracts = createContractDesk({ ledger, documents, judge, clock })
  return {
    ...contracts,
    ...createConsumerDesk(ledger, contracts),
    ...createDeploymentDesk(ledger),
    audit: (page) => ledger.history(page),
  }
}
