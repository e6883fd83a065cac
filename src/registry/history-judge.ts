import type { Contract, Waiver } from '../contracts/index.ts'
import { parseVersion } from '../contracts/index.ts'
import type { Clock } from '../core/clock.ts'
import type { Finding } from '../core/finding.ts'
import { documentOf } from './contract-document.ts'
import type { Documents } from './documents.ts'
import type { CompatibilityJudge } from './model.ts'
import { compareText, inOrder, type RegistryState } from './state.ts'

/** Judges a new version against those that it must go together with. */
export interface HistoryJudge {
  judge(state: RegistryState, contract: Contract): Promise<readonly Finding[]>
}

export interface HistoryJudgeOptions {
  readonly documents: Documents
  readonly judge: CompatibilityJudge
  readonly clock: Pick<Clock, 'now'>
}

const rememberedMax = 512

/**
 * A new major version may break everything, as semantic versioning has it (before 1.0.0, a new minor one). Within it,
 * the new version is held against its neighbours, or under a transitive mode against all.
 */
export function createHistoryJudge({ documents, judge, clock }: HistoryJudgeOptions): HistoryJudge {
  const remembered = new Map<string, readonly Finding[]>()

  async function compare(before: Contract, after: Contract): Promise<readonly Finding[]> {
    const key = `${documentOf(before).hash} ${documentOf(after).hash}`
    const known = remembered.get(key)
    if (known) return known
    const findings = await judge.judge(before, after)
    if (remembered.size >= rememberedMax) remembered.clear()
    remembered.set(key, findings)
    return findings
  }

  return {
    async judge(state, contract) {
      const line = lineOf(contract.version)
      const others = inOrder(state.contracts.get(contract.id)?.values() ?? []).filter(
        ({ version }) => lineOf(version) === line,
      )
      const lower = others.filter(({ version }) => compareText(version, contract.version) < 0)
      const higher = others.filter(({ version }) => compareText(version, contract.version) > 0)
      const neighbour = lower.at(-1) ?? higher[0]
      const nearest = neighbour && (await documents.contract(neighbour.hash))
      if (!nearest) return []
      // What was agreed last decides how far back to look, not what is proposed.
      const isTransitive = nearest.evolution.mode.endsWith('-transitive')
      const findings: Finding[] = []
      for (const { hash } of isTransitive ? lower.toReversed() : lower.slice(-1)) {
        const before = await documents.contract(hash)
        if (before) findings.push(...(await compare(before, contract)))
      }
      for (const { hash } of isTransitive ? higher : higher.slice(0, 1)) {
        const after = await documents.contract(hash)
        if (after) findings.push(...(await compare(contract, after)))
      }
      const today = new Date(clock.now()).toISOString().slice(0, 10)
      return once(findings).map((finding) => waived(finding, contract.gate.waivers, today))
    },
  }
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
