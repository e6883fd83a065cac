// Makes the agent of a project, lets it take tasks on, and reports when it is done with one.
import { derivedId } from 'treatyjs/packs/agent-platform'
import { agentId } from './project-plan.ts'
import { type Handle, runService } from './service.ts'

/** What the steps of a workflow hand on in their open result. */
interface Run {
  agent_id: string
  task_id: string
}

const specializations = ['data_analysis', 'report_generation']

const makeAgent: Handle<'project.planning_started'> = async (
  { data: { project_id } },
  { publish },
) => {
  const agent_id = agentId(project_id)
  await publish('agent.created', {
    agent_id,
    name: `Analyst ${agent_id.slice(0, 8)}`,
    template_id: derivedId('template', 'analyst'),
    specializations,
    state: 'initializing',
  })
  await publish('agent.initialized', {
    agent_id,
    state: 'ready',
    capabilities: ['text_generation', ...specializations],
  })
}

const takeOn: Handle<'task.assigned'> = async ({ data }, { publish }) => {
  const { agent_id, task_id, deadline } = data
  await publish('agent.state_changed', {
    agent_id,
    previous_state: 'ready',
    new_state: 'active',
    reason: 'task_assignment',
  })
  await publish('agent.task_assigned', { agent_id, task_id, priority: 'high', deadline })
}

const reportDone: Handle<'workflow.step_completed'> = async ({ data }, { publish }) => {
  // Another step follows: the agent is not done yet.
  if (typeof data.next_step === 'string') return
  const { agent_id, task_id } = data.result as unknown as Run
  // First: the next task may be given to the agent as soon as this one is reported.
  await publish('agent.state_changed', {
    agent_id,
    previous_state: 'active',
    new_state: 'ready',
    reason: 'task_completed',
  })
  await publish('agent.task_completed', {
    agent_id,
    task_id,
    status: data.status,
    result_summary: 'planned by a model and carried out by a tool',
    result_location: `s3://results/tasks/${task_id}`,
  })
}

await runService('agent-orchestrator', {
  'project.planning_started': makeAgent,
  'task.assigned': takeOn,
  'workflow.step_completed': reportDone,
})
