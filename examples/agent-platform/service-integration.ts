// Runs the workflow of one task: a model plans it, a tool does it, and the outcome goes back.
import { idFor, runService } from './service.ts'

interface Execution {
  execution_id: string
  agent_id: string
  task_id: string
  status: string
  execution_time_ms: number
}

const workflowId = (taskId: string) => idFor(taskId, 'workflow')

await runService({
  name: 'service-integration',
  tables: `create table if not exists service_integration_runs (
    workflow_id text primary key, model_ms integer not null, model_status text not null) strict`,

  handlers: (state) => ({
    'agent.task_assigned': async (
      message: { data: { agent_id: string; task_id: string }; correlation_id: string },
      context,
    ) => {
      const { agent_id, task_id } = message.data
      await context.publish('workflow.started', {
        workflow_id: workflowId(task_id),
        workflow_type: 'agent_task_execution',
        initiated_by: 'planning-system',
        context: { project_id: message.correlation_id, agent_id, task_id },
      })
      return undefined
    },
    'model.execution_completed': async ({ data }: { data: Execution }, context) => {
      await context.publish('workflow.step_completed', {
        workflow_id: workflowId(data.task_id),
        step_id: 'plan',
        step_type: 'model_execution',
        status: data.status,
        result: { execution_id: data.execution_id, agent_id: data.agent_id, task_id: data.task_id },
        next_step: 'carry_out',
      })
      context.commit(
        'insert or ignore into service_integration_runs (workflow_id, model_ms, model_status) values (?, ?, ?)',
        workflowId(data.task_id),
        data.execution_time_ms,
        data.status,
      )
      return undefined
    },
    'tool.execution_completed': async ({ data }: { data: Execution }, context) => {
      const workflow_id = workflowId(data.task_id)
      const run = state.row<{ model_ms: number; model_status: string }>(
        'select model_ms, model_status from service_integration_runs where workflow_id = ?',
        workflow_id,
      )
      if (!run) return context.later()
      await context.publish('workflow.step_completed', {
        workflow_id,
        step_id: 'carry_out',
        step_type: 'tool_execution',
        status: data.status,
        result: { execution_id: data.execution_id, agent_id: data.agent_id, task_id: data.task_id },
      })
      await context.publish('workflow.completed', {
        workflow_id,
        status: data.status,
        execution_time_ms: run.model_ms + data.execution_time_ms,
        result_summary: 'Planned by a model and carried out by a tool',
        steps_completed: 2,
        steps_failed: 0,
      })
      return undefined
    },
  }),
})
