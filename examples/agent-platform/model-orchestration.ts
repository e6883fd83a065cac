// Lets a model plan a task. The small model is out of reach now and then: that is reported, the bus tries again as
// the contract says, and the next attempt takes the large one.
import { derivedId } from 'treatyjs/packs/agent-platform'
import { derivedNumber, type Handle, runService, work } from './service.ts'

/** One task in so many meets a model that is out of reach. */
const failureOneIn = 6

const plan: Handle<'workflow.started'> = async ({ data }, { attempt, publish }) => {
  const { agent_id, task_id } = data.context
  if (data.workflow_type !== 'agent_task_execution' || !agent_id || !task_id) return
  const isOutOfReach = derivedNumber(failureOneIn, task_id, 'reach') === 0
  if (isOutOfReach && attempt === 1) {
    const message = 'planner-small is out of reach; planner-large takes over'
    await publish('system.error', {
      error_id: derivedId('error', task_id),
      error_type: 'dependency_error',
      severity: 'warning',
      message,
      context: { task_id, operation: 'model_execution', dependency: 'planner-small' },
    })
    throw new Error(message)
  }
  const execution_id = derivedId('run', 'model', task_id)
  const model_id = isOutOfReach ? 'planner-large' : 'planner-small'
  await publish('model.execution_requested', {
    execution_id,
    agent_id,
    task_id,
    model_id,
    execution_type: 'task_planning',
    priority: 'high',
  })
  const execution_time_ms = 20 + derivedNumber(40, execution_id, 'time')
  await work(execution_time_ms)
  const prompt_tokens = 256 + derivedNumber(512, execution_id, 'prompt')
  const completion_tokens = 64 + derivedNumber(256, execution_id, 'completion')
  await publish('model.execution_completed', {
    execution_id,
    agent_id,
    task_id,
    model_id,
    status: 'success',
    execution_time_ms,
    token_usage: {
      prompt_tokens,
      completion_tokens,
      total_tokens: prompt_tokens + completion_tokens,
    },
  })
}

await runService('model-orchestration', { 'workflow.started': plan })
