/** Who agreed to what, and what runs where: versions, environments, deployments, registrations. */

export type { Change, ContractFacts, MessageSummary } from './changes.ts'
export { type ContractDocument, contractFrom, documentOf } from './contract-document.ts'
export type { Recorded } from './ledger.ts'
export type {
  CompatibilityJudge,
  ConsumerFilter,
  ConsumerPush,
  ConsumerRegistration,
  ContractVersion,
  Deployment,
  DeploymentFilter,
  DeploymentInput,
  Environment,
  MessageVersion,
  Registered,
  RegisteredSchema,
  Registry,
  ReviewInput,
} from './model.ts'
export { needsView } from './needs-view.ts'
export { openRegistry, type RegistryOptions } from './registry.ts'
export { subsetJudge } from './subset-judge.ts'
