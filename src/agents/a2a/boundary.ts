import { metrics, trace } from '@opentelemetry/api'
import type { Clock } from '../../core/clock.ts'
import { systemClock } from '../../core/clock.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import type { Json } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { ContractError } from './contract-error.ts'
import type { AgentContractName, AgentContracts, GateResult, Phase } from './contracts.ts'
import { phases } from './contracts.ts'
import type { ContractReport, ContractValidator } from './validate-contract.ts'
import { validateContract } from './validate-contract.ts'

/** Which way a payload crosses: out of here, or in. */
export type Direction = 'outbound' | 'inbound'

export interface BoundaryOptions {
  /** Told the outcome of each crossing, good or bad, as a gate result that satisfies its own contract. */
  readonly emit?: (gate: GateResult) => void
  /** Default: version `v1` alone. */
  readonly validate?: ContractValidator
  readonly clock?: Pick<Clock, 'now'>
  /** Name of the boundary in gate ids. Default `boundary`. */
  readonly name?: string
}

/** A trust boundary: what crosses it satisfies its contract. */
export interface Boundary {
  /** Call it before a payload is sent or written. The same object, when it is valid. @throws BOUNDARY_REFUSED · AGENT_CONTRACT_UNKNOWN */
  outbound<Name extends AgentContractName>(name: Name, payload: unknown): AgentContracts[Name]
  /** Call it when a payload is received, before anything reads it. As {@link Boundary.outbound}. */
  inbound<Name extends AgentContractName>(name: Name, payload: unknown): AgentContracts[Name]
}

/** What is reported when a payload is refused. */
export interface BoundaryFailureEvent {
  readonly event_type: `handoff.validation.${Direction}.failed`
  readonly contract_name: AgentContractName
  readonly direction: Direction
  readonly error_count: number
  readonly errors: readonly ContractError[]
  /** RFC 3339 date-time. */
  readonly timestamp: string
}

/** Errors that a span event carries; the rest are counted. */
const spanErrorsMax = 3

interface Crossing {
  readonly direction: Direction
  readonly name: AgentContractName
  readonly report: ContractReport
}

function tellSpan({ direction, name, report }: Crossing): void {
  const span = trace.getActiveSpan()
  if (span?.isRecording() !== true) return
  if (report.valid) {
    span.addEvent('handoff.validated', { contract_name: name, direction })
    return
  }
  const attributes: Record<string, string | number> = {
    contract_name: name,
    direction,
    error_count: report.errors.length,
  }
  for (const [at, error] of report.errors.slice(0, spanErrorsMax).entries()) {
    attributes[`error.${at}.code`] = error.error_code
    attributes[`error.${at}.path`] = error.failed_path
  }
  span.addEvent(`handoff.validation.${direction}.failed`, attributes)
}

function count({ direction, name, report }: Crossing): void {
  metrics
    .getMeter('treaty')
    .createCounter('treaty.a2a.validations', {
      description: 'Payloads judged at a boundary between agents.',
      unit: '{payload}',
    })
    .add(1, { contract_name: name, direction, result: report.valid ? 'pass' : 'fail' })
}

const textOf = (payload: unknown, field: string): string | undefined => {
  const value = isJsonObject(payload) && Object.hasOwn(payload, field) ? payload[field] : undefined
  return typeof value === 'string' && value !== '' ? value : undefined
}

function phaseOf(payload: unknown): Phase {
  const phase = textOf(payload, 'phase')
  return phases.find((one) => one === phase) ?? 'OTHER'
}

function toGateResult(
  crossing: Crossing,
  payload: unknown,
  options: { now: number; boundary: string },
): GateResult {
  const { direction, name, report } = crossing
  const [traceId, taskId] = [textOf(payload, 'trace_id'), textOf(payload, 'task_id')]
  const first = report.errors[0]
  return {
    schema_version: 'v1',
    gate_id: `${options.boundary}-${direction}-${name}`,
    phase: phaseOf(payload),
    result: report.valid ? 'pass' : 'fail',
    severity: report.valid ? 'info' : 'error',
    checked_at: new Date(options.now).toISOString(),
    ...(traceId === undefined ? {} : { trace_id: traceId }),
    ...(taskId === undefined ? {} : { task_id: taskId }),
    reason:
      first === undefined
        ? `the ${name} satisfies its contract`
        : `${report.errors.length} rules of ${name} are broken, first at ${first.failed_path}: ${first.message}`,
    next_action: first?.next_action ?? 'Go on.',
    blocking: !report.valid,
    evidence: report.errors.map((error) => ({
      type: error.error_code,
      ref: error.failed_path,
      description: error.message,
    })),
  }
}

function toFinding(error: ContractError): Finding {
  const code: ErrorCode = 'SCHEMA_MISMATCH'
  return {
    code,
    severity: 'error',
    message: `${error.failed_path}: ${error.message}`,
    pointer: error.failed_path === '/' ? '' : error.failed_path,
    hint: error.next_action,
  }
}

function refusal({ direction, name, report }: Crossing, now: number): TreatyError {
  const shown = report.errors
    .slice(0, spanErrorsMax)
    .map(({ failed_path, message }) => `${failed_path} ${message}`)
  const rest = report.errors.length - shown.length
  const more = rest > 0 ? ` (and ${rest} more)` : ''
  const event: BoundaryFailureEvent = {
    event_type: `handoff.validation.${direction}.failed`,
    contract_name: name,
    direction,
    error_count: report.errors.length,
    errors: report.errors,
    timestamp: new Date(now).toISOString(),
  }
  return new TreatyError(
    'BOUNDARY_REFUSED',
    `${direction} ${name} was refused: ${shown.join('; ')}${more}`,
    {
      hint: report.errors[0]?.next_action ?? 'Correct the payload.',
      details: { ...event, errors: report.errors as unknown as Json },
      findings: report.errors.map(toFinding),
    },
  )
}

/**
 * A boundary between agents. Each crossing is judged, counted (`treaty.a2a.validations`), told to the active span (`handoff.validated`, or
 * `handoff.validation.<direction>.failed` with the first three errors) and to `emit`.
 */
export function createBoundary(options: BoundaryOptions = {}): Boundary {
  const {
    emit,
    validate = validateContract,
    clock = systemClock,
    name: boundary = 'boundary',
  } = options
  const cross = <Name extends AgentContractName>(
    direction: Direction,
    name: Name,
    payload: unknown,
  ) => {
    const crossing: Crossing = { direction, name, report: validate(name, payload) }
    const now = clock.now()
    count(crossing)
    tellSpan(crossing)
    emit?.(toGateResult(crossing, payload, { now, boundary }))
    if (!crossing.report.valid) throw refusal(crossing, now)
    return payload as AgentContracts[Name]
  }
  return {
    outbound: (name, payload) => cross('outbound', name, payload),
    inbound: (name, payload) => cross('inbound', name, payload),
  }
}

const plain = createBoundary()

/**
 * Judges a payload before it is sent or written, and gives back the same object.
 *
 * @throws BOUNDARY_REFUSED with every error in `findings`, and the failure event in `details` · AGENT_CONTRACT_UNKNOWN
 */
export function validateOutbound<Name extends AgentContractName>(
  name: Name,
  payload: unknown,
): AgentContracts[Name] {
  return plain.outbound(name, payload)
}

/**
 * Judges a payload when it is received, before anything reads it, and gives back the same object.
 *
 * @throws BOUNDARY_REFUSED with every error in `findings`, and the failure event in `details` · AGENT_CONTRACT_UNKNOWN
 */
export function validateInbound<Name extends AgentContractName>(
  name: Name,
  payload: unknown,
): AgentContracts[Name] {
  return plain.inbound(name, payload)
}
