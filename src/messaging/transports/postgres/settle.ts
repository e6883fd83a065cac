import { delay } from '../../../core/clock.ts'
import { isTreatyError, TreatyError } from '../../../core/errors.ts'
import { endsConnection, type PostgresClient, type Query } from '../../../store/index.ts'
import type { OutgoingRecord, Settlement, SettleResult } from '../../transport.ts'
import { everyPlace } from './ack-function.ts'
import { createBatcher } from './batches.ts'
import { behind, giveBackAll, proceed } from './claim.ts'
import { breakChains, chainsOf, type Lease, mendChains } from './groups.ts'
import { publishArguments, refusalOf, wholeMs } from './records.ts'
import { type Session, shardOf } from './session.ts'

const done: SettleResult = { ok: true }
const lost: SettleResult = { ok: false, reason: 'lost' }
/** Settlements in one transaction at most. */
const batchMax = 1000
/** Connections of the pool that effects leave to others; each effect has one to itself. */
const spared = 3
/** Milliseconds before a batch whose fate is unknown is looked after again. */
const pauseMsMin = 20
const pauseMsMax = 1000

type Ack = Extract<Settlement, { outcome: 'ack' }>
type Effect = (tx: PostgresClient) => unknown

/** Applies outcomes; those without an effect share transactions. */
export function createSettle(
  session: Session,
): (settlements: readonly Settlement[]) => Promise<SettleResult[]> {
  const plain = createBatcher<Settlement, SettleResult>({
    sizeOf: () => 1,
    sizeMax: batchMax,
    run: (settlements) => settlePlain(session, settlements),
  })
  const effectsMax = Math.max(1, session.poolMax - spared)
  const withEffect = Array.from({ length: effectsMax }, () =>
    createBatcher<Ack, SettleResult>({
      sizeOf: () => 1,
      sizeMax: 1,
      run: async (acks) => Promise.all(acks.map((ack) => settleWithEffect(session, ack))),
    }),
  )
  // What had a result when another one of the call failed keeps it when the call is repeated.
  const known = new WeakMap<Settlement, SettleResult>()
  let next = 0

  const settleOne = (settlement: Settlement): Promise<SettleResult> => {
    const lease = settlement.delivery.lease as Lease
    if (!session.leases.has(lease)) return Promise.resolve(known.get(settlement) ?? lost)
    const refusal = refusalOfFollowers(session, settlement)
    if (refusal !== undefined)
      return Promise.resolve({ ok: false, reason: 'error', error: refusal })
    if (!endsWell(settlement.outcome)) return settleAndBreak(session, settlement, plain.add)
    if (settlement.outcome !== 'ack' || settlement.effect === undefined)
      return plain.add(settlement)
    next += 1
    return (withEffect[next % effectsMax] ?? plain).add(settlement)
  }

  return async (settlements) => {
    const answers = await Promise.allSettled(settlements.map(settleOne))
    let failure: PromiseRejectedResult | undefined
    const results = answers.map((answer, index): SettleResult => {
      if (answer.status === 'rejected') {
        failure ??= answer
        return lost
      }
      const settlement = settlements[index] as Settlement
      const { value } = answer
      if (value.ok || value.reason === 'lost') {
        known.set(settlement, value)
        ended(session, settlement, value)
      }
      return value
    })
    if (failure !== undefined) throw failure.reason
    return results
  }
}

function followersOf(settlement: Settlement): readonly OutgoingRecord[] {
  return (settlement.outcome === 'ack' && settlement.publish) || []
}

function refusalOfFollowers(session: Session, settlement: Settlement): TreatyError | undefined {
  for (const record of followersOf(settlement)) {
    const refusal = refusalOf(record, session.messageBytesMax)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

/** The lease is over; its chain goes on here where the message has ended for good. */
function ended(session: Session, { outcome, delivery }: Settlement, { ok }: SettleResult): void {
  const lease = delivery.lease as Lease
  if (!session.leases.delete(lease)) return
  const local = session.groups.get(delivery.group)
  if (local === undefined) return
  if (ok && endsWell(outcome)) proceed(session, local, lease)
  else giveBackAll(session, local, behind(lease))
}

function endsWell(outcome: Settlement['outcome']): boolean {
  return outcome === 'ack' || outcome === 'drop'
}

/** Until the broker has it, its chain is neither ours nor another's. */
async function settleAndBreak(
  { groups }: Session,
  settlement: Settlement,
  settle: (settlement: Settlement) => Promise<SettleResult>,
): Promise<SettleResult> {
  const { delivery } = settlement
  const local = groups.get(delivery.group)
  const lease = delivery.lease as Lease
  const chains = chainsOf([lease])
  if (local === undefined || chains.length === 0) return settle(settlement)
  breakChains(local, chains)
  for (const stranded of behind(lease)) local.held.delete(stranded)
  try {
    return await settle(settlement)
  } finally {
    mendChains(local, chains)
  }
}

async function settlePlain(
  session: Session,
  settlements: readonly Settlement[],
): Promise<SettleResult[]> {
  // A batch holds leases of one owner: after a lease was lost, the fence must be that of then.
  const owners = new Set(settlements.map(({ delivery }) => (delivery.lease as Lease).ownerId))
  const results = settlements.map(() => lost)
  for (const ownerId of owners) {
    const chosen = [...settlements.entries()].filter(
      ([, { delivery }]) => (delivery.lease as Lease).ownerId === ownerId,
    )
    const own = chosen.map(([, settlement]) => settlement)
    const applied = await applyOnce(session, own, ownerId)
    tell(session, applied)
    for (const place of applied.places) results[chosen[place]?.[0] ?? -1] = done
  }
  return results
}

/** Others may have waited for chains that came free; here only where the latest claim left something behind. */
function tell(session: Session, { touched, freed }: Applied): void {
  const waiting = freed.filter((id) =>
    [...session.groups.values()].some(
      (local) => session.groupIds.get(local.name) === id && local.hasLeftover,
    ),
  )
  session.wake([...new Set([...touched, ...waiting])], 'local')
  session.wake([...new Set([...touched, ...freed])], 'others')
}

/**
 * Applies a batch, again until it is known what became of it: an answer that was lost with its connection is found in the
 * row of the owner.
 */
async function applyOnce(
  session: Session,
  settlements: readonly Settlement[],
  ownerId: number,
): Promise<Applied> {
  const { access } = session
  session.batches += 1
  const batch = session.batches
  const count = settlements.length
  const publishes = settlements.some((settlement) => followersOf(settlement).length > 0)
  for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(pauseMsMax, pauseMs * 2)) {
    try {
      return publishes
        ? await access.transaction((query) =>
            settleAndPublish(session, query, { settlements, batch }),
          )
        : await applySettlements(session, access.write, { settlements, batch })
    } catch (error) {
      if (!isPassing(error) || session.isEnded) throw error
      session.reportError(error)
      await delay(session.clock, pauseMs)
    }
    const known = await resultOf(session, { ownerId, batch, count }).catch(() => undefined)
    if (known !== undefined) return known
  }
}

/** True for what passes with the connection or the crowd; a full disk is for the caller to know. */
function isPassing(error: unknown): error is TreatyError {
  return isTreatyError(error) && (error.code === 'STORE_UNAVAILABLE' || error.code === 'STORE_BUSY')
}

/** What became of a batch; undefined: it did not take effect. */
async function resultOf(
  session: Session,
  of: { ownerId: number; batch: number; count: number },
): Promise<Applied | undefined> {
  const { access, schema, groupIds } = session
  const [row] = await access.read(`SELECT batch, places FROM ${schema}.bus_owner WHERE id = $1`, [
    of.ownerId,
  ])
  if (row === undefined || Number(row.batch) !== of.batch) return undefined
  const places = placesOf(row.places, of.count)
  // Which chains went on is not known any more.
  return { places, touched: [...groupIds.values()], freed: [], isSame: true }
}

interface Applied {
  /** Indexes of the settlements that took effect. */
  readonly places: readonly number[]
  readonly touched: readonly number[]
  readonly freed: readonly number[]
  /** False: the transaction was another than the one named, and nothing was applied. */
  readonly isSame: boolean
}

interface Batch {
  readonly settlements: readonly Settlement[]
  /** Absent: its result is not kept. */
  readonly batch?: number
  /** The transaction in which it must happen. */
  readonly xact?: string
}

async function settleAndPublish(session: Session, query: Query, of: Batch): Promise<Applied> {
  const { settlements } = of
  const applied = await applySettlements(session, query, of)
  const records = applied.places.flatMap((place) => followersOf(settlements[place] as Settlement))
  if (records.length === 0) return applied
  const [row] = await query(publishSql(session.schema), [
    shardOf(session, 'settle'),
    ...publishArguments(records),
  ])
  return { ...applied, touched: [...applied.touched, ...((row?.touched as number[] | null) ?? [])] }
}

export function publishSql(schema: string): string {
  return `SELECT * FROM ${schema}.bus_publish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`
}

/** True: nothing but acknowledgements of one group's messages that are leased in bulk, which have a function of their own. */
function areAcks({ settlements, batch, xact }: Batch): boolean {
  const first = settlements[0]?.delivery.lease as Lease | undefined
  if (first === undefined || batch === undefined || xact !== undefined) return false
  return settlements.every((settlement) => {
    const { bulk, groupId } = settlement.delivery.lease as Lease
    if (settlement.outcome !== 'ack' || settlement.inbox !== undefined) return false
    return bulk !== null && groupId === first.groupId && countedAs(settlement) === 'handled'
  })
}

async function applyAcks(
  session: Session,
  query: Query,
  { settlements, batch }: Batch,
): Promise<Applied> {
  const leases = settlements.map(({ delivery }) => delivery.lease as Lease)
  const groupId = leases[0]?.groupId ?? 0
  const [row] = await query(
    `SELECT done, has_freed, has_promoted FROM ${session.schema}.bus_ack($1, $2, $3, $4, $5, $6)`,
    [
      leases[0]?.ownerId,
      shardOf(session, 'settle'),
      groupId,
      leases.map(({ seq }) => seq),
      leases.map(({ bulk }) => bulk),
      batch,
    ],
    'treaty ack',
  )
  return {
    places: placesOf(row?.done, settlements.length),
    touched: row?.has_promoted === true ? [groupId] : [],
    freed: row?.has_freed === true ? [groupId] : [],
    isSame: true,
  }
}

/** Indexes of a batch out of the places that the database counts from 1. */
function placesOf(done: unknown, length: number): number[] {
  const places = (done ?? []) as number[]
  if (places[0] === everyPlace) return Array.from({ length }, (_, index) => index)
  return places.map((place) => place - 1)
}

async function applySettlements(session: Session, query: Query, of: Batch): Promise<Applied> {
  if (areAcks(of)) return applyAcks(session, query, of)
  const { settlements, batch, xact } = of
  const own = settlements.map(({ delivery }) => delivery.lease as Lease)
  // What was held back behind a message that has not ended goes back with it.
  const stranded = settlements
    .filter(({ outcome }) => !endsWell(outcome))
    .flatMap(({ delivery }) => behind(delivery.lease as Lease))
  const leases = [...own, ...stranded]
  const column = <T>(value: (settlement: Settlement) => T) => settlements.map(value)
  const inbox = (settlement: Settlement) =>
    settlement.outcome === 'ack' ? settlement.inbox : undefined
  const [row] = await query(
    `SELECT done, touched, freed
     FROM (SELECT $1::bigint AS owner
           WHERE $14::text IS NULL OR $14 = pg_current_xact_id_if_assigned()::text) AS same
     CROSS JOIN LATERAL ${session.schema}.bus_settle(
       same.owner, $2, $3, $4, $5, $15, $6, $7, $8, $9, $10, $11, $12, $13)`,
    [
      leases[0]?.ownerId,
      shardOf(session, 'settle'),
      leases.map(({ groupId }) => groupId),
      leases.map(({ seq }) => seq),
      leases.map(({ deliveries }) => deliveries),
      [...column(countedAs), ...stranded.map(() => 'unlease')],
      column((settlement) => wholeMs(('delayMs' in settlement && settlement.delayMs) || 0)),
      column((settlement) => (settlement.outcome === 'dead' ? settlement.failure.reason : null)),
      column(failureText),
      column(
        (settlement) =>
          (settlement.outcome === 'dead' ? settlement.failure.stack : undefined) ?? null,
      ),
      settlements.some(inbox) ? column((settlement) => inbox(settlement)?.key ?? null) : null,
      column((settlement) => wholeMs(inbox(settlement)?.untilMs ?? 0)),
      batch ?? null,
      xact ?? null,
      leases.some(({ bulk }) => bulk !== null) ? leases.map(({ bulk }) => bulk) : null,
    ],
    'treaty settle',
  )
  return {
    places: placesOf(row?.done, settlements.length),
    touched: (row?.touched ?? []) as number[],
    freed: (row?.freed ?? []) as number[],
    isSame: row !== undefined,
  }
}

/** What `bus_settle` calls the outcome. */
function countedAs(settlement: Settlement): string {
  if (settlement.outcome === 'ack') return settlement.as ?? 'handled'
  return settlement.outcome === 'drop' ? 'expired' : settlement.outcome
}

function failureText(settlement: Settlement): string | null {
  if (settlement.outcome !== 'dead') return null
  const { reason: _reason, stack: _stack, ...rest } = settlement.failure
  return JSON.stringify(rest)
}

/**
 * One transaction for the effect, the acknowledgement, its inbox row and its messages. The row is locked first, so that it is
 * not handed on while the effect runs; the group is locked only at the end.
 */
async function settleWithEffect(session: Session, ack: Ack): Promise<SettleResult> {
  const lease = ack.delivery.lease as Lease
  const thrown: { error?: unknown } = {}
  try {
    const applied = await session.access.transaction(
      async (query, client) => {
        const xact = await lockRow(session, query, lease)
        if (xact === undefined) return undefined
        try {
          await runEffect(ack.effect as Effect, client)
        } catch (error) {
          thrown.error = error
          throw error
        }
        const settled = await settleAndPublish(session, query, { settlements: [ack], xact })
        if (!settled.isSame) throw transactionEnded()
        return settled
      },
      { once: true },
    )
    if (applied === undefined || applied.places.length === 0) return lost
    tell(session, applied)
    return done
  } catch (error) {
    // Without a connection nobody knows: the call is repeated, and finds the row there or gone.
    if ('error' in thrown && !endsConnection(thrown.error)) {
      return { ok: false, reason: 'error', error: thrown.error }
    }
    if (error instanceof TreatyError && error.code === 'EFFECT_INVALID') {
      return { ok: false, reason: 'error', error }
    }
    throw error
  }
}

async function runEffect(effect: Effect, client: PostgresClient): Promise<void> {
  // Only statements: who releases or ends the connection would take it from under us.
  await effect({ query: (text, values) => client.query(text, values && [...values]) })
}

/** Locks our row; the transaction's number, or undefined where the row is not ours any more. */
async function lockRow(session: Session, query: Query, lease: Lease): Promise<string | undefined> {
  const { schema } = session
  const [row] =
    lease.bulk === null
      ? await query(
          `SELECT pg_current_xact_id()::text AS xact FROM ${schema}.bus_delivery
           WHERE seq = $1 AND grp = $2 AND state = 1 AND owner = $3 AND deliveries = $4 FOR UPDATE`,
          [lease.seq, lease.groupId, lease.ownerId, lease.deliveries],
        )
      : // From here on a row by itself, as if it had been claimed so.
        await query(
          `UPDATE ${schema}.bus_delivery SET state = 1, owner = $3, deliveries = deliveries + 1
           WHERE seq = $1 AND grp = $2 AND state = 6 AND EXISTS (
             SELECT FROM ${schema}.bus_lease WHERE owner = $3 AND no = $4 AND $1 = ANY (seqs))
           RETURNING pg_current_xact_id()::text AS xact`,
          [lease.seq, lease.groupId, lease.ownerId, lease.bulk],
        )
  return row === undefined ? undefined : String(row.xact)
}

function transactionEnded(): TreatyError {
  return new TreatyError(
    'EFFECT_INVALID',
    'the effect of an acknowledgement ended the transaction',
    { hint: 'Leave BEGIN, COMMIT and ROLLBACK to Treaty.' },
  )
}
