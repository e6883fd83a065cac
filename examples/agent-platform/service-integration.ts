// Runs the two kinds of workflow: planning a project, and carrying out a task by a model and then a tool.
import { executionWorkflowId, planningId } from './project-plan.ts'
import { type Handle, runService } from './service.ts'

const startPlanning: Handle<'project.created'> = async ({ data }, { publish }) => {
  const { project_id, name } = data
  await publish('workflow.started', {
    workflow_id: planningId(project_id),
    workflow_type: 'project_planning',
    initiated_by: 'project-coordinator',
    context: { project_id, name },
  })
}

const endPlanning: Handle<'project.execution_started'> = async (
  { data: { project_id } },
  { publish },
) => {
  await publish('workflow.completed', {
    workflow_id: planningId(project_id),
    status: 'success',
    execution_time_ms: 0,
    result_summary: 'Planned, and an agent is ready',
    steps_completed: 1,
    steps_failed: 0,
  })
}

const startExecution: Handle<'agent.task_assigned'> = async (message, { publish }) => {
  const { agent_id, task_id } = message.data
  await publish('workflow.started', {
    workflow_id: executionWorkflowId(task_id),
    workflow_type: 'agent_task_execution',
    initiated_by: 'agent-orchestrator',
    context: { project_id: message.correlation_id, agent_id, task_id },
  })
}

const endPlan: Handle<'model.execution_completed'> = async ({ data }, { publish }) => {
  const { execution_id, agent_id, task_id, status } = data
  await publish('workflow.step_completed', {
    workflow_id: executionWorkflowId(task_id),
    step_id: 'plan',
    step_type: 'model_execution',
    status,
    result: { execution_id, agent_id, task_id, model_ms: data.execution_time_ms },
    next_step: 'run_tool',
  })
}

const endTool: Handle<'tool.execution_completed'> = async ({ data }, { publish }) => {
  const { execution_id, agent_id, task_id, status } = data
  const workflow_id = executionWorkflowId(task_id)
  await publish('workflow.step_completed', {
    workflow_id,
    step_id: 'run_tool',
    step_type: 'tool_execution',
    status,
    result: { execution_id, agent_id, task_id },
  })
  await publish('workflow.completed', {
    workflow_id,
    status,
    execution_time_ms: data.execution_time_ms,
    result_summary: 'Planned by a model and carried out by a tool',
    steps_completed: 2,
    steps_failed: 0,
  })
}

await runService('service-integration', {
  'project.created': startPlanning,
  'project.execution_started': endPlanning,
  'agent.task_assigned': startExecution,
  'model.execution_completed': endPlan,
  'tool.execution_completed': endTool,
})
