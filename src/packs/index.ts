export type { PackName } from '../contracts/index.ts'
export { loadPack, packFolder, packNames } from '../contracts/index.ts'
export type { AgentPlatform } from './agent-platform.ts'
export {
  agentPlatform,
  agentPlatformServices,
  createAgentPlatformBuilder,
  derivedId,
} from './agent-platform.ts'
