// Opens a project, starts its execution once agents and plan are there, and closes it when every task is done.
import { runService } from './service.ts'

interface Created {
  project_id: string
  name: string
  requirements: string[]
}
interface Project {
  name: string
  expected: number
  agents: string
  planned: number
  done: number
}
interface Progress {
  project_id: string
  updated_fields: string[]
  joined_agent?: string
  planned_task?: string
  finished_task?: string
}

/** Agents that work on one project. */
const agentsNeeded = 2

await runService({
  name: 'project-coordinator',
  tables: `create table if not exists project_coordinator_projects (
    project_id text primary key, name text not null, expected integer not null,
    agents text not null default '[]', planned integer not null default 0, done integer not null default 0) strict`,

  // The driver opens each story with the project's own id as correlation id, so every message says which project it is about.
  handlers: (state) => ({
    'project.created': async ({ data }: { data: Created }, context) => {
      await context.publish('project.planning_started', {
        project_id: data.project_id,
        planning_id: `plan-${data.project_id}`,
      })
      context.commit(
        'insert or ignore into project_coordinator_projects (project_id, name, expected) values (?, ?, ?)',
        data.project_id,
        data.name,
        data.requirements.length,
      )
      return undefined
    },

    // Agents, plan and results arrive on other channels, in any order. Each becomes an update of the project, on the
    // project's own key: there they are handled one after the other, so counting them needs no lock.
    'agent.initialized': async (
      message: { correlation_id: string; data: { agent_id: string } },
      context,
    ) => {
      await context.publish('project.updated', {
        project_id: message.correlation_id,
        updated_fields: ['joined_agent'],
        joined_agent: message.data.agent_id,
      })
      return undefined
    },
    'task.created': async (
      { data }: { data: { project_id: string; task_id: string } },
      context,
    ) => {
      await context.publish('project.updated', {
        project_id: data.project_id,
        updated_fields: ['planned_task'],
        planned_task: data.task_id,
      })
      return undefined
    },
    'task.completed': async (
      message: { correlation_id: string; data: { task_id: string } },
      context,
    ) => {
      await context.publish('project.updated', {
        project_id: message.correlation_id,
        updated_fields: ['finished_task'],
        finished_task: message.data.task_id,
      })
      return undefined
    },

    'project.updated': async ({ data }: { data: Progress }, context) => {
      const { project_id } = data
      const project = state.row<Project>(
        'select * from project_coordinator_projects where project_id = ?',
        project_id,
      )
      if (!project) return context.later()
      const agents: string[] = JSON.parse(project.agents)
      if (data.joined_agent) agents.push(data.joined_agent)
      const planned = project.planned + (data.planned_task ? 1 : 0)
      const done = project.done + (data.finished_task ? 1 : 0)
      const isReady = agents.length === agentsNeeded && planned === project.expected
      if (isReady && !data.finished_task) {
        await context.publish('project.execution_started', {
          project_id,
          execution_id: `run-${project_id}`,
          agent_ids: agents.toSorted(),
        })
      }
      if (done === project.expected) {
        await context.publish('project.completed', {
          project_id,
          status: 'success',
          results_summary: `${project.name}: ${done} of ${project.expected} tasks done by ${agents.length} agents`,
          results_location: `s3://results/projects/${project_id}`,
        })
      }
      context.commit(
        'update project_coordinator_projects set agents = ?, planned = ?, done = ? where project_id = ?',
        JSON.stringify(agents),
        planned,
        done,
        project_id,
      )
      return undefined
    },
  }),
})
