import type { Json, JsonObject } from '../../core/json.ts'

/** The contracts between agents, by name. */
export const agentContractNames = [
  'TaskSpanContract',
  'HandoffContract',
  'ArtifactIntent',
  'GateResult',
] as const
export type AgentContractName = (typeof agentContractNames)[number]

/** The phases of a pipeline, in order. */
export const phases = [
  'INIT_BASELINE',
  'EXPORT_CONTRACT',
  'CONTRACT_INTEGRITY',
  'INGEST_PARSE_ASSESS',
  'ROUTING_DECISION',
  'ARTISAN_DESIGN',
  'ARTISAN_IMPLEMENT',
  'TEST_VALIDATE',
  'REVIEW_CALIBRATE',
  'FINALIZE_VERIFY',
  'OTHER',
] as const
export type Phase = (typeof phases)[number]

/** One record of the life of a task as a span. Texts are never empty; absent is not null. */
export interface TaskSpanContract {
  readonly schema_version: 'v1'
  readonly project_id: string
  readonly task_id: string
  readonly phase: Phase
  readonly status: 'not_started' | 'in_progress' | 'blocked' | 'completed' | 'failed'
  readonly trace_id?: string
  readonly span_id?: string
  readonly parent_task_id?: string
  readonly acceptance_criteria?: readonly string[]
  readonly checksums?: {
    readonly source_checksum?: string
    readonly artifact_manifest_checksum?: string
    readonly project_context_checksum?: string
  }
  readonly metrics?: {
    readonly gap_count?: number
    readonly feature_count?: number
    readonly artifact_count?: number
    /** 0 to 100. */
    readonly complexity_score?: number
  }
  readonly blocked_reason?: string
  readonly blocked_on_span_id?: string
  readonly next_action?: string
  /** RFC 3339 date-time. */
  readonly timestamp?: string
}

/** One agent hands work to another. */
export interface HandoffContract {
  readonly schema_version: 'v1'
  readonly handoff_id: string
  readonly from_agent: string
  readonly to_agent: string
  readonly capability_id: string
  readonly inputs: JsonObject
  readonly expected_output: { readonly type: string; readonly schema_ref?: string }
  readonly project_id?: string
  readonly trace_id?: string
  readonly parent_task_id?: string
  /** Absent means `normal`. */
  readonly priority?: 'low' | 'normal' | 'high' | 'critical'
  /** Absent means `pending`. */
  readonly status?: 'pending' | 'accepted' | 'in_progress' | 'completed' | 'failed' | 'expired'
  readonly result_trace_id?: string
  readonly error?: string
  /** RFC 3339 date-time. */
  readonly created_at?: string
  /** RFC 3339 date-time. */
  readonly deadline?: string
}

/** An artifact is needed; said before it is made. */
export interface ArtifactIntent {
  readonly schema_version: 'v1'
  readonly artifact_id: string
  readonly artifact_type: string
  readonly intent: 'create' | 'update' | 'validate' | 'deprecate'
  readonly owner: string
  /** At least one. */
  readonly parameter_sources: Readonly<Record<string, Json>>
  readonly artifact_category?: 'observability' | 'onboarding' | 'integrity'
  readonly task_id?: string
  readonly promoted_to_task?: boolean
  readonly promotion_reason?:
    | 'lifecycle'
    | 'dependency'
    | 'risk'
    | 'ownership'
    | 'traceability'
    | 'none'
  readonly output_convention?: { readonly output_path?: string; readonly output_ext?: string }
  readonly semantic_conventions?: JsonObject
  readonly acceptance_criteria?: readonly string[]
}

/** The outcome of a check at the boundary between two phases. */
export interface GateResult {
  readonly schema_version: 'v1'
  readonly gate_id: string
  readonly phase: Phase
  readonly result: 'pass' | 'fail'
  readonly severity: 'info' | 'warning' | 'error' | 'critical'
  /** RFC 3339 date-time. */
  readonly checked_at: string
  readonly trace_id?: string
  readonly task_id?: string
  readonly reason?: string
  readonly next_action?: string
  /** True when this failure stops the next phase. */
  readonly blocking?: boolean
  readonly evidence?: readonly {
    readonly type: string
    readonly ref: string
    readonly description?: string
  }[]
}

/** Name of a contract → what it holds. */
export interface AgentContracts {
  readonly TaskSpanContract: TaskSpanContract
  readonly HandoffContract: HandoffContract
  readonly ArtifactIntent: ArtifactIntent
  readonly GateResult: GateResult
}

/** Name of a contract → the event of the pack `a2a-v1` that carries it. */
export const eventOfContract: Readonly<Record<AgentContractName, string>> = {
  TaskSpanContract: 'a2a.task_span',
  HandoffContract: 'a2a.handoff',
  ArtifactIntent: 'a2a.artifact_intent',
  GateResult: 'a2a.gate_result',
}
