import type { Contract } from '../../contracts/index.ts'
import type { Finding } from '../../core/finding.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import type { GateRule } from './waivers.ts'

/** What a result is made from. */
interface Check {
  readonly rule: GateRule
  readonly title: string
  readonly result: 'pass' | 'fail'
  readonly blocking: boolean
  readonly findings: readonly Finding[]
  readonly waived: readonly Finding[]
}

/** Findings that one result carries as evidence; the reason counts the rest. */
const evidenceMax = 20

/** One check as the payload of a `GateResult` (pack `a2a-v1`), so that agents and pipelines read it like any other gate. */
export function gateResult(
  check: Check,
  {
    contract,
    digest,
    now,
  }: { readonly contract: Contract; readonly digest: string; readonly now: Date },
): JsonObject {
  const { rule, result, blocking, findings, waived } = check
  const isFailed = result === 'fail'
  const next = findings.find(({ hint }) => hint !== undefined)?.hint
  return {
    schema_version: 'v1',
    gate_id: `treaty.gate.${rule}`,
    phase: 'CONTRACT_INTEGRITY',
    result,
    severity: isFailed ? (blocking ? 'error' : 'warning') : 'info',
    checked_at: now.toISOString(),
    task_id: `${contract.id}@${contract.version}`,
    reason: reasonOf(check),
    ...(isFailed && next !== undefined ? { next_action: next } : {}),
    blocking: isFailed && blocking,
    evidence: [
      { type: 'contract-digest', ref: digest, description: `${contract.id} ${contract.version}` },
      ...findings.slice(0, evidenceMax).map((finding) => evidence('finding', finding)),
      ...waived.slice(0, evidenceMax).map((finding) => evidence('waived-finding', finding)),
    ],
  }
}

function reasonOf({ title, result, findings, waived }: Check): string {
  const [first, ...others] = findings
  if (result === 'pass' || first === undefined) {
    return waived.length === 0 ? title : `${title}, with ${waived.length} waived`
  }
  return others.length === 0 ? first.message : `${first.message}, and ${others.length} more`
}

function evidence(type: string, finding: Finding): Json {
  const { code, file, line, column, pointer, message } = finding
  const place = [file, line, column].filter((part) => part !== undefined).join(':')
  return { type, ref: `${code} ${place || pointer || ''}`.trim(), description: message }
}
