/**
 * The pack `agent-platform`: 25 events by which the services of an agent platform drive projects, typed.
 *
 * @module treatyjs/packs/agent-platform
 */
import { createHash } from 'node:crypto'
import type { Contract, MessageBuilder, MessageBuilderOptions } from '../contracts/index.ts'
import { createMessageBuilder, loadPack } from '../contracts/index.ts'
import { uuidFromDigest } from '../core/ids.ts'
import type { Contracts } from './agent-platform.gen.ts'

export type {
  AgentCreated,
  AgentInitialized,
  AgentStateChanged,
  AgentTaskAssigned,
  AgentTaskCompleted,
  AgentTerminated,
  ModelExecutionCompleted,
  ModelExecutionFailed,
  ModelExecutionRequested,
  ProjectCancelled,
  ProjectCompleted,
  ProjectCreated,
  ProjectExecutionStarted,
  ProjectFailed,
  ProjectPlanningStarted,
  ProjectUpdated,
  SystemError,
  SystemServiceHealth,
  SystemServiceStarted,
  TaskAssigned,
  TaskCancelled,
  TaskCompleted,
  TaskCreated,
  TaskFailed,
  TaskStatusChanged,
  TaskUpdated,
  ToolExecutionCompleted,
  ToolExecutionFailed,
  ToolExecutionRequested,
  WorkflowCancelled,
  WorkflowCompleted,
  WorkflowFailed,
  WorkflowStarted,
  WorkflowStepCompleted,
  WorkflowStepFailed,
} from './agent-platform.gen.ts'

/** What `openBus<AgentPlatform>()` types: events, commands and consumers of the pack. */
export type AgentPlatform = Contracts

/** Names of the services that act in the pack. */
export const agentPlatformServices = [
  'agent-orchestrator',
  'project-coordinator',
  'planning-system',
  'model-orchestration',
  'tool-integration',
  'service-integration',
  'system-monitor',
] as const

/** The contracts of the pack: the 25 events, and our failure events. Read once. */
export function agentPlatform(): readonly Contract[] {
  return loadPack('agent-platform')
}

/** A builder of messages for one service of the pack; see `createMessageBuilder`. */
export function createAgentPlatformBuilder(
  options: Omit<MessageBuilderOptions, 'contracts'>,
): MessageBuilder<AgentPlatform> {
  return createMessageBuilder<AgentPlatform>({ ...options, contracts: agentPlatform() })
}

/**
 * A UUID (version 8) that is the same for the same words: what a service makes of a message it may handle twice.
 *
 * @see RFC 9562 section 5.8
 */
export function derivedId(...words: readonly string[]): string {
  return uuidFromDigest(createHash('sha256').update(JSON.stringify(words)).digest())
}
