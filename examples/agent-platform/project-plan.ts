// What the services have agreed about a project beside its messages: three tasks, one after the other, one agent.
import { derivedId } from 'treatyjs/packs/agent-platform'

/** The tasks of every project, in order. */
export const steps = ['prepare', 'analyse', 'report'] as const
export type Step = (typeof steps)[number]

export const taskId = (projectId: string, step: Step) => derivedId('task', projectId, step)
export const agentId = (projectId: string) => derivedId('agent', projectId)
export const planningId = (projectId: string) => derivedId('workflow', projectId)
export const executionWorkflowId = (task: string) => derivedId('workflow', task)

/** The step that a task of this project is. */
export function stepOf(projectId: string, task: string): Step | undefined {
  return steps.find((step) => taskId(projectId, step) === task)
}
