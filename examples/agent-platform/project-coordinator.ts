// Leads a project through its life: planning, execution, completion.
import { derivedId } from 'treatyjs/packs/agent-platform'
import { steps, taskId } from './project-plan.ts'
import { type Handle, openState, runService } from './service.ts'

const state = openState(
  'create table if not exists project_coordinator_names (project_id text primary key, name text not null) strict',
)

const beginPlanning: Handle<'workflow.started'> = async (message, { publish, commit }) => {
  const { workflow_type, context } = message.data
  if (workflow_type !== 'project_planning') return
  // The correlation id of a project's messages is the project's own id.
  const project_id = message.correlation_id
  commit((database) => {
    database
      .prepare('insert or ignore into project_coordinator_names values (?, ?)')
      .run(project_id, String(context.name))
  })
  await publish('project.updated', {
    project_id,
    updated_fields: ['description'],
    description: `In ${steps.length} steps: ${steps.join(', ')}`,
  })
  await publish('project.planning_started', {
    project_id,
    planning_id: derivedId('planning', project_id),
  })
}

const beginExecution: Handle<'agent.initialized'> = async (message, { publish }) => {
  const project_id = message.correlation_id
  await publish('project.execution_started', {
    project_id,
    execution_id: derivedId('execution', project_id),
    agent_ids: [message.data.agent_id],
  })
}

const completeAfterLast: Handle<'task.completed'> = async (message, { publish }) => {
  const project_id = message.correlation_id
  if (message.data.task_id !== taskId(project_id, 'report')) return
  // Written three tasks ago, with the acknowledgement of the message that told it.
  const known = state.row<{ name: string }>(
    'select name from project_coordinator_names where project_id = ?',
    project_id,
  )
  await publish('project.completed', {
    project_id,
    status: 'success',
    results_summary: `${known?.name ?? project_id}: ${steps.length} tasks done`,
    results_location: `s3://results/projects/${project_id}`,
  })
}

await runService('project-coordinator', {
  'workflow.started': beginPlanning,
  'agent.initialized': beginExecution,
  'task.completed': completeAfterLast,
})
