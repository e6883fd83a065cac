// Asks a model to plan a task. Models fail now and then: the bus tries again, as the contract says.
import { idFor, luckFor, runService, work } from './service.ts'

interface Request {
  execution_id: string
  agent_id: string
  task_id: string
  model_id: string
}

await runService({
  name: 'model-orchestration',
  handlers: () => ({
    'workflow.started': async (
      { data }: { data: { workflow_id: string; context: { agent_id: string; task_id: string } } },
      context,
    ) => {
      await context.publish('model.execution_requested', {
        execution_id: idFor(data.workflow_id, 'model'),
        agent_id: data.context.agent_id,
        task_id: data.context.task_id,
        model_id: 'planner-small',
        execution_type: 'task_planning',
        priority: 'high',
      })
      return undefined
    },
    'model.execution_requested': async ({ data }: { data: Request }, context) => {
      const { execution_id, agent_id, task_id, model_id } = data
      const execution_time_ms = 20 + luckFor(40, execution_id, 'time')
      await work(execution_time_ms)
      if (context.attempt === 1 && luckFor(6, execution_id, 'failure') === 0) {
        await context.publish('system.error', {
          error_id: idFor(execution_id, 'error'),
          error_type: 'dependency_error',
          severity: 'warning',
          message: `${model_id} answered 503`,
          context: { task_id, operation: 'model_execution', dependency: model_id },
        })
        throw new Error(`${model_id} answered 503`)
      }
      const prompt_tokens = 256 + luckFor(512, execution_id, 'prompt')
      const completion_tokens = 64 + luckFor(256, execution_id, 'completion')
      await context.publish('model.execution_completed', {
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
      return undefined
    },
  }),
})
