// Makes the agent of a project, lets it take tasks on, and reports when it is done with one.
import { agentId } from './project-plan.ts'
import { derivedId, type Handle, runService } from './service.ts'

interface Assigned {
  task_id: string
  agent_id: string
  deadline: string
}
interface Step {
  step_type: string
  status: string
  result: { agent_id: string; task_id: string }
  next_step?: string | null
}

const specializations = ['data_analysis', 'report_generation']

const makeAgent: Handle<{ project_id: string }> = async ({ data: { project_id } }, { publish }) => {
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

const takeOn: Handle<Assigned> = async ({ data }, { publish }) => {
  const { agent_id, task_id, deadline } = data
  await publish('agent.state_changed', {
    agent_id,
    previous_state: 'ready',
    new_state: 'active',
    reason: 'task_assignment',
  })
  await publish('agent.task_assigned', { agent_id, task_id, priority: 'high', deadline })
}

const reportDone: Handle<Step> = async ({ data }, { publish }) => {
  // Another step follows: the agent is not done yet.
  if (typeof data.next_step === 'string') return
  const { agent_id, task_id } = data.result
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
