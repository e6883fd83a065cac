import type { Contract, Waiver } from '../../contracts/index.ts'
import type { Finding } from '../../core/finding.ts'

/** A rule of the quality gate, as `gate.block` and waivers name it. */
export type GateRule =
  | 'breaking-change'
  | 'consumer-impact'
  | 'invalid-example'
  | 'unknown-verdict'
  | 'missing-error-handling'
  | 'missing-versioning'
  | 'missing-owner'
  | 'unreviewed'

/** A waiver with whether it still counts. */
export interface JudgedWaiver {
  readonly waiver: Waiver
  readonly index: number
  readonly counts: boolean
  /** Why it does not count. */
  readonly reason?: string
}

/** The waivers of a contract on a day (UTC). The day of `expires` is the last on which one counts. */
export function judgeWaivers(contract: Contract, now: Date): JudgedWaiver[] {
  const today = now.toISOString().slice(0, 10)
  return contract.gate.waivers.map((waiver, index) => {
    const reason = whyNot(waiver, today)
    return reason === undefined
      ? { waiver, index, counts: true }
      : { waiver, index, counts: false, reason }
  })
}

function whyNot(
  { rule, at, reason, approvedBy, expires }: Waiver,
  today: string,
): string | undefined {
  if (expires < today) return `it expired on ${expires}`
  if (reason.trim() === '') return 'it gives no reason'
  if (approvedBy.trim() === '') return 'nobody approved it'
  // What is not known is waived place by place: a blanket would cover what nobody has looked at.
  if (rule === 'unknown-verdict' && (at ?? '') === '') return 'it names no place'
  return undefined
}

/** The waiver that lets a finding pass; undefined where none does. */
export function waiverFor(
  rule: GateRule,
  finding: Finding,
  waivers: readonly JudgedWaiver[],
): Waiver | undefined {
  return waivers.find(
    ({ waiver, counts }) => counts && waiver.rule === rule && isAbout(waiver.at, finding),
  )?.waiver
}

/** `file#/pointer`, a file, a pointer, an event or a consumer; nothing: everything of the rule. */
function isAbout(at: string | undefined, { file, pointer, event, consumer }: Finding): boolean {
  if (at === undefined || at === '') return true
  if (at === event || at === consumer) return true
  const [path = '', place] = at.split('#')
  const isFile = path === '' || file === path || file?.endsWith(`/${path}`) === true
  const isPlace =
    place === undefined || pointer === place || pointer?.startsWith(`${place}/`) === true
  return isFile && isPlace && (path !== '' || place !== undefined)
}

const ruleOfCode: Readonly<Record<string, GateRule>> = {
  BREAKING_CHANGE: 'breaking-change',
  UPCAST_BREAKS: 'breaking-change',
  CONSUMER_BROKEN: 'consumer-impact',
  VERDICT_UNKNOWN: 'unknown-verdict',
}

/** The findings about a change, with those that a waiver of the contract lets pass told as infos instead of errors. */
export function withWaivers(
  findings: readonly Finding[],
  contract: Contract,
  now: Date,
): Finding[] {
  const waivers = judgeWaivers(contract, now)
  return findings.map((finding) => {
    const rule = ruleOfCode[finding.code]
    const waiver = rule === undefined ? undefined : waiverFor(rule, finding, waivers)
    if (waiver === undefined || finding.severity === 'info') return finding
    const { hint: _hint, ...rest } = finding
    const until = `waived by ${waiver.approvedBy} until ${waiver.expires}: ${waiver.reason}`
    return { ...rest, severity: 'info', message: `${finding.message} (${until})` }
  })
}
