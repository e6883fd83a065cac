import { type ContractVerdict, compareContracts } from '../contracts/compat/index.ts'
import type { Contract, Waiver } from '../contracts/index.ts'
import { parseVersion } from '../contracts/index.ts'
import type { Clock } from '../core/clock.ts'
import type { Finding } from '../core/finding.ts'
import { consumerFrom } from './contract-document.ts'
import type { Documents } from './documents.ts'
import type { CompatibilityJudge, ConsumerRegistration } from './model.ts'
import { compareText, inOrder, type RegistryState, type VersionState } from './state.ts'

/** Judges a new version against those that it must go together with. */
export interface HistoryJudge {
  judge(state: RegistryState, contract: Contract): Promise<readonly Finding[]>
  /** The comparison with all versions that rank below it, whatever their major version. */
  impact(state: RegistryState, contract: Contract): Promise<ContractVerdict>
}

export interface HistoryJudgeOptions {
  readonly documents: Documents
  readonly judge: CompatibilityJudge
  readonly clock: Pick<Clock, 'now'>
}

/**
 * A new major version may break everything, as semantic versioning has it (before 1.0.0, a new minor one). Within it,
 * the new version is held against the lower ones, and each higher one against it, as far as the mode looks back.
 */
export function createHistoryJudge({ documents, judge, clock }: HistoryJudgeOptions): HistoryJudge {
  async function load(versions: readonly VersionState[]): Promise<Contract[]> {
    const found = await Promise.all(versions.map(({ hash }) => documents.contract(hash)))
    return found.filter((contract) => contract !== undefined)
  }

  return {
    async impact(state, contract) {
      const versions = inOrder(state.contracts.get(contract.id)?.values() ?? [])
      const lower = versions.filter(({ version }) => compareText(version, contract.version) < 0)
      const earlier = await load(lower.length > 0 ? lower : versions)
      return compareContracts(withRegistered(state, earlier), contract)
    },
    async judge(state, contract) {
      const line = lineOf(contract.version)
      const others = inOrder(state.contracts.get(contract.id)?.values() ?? []).filter(
        ({ version }) => lineOf(version) === line,
      )
      const lower = await load(
        others.filter(({ version }) => compareText(version, contract.version) < 0),
      )
      const higher = await load(
        others.filter(({ version }) => compareText(version, contract.version) > 0),
      )
      const findings = [...(await judge.judge(withRegistered(state, lower), contract))]
      for (const later of higher) findings.push(...(await judge.judge([contract], later)))
      const today = new Date(clock.now()).toISOString().slice(0, 10)
      return once(findings).map((finding) => waived(finding, contract.gate.waivers, today))
    },
  }
}

/** The versions, of which the last names the consumers that registered themselves too: the entry that each pushed last. */
function withRegistered(state: RegistryState, versions: readonly Contract[]): readonly Contract[] {
  const latest = versions.at(-1)
  if (!latest) return versions
  const entries = new Map<string, ConsumerRegistration>()
  for (const registration of state.consumers.values()) {
    const known = entries.get(registration.consumer)
    const isOlder = known !== undefined && known.registeredAt > registration.registeredAt
    if (registration.contract === latest.id && !isOlder) {
      entries.set(registration.consumer, registration)
    }
  }
  if (entries.size === 0) return versions
  const consumers = [...entries.values()].flatMap((registration) => {
    const consumer = consumerFrom(latest, registration)
    return consumer ? [[consumer.name, consumer] as const] : []
  })
  const known = { ...latest.consumers, ...Object.fromEntries(consumers) }
  return [...versions.slice(0, -1), { ...latest, consumers: known }]
}

/** Versions that must go together share it: the major version, or `0.` and the minor one. */
function lineOf(version: string): string {
  const parsed = parseVersion(version)
  if (!parsed) return version
  return parsed.major === 0 ? `0.${parsed.minor}` : String(parsed.major)
}

/** The same break against several versions is told once, with the nearest. */
function once(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Set<string>()
  return findings.filter(({ code, pointer, event, consumer, witness }) => {
    const key = JSON.stringify([code, pointer, event, consumer, witness])
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

/** A break that those whom it hurts have agreed to goes through as a warning. */
function waived(finding: Finding, waivers: readonly Waiver[], today: string): Finding {
  if (finding.severity !== 'error') return finding
  const rule = ruleOf(finding.code)
  const waiver = waivers.find(
    ({ rule: named, at, expires }) =>
      named === rule && expires >= today && (at === undefined || covers(at, finding)),
  )
  if (!waiver) return finding
  const { approvedBy, expires, reason } = waiver
  return {
    ...finding,
    severity: 'warning',
    message: `${finding.message} (waived by ${approvedBy} until ${expires}: ${reason})`,
  }
}

/** The rule of the gate that a finding falls under. */
function ruleOf(code: string): string | undefined {
  if (code === 'VERDICT_UNKNOWN') return 'unknown-verdict'
  if (code === 'CONSUMER_BROKEN') return 'consumer-impact'
  return code === 'BREAKING_CHANGE' ? 'breaking-change' : undefined
}

/** `at` is a pointer, a pointer after a file's name, or the name of an event. */
function covers(at: string, { pointer, event }: Finding): boolean {
  const wanted = at.includes('#') ? at.slice(at.indexOf('#') + 1) : at
  if (wanted === event) return true
  return pointer !== undefined && wanted !== '' && `${pointer}/`.includes(`${wanted}/`)
}
