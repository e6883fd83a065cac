import { errorMessage, TreatyError } from '../../../core/errors.ts'
import { isStorageError } from '../../../store/index.ts'
import type { OutgoingRecord, Settlement, SettleResult } from '../../transport.ts'
import { bury, finishRow } from './bury.ts'
import { expireRow } from './claim.ts'
import { type Engine, type Lease, type Turn, wholeMs } from './engine.ts'
import { prepareRecord, publishRecord } from './publish.ts'
import { rowState } from './schema.ts'

const done: SettleResult = { ok: true }
const lost: SettleResult = { ok: false, reason: 'lost' }

type Ack = Extract<Settlement, { outcome: 'ack' }>

/** Applies one outcome inside the turn. */
export function settle(engine: Engine, turn: Turn, settlement: Settlement): SettleResult {
  const lease = settlement.delivery.lease as Lease
  if (!engine.leases.has(lease) || !lease.isLive || turn.settled.has(lease)) return lost
  const result = apply(engine, turn, { lease, settlement })
  // An error leaves the lease as it was: the caller may settle again, in another way.
  if (result.ok || result.reason === 'lost') turn.settled.add(lease)
  return result
}

function apply(
  engine: Engine,
  turn: Turn,
  given: { lease: Lease; settlement: Settlement },
): SettleResult {
  const { lease, settlement } = given
  switch (settlement.outcome) {
    case 'ack':
      return acknowledge(engine, turn, { lease, ack: settlement })
    case 'retry':
      return retry(engine, turn, { lease, delayMs: settlement.delayMs })
    case 'release':
      return release(engine, turn, { lease, delayMs: settlement.delayMs ?? 0 })
    case 'drop':
      if (!deleteLeased(engine, lease)) return lost
      finishRow(engine, turn, { row: lease, as: 'expired' })
      return done
    case 'dead':
      if (!isStillOurs(engine, lease)) return lost
      bury(engine, turn, {
        row: lease,
        failure: settlement.failure,
        as: 'dead',
        attempts: lease.attempts + 1,
      })
      return done
  }
}

function deleteLeased(engine: Engine, lease: Lease): boolean {
  const { group, seq, ownerId, deliveries } = lease
  return engine.sql.deleteLeased.run(group.id, seq, ownerId, deliveries).changes === 1
}

function isStillOurs(engine: Engine, lease: Lease): boolean {
  const { group, seq, ownerId, deliveries } = lease
  return engine.sql.touchLeased.get(group.id, seq, ownerId, deliveries) !== undefined
}

function acknowledge(engine: Engine, turn: Turn, given: { lease: Lease; ack: Ack }): SettleResult {
  const { lease, ack } = given
  try {
    for (const record of ack.publish ?? []) prepareRecord(engine, record)
  } catch (error) {
    return { ok: false, reason: 'error', error }
  }
  const { effect } = ack
  const published: OutgoingRecord[] = []
  if (effect === undefined) {
    if (!deleteLeased(engine, lease)) return lost
  } else {
    engine.effectRecords = published
    const result = acknowledgeWithEffect(engine, lease, effect)
    engine.effectRecords = undefined
    if (!result.ok) return result
  }
  finishRow(engine, turn, { row: lease, as: ack.as ?? 'handled' })
  if (lease.attempts > 0) keepAttempts(engine, lease)
  if (ack.inbox !== undefined) {
    engine.sql.writeInbox.run(lease.group.id, ack.inbox.key, wholeMs(ack.inbox.untilMs))
  }
  for (const record of [...published, ...(ack.publish ?? [])]) publishRecord(engine, turn, record)
  return done
}

/** Who looks back on a message that is kept wants to know that it took more than one attempt. */
function keepAttempts(engine: Engine, lease: Lease): void {
  if (engine.topology.topicsById.get(lease.topicId)?.retentionMs === undefined) return
  engine.file
    .prepare('INSERT OR REPLACE INTO bus_attempts (seq, grp, attempts) VALUES (?, ?, ?)')
    .run(lease.seq, lease.group.id, lease.attempts + 1)
}

/** The row goes and the effect comes, or neither, whatever else is in the transaction. */
function acknowledgeWithEffect(
  engine: Engine,
  lease: Lease,
  effect: NonNullable<Ack['effect']>,
): SettleResult {
  const { db, prepare } = engine.file
  prepare('SAVEPOINT bus_effect').run()
  try {
    if (!deleteLeased(engine, lease)) {
      prepare('RELEASE bus_effect').run()
      return lost
    }
    const returned: unknown = effect(db)
    if (isThenable(returned)) throw effectInvalid('returned a promise')
  } catch (error) {
    // A full disk rolls everything back by itself; that is then the error of the whole turn.
    if (!db.isTransaction && isStorageError(error)) throw error
    if (!db.isTransaction) throw effectInvalid(`ended the transaction: ${errorMessage(error)}`)
    db.exec('ROLLBACK TO bus_effect; RELEASE bus_effect')
    return { ok: false, reason: 'error', error }
  }
  if (!db.isTransaction) throw effectInvalid('ended the transaction')
  prepare('RELEASE bus_effect').run()
  return done
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value
}

function effectInvalid(problem: string): TreatyError {
  return new TreatyError('EFFECT_INVALID', `the effect of an acknowledgement ${problem}`, {
    hint: 'Make the effect synchronous, and leave BEGIN, COMMIT and ROLLBACK to Treaty.',
  })
}

function retry(engine: Engine, turn: Turn, given: { lease: Lease; delayMs: number }): SettleResult {
  const { lease, delayMs } = given
  const { group, seq, ownerId, deliveries, expiresAt } = lease
  if (expiresAt !== null && turn.now >= expiresAt) {
    if (!isStillOurs(engine, lease)) return lost
    expireRow(engine, turn, { row: lease, attempts: lease.attempts + 1 })
    return done
  }
  const readyAt = delayMs > 0 ? wholeMs(turn.now + delayMs) : null
  const state = readyAt === null ? rowState.ready : rowState.delayed
  const { changes } = engine.sql.retryLeased.run(
    state,
    readyAt,
    turn.now,
    group.id,
    seq,
    ownerId,
    deliveries,
  )
  if (changes !== 1) return lost
  engine.tally.add(lease.record.type, group.consumer, 'retried', 1)
  noteMoved(turn, { groupId: group.id, readyAt })
  return done
}

function release(
  engine: Engine,
  turn: Turn,
  given: { lease: Lease; delayMs: number },
): SettleResult {
  const { lease, delayMs } = given
  const { group, seq, ownerId, deliveries } = lease
  const readyAt = delayMs > 0 ? wholeMs(turn.now + delayMs) : null
  const state = readyAt === null ? rowState.ready : rowState.delayed
  const run = engine.sql.releaseLeased.run(state, readyAt, group.id, seq, ownerId, deliveries)
  if (run.changes !== 1) return lost
  noteMoved(turn, { groupId: group.id, readyAt })
  return done
}

function noteMoved(turn: Turn, row: { groupId: number; readyAt: number | null }): void {
  if (row.readyAt === null) turn.readied.add(row.groupId)
  else turn.isDueTouched = true
}
