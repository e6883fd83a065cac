// Runs the tool that carries out what a model has planned.
import { derivedId } from 'treatyjs/packs/agent-platform'
import { derivedNumber, type Handle, runService, work } from './service.ts'

/** What the steps of a workflow hand on in their open result. */
interface Run {
  agent_id: string
  task_id: string
}

const runTool: Handle<'workflow.step_completed'> = async ({ data }, { publish }) => {
  if (data.next_step !== 'run_tool') return
  const { agent_id, task_id } = data.result as unknown as Run
  const execution_id = derivedId('run', 'tool', task_id)
  const tool_id = 'data_cleaner'
  await publish('tool.execution_requested', {
    execution_id,
    agent_id,
    task_id,
    tool_id,
    parameters: {
      input_file: `s3://data/${task_id}.csv`,
      operations: ['remove_duplicates', 'handle_missing_values'],
    },
  })
  const execution_time_ms = 15 + derivedNumber(30, execution_id, 'time')
  await work(execution_time_ms)
  await publish('tool.execution_completed', {
    execution_id,
    agent_id,
    task_id,
    tool_id,
    status: 'success',
    execution_time_ms,
    result: {
      output_file: `s3://results/tasks/${task_id}/clean.csv`,
      rows_processed: 1000 + derivedNumber(9000, execution_id, 'rows'),
      duplicates_removed: derivedNumber(200, execution_id, 'duplicates'),
    },
  })
}

await runService('tool-integration', { 'workflow.step_completed': runTool })
