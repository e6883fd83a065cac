// Plans the tasks of a project, gives them out one after the other, and says what became of each.
import { type Step, stepOf, steps, taskId } from './project-plan.ts'
import { type Handle, runService, timeAfter } from './service.ts'

/** Time that an agent gets for a task. */
const deadlineMs = 3_600_000

const titles: Readonly<Record<Step, string>> = {
  prepare: 'Collect and clean the data',
  analyse: 'Find what the data says',
  report: 'Write it up',
}

const planTasks: Handle<'project.planning_started'> = async (
  { data: { project_id } },
  { publish },
) => {
  for (const [at, step] of steps.entries()) {
    const before = steps[at - 1]
    await publish(
      'task.created',
      {
        task_id: taskId(project_id, step),
        project_id,
        title: titles[step],
        description: `Step ${at + 1} of ${steps.length}`,
        priority: at === 0 ? 'high' : 'medium',
        required_capabilities: [step],
        dependencies: before === undefined ? [] : [taskId(project_id, before)],
      },
      step,
    )
  }
  await publish('task.updated', {
    task_id: taskId(project_id, 'prepare'),
    updated_fields: ['description'],
    description: 'Step 1 of 3: collect and clean the data, and say what is missing',
  })
}

const assignFirst: Handle<'project.execution_started'> = async (message, { publish }) => {
  const { project_id, agent_ids } = message.data
  const [agent_id] = agent_ids
  if (agent_id === undefined) return
  await publish('task.assigned', {
    task_id: taskId(project_id, 'prepare'),
    agent_id,
    assignment_time: message.timestamp,
    deadline: timeAfter(message, deadlineMs),
  })
}

const begin: Handle<'agent.task_assigned'> = async (
  { data: { task_id, agent_id } },
  { publish },
) => {
  await publish('task.status_changed', {
    task_id,
    previous_status: 'pending',
    new_status: 'in_progress',
    agent_id,
  })
}

const finish: Handle<'agent.task_completed'> = async (message, { publish }) => {
  const { task_id, agent_id, status, result_summary } = message.data
  const project_id = message.correlation_id
  await publish('task.status_changed', {
    task_id,
    previous_status: 'in_progress',
    new_status: 'completed',
    agent_id,
  })
  await publish('task.completed', {
    task_id,
    agent_id,
    status,
    completion_time: message.timestamp,
    result_summary,
    artifacts: [
      {
        name: 'result.json',
        location: `s3://results/tasks/${task_id}/result.json`,
        type: 'data_file',
        size_bytes: 2048,
      },
    ],
  })
  const step = stepOf(project_id, task_id)
  const next = step && steps[steps.indexOf(step) + 1]
  if (next === undefined) return
  await publish('task.assigned', {
    task_id: taskId(project_id, next),
    agent_id,
    assignment_time: message.timestamp,
    deadline: timeAfter(message, deadlineMs),
  })
}

await runService('planning-system', {
  'project.planning_started': planTasks,
  'project.execution_started': assignFirst,
  'agent.task_assigned': begin,
  'agent.task_completed': finish,
})
