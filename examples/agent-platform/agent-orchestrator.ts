// Gives each project its agents, hands them their tasks, and reports when an agent is done.
import { idFor, runService } from './service.ts'

const roles = [
  { name: 'Analyst', specializations: ['task_execution', 'data_analysis'] },
  { name: 'Writer', specializations: ['task_execution', 'report_generation'] },
] as const

interface Run {
  agent_id: string
  task_id: string
}

await runService({
  name: 'agent-orchestrator',
  tables: `create table if not exists agent_orchestrator_runs (
    workflow_id text primary key, agent_id text not null, task_id text not null) strict`,

  handlers: (state) => ({
    'project.planning_started': async ({ data }: { data: { project_id: string } }, context) => {
      for (const [at, role] of roles.entries()) {
        await context.publish(
          'agent.created',
          {
            agent_id: idFor(data.project_id, 'agent', String(at)),
            name: role.name,
            template_id: idFor('template', role.name),
            specializations: role.specializations,
            state: 'initializing',
          },
          `agent ${at}`,
        )
      }
      return undefined
    },
    'agent.created': async (
      { data }: { data: { agent_id: string; specializations: string[] } },
      context,
    ) => {
      await context.publish('agent.initialized', {
        agent_id: data.agent_id,
        state: 'ready',
        capabilities: ['text_generation', ...data.specializations],
      })
      return undefined
    },
    'task.assigned': async ({ data }: { data: Run & { deadline: string } }, context) => {
      const { agent_id, task_id, deadline } = data
      await context.publish('agent.state_changed', {
        agent_id,
        previous_state: 'ready',
        new_state: 'active',
        reason: 'task_assignment',
      })
      await context.publish('agent.task_assigned', {
        agent_id,
        task_id,
        priority: 'high',
        deadline,
      })
      return undefined
    },
    'workflow.started': async (
      { data }: { data: { workflow_id: string; context: Run } },
      context,
    ) => {
      context.commit(
        'insert or ignore into agent_orchestrator_runs (workflow_id, agent_id, task_id) values (?, ?, ?)',
        data.workflow_id,
        data.context.agent_id,
        data.context.task_id,
      )
      return undefined
    },
    'workflow.completed': async (
      { data }: { data: { workflow_id: string; status: string; result_summary: string } },
      context,
    ) => {
      const run = state.row<Run>(
        'select * from agent_orchestrator_runs where workflow_id = ?',
        data.workflow_id,
      )
      if (!run) return context.later()
      const { agent_id, task_id } = run
      await context.publish('agent.state_changed', {
        agent_id,
        previous_state: 'active',
        new_state: 'ready',
        reason: 'task_completed',
      })
      await context.publish('agent.task_completed', {
        agent_id,
        task_id,
        status: data.status,
        result_summary: data.result_summary,
        result_location: `s3://results/tasks/${task_id}`,
      })
      return undefined
    },
  }),
})
