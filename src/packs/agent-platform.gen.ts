// Written by `treaty gen` from the contracts. Do not edit: change the contract and run it again.

/** What `openBus<Contracts>()` types: events, commands, consumers. */
export interface Contracts {
  events: {
    'agent.created': AgentCreated
    'agent.initialized': AgentInitialized
    'agent.state_changed': AgentStateChanged
    'agent.task_assigned': AgentTaskAssigned
    'agent.task_completed': AgentTaskCompleted
    'project.created': ProjectCreated
    'project.updated': ProjectUpdated
    'project.planning_started': ProjectPlanningStarted
    'project.execution_started': ProjectExecutionStarted
    'project.completed': ProjectCompleted
    'task.created': TaskCreated
    'task.updated': TaskUpdated
    'task.assigned': TaskAssigned
    'task.status_changed': TaskStatusChanged
    'task.completed': TaskCompleted
    'model.execution_requested': ModelExecutionRequested
    'model.execution_completed': ModelExecutionCompleted
    'tool.execution_requested': ToolExecutionRequested
    'tool.execution_completed': ToolExecutionCompleted
    'workflow.started': WorkflowStarted
    'workflow.step_completed': WorkflowStepCompleted
    'workflow.completed': WorkflowCompleted
    'system.service_started': SystemServiceStarted
    'system.service_health': SystemServiceHealth
    'system.error': SystemError
    'agent.terminated': AgentTerminated
    'project.failed': ProjectFailed
    'project.cancelled': ProjectCancelled
    'task.failed': TaskFailed
    'task.cancelled': TaskCancelled
    'model.execution_failed': ModelExecutionFailed
    'tool.execution_failed': ToolExecutionFailed
    'workflow.step_failed': WorkflowStepFailed
    'workflow.failed': WorkflowFailed
    'workflow.cancelled': WorkflowCancelled
  }
  commands: {
  }
  consumers: {
    'project-coordinator': 'workflow.started' | 'agent.initialized' | 'task.completed'
    'planning-system': 'project.planning_started' | 'project.execution_started' | 'agent.task_assigned' | 'agent.task_completed'
    'agent-orchestrator': 'project.planning_started' | 'task.assigned' | 'workflow.step_completed'
    'model-orchestration': 'workflow.started'
    'tool-integration': 'workflow.step_completed'
    'service-integration': 'project.created' | 'project.execution_started' | 'agent.task_assigned' | 'model.execution_completed' | 'tool.execution_completed'
    'system-monitor': 'agent.created' | 'agent.state_changed' | 'project.updated' | 'project.completed' | 'task.created' | 'task.updated' | 'task.status_changed' | 'model.execution_requested' | 'tool.execution_requested' | 'workflow.completed' | 'system.service_started' | 'system.service_health' | 'system.error'
    'failure-desk': 'agent.terminated' | 'project.failed' | 'project.cancelled' | 'task.failed' | 'task.cancelled' | 'model.execution_failed' | 'tool.execution_failed' | 'workflow.step_failed' | 'workflow.failed' | 'workflow.cancelled'
  }
}

/**
 * Sent when an agent has been made from a template, so that the platform knows it before it can work.
 */
export interface AgentCreated {
  /**
   * The agent.
   */
  agent_id: string
  /**
   * What people call it.
   */
  name: string
  /**
   * The template that it was made from.
   */
  template_id: string
  /**
   * What it is made for, in words of the template.
   */
  specializations: string[]
  /**
   * Where it stands in its life.
   */
  state: 'creating' | 'initializing' | 'ready' | 'active' | 'paused' | 'terminating'
}
/**
 * Sent when an agent has been prepared, so that its project can begin.
 */
export interface AgentInitialized {
  /**
   * The agent.
   */
  agent_id: string
  /**
   * Where it stands in its life.
   */
  state: 'creating' | 'initializing' | 'ready' | 'active' | 'paused' | 'terminating'
  /**
   * What it can do.
   */
  capabilities: string[]
}
/**
 * Sent when an agent passes to another state, so that whoever watches agents sees who is free.
 */
export interface AgentStateChanged {
  /**
   * The agent.
   */
  agent_id: string
  /**
   * The state before.
   */
  previous_state: 'creating' | 'initializing' | 'ready' | 'active' | 'paused' | 'terminating'
  /**
   * The state since; never the one before.
   */
  new_state: 'creating' | 'initializing' | 'ready' | 'active' | 'paused' | 'terminating'
  /**
   * Why, as one word.
   */
  reason?: string
}
/**
 * Sent when an agent takes a task on, so that the work on it is run and its status follows.
 */
export interface AgentTaskAssigned {
  /**
   * The agent.
   */
  agent_id: string
  /**
   * The task.
   */
  task_id: string
  /**
   * How urgent the task is.
   */
  priority: 'low' | 'medium' | 'high' | 'critical'
  /**
   * When it must be done.
   */
  deadline?: string
}
/**
 * Sent when an agent ends its work on a task, so that the planning system can close the task. Of the two reports on a task this one comes first.
 */
export interface AgentTaskCompleted {
  /**
   * The agent.
   */
  agent_id: string
  /**
   * The task.
   */
  task_id: string
  /**
   * How it ended.
   */
  status: 'success' | 'partial' | 'failed' | 'cancelled'
  /**
   * The result in one sentence.
   */
  result_summary: string
  /**
   * Where the result lies.
   */
  result_location?: string
}
/**
 * Sent when somebody asks for a project, so that its planning is run.
 */
export interface ProjectCreated {
  /**
   * The project.
   */
  project_id: string
  /**
   * What people call it.
   */
  name: string
  /**
   * What it is for.
   */
  description: string
  /**
   * What must be done.
   */
  requirements: string[]
  /**
   * Who asked for it.
   */
  created_by: string
}
/**
 * Sent when fields of a project change, so that copies of them can follow.
 */
export interface ProjectUpdated {
  /**
   * The project.
   */
  project_id: string
  /**
   * Names of the fields that changed; each stands beside this list with its new value, null where it was cleared.
   */
  updated_fields: string[]
  /**
   * What people call it. Null where it was cleared.
   */
  name?: string | null
  /**
   * What it is for. Null where it was cleared.
   */
  description?: string | null
  /**
   * What must be done. Null where it was cleared.
   */
  requirements?: string[] | null
  [k: string]: unknown
}
/**
 * Sent when the planning of a project begins, so that its tasks and its agent are made.
 */
export interface ProjectPlanningStarted {
  /**
   * The project.
   */
  project_id: string
  /**
   * This run of planning.
   */
  planning_id: string
}
/**
 * Sent when a project has an agent, so that its first task is given out and its planning is closed.
 */
export interface ProjectExecutionStarted {
  /**
   * The project.
   */
  project_id: string
  /**
   * This run of the project.
   */
  execution_id: string
  /**
   * The agents that work on it.
   */
  agent_ids: string[]
}
/**
 * Sent when the last task of a project is completed, so that whoever asked for it gets the results.
 */
export interface ProjectCompleted {
  /**
   * The project.
   */
  project_id: string
  /**
   * How it ended.
   */
  status: 'success' | 'partial' | 'failed' | 'cancelled'
  /**
   * The results in one sentence.
   */
  results_summary: string
  /**
   * Where the results lie.
   */
  results_location: string
}
/**
 * Sent when planning finds a task, so that the platform knows what there is to do.
 */
export interface TaskCreated {
  /**
   * The task.
   */
  task_id: string
  /**
   * The project.
   */
  project_id: string
  /**
   * The task in a few words.
   */
  title: string
  /**
   * What must be done.
   */
  description: string
  /**
   * How urgent it is.
   */
  priority: 'low' | 'medium' | 'high' | 'critical'
  /**
   * What an agent must be able to do to take it.
   */
  required_capabilities: string[]
  /**
   * Tasks that must be completed before.
   */
  dependencies: string[]
}
/**
 * Sent when fields of a task change, so that copies of them can follow.
 */
export interface TaskUpdated {
  /**
   * The task.
   */
  task_id: string
  /**
   * Names of the fields that changed; each stands beside this list with its new value, null where it was cleared.
   */
  updated_fields: string[]
  /**
   * The task in a few words. Null where it was cleared.
   */
  title?: string | null
  /**
   * What must be done. Null where it was cleared.
   */
  description?: string | null
  /**
   * How urgent it is. Null where it was cleared.
   */
  priority?: ('low' | 'medium' | 'high' | 'critical') | null
  /**
   * What an agent must be able to do to take it. Null where it was cleared.
   */
  required_capabilities?: string[] | null
  [k: string]: unknown
}
/**
 * Sent when a task is given to an agent, so that the agent takes it on.
 */
export interface TaskAssigned {
  /**
   * The task.
   */
  task_id: string
  /**
   * The agent.
   */
  agent_id: string
  /**
   * When it was given.
   */
  assignment_time: string
  /**
   * When it must be done.
   */
  deadline: string
}
/**
 * Sent when a task passes to another status, so that boards and reports follow.
 */
export interface TaskStatusChanged {
  /**
   * The task.
   */
  task_id: string
  /**
   * The status before.
   */
  previous_status:
    'pending' | 'assigned' | 'in_progress' | 'blocked' | 'completed' | 'failed' | 'cancelled'
  /**
   * The status since; never the one before.
   */
  new_status:
    'pending' | 'assigned' | 'in_progress' | 'blocked' | 'completed' | 'failed' | 'cancelled'
  /**
   * The agent that works on it; absent while nobody does.
   */
  agent_id?: string
}
/**
 * Sent when a task has ended, so that the project can end after its last one. The source of truth on what a task made.
 */
export interface TaskCompleted {
  /**
   * The task.
   */
  task_id: string
  /**
   * The agent.
   */
  agent_id: string
  /**
   * How it ended.
   */
  status: 'success' | 'partial' | 'failed' | 'cancelled'
  /**
   * When it ended.
   */
  completion_time: string
  /**
   * The result in one sentence.
   */
  result_summary: string
  /**
   * What it made; may be empty.
   */
  artifacts: {
    /**
     * File name.
     */
    name: string
    /**
     * Where it lies.
     */
    location: string
    /**
     * What kind it is, such as data_file.
     */
    type: string
    /**
     * Its size in bytes.
     */
    size_bytes: number
  }[]
}
/**
 * Sent when an agent needs a model, so that the use of models can be followed from the start.
 */
export interface ModelExecutionRequested {
  /**
   * This run of the model.
   */
  execution_id: string
  /**
   * The agent.
   */
  agent_id: string
  /**
   * The task.
   */
  task_id: string
  /**
   * The model, by name.
   */
  model_id: string
  /**
   * What the run is for, such as task_planning.
   */
  execution_type: string
  /**
   * How urgent it is.
   */
  priority: 'low' | 'medium' | 'high' | 'critical'
}
/**
 * Sent when a model has run, so that the workflow that waits for it goes on.
 */
export interface ModelExecutionCompleted {
  /**
   * This run of the model.
   */
  execution_id: string
  /**
   * The agent.
   */
  agent_id: string
  /**
   * The task.
   */
  task_id: string
  /**
   * The model, by name.
   */
  model_id: string
  /**
   * How it ended.
   */
  status: 'success' | 'partial' | 'failed' | 'cancelled'
  /**
   * How long it took, in milliseconds.
   */
  execution_time_ms: number
  /**
   * What it used.
   */
  token_usage: {
    /**
     * Tokens read.
     */
    prompt_tokens: number
    /**
     * Tokens written.
     */
    completion_tokens: number
    /**
     * The sum of both.
     */
    total_tokens: number
  }
}
/**
 * Sent when an agent needs a tool, so that the use of tools can be followed from the start.
 */
export interface ToolExecutionRequested {
  /**
   * This run of the tool.
   */
  execution_id: string
  /**
   * The agent.
   */
  agent_id: string
  /**
   * The task.
   */
  task_id: string
  /**
   * The tool, by name.
   */
  tool_id: string
  /**
   * What the tool is given; the tool says what it takes.
   */
  parameters: {
    [k: string]: unknown
  }
}
/**
 * Sent when a tool has run, so that the workflow that waits for it goes on.
 */
export interface ToolExecutionCompleted {
  /**
   * This run of the tool.
   */
  execution_id: string
  /**
   * The agent.
   */
  agent_id: string
  /**
   * The task.
   */
  task_id: string
  /**
   * The tool, by name.
   */
  tool_id: string
  /**
   * How it ended.
   */
  status: 'success' | 'partial' | 'failed' | 'cancelled'
  /**
   * How long it took, in milliseconds.
   */
  execution_time_ms: number
  /**
   * What the tool gave back; the tool says what.
   */
  result: {
    [k: string]: unknown
  }
}
/**
 * Sent when a workflow begins, so that the service that does its first step acts.
 */
export interface WorkflowStarted {
  /**
   * The workflow.
   */
  workflow_id: string
  /**
   * Which workflow, such as agent_task_execution.
   */
  workflow_type: string
  /**
   * Who began it.
   */
  initiated_by: string
  /**
   * What it is about.
   */
  context: {
    /**
     * The project.
     */
    project_id?: string
    /**
     * The agent.
     */
    agent_id?: string
    /**
     * The task.
     */
    task_id?: string
    [k: string]: unknown
  }
}
/**
 * Sent when a step of a workflow ends, so that the service that does the next step acts.
 */
export interface WorkflowStepCompleted {
  /**
   * The workflow.
   */
  workflow_id: string
  /**
   * The step, by its name in the workflow.
   */
  step_id: string
  /**
   * What kind of step, such as model_execution.
   */
  step_type: string
  /**
   * How it ended.
   */
  status: 'success' | 'partial' | 'failed' | 'cancelled'
  /**
   * What it gave back.
   */
  result: {
    [k: string]: unknown
  }
  /**
   * The step that follows; null or absent after the last.
   */
  next_step?: string | null
}
/**
 * Sent when a workflow ends, so that whoever watches workflows sees how long it took.
 */
export interface WorkflowCompleted {
  /**
   * The workflow.
   */
  workflow_id: string
  /**
   * How it ended.
   */
  status: 'success' | 'partial' | 'failed' | 'cancelled'
  /**
   * How long it took, in milliseconds.
   */
  execution_time_ms: number
  /**
   * The result in one sentence.
   */
  result_summary: string
  /**
   * Steps that ended well.
   */
  steps_completed: number
  /**
   * Steps that failed; none where the status is success.
   */
  steps_failed: number
}
/**
 * Sent when a service is up, so that operators see starts and restarts.
 */
export interface SystemServiceStarted {
  /**
   * The service, by name.
   */
  service_id: string
  /**
   * Its version (semver).
   */
  version: string
  /**
   * Where it runs, such as production.
   */
  environment: string
  /**
   * The machine that it runs on.
   */
  hostname: string
}
/**
 * Sent from time to time by each service, so that operators see how it is.
 */
export interface SystemServiceHealth {
  /**
   * The service, by name.
   */
  service_id: string
  /**
   * How it is.
   */
  status: 'healthy' | 'degraded' | 'unhealthy'
  /**
   * What it measured; other names are free.
   */
  metrics: {
    /**
     * Processor time used; over 100 with several cores.
     */
    cpu_usage_percent?: number
    /**
     * Memory used, in megabytes.
     */
    memory_usage_mb?: number
    /**
     * Open connections.
     */
    active_connections?: number
    /**
     * Messages that wait for it.
     */
    message_queue_depth?: number
    [k: string]: unknown
  }
  /**
   * How what it depends on is, by name.
   */
  dependencies: {
    [k: string]: 'healthy' | 'degraded' | 'unhealthy'
  }
}
/**
 * Sent when something goes wrong in a service, so that operators hear of it.
 */
export interface SystemError {
  /**
   * This error.
   */
  error_id: string
  /**
   * What kind, such as dependency_error.
   */
  error_type: string
  /**
   * How bad it is.
   */
  severity: 'info' | 'warning' | 'error' | 'critical'
  /**
   * What happened, in one sentence.
   */
  message: string
  /**
   * What the service was about.
   */
  context: {
    [k: string]: unknown
  }
  /**
   * For developers; left out where it would tell secrets.
   */
  stack_trace?: string
}
/**
 * Sent when an agent is gone for good, so that nobody gives it work.
 */
export interface AgentTerminated {
  /**
   * The agent.
   */
  agent_id: string
  /**
   * Why, in one sentence.
   */
  reason: string
}
/**
 * Sent when a project ends without its results, so that whoever asked for it hears why.
 */
export interface ProjectFailed {
  /**
   * The project.
   */
  project_id: string
  /**
   * What kind of failure, such as dependency_error.
   */
  error_type: string
  /**
   * Why, in one sentence.
   */
  reason: string
}
/**
 * Sent when somebody calls a project off, so that its tasks and workflows stop.
 */
export interface ProjectCancelled {
  /**
   * The project.
   */
  project_id: string
  /**
   * Who called it off.
   */
  cancelled_by: string
  /**
   * Why, in one sentence.
   */
  reason: string
}
/**
 * Sent when a task ends without its result, so that the plan can be changed.
 */
export interface TaskFailed {
  /**
   * The task.
   */
  task_id: string
  /**
   * The agent that worked on it; absent where nobody did.
   */
  agent_id?: string
  /**
   * How often it was tried.
   */
  attempts: number
  /**
   * What kind of failure, such as dependency_error.
   */
  error_type: string
  /**
   * Why, in one sentence.
   */
  reason: string
}
/**
 * Sent when somebody calls a task off, so that its agent becomes free.
 */
export interface TaskCancelled {
  /**
   * The task.
   */
  task_id: string
  /**
   * Who called it off.
   */
  cancelled_by: string
  /**
   * Why, in one sentence.
   */
  reason: string
}
/**
 * Sent when a model does not run to its end, so that another can be tried.
 */
export interface ModelExecutionFailed {
  /**
   * This run of the model.
   */
  execution_id: string
  /**
   * The task.
   */
  task_id: string
  /**
   * The model, by name.
   */
  model_id: string
  /**
   * True where the same run may go well later.
   */
  retryable: boolean
  /**
   * What kind of failure, such as dependency_error.
   */
  error_type: string
  /**
   * Why, in one sentence.
   */
  reason: string
}
/**
 * Sent when a tool does not run to its end, so that another can be tried.
 */
export interface ToolExecutionFailed {
  /**
   * This run of the tool.
   */
  execution_id: string
  /**
   * The task.
   */
  task_id: string
  /**
   * The tool, by name.
   */
  tool_id: string
  /**
   * True where the same run may go well later.
   */
  retryable: boolean
  /**
   * What kind of failure, such as dependency_error.
   */
  error_type: string
  /**
   * Why, in one sentence.
   */
  reason: string
}
/**
 * Sent when a step of a workflow fails, so that it is retried or compensated.
 */
export interface WorkflowStepFailed {
  /**
   * The workflow.
   */
  workflow_id: string
  /**
   * The step, by its name in the workflow.
   */
  step_id: string
  /**
   * How often it was tried.
   */
  attempts: number
  /**
   * What kind of failure, such as dependency_error.
   */
  error_type: string
  /**
   * Why, in one sentence.
   */
  reason: string
}
/**
 * Sent when a workflow ends without its result, so that whoever started it hears why.
 */
export interface WorkflowFailed {
  /**
   * The workflow.
   */
  workflow_id: string
  /**
   * The step that ended it.
   */
  failed_step: string
  /**
   * Steps that ended well before.
   */
  steps_completed: number
  /**
   * What kind of failure, such as dependency_error.
   */
  error_type: string
  /**
   * Why, in one sentence.
   */
  reason: string
}
/**
 * Sent when somebody calls a workflow off, so that its steps are not begun.
 */
export interface WorkflowCancelled {
  /**
   * The workflow.
   */
  workflow_id: string
  /**
   * Who called it off.
   */
  cancelled_by: string
  /**
   * Why, in one sentence.
   */
  reason: string
}
