import { TreatyError } from '../../../core/errors.ts'
import type {
  DeadFilter,
  DeadLetter,
  DeadLetterStore,
  DeadLetterSummary,
  Failure,
  IncomingRecord,
} from '../../transport.ts'
import { resumeChain, writeDead } from './bury.ts'
import type { Engine, Turn } from './engine.ts'
import { removeLetter } from './maintenance.ts'
import { positionOf } from './position.ts'
import { firstState, insertLog, prepareRecord, publishRecord, takeSeq } from './publish.ts'
import { parseHeaders } from './records.ts'
import { rowState } from './schema.ts'
import { chainOf, type Group } from './topology-view.ts'

/** Letters of one page at most. */
const pageMax = 1000

type Row = Record<string, unknown>

/** Runs `work` in the next transaction. */
export type InTurn = <T>(work: (turn: Turn) => T) => Promise<T>

/** Dead letters in the database; listed in the order in which they died. */
export function createDeadLetters(engine: Engine, inTurn: InTurn): DeadLetterStore {
  const { file } = engine
  return {
    async list(filter, { limit, cursor }) {
      const { where, values } = conditions(filter)
      const most = Math.min(Math.max(1, Math.trunc(limit)), pageMax)
      const rows = file
        .prepare(`SELECT * FROM bus_dead WHERE no > ? ${where} ORDER BY no LIMIT ?`)
        .all(parseCursor(cursor), ...values, most + 1) as Row[]
      const page = rows.slice(0, most)
      const items = page.map(summaryOf)
      return rows.length > most ? { items, next: String(page.at(-1)?.no) } : { items }
    },
    async get(id) {
      return readLetter(engine, id)?.letter
    },
    replay: (id) => inTurn((turn) => replay(engine, turn, id)),
    discard: (id) =>
      inTurn((turn) => {
        const found = readLetter(engine, id)
        if (found === undefined) return false
        removeLetter(engine, turn, found)
        return true
      }),
    async count(filter) {
      const { where, values } = conditions(filter)
      const row = file
        .prepare(`SELECT count(*) AS letters FROM bus_dead WHERE no > 0 ${where}`)
        .get(...values)
      return Number(row?.letters)
    },
    put: (letter) => inTurn(() => put(engine, letter)),
  }
}

function parseCursor(cursor: string | undefined): number {
  if (cursor === undefined) return 0
  const no = Number(cursor)
  if (Number.isSafeInteger(no) && no >= 0) return no
  throw new TreatyError('CURSOR_INVALID', `the cursor '${cursor}' is not one that was given out`, {
    hint: 'Give back next of the page before, unchanged.',
  })
}

function conditions(filter: DeadFilter): { where: string; values: (string | number)[] } {
  const parts: (readonly [string, string | number | undefined])[] = [
    ['consumer = ?', filter.consumer],
    ['event = ?', filter.event],
    ['reason = ?', filter.reason],
    ['failed_at >= ?', filter.failedAfter],
    ['failed_at <= ?', filter.failedBefore],
  ]
  const given = parts.filter((part): part is [string, string | number] => part[1] !== undefined)
  return {
    where: given.map(([text]) => `AND ${text}`).join(' '),
    values: given.map(([, value]) => value),
  }
}

function summaryOf(row: Row): DeadLetterSummary {
  const failure = JSON.parse(String(row.failure)) as Omit<Failure, 'reason'>
  return {
    ...failure,
    id: String(row.id),
    messageId: String(row.message_id),
    event: String(row.event),
    consumer: row.consumer as string | null,
    group: row.group_name as string | null,
    reason: String(row.reason),
    attempts: Number(row.attempts),
    firstFailedAt: Number(row.first_failed_at),
    failedAt: Number(row.failed_at),
    address: String(row.address),
    contentType: String(row.content_type),
    ...(row.seq === null ? {} : { position: positionOf(Number(row.seq)) }),
    ...(row.key === null ? {} : { key: String(row.key) }),
    ...(row.correlation_id === null ? {} : { correlationId: String(row.correlation_id) }),
  }
}

interface FoundLetter {
  readonly no: number
  readonly groupId: number | null
  readonly seq: number | null
  readonly countedAs: 'dead' | 'expired'
  readonly letter: DeadLetter
  readonly record: IncomingRecord
}

function readLetter(engine: Engine, id: string): FoundLetter | undefined {
  const row = engine.file
    .prepare('SELECT * FROM bus_dead d JOIN bus_dead_body b ON b.no = d.no WHERE d.id = ?')
    .get(id) as Row | undefined
  if (row === undefined) return undefined
  const letter: DeadLetter = {
    ...summaryOf(row),
    ...(row.stack === null ? {} : { stack: String(row.stack) }),
    body: (row.body as Uint8Array | null) ?? new Uint8Array(0),
    headers: parseHeaders(String(row.headers)),
  }
  return {
    no: Number(row.no),
    groupId: row.grp as number | null,
    seq: row.seq as number | null,
    countedAs: row.counted as 'dead' | 'expired',
    letter,
    record: {
      id: letter.messageId,
      address: letter.address,
      type: letter.event,
      body: letter.body,
      headers: letter.headers,
      contentType: letter.contentType,
      priority: Number(row.priority),
      ...(letter.key === undefined ? {} : { key: letter.key }),
      ...(letter.correlationId === undefined ? {} : { correlationId: letter.correlationId }),
      ...(row.causation_id === null ? {} : { causationId: String(row.causation_id) }),
      position: letter.position ?? '',
      publishedAt: row.published_at === null ? letter.failedAt : Number(row.published_at),
    },
  }
}

function replay(engine: Engine, turn: Turn, id: string): boolean {
  const found = readLetter(engine, id)
  if (found === undefined) return false
  const { letter } = found
  if (letter.group === null) {
    publishAnew(engine, turn, found)
    return true
  }
  const group = engine.topology.groups.get(letter.group)
  if (group === undefined) {
    throw new TreatyError('GROUP_NOT_FOUND', `the group '${letter.group}' is not there any more`, {
      hint: 'Discard the dead letter, or start a process whose contract names the consumer.',
      details: { group: letter.group, deadLetter: id },
    })
  }
  if (!resumeInPlace(engine, turn, { group, found })) joinTail(engine, turn, { group, found })
  engine.tally.add(letter.event, group.consumer, found.countedAs, -1)
  engine.tally.add(letter.event, group.consumer, 'waiting', 1)
  deleteLetter(engine, found.no)
  return true
}

function deleteLetter(engine: Engine, no: number): void {
  engine.file.prepare('DELETE FROM bus_dead WHERE no = ?').run(no)
  engine.file.prepare('DELETE FROM bus_dead_body WHERE no = ?').run(no)
}

/**
 * Refused before it reached a consumer, so it reaches them all now, as if it had just been sent.
 */
function publishAnew(engine: Engine, turn: Turn, found: FoundLetter): void {
  const { letter, record } = found
  if (!engine.topology.topics.has(letter.address)) {
    throw new TreatyError('CHANNEL_NOT_FOUND', `the channel '${letter.address}' is not there`, {
      hint: 'Start a process whose contract names the channel, then replay again.',
      details: { address: letter.address, deadLetter: letter.id },
    })
  }
  const result = publishRecord(engine, turn, record)
  if ('error' in result) throw result.error
  engine.tally.add(letter.event, letter.consumer, 'dead', -1)
  engine.tally.add(letter.event, letter.consumer, 'deliveries', -1)
  deleteLetter(engine, found.no)
}

/** Under `onDead: block` the row still stands in its chain. */
function resumeInPlace(
  engine: Engine,
  turn: Turn,
  at: { group: Group; found: FoundLetter },
): boolean {
  const { group, found } = at
  if (found.seq === null) return false
  const row = engine.file
    .prepare(
      `UPDATE bus_delivery SET state = ${rowState.blocked}, attempts = 0, deliveries = 0,
         releases = 0, first_failed_at = NULL
       WHERE grp = ? AND seq = ? AND state = ${rowState.dead} RETURNING chain`,
    )
    .get(group.id, found.seq)
  if (row === undefined) return false
  resumeChain(engine, turn, { groupId: group.id, chain: String(row.chain) })
  return true
}

/** A message of its own for this group alone, at the end of its chain. */
function joinTail(engine: Engine, turn: Turn, at: { group: Group; found: FoundLetter }): void {
  const { group, found } = at
  const topic = engine.topology.topics.get(found.letter.address)
  if (topic === undefined) {
    throw new TreatyError(
      'CHANNEL_NOT_FOUND',
      `the channel '${found.letter.address}' is not there`,
      {
        hint: 'Start a process whose contract names the channel, then replay again.',
        details: { address: found.letter.address, deadLetter: found.letter.id },
      },
    )
  }
  const seq = takeSeq(turn)
  const record: IncomingRecord = { ...found.record, position: positionOf(seq) }
  const prepared = prepareRecord(engine, record)
  const chain = chainOf(topic, record.key)
  const state = firstState(engine, turn, { groupId: group.id, chain })
  engine.sql.insertDelivery.run(group.id, seq, state, prepared.priority, null, chain, null)
  insertLog(engine, { topic, seq, record, prepared, originSeq: found.seq ?? seq })
}

function put(engine: Engine, letter: Omit<DeadLetter, 'id'>): string {
  // Other bytes under the same id are another letter: nothing that came may be lost.
  const known = engine.file
    .prepare(
      `SELECT d.id FROM bus_dead d JOIN bus_dead_body b ON b.no = d.no
       WHERE d.message_id = ? AND d.consumer IS NULL AND ? IS NULL
         AND d.event = ? AND d.reason = ? AND b.body = ?`,
    )
    .get(letter.messageId, letter.consumer, letter.event, letter.reason, letter.body)
  if (known !== undefined) return String(known.id)
  const group = letter.group === null ? undefined : engine.topology.groups.get(letter.group)
  const { reason, message, errorClass, stack, findings, contract, contractVersion } = letter
  const failure: Failure = {
    reason,
    ...(message === undefined ? {} : { message }),
    ...(errorClass === undefined ? {} : { errorClass }),
    ...(stack === undefined ? {} : { stack }),
    ...(findings === undefined ? {} : { findings }),
    ...(contract === undefined ? {} : { contract }),
    ...(contractVersion === undefined ? {} : { contractVersion }),
  }
  const { body, headers, contentType, key, correlationId } = letter
  engine.tally.add(letter.event, letter.consumer, 'deliveries', 1)
  engine.tally.add(letter.event, letter.consumer, 'dead', 1)
  return writeDead(engine, {
    letter,
    record: {
      body,
      headers,
      contentType,
      ...(key === undefined ? {} : { key }),
      ...(correlationId === undefined ? {} : { correlationId }),
    },
    failure,
    groupId: group?.id ?? null,
    seq: null,
    countedAs: 'dead',
  })
}
