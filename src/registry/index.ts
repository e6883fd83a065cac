/** Who agreed to what, and what runs where: versions, environments, deployments, registrations. */

export type {
  CanIDeployRequest,
  DeployAnswer,
  DeployCheck,
  LiveService,
} from './can-i-deploy.ts'
export { canIDeploy } from './can-i-deploy.ts'
export type { DeployFacts } from './can-i-deploy-facts.ts'
export {
  askCanIDeploy,
  concerned,
  environmentsOf,
  factsFromRegistry,
  needEnvironment,
  registered,
} from './can-i-deploy-facts.ts'
export type { Change, ContractFacts, MessageSummary } from './changes.ts'
export { comparingJudge } from './comparing-judge.ts'
export { type ContractDocument, contractFrom, documentOf } from './contract-document.ts'
export { type DeployQuestion, deployRequest } from './deploy-question.ts'
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
export { openRegistry, type RegistryOptions } from './registry.ts'
export {
  type CompatibilityLevel,
  compatibilityLevels,
  type IdentifiedSchema,
  type Mode,
  type SchemaInput,
  type SchemaReference,
  type SubjectConfig,
  type SubjectJudge,
  type SubjectVersion,
} from './subjects/model.ts'
export { parseSubject, type SubjectName } from './subjects/names.ts'
export { type ProtocolCode, protocolCode, protocolCodes } from './subjects/refusal.ts'
export { type ListFilter, openSubjects, type Subjects } from './subjects/subjects.ts'
