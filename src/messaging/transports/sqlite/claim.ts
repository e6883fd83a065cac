import { TreatyError } from '../../../core/errors.ts'
import type { Delivery, IncomingRecord } from '../../transport.ts'
import { bury, finishRow } from './bury.ts'
import type { Engine, Lease, Turn } from './engine.ts'
import { creditOf, type LocalGroup, type LocalSubscription } from './local-groups.ts'
import { type LogRow, recordOfRow } from './records.ts'
import type { ClaimRow } from './statements.ts'
import type { Group } from './topology-view.ts'

/** Rows that one turn claims for one group at most, so that a turn stays short. */
const rowsMax = 1000
/** Every so many slots the oldest ready message goes first, whatever its priority. */
const guardEvery = 16

/** Leases what is ready to the subscribers of this process, as far as their credit goes. */
export function claim(engine: Engine, turn: Turn): void {
  for (const local of engine.local.all.values()) {
    const group = engine.topology.groups.get(local.name)
    if (group === undefined) continue
    if (!local.mayHaveReady && !turn.readied.has(group.id)) continue
    claimGroup(engine, turn, { local, group })
  }
}

function claimGroup(engine: Engine, turn: Turn, at: { local: LocalGroup; group: Group }): void {
  const { local, group } = at
  for (let budget = rowsMax; budget > 0; ) {
    const wanted = Math.min(budget, freeCredit(turn, local))
    if (wanted === 0) return
    const rows = pickReady(engine, { local, group, wanted })
    const isLeased = leaseRange(engine, turn, { group, rows })
    const ended = rows.filter(
      (row) => !handOut(engine, turn, { local, group, row, isLeased }),
    ).length
    budget -= rows.length
    // Rows that ended here, expired for example, may have freed the next of their chains: look
    // again.
    if (rows.length < wanted && ended === 0) {
      turn.drained.add(local)
      turn.readied.delete(group.id)
      return
    }
  }
  turn.hasMore = true
}

function freeCredit(turn: Turn, local: LocalGroup): number {
  let free = 0
  for (const subscription of local.subscriptions) {
    free += Math.max(0, creditOf(subscription) - (turn.handed.get(subscription)?.length ?? 0))
  }
  return free
}

/**
 * The next rows in the order in which they are handed out: by priority, then age, except that
 * every sixteenth slot takes the oldest of all levels.
 */
function pickReady(
  engine: Engine,
  want: { local: LocalGroup; group: Group; wanted: number },
): readonly ClaimRow[] {
  const { local, group, wanted } = want
  const { sql } = engine
  const top = sql.topReady.all(group.id, wanted) as unknown as ClaimRow[]
  const firstSlot = local.slots
  local.slots += top.length
  if (top.length < 2 && wanted > 1) return top
  const lowest = sql.lowestReady.get(group.id) as unknown as readonly [number] | undefined
  if (lowest === undefined || lowest[0] === top[0]?.[1]) return top
  const guarded =
    Math.floor((firstSlot + top.length) / guardEvery) - Math.floor(firstSlot / guardEvery)
  if (guarded === 0) return top
  const oldest = [0, 1, 2, 3]
    .flatMap(
      (level) => sql.oldestReadyOfPriority.all(group.id, level, guarded) as unknown as ClaimRow[],
    )
    .sort((a, b) => a[0] - b[0])
  return interleave({ top, oldest, firstSlot })
}

/** Fills the slots from `top`, and every guarded one from `oldest`; as many rows as `top` has. */
export function interleave(from: {
  readonly top: readonly ClaimRow[]
  readonly oldest: readonly ClaimRow[]
  readonly firstSlot: number
}): ClaimRow[] {
  const picked = new Map<number, ClaimRow>()
  let topAt = 0
  let oldestAt = 0
  while (picked.size < from.top.length) {
    const isGuarded = (from.firstSlot + picked.size + 1) % guardEvery === 0
    let row: ClaimRow | undefined
    do {
      if (isGuarded && oldestAt < from.oldest.length) row = from.oldest[oldestAt++]
      else row = from.top[topAt++]
    } while (row !== undefined && picked.has(row[0]))
    if (row === undefined) break
    picked.set(row[0], row)
  }
  return [...picked.values()]
}

/** Rows below which one statement for all gains nothing. */
const rangeMin = 4

/**
 * Leases all rows with one statement where they are one piece of the index of ready rows and none
 * of them is at its end. False: each is to be leased for itself.
 */
function leaseRange(
  engine: Engine,
  turn: Turn,
  given: { group: Group; rows: readonly ClaimRow[] },
): boolean {
  const { group, rows } = given
  const first = rows[0]
  if (first === undefined || rows.length < rangeMin) return false
  let last = 0
  for (const [seq, priority, , deliveries, releases, , expiresAt] of rows) {
    const isPlain = expiresAt === null && deliveries - releases < group.deliveriesMax
    if (!isPlain || priority !== first[1] || seq <= last) return false
    last = seq
  }
  const { changes } = engine.sql.leaseRange.run(turn.ownerId, group.id, first[1], first[0], last)
  if (changes === rows.length) return true
  throw new TreatyError('UNFORESEEN', `${changes} rows were leased instead of ${rows.length}`, {
    details: { group: group.name },
  })
}

/** Leases the row to a subscriber. False: it came to its end instead. */
function handOut(
  engine: Engine,
  turn: Turn,
  given: { local: LocalGroup; group: Group; row: ClaimRow; isLeased: boolean },
): boolean {
  const { local, group, row, isLeased } = given
  const [seq, , attempts, deliveries, releases, chain, expiresAt, firstFailedAt] = row
  const stored = readRecord(engine, turn, seq)
  if (stored === undefined) {
    // A message without its row cannot be handed to anybody; left alone it would be claimed for
    // ever.
    engine.sql.deleteDelivery.run(group.id, seq)
    return false
  }
  const { topicId } = stored
  const record = withExpiry(stored.record, expiresAt)
  const isHolder = true as const
  const ending = { group, topicId, seq, chain, isHolder, record, firstFailedAt }
  if (expiresAt !== null && turn.now >= expiresAt) {
    expireRow(engine, turn, { row: ending, attempts })
    return false
  }
  if (deliveries - releases >= group.deliveriesMax) {
    const times = deliveries - releases
    const failure = {
      reason: 'CRASH_LOOP',
      message: `it was handed out ${times} times and never settled`,
    }
    bury(engine, turn, { row: ending, failure, as: 'dead', attempts: Math.max(attempts, times) })
    return false
  }
  if (!isLeased) engine.sql.lease.run(turn.ownerId, group.id, seq)
  const lease: Lease = {
    group,
    topicId,
    seq,
    chain,
    isHolder,
    record,
    firstFailedAt,
    ownerId: turn.ownerId,
    attempts,
    deliveries: deliveries + 1,
    releases,
    expiresAt,
    isLive: true,
  }
  assign(turn, local, deliveryOf(lease))
  return true
}

function deliveryOf(lease: Lease): Delivery {
  return {
    record: lease.record,
    group: lease.group.name,
    attempt: lease.attempts + 1,
    deliveryCount: lease.deliveries,
    ...(lease.firstFailedAt === null ? {} : { firstFailedAt: lease.firstFailedAt }),
    lease,
  }
}

/** A message whose time to live has passed ends as its group's policy says. */
export function expireRow(
  engine: Engine,
  turn: Turn,
  given: { row: Parameters<typeof bury>[2]['row']; attempts: number },
): void {
  const { row, attempts } = given
  if (row.group.onExpired === 'drop') {
    engine.sql.deleteDelivery.run(row.group.id, row.seq)
    finishRow(engine, turn, { row, as: 'expired' })
    return
  }
  const failure = { reason: 'EXPIRED', message: 'its time to live passed before it was handled' }
  bury(engine, turn, { row, failure, as: 'expired', attempts })
}

/** To the subscribers in turn, each as long as it has credit. */
function assign(turn: Turn, local: LocalGroup, delivery: Delivery): void {
  const { subscriptions } = local
  for (let tried = 0; tried < subscriptions.length; tried += 1) {
    const subscription = subscriptions[local.turnOf % subscriptions.length] as LocalSubscription
    local.turnOf += 1
    const handed = turn.handed.get(subscription) ?? []
    if (handed.length >= creditOf(subscription)) continue
    handed.push(delivery)
    turn.handed.set(subscription, handed)
    return
  }
}

/** The message of a row: the object that was published here a moment ago, or what is stored. */
export function readRecord(
  engine: Engine,
  turn: Turn,
  seq: number,
): { readonly topicId: number; readonly record: IncomingRecord } | undefined {
  const near = turn.published.get(seq) ?? engine.records.get(seq)
  if (near !== undefined) {
    const topic = engine.topology.topics.get(near.address)
    if (topic !== undefined) return { topicId: topic.id, record: near }
  }
  const row = engine.sql.readLog.get(seq) as unknown as LogRow | undefined
  if (row === undefined) return undefined
  const topicId = row[1]
  const address = engine.topology.topicsById.get(topicId)?.address ?? ''
  return { topicId, record: recordOfRow(row, address) }
}

/** A replay lives without the original's time to live. */
function withExpiry(record: IncomingRecord, expiresAt: number | null): IncomingRecord {
  if (expiresAt !== null || record.expiresAt === undefined) return record
  const { expiresAt: _, ...rest } = record
  return rest
}
