import type { ContractVerdict } from '../../contracts/compat/index.ts'
import { compareContracts } from '../../contracts/compat/index.ts'
import type { Contract, JsonSchema } from '../../contracts/index.ts'
import { compileSchema, contractDigest, qualityGate } from '../../contracts/index.ts'
import type { Finding } from '../../core/finding.ts'
import type { JsonObject } from '../../core/json.ts'
import { gateResult } from './gate-result.ts'
import type { GateRule } from './waivers.ts'
import { judgeWaivers, waiverFor } from './waivers.ts'

/** What a gate is asked about. */
export interface GateRequest {
  readonly contract: Contract
  /**
   * Earlier versions; empty: it is known to be the first. Absent: nobody looked, so what depends on them fails, for
   * what could not be checked has not passed.
   */
  readonly earlier?: readonly Contract[]
  /** Findings of loading the contract, with their places: they count where a rule is about them. */
  readonly findings?: readonly Finding[]
  /** Decides which waivers have expired, and dates the results. */
  readonly now: Date
}

/** The outcome of one check. */
export interface GateCheck {
  readonly rule: GateRule
  readonly title: string
  readonly result: 'pass' | 'fail'
  /** True when the contract's `gate.block` names the rule: then a failure stops the release. */
  readonly blocking: boolean
  /** What failed. */
  readonly findings: readonly Finding[]
  /** What would have failed without a waiver that counts. */
  readonly waived: readonly Finding[]
}

/** The quality gate of one contract: computed, never ticked. */
export interface GateReport {
  readonly id: string
  readonly version: string
  /** What was judged; reviews are bound to it. */
  readonly digest: string
  /** `fail` when a blocking check fails. */
  readonly result: 'pass' | 'fail'
  readonly checks: readonly GateCheck[]
  /** Each check as a `GateResult` of the pack `a2a-v1`. */
  readonly results: readonly JsonObject[]
  /** What changed since the latest earlier version; absent for a first version, or where none was given. */
  readonly verdict?: ContractVerdict
}

type Evidence = Readonly<Record<GateRule, readonly Finding[]>>

const titles: Readonly<Record<GateRule, string>> = {
  'missing-versioning': 'Schema versioning strategy defined',
  'consumer-impact': 'Impacts identified for all consumers',
  unreviewed: 'Reviewed by all consumers',
  'missing-error-handling': 'Error handling documented and executable',
  'breaking-change': 'No breaking change',
  'unknown-verdict': 'Every change is proved or refuted',
  'invalid-example': 'Every example is valid',
  'missing-owner': 'Somebody answers for the contract',
}

/** The rules of the gate in the order in which they are reported. */
export const gateRuleNames = Object.keys(titles) as readonly GateRule[]

/** Runs every check of the quality gate (seed 000) over the evidence; nothing passes that could not be checked. */
export function runGate(request: GateRequest): GateReport {
  const { contract, earlier, now } = request
  const verdict =
    earlier === undefined || earlier.length === 0 ? undefined : compareContracts(earlier, contract)
  const evidence = gather(request, verdict)
  const waivers = judgeWaivers(contract, now)
  const expired = waivers.filter(({ counts }) => !counts)
  const checks = gateRuleNames.map((rule): GateCheck => {
    const found = evidence[rule]
    const waived = found.filter((finding) => waiverFor(rule, finding, waivers) !== undefined)
    const findings = found.filter((finding) => !waived.includes(finding))
    const lost = expired
      .filter(({ waiver }) => waiver.rule === rule && findings.length > 0)
      .map(({ waiver, reason }) => lostWaiver(contract, waiver.approvedBy, `${reason}`))
    return {
      rule,
      title: titles[rule],
      result: findings.length === 0 ? 'pass' : 'fail',
      blocking: contract.gate.block.includes(rule),
      findings: [...findings, ...lost],
      waived,
    }
  })
  const digest = contractDigest(contract)
  return {
    id: contract.id,
    version: contract.version,
    digest,
    result: checks.some(({ result, blocking }) => blocking && result === 'fail') ? 'fail' : 'pass',
    checks,
    results: checks.map((check) => gateResult(check, { contract, digest, now })),
    ...(verdict === undefined ? {} : { verdict }),
  }
}

function lostWaiver({ id }: Contract, approvedBy: string, reason: string): Finding {
  return {
    code: 'WAIVER_LAPSED',
    severity: 'warning',
    message: `a waiver of \`${id}\` that ${approvedBy || 'nobody'} approved does not count: ${reason}`,
    hint: 'Mend what it was about, or have it approved anew with a later `expires`.',
  }
}

function gather(request: GateRequest, verdict: ContractVerdict | undefined): Evidence {
  const { contract, earlier, findings = [] } = request
  const of = (code: string) => [
    ...findings.filter((finding) => finding.code === code),
    ...(verdict?.findings ?? []).filter(
      (finding) => finding.code === code && finding.severity !== 'info',
    ),
  ]
  const unseen = earlier === undefined ? [notCompared(contract)] : []
  const [strategy, needs, reviews, errorHandling] = qualityGate(contract)
  const missing = (criterion: { readonly missing: readonly string[] } | undefined) =>
    (criterion?.missing ?? []).map((what) => lacking(contract, what))
  return {
    'missing-versioning': [
      ...missing(strategy),
      ...of('VERSION_TOO_LOW'),
      ...of('VERSION_INVALID'),
    ],
    'consumer-impact': [...missing(needs), ...of('CONSUMER_BROKEN'), ...unseen],
    unreviewed: missing(reviews),
    'missing-error-handling': [...missing(errorHandling), ...impossible(findings)],
    // A break that a new major version declares is a warning, and no reason to stop.
    'breaking-change': [
      ...of('BREAKING_CHANGE').filter(({ severity }) => severity === 'error'),
      ...of('UPCAST_BREAKS'),
      ...unseen,
    ],
    'unknown-verdict': of('VERDICT_UNKNOWN'),
    'invalid-example': [...of('EXAMPLE_INVALID'), ...invalidExamples(contract, findings)],
    'missing-owner': contract.owner === undefined ? [lacking(contract, 'an owner')] : [],
  }
}

function notCompared({ id }: Contract): Finding {
  return {
    code: 'GATE_UNCHECKED',
    severity: 'error',
    message: `\`${id}\` was compared with no earlier version, so nobody knows what it breaks`,
    hint: 'Name one with --against: a git revision, a folder, or a registry.',
  }
}

function lacking({ id, file }: Contract, what: string): Finding {
  return {
    code: 'GATE_INCOMPLETE',
    severity: 'error',
    message: `\`${id}\` lacks ${what}`,
    hint: hintFor(what),
    ...(file === undefined ? {} : { file }),
  }
}

function hintFor(what: string): string {
  const review = /^the review of (.*)$/.exec(what)?.[1]
  if (review !== undefined) return `Let ${review} run treaty review --consumer ${review} --by NAME.`
  if (what.startsWith('what ')) return 'Add `needs:` with the fields that it reads.'
  if (what.startsWith('who looks after')) return 'Add `owner:` to its `deadLetter`.'
  if (what.startsWith('how ')) return 'Add `idempotency: { key: id, window: 30d }`.'
  return 'Add it to the contract.'
}

const executableCodes = new Set([
  'RETRY_IMPOSSIBLE',
  'DEAD_LETTER_COLLISION',
  'WINDOW_TOO_SHORT',
  'DELIVERY_IMPOSSIBLE',
  'MECHANISM_MISSING',
])

/** Error handling that is written down and cannot be done as written. */
function impossible(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ code, severity }) => executableCodes.has(code) && severity === 'error')
}

/** Examples are judged here too: whoever made the contract in code has no findings of a loader. */
function invalidExamples(contract: Contract, known: readonly Finding[]): Finding[] {
  if (known.some(({ code }) => code === 'EXAMPLE_INVALID')) return []
  const messages = [...Object.values(contract.events), ...Object.values(contract.commands)]
  return messages.flatMap(({ name, schema, examples }) =>
    examples.flatMap(({ value, file }) => {
      const [first] = compileSchema(schema as JsonSchema).findings(value)
      if (first === undefined) return []
      const place = file === undefined ? {} : { file }
      const message = `an example of \`${name}\` is not valid: ${first.message}`
      return [{ ...first, ...place, code: 'EXAMPLE_INVALID', message, event: name }]
    }),
  )
}
