import { isTreatyError, TreatyError } from '../../../core/errors.ts'
import type { Row } from '../../../store/index.ts'
import type { Delivery } from '../../transport.ts'
import {
  creditOfGroup,
  type Lease,
  type LocalGroup,
  type LocalSubscription,
  takeTurn,
} from './groups.ts'
import { recordOf } from './records.ts'
import { type Session, shardOf } from './session.ts'

/** Rows that one claim takes at most. */
const rowsMax = 500
/** Milliseconds before a claim that failed is tried again. */
const pauseMs = 200

interface Standing {
  readonly hasMore: boolean
  readonly dueIn: number | null
}

/**
 * Leases what is ready to the subscribers of this process, as far as their credit goes; one claim of a group at a time,
 * and one more where something happened meanwhile.
 */
export async function claimFor(session: Session, local: LocalGroup): Promise<void> {
  if (local.isClaiming) {
    local.again = true
    return
  }
  local.isClaiming = true
  try {
    do {
      local.again = false
      local.again = (await claimOnce(session, local)) || local.again
    } while (local.again && !session.isEnded)
  } catch (error) {
    local.isUncertain = true
    if (!session.isEnded) {
      session.reportError(asTreatyError(error))
      armTimer(session, local, pauseMs)
    }
  } finally {
    local.isClaiming = false
  }
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
    await giveBackUnknown(session, groupId)
    local.isUncertain = false
  }
  const { ownerId, schema } = session
  const [first, ...rows] = await session.access.write(
    `SELECT * FROM ${schema}.bus_claim($1, $2, $3, $4, $5)`,
    [ownerId, groupId, wanted, local.slots, shardOf(session, 'claim')],
  )
  // Without an answer our lease has ended; the heartbeat finds out and begins anew.
  if (first === undefined) return false
  const { hasMore, dueIn } = JSON.parse(String(first.standing)) as Standing
  local.slots += rows.length
  handOut(
    session,
    local,
    rows.map((row) => leaseOf(row, { groupId, ownerId })),
  )
  armTimer(session, local, dueIn)
  return hasMore && creditOfGroup(local) > 0
}

interface Claimed {
  readonly lease: Lease
  readonly attempts: number
  readonly firstFailedAt: number | null
}

function leaseOf(row: Row, of: { groupId: number; ownerId: number }): Claimed {
  return {
    lease: {
      ...of,
      seq: Number(row.seq),
      deliveries: Number(row.deliveries),
      record: recordOf(row),
    },
    attempts: Number(row.attempts),
    firstFailedAt: row.first_failed_at === null ? null : Number(row.first_failed_at),
  }
}

function handOut(session: Session, local: LocalGroup, claimed: readonly Claimed[]): void {
  const handed = new Map<LocalSubscription, Delivery[]>()
  const unwanted: Lease[] = []
  for (const { lease, attempts, firstFailedAt } of claimed) {
    const subscription = session.isEnded ? undefined : takeTurn(local)
    if (subscription === undefined) {
      unwanted.push(lease)
      continue
    }
    session.leases.add(lease)
    const delivery: Delivery = {
      record: lease.record,
      group: local.name,
      attempt: attempts + 1,
      deliveryCount: lease.deliveries,
      ...(firstFailedAt === null ? {} : { firstFailedAt }),
      lease,
    }
    const list = handed.get(subscription)
    if (list === undefined) handed.set(subscription, [delivery])
    else list.push(delivery)
  }
  // Those who paused or stopped while the claim was under way: somebody else may have it at once.
  if (unwanted.length > 0) void giveBack(session, unwanted)
  for (const [subscription, deliveries] of handed) subscription.sink(deliveries)
}

async function giveBack(session: Session, leases: readonly Lease[]): Promise<void> {
  const { access, schema } = session
  try {
    await access.write(
      `UPDATE ${schema}.bus_delivery AS line SET state = 0, owner = NULL, releases = releases + 1
       FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::bigint[])
         AS one (seq, grp, times, owner)
       WHERE line.seq = one.seq AND line.grp = one.grp AND line.state = 1
         AND line.owner = one.owner AND line.deliveries = one.times`,
      [
        leases.map(({ seq }) => seq),
        leases.map(({ groupId }) => groupId),
        leases.map(({ deliveries }) => deliveries),
        leases.map(({ ownerId }) => ownerId),
      ],
    )
    session.wake([...new Set(leases.map(({ groupId }) => groupId))])
  } catch (error) {
    for (const local of session.groups.values()) local.isUncertain = true
    if (!session.isEnded) session.reportError(asTreatyError(error))
  }
}

/** Rows that are leased to us without our knowing: the answer to their claim was lost. */
async function giveBackUnknown(session: Session, groupId: number): Promise<void> {
  const { access, schema, ownerId, leases } = session
  const known = [...leases].filter((lease) => lease.groupId === groupId).map(({ seq }) => seq)
  await access.write(
    `UPDATE ${schema}.bus_delivery SET state = 0, owner = NULL, releases = releases + 1
     WHERE owner = $1 AND grp = $2 AND state = 1 AND seq <> ALL ($3::bigint[])`,
    [ownerId, groupId, known],
  )
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
