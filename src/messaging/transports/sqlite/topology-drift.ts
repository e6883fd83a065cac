import type { Finding, Severity } from '../../../core/finding.ts'
import type { GroupTopology } from '../../transport.ts'
import { type Engine, type Turn, wholeMs } from './engine.ts'
import type { Group, Topic } from './topology-view.ts'

/**
 * What `ensure` does when two contracts (two versions of one, usually) want different things of
 * the same channel or group. A transport is not told versions, so no version can win. Instead:
 *
 * - What only adds is taken on and never taken back: more types, longer retention, stricter
 *   ordering. The process that wants less loses nothing: the bus acknowledges types that it does
 *   not list unseen.
 * - How a group treats failures (dead-letter address, onDead, onExpired, deliveriesMax) is the
 *   consumer's own affair: the latest `create` wins.
 *
 * Each difference is reported: `error` where the asker's promise would break (only in `verify`),
 * `warning` where somebody else's was changed, `info` where there is more than asked for.
 */
export interface Report {
  readonly missing: string[]
  readonly created: string[]
  readonly drift: Finding[]
}

const orderingRank = { none: 0, 'per-key': 1, 'per-channel': 2 } as const

/** Adds one finding. */
export function note(
  report: Report,
  found: { code: string; severity: Severity; message: string; hint: string; consumer?: string },
): void {
  report.drift.push(found)
}

/** The stricter order stays. */
export function compareOrdering(
  engine: Engine,
  turn: Turn,
  at: { present: Topic; ordering: Topic['ordering']; isCreate: boolean; report: Report },
): void {
  const { present, ordering, isCreate, report } = at
  if (present.ordering === ordering) return
  const isWeaker = orderingRank[present.ordering] < orderingRank[ordering]
  note(report, {
    code: 'TOPOLOGY_ORDERING_DIFFERS',
    severity: severityOf(isWeaker, isCreate),
    message: `the channel '${present.address}' is ordered ${present.ordering}, and the contract says ${ordering}`,
    hint: 'Start every process with the same version of the contract.',
  })
  if (!isCreate || !isWeaker) return
  engine.file.prepare('UPDATE bus_topic SET ordering = ? WHERE id = ?').run(ordering, present.id)
  turn.isTopologyTouched = true
}

/** The longer retention stays. */
export function compareRetention(
  engine: Engine,
  turn: Turn,
  at: { present: Topic; retentionMs: number | null; isCreate: boolean; report: Report },
): void {
  const { present, retentionMs, isCreate, report } = at
  const has = present.retentionMs ?? 0
  const wants = retentionMs ?? 0
  if (has === wants) return
  note(report, {
    code: 'TOPOLOGY_RETENTION_DIFFERS',
    severity: severityOf(has < wants, isCreate),
    message: `the channel '${present.address}' keeps messages for ${has} ms, and the contract says ${wants} ms`,
    hint: 'Start every process with the same version of the contract.',
  })
  if (!isCreate || has > wants) return
  engine.file
    .prepare('UPDATE bus_topic SET retention_ms = ? WHERE id = ?')
    .run(retentionMs, present.id)
  turn.isTopologyTouched = true
}

/** More than asked for breaks no promise; less breaks one unless it was just mended. */
export function severityOf(isLess: boolean, isCreate: boolean): Severity {
  if (!isLess) return 'info'
  return isCreate ? 'warning' : 'error'
}

/** The policy of the latest that creates wins; dead letters are kept for the longer time. */
export function comparePolicy(
  engine: Engine,
  turn: Turn,
  at: { present: Group; group: GroupTopology; isCreate: boolean; report: Report },
): void {
  const { present, group, isCreate, report } = at
  const { deadLetter } = group
  const differences = [
    ['dead-letter address', present.deadAddress, deadLetter.address],
    ['onDead', present.onDead, deadLetter.onDead],
    ['onExpired', present.onExpired, deadLetter.onExpired],
    ['deliveriesMax', present.deliveriesMax, group.deliveriesMax],
  ].filter(([, has, wants]) => has !== wants)
  const keptMs = wholeMs(deadLetter.retentionMs)
  const isShort = present.deadRetentionMs < keptMs
  if (isShort) differences.push(['dead-letter retention', present.deadRetentionMs, keptMs])
  if (differences.length === 0) return
  for (const [what, has, wants] of differences) {
    note(report, {
      code: 'TOPOLOGY_POLICY_DIFFERS',
      severity: severityOf(true, isCreate),
      message: `the group '${group.name}' has ${what} ${has}, and the contract says ${wants}`,
      hint: 'Start every process with the same version of the contract.',
      consumer: group.consumer,
    })
  }
  if (!isCreate) return
  engine.file
    .prepare(
      `UPDATE bus_group SET dead_address = ?, dead_retention_ms = max(dead_retention_ms, ?),
         on_dead = ?, on_expired = ?, deliveries_max = ? WHERE id = ?`,
    )
    .run(
      deadLetter.address,
      wholeMs(deadLetter.retentionMs),
      deadLetter.onDead,
      deadLetter.onExpired,
      group.deliveriesMax,
      present.id,
    )
  turn.isTopologyTouched = true
}
