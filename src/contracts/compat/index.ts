export type {
  MigrationOptions,
  MigrationReport,
  MigrationStep,
  Retirement,
} from '../evolve/migration.ts'
export { migrationReport } from '../evolve/migration.ts'
export { checkUpcasts } from '../evolve/upcast-check.ts'
export { sampleMessages } from '../evolve/upcast-samples.ts'
export type { CompareContractsOptions } from './compare-contracts.ts'
export { compareContracts } from './compare-contracts.ts'
export type { Description } from './compare-describe.ts'
export type {
  CompareSchemasOptions,
  DirectionVerdict,
  RuleBreak,
  SchemaVerdict,
} from './compare-schemas.ts'
export { compareSchemas } from './compare-schemas.ts'
export type { ContractVerdict, MessageChange, SchemaBreak } from './compare-verdict.ts'
export { confluentDifferences, harmfulDifferences } from './confluent.ts'
export type { ConfluentDifference } from './confluent-difference.ts'
export type { ConfluentRule } from './confluent-rules.ts'
export { isHarmless } from './confluent-rules.ts'
export type { ConsumerImpact, EventImpact, ImpactOptions } from './impact.ts'
export { consumerImpact, impactOn } from './impact.ts'
export { checkNeeds } from './impact-needs.ts'
export type { Draft } from './load/dialect.ts'
export type { Mode, Policy } from './policies.ts'
export { modeOf } from './policies.ts'
export type { Part, StructuralChange } from './roles.ts'
export type { Bump } from './semver-bump.ts'
export { isBumpEnough, nextVersion } from './semver-bump.ts'
export type { DraftName, SubsetOptions } from './subset.ts'
export { isSubset } from './subset.ts'
export type { Breaking, Compatible, Unknown, Verdict } from './verdict.ts'
