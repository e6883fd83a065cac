/**
 * Contracts between agents: task span, handoff, artifact intent, gate result.
 *
 * @module treatyjs/a2a
 */
export type { Boundary, BoundaryFailureEvent, BoundaryOptions, Direction } from './boundary.ts'
export { createBoundary, validateInbound, validateOutbound } from './boundary.ts'
export type { ContractError, ContractErrorCode } from './contract-error.ts'
export type {
  AgentContractName,
  AgentContracts,
  ArtifactIntent,
  GateResult,
  HandoffContract,
  Phase,
  TaskSpanContract,
} from './contracts.ts'
export { agentContractNames, eventOfContract, phases } from './contracts.ts'
export type { ContractReport, ContractValidator, ContractVersion } from './validate-contract.ts'
export {
  agentContractSchema,
  createContractValidator,
  validateContract,
} from './validate-contract.ts'
