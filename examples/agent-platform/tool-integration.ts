// Carries out with a tool what a model has planned.
import { idFor, luckFor, runService, work } from './service.ts'

interface Step {
  workflow_id: string
  next_step?: string
  result: { agent_id: string; task_id: string }
}
interface Request {
  execution_id: string
  agent_id: string
  task_id: string
  tool_id: string
}

await runService({
  name: 'tool-integration',
  handlers: () => ({
    'workflow.step_completed': async ({ data }: { data: Step }, context) => {
      // The last step of a workflow asks for nothing more.
      if (data.next_step === undefined) return undefined
      await context.publish('tool.execution_requested', {
        execution_id: idFor(data.workflow_id, 'tool'),
        agent_id: data.result.agent_id,
        task_id: data.result.task_id,
        tool_id: 'data_cleaner',
        parameters: {
          input_file: `s3://data/${data.result.task_id}.csv`,
          operations: ['remove_duplicates', 'handle_missing_values'],
        },
      })
      return undefined
    },
    'tool.execution_requested': async ({ data }: { data: Request }, context) => {
      const { execution_id, agent_id, task_id, tool_id } = data
      const execution_time_ms = 15 + luckFor(30, execution_id, 'time')
      await work(execution_time_ms)
      await context.publish('tool.execution_completed', {
        execution_id,
        agent_id,
        task_id,
        tool_id,
        status: 'success',
        execution_time_ms,
        result: {
          output_file: `s3://results/${task_id}.csv`,
          rows_processed: 1000 + luckFor(9000, execution_id, 'rows'),
          duplicates_removed: luckFor(200, execution_id, 'duplicates'),
        },
      })
      return undefined
    },
  }),
})
