import { isTreatyError, TreatyError } from '../../../core/errors.ts'
import type { Query, Row } from '../../../store/index.ts'
import type { Delivery } from '../../transport.ts'
import {
  breakChains,
  chainsOf,
  creditOfGroup,
  type Lease,
  type LocalGroup,
  type LocalSubscription,
  mendChains,
  takeTurn,
} from './groups.ts'
import { leaseRowMax } from './leases.ts'
import { lockOf } from './locks.ts'
import { recordOf } from './records.ts'
import { type Session, shardOf } from './session.ts'

/** Rows that one claim takes at most. */
const rowsMax = 500
/** Milliseconds before a claim that failed is tried again. */
const pauseMs = 200

interface Standing {
  /** Messages wait for others of their chain. */
  readonly hasLeftover: boolean
  readonly hasMore: boolean
  readonly dueIn: number | null
}

/**
 * Leases what is ready to the subscribers of this process, as far as their credit goes; one claim of a group at a time,
 * and one more where something happened meanwhile.
 */
export async function claimFor(session: Session, local: LocalGroup): Promise<void> {
  local.isDry = false
  if (local.isClaiming) {
    local.again = true
    return
  }
  local.isClaiming = true
  try {
    do {
      local.again = false
      local.again = (await claimOnce(session, local)) || local.again
      mendAfterClaim(local)
    } while (local.again && !session.isEnded)
  } catch (error) {
    local.isUncertain = true
    if (!session.isEnded) {
      session.reportError(asTreatyError(error))
      armTimer(session, local, pauseMs)
    }
  } finally {
    local.isClaiming = false
    mendAfterClaim(local)
  }
}

/** No claim is under way at this moment, or none that began before the chains came back. */
function mendAfterClaim(local: LocalGroup): void {
  const { isClaiming, mending } = local
  local.mending = []
  local.isClaiming = false
  mendChains(local, mending)
  local.isClaiming = isClaiming
}

/** The same where there is only more credit than before. */
export function claimWithCredit(session: Session, local: LocalGroup): void {
  // One that is under way and finds all it wanted is followed by another anyway.
  if (!local.isDry && !local.isClaiming) void claimFor(session, local)
}

function asTreatyError(error: unknown): TreatyError {
  return isTreatyError(error)
    ? error
    : new TreatyError('TRANSPORT_FAILED', String(error), { cause: error })
}

/** True: there may be more, and there is credit for it. */
async function claimOnce(session: Session, local: LocalGroup): Promise<boolean> {
  const groupId = session.groupIds.get(local.name)
  const wanted = Math.min(rowsMax, creditOfGroup(local))
  if (groupId === undefined || wanted === 0 || session.isEnded) return false
  if (local.isUncertain) {
    const unsure = local.unsure
    local.unsure = []
    local.isUncertain = false
    await giveBackUnknown(session, local, groupId)
    local.mending.push(...unsure)
  }
  const { ownerId, schema } = session
  const bulk = session.bulks + 1
  session.bulks += Math.ceil(wanted / leaseRowMax)
  const [first, ...rows] = await session.access.write(
    `SELECT * FROM ${schema}.bus_claim($1, $2, $3, $4, $5, $6)`,
    [ownerId, groupId, wanted, local.slots, shardOf(session, 'claim'), bulk],
    'treaty claim',
  )
  // Without an answer our lease has ended; the heartbeat finds out and begins anew.
  if (first === undefined) return false
  const { hasMore, hasLeftover, dueIn } = JSON.parse(String(first.standing)) as Standing
  local.hasLeftover = hasLeftover
  // What happened while it was under way it may not have seen.
  local.isDry = !hasMore && !local.again
  local.slots += rows.length
  takeIn(session, local, { rows, groupId, ownerId })
  armTimer(session, local, dueIn)
  return hasMore && creditOfGroup(local) > 0
}

/** Those that are the first of their chain go out; the others wait behind them. */
function takeIn(
  session: Session,
  local: LocalGroup,
  { rows, ...of }: { rows: readonly Row[]; groupId: number; ownerId: number },
): void {
  const strays: Lease[] = []
  for (const row of rows) {
    const lease = leaseOf(row, of)
    const { chain } = lease
    if (chain === null) {
      local.waiting.push(lease)
      continue
    }
    if (local.broken.has(chain)) {
      strays.push(lease)
      continue
    }
    const tail = local.tails.get(chain)
    local.tails.set(chain, lease)
    if (tail === undefined) local.waiting.push(lease)
    else {
      tail.next = lease
      local.held.add(lease)
    }
  }
  if (strays.length > 0) void giveBack(session, local, strays)
  handOut(session, local)
}

function leaseOf(row: Row, of: { groupId: number; ownerId: number }): Lease {
  return {
    ...of,
    seq: Number(row.seq),
    deliveries: Number(row.deliveries),
    record: recordOf(row),
    chain: row.lease === null ? null : (row.chain as string | null),
    bulk: row.lease === null ? null : Number(row.lease),
    attempts: Number(row.attempts),
    firstFailedAt: row.first_failed_at === null ? null : Number(row.first_failed_at),
    next: undefined,
  }
}

/** Hands out what waits for credit, as far as there is any. What nobody wants any more goes back. */
export function handOut(session: Session, local: LocalGroup): void {
  const handed = new Map<LocalSubscription, Delivery[]>()
  let count = 0
  for (const lease of local.waiting) {
    const subscription = session.isEnded ? undefined : takeTurn(local)
    if (subscription === undefined) break
    count += 1
    session.leases.add(lease)
    const delivery: Delivery = {
      record: lease.record,
      group: local.name,
      attempt: lease.attempts + 1,
      deliveryCount: lease.deliveries,
      ...(lease.firstFailedAt === null ? {} : { firstFailedAt: lease.firstFailedAt }),
      lease,
    }
    const list = handed.get(subscription)
    if (list === undefined) handed.set(subscription, [delivery])
    else list.push(delivery)
  }
  local.waiting = local.waiting.slice(count)
  if (session.isEnded || local.subscriptions.every((each) => each.isPaused || each.isStopped)) {
    giveBackAll(session, local)
  }
  for (const [subscription, deliveries] of handed) subscription.sink(deliveries)
}

/** What was not handed out and will not be soon: somebody else may have it at once. Default: all of it. */
export function giveBackAll(
  session: Session,
  local: LocalGroup,
  leases: readonly Lease[] = unhandedOf(local),
): void {
  const unwanted = leases.filter(
    (lease) => local.held.delete(lease) || local.waiting.includes(lease),
  )
  local.waiting = local.waiting.filter((lease) => !unwanted.includes(lease))
  if (unwanted.length > 0) void giveBack(session, local, unwanted)
}

/** Those behind a lease in its chain, in order. */
export function behind({ next }: Lease): Lease[] {
  return next === undefined ? [] : [next, ...behind(next)]
}

/** Leased to us and not handed out. */
export function unhandedOf(local: LocalGroup): Lease[] {
  return [...local.waiting, ...local.held]
}

/** Drops what was not handed out, without a word to the broker. */
export function forgetUnhanded(local: LocalGroup): void {
  local.waiting = []
  local.held.clear()
  local.tails.clear()
}

/** A message has ended well: the one behind it in its chain is next, if it is still ours. */
export function proceed(session: Session, local: LocalGroup, lease: Lease): void {
  const { next, chain } = lease
  if (chain !== null && local.tails.get(chain) === lease) local.tails.delete(chain)
  if (next === undefined || !local.held.delete(next)) return
  local.waiting.push(next)
  handOut(session, local)
}

async function giveBack(
  session: Session,
  local: LocalGroup,
  leases: readonly Lease[],
): Promise<void> {
  const { access } = session
  const chains = chainsOf(leases)
  breakChains(local, chains)
  try {
    await access.transaction((query) => unleaseRows(session, query, leases))
    mendChains(local, chains)
    session.wake([...new Set(leases.map(({ groupId }) => groupId))])
  } catch (error) {
    local.unsure.push(...chains)
    local.isUncertain = true
    if (!session.isEnded) session.reportError(asTreatyError(error))
  }
}

/** Makes rows ready again that no handler has seen. */
export async function unleaseRows(
  session: Session,
  query: Query,
  leases: readonly Lease[],
): Promise<void> {
  const { schema } = session
  const single = leases.filter(({ bulk }) => bulk === null)
  if (single.length > 0) {
    await query(
      `UPDATE ${schema}.bus_delivery AS line SET state = 0, owner = NULL, releases = releases + 1
       FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::bigint[])
         AS one (seq, grp, times, owner)
       WHERE line.seq = one.seq AND line.grp = one.grp AND line.state = 1
         AND line.owner = one.owner AND line.deliveries = one.times`,
      [
        single.map(({ seq }) => seq),
        single.map(({ groupId }) => groupId),
        single.map(({ deliveries }) => deliveries),
        single.map(({ ownerId }) => ownerId),
      ],
    )
  }
  const inBulk = Map.groupBy(
    leases.filter(({ bulk }) => bulk !== null),
    ({ groupId, ownerId }) => `${groupId} ${ownerId}`,
  )
  const inOrder = [...inBulk.values()].sort((a, b) => (a[0]?.groupId ?? 0) - (b[0]?.groupId ?? 0))
  for (const own of inOrder) {
    const [first] = own
    // A settlement of the one before them, at the same time, would not see that they wait for it.
    await query(`SELECT ${lockOf.groupAlone(schema, '$1')}`, [first?.groupId])
    await query(`SELECT ${schema}.bus_unlease($1, $2, $3, $4, 0, 0)`, [
      first?.ownerId,
      first?.groupId,
      own.map(({ bulk }) => bulk),
      own.map(({ seq }) => seq),
    ])
  }
}

/** Rows that are leased to us without our knowing: the answer to their claim was lost. */
async function giveBackUnknown(
  session: Session,
  local: LocalGroup,
  groupId: number,
): Promise<void> {
  const { access, schema, ownerId, leases } = session
  const known = [...leases, ...unhandedOf(local)]
    .filter((lease) => lease.groupId === groupId)
    .map(({ seq }) => seq)
  await access.transaction(async (query) => {
    // The claim itself may still be at work in the server.
    await query(`SELECT ${lockOf.claimsAlone(schema, '$1')}`, [groupId])
    await query(`SELECT ${lockOf.groupAlone(schema, '$1')}`, [groupId])
    await query(
      `UPDATE ${schema}.bus_delivery SET state = 0, owner = NULL, releases = releases + 1
       WHERE owner = $1 AND grp = $2 AND state = 1 AND seq <> ALL ($3::bigint[])`,
      [ownerId, groupId, known],
    )
    await query(
      `SELECT ${schema}.bus_unlease($1, $2, array_agg(no), array_agg(seq), 0, 0)
       FROM ${schema}.bus_lease AS lease CROSS JOIN LATERAL unnest(lease.seqs) AS one (seq)
       WHERE owner = $1 AND grp = $2 AND seq <> ALL ($3::bigint[]) HAVING count(*) > 0`,
      [ownerId, groupId, known],
    )
  })
}

/** Looks again when something falls due. */
function armTimer(session: Session, local: LocalGroup, dueInMs: number | null): void {
  const { clock } = session
  if (local.dueTimer !== undefined) clock.clearTimeout(local.dueTimer)
  local.dueTimer = undefined
  if (dueInMs === null || session.isEnded) return
  // A timer may be early by a fraction of a millisecond, and must not spin.
  local.dueTimer = clock.setTimeout(() => void claimFor(session, local), Math.max(1, dueInMs + 1))
}
