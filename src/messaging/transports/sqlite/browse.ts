import { TreatyError } from '../../../core/errors.ts'
import type { BrowseQuery, Page, StoredMessage } from '../../transport.ts'
import type { Engine } from './engine.ts'
import { positionOf } from './position.ts'
import { type LogRow, recordOfRow } from './records.ts'
import { rowState } from './schema.ts'
import { type Topic, takes } from './topology-view.ts'

type ConsumerState = StoredMessage['consumers'][number]

/** Messages looked at before other work gets its turn. */
const windowRows = 2000
const pageMax = 1000

/**
 * Messages that are still there, oldest first. Those of a correlation id are found by an index
 * where the channel has a retention; elsewhere among the unfinished, which are looked through.
 */
export async function browse(engine: Engine, query: BrowseQuery): Promise<Page<StoredMessage>> {
  const most = Math.min(Math.max(1, Math.trunc(query.limit)), pageMax)
  const after = parseCursor(query.cursor)
  const seqs =
    query.correlationId === undefined
      ? await scanLog(engine, { after, most: most + 1, event: query.event, from: query.from })
      : await findCorrelated(engine, { ...query, correlationId: query.correlationId, after, most })
  const page = seqs.slice(0, most)
  const items = page.flatMap((seq) => readMessage(engine, seq) ?? [])
  return seqs.length > most ? { items, next: positionOf(page.at(-1) ?? after) } : { items }
}

function parseCursor(cursor: string | undefined): number {
  if (cursor === undefined) return 0
  const seq = Number(cursor)
  if (Number.isSafeInteger(seq) && seq >= 0) return seq
  throw new TreatyError('CURSOR_INVALID', `the cursor '${cursor}' is not one that was given out`, {
    hint: 'Give back next of the page before, unchanged.',
  })
}

/** A replay is shown as what it stands for, as long as that is kept. */
const isShown = `(l.origin IS NULL OR NOT EXISTS (SELECT 1 FROM bus_log o WHERE o.seq = l.origin))`

async function scanLog(
  engine: Engine,
  scan: {
    after: number
    most: number
    event: string | undefined
    from: number | undefined
  },
): Promise<number[]> {
  const { most, event, from } = scan
  const window = engine.file.prepare(
    `SELECT seq, (?1 IS NULL OR type = ?1) AND (?4 IS NULL OR published_at >= ?4) AND ${isShown} AS fits FROM bus_log l
     WHERE seq > ?2 ORDER BY seq LIMIT ?3`,
  )
  // Only what is there now: while others publish, the end would run away for ever.
  const end = Number(engine.file.prepare('SELECT max(seq) AS seq FROM bus_log').get()?.seq ?? 0)
  const found: number[] = []
  for (let after = scan.after; found.length < most && after < end; ) {
    const rows = window.all(
      event ?? null,
      after,
      event === undefined && from === undefined ? most : windowRows,
      from === undefined ? null : Math.floor(from),
    )
    for (const row of rows) if (row.fits === 1 && found.length < most) found.push(Number(row.seq))
    const last = rows.at(-1)
    if (last === undefined) break
    after = Number(last.seq)
    await nextTurn()
  }
  return found
}

async function findCorrelated(
  engine: Engine,
  query: { correlationId: string; event?: string; after: number; most: number },
): Promise<number[]> {
  const { correlationId, after, most } = query
  const event = query.event ?? null
  const kept = engine.file
    .prepare(
      `SELECT seq FROM bus_log WHERE kept = 1 AND correlation_id = ?1 AND seq > ?2
       AND (?3 IS NULL OR type = ?3) ORDER BY seq LIMIT ?4`,
    )
    .all(correlationId, after, event, most + 1)
  const found = new Set(kept.map(({ seq }) => Number(seq)))
  const unfinished = engine.file.prepare(
    `SELECT d.seq, l.kept = 0 AND l.correlation_id IS ?1 AND (?2 IS NULL OR l.type = ?2)
       AND ${isShown} AS fits
     FROM bus_delivery d JOIN bus_log l ON l.seq = d.seq
     WHERE d.grp = ?3 AND d.seq > ?4 ORDER BY d.seq LIMIT ?5`,
  )
  for (const groupId of engine.topology.groupsById.keys()) {
    let count = 0
    for (let at = after; count <= most; ) {
      const rows = unfinished.all(correlationId, event, groupId, at, windowRows)
      for (const row of rows) {
        if (row.fits !== 1) continue
        found.add(Number(row.seq))
        count += 1
      }
      const last = rows.at(-1)
      if (last === undefined) break
      at = Number(last.seq)
      await nextTurn()
    }
  }
  return [...found].sort((a, b) => a - b).slice(0, most + 1)
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function readMessage(engine: Engine, seq: number): StoredMessage | undefined {
  const row = engine.sql.readLog.get(seq) as unknown as LogRow | undefined
  if (row === undefined) return undefined
  const topic = engine.topology.topicsById.get(row[1])
  const record = recordOfRow(row, topic?.address ?? '')
  const origin = engine.file.prepare('SELECT origin FROM bus_log WHERE seq = ?').get(seq)?.origin
  const isReplay = origin !== null && origin !== undefined
  return { record, consumers: consumersOf(engine, { topic, seq, record, isReplay }) }
}

function consumersOf(
  engine: Engine,
  message: {
    topic: Topic | undefined
    seq: number
    record: StoredMessage['record']
    isReplay: boolean
  },
): ConsumerState[] {
  const { topic, seq, record, isReplay } = message
  const states: ConsumerState[] = []
  for (const subscription of topic?.subscriptions ?? []) {
    const { group, startSeq } = subscription
    if (!takes(subscription, record.type) || seq <= startSeq) continue
    const row = readRow(engine, { groupId: group.id, seq, messageId: record.id })
    if (row !== undefined) states.push({ consumer: group.consumer, ...row })
    else if (!isReplay) {
      const end = readEnd(engine, { groupId: group.id, seq, messageId: record.id })
      states.push({ consumer: group.consumer, ...end })
    }
  }
  return states
}

/** The group's unfinished row of the message, or of its replay. */
function readRow(
  engine: Engine,
  at: { groupId: number; seq: number; messageId: string },
): Omit<ConsumerState, 'consumer'> | undefined {
  const row = engine.file
    .prepare(
      `SELECT state, attempts FROM bus_delivery WHERE grp = ?1 AND seq IN (
         SELECT ?2 UNION ALL SELECT seq FROM bus_log WHERE origin IS NOT NULL AND id = ?3)
       ORDER BY seq DESC LIMIT 1`,
    )
    .get(at.groupId, at.seq, at.messageId)
  if (row === undefined) return undefined
  const failed = Number(row.attempts)
  switch (row.state) {
    case rowState.leased:
      return { state: 'in-flight', attempts: failed + 1 }
    case rowState.blocked:
      return { state: 'blocked', attempts: failed }
    case rowState.dead:
      return { state: 'dead', attempts: failed + 1 }
    default:
      return { state: failed > 0 ? 'retrying' : 'waiting', attempts: failed }
  }
}

/** Without a row the group is done with the message, unless it lies among the dead letters. */
function readEnd(
  engine: Engine,
  at: { groupId: number; seq: number; messageId: string },
): Omit<ConsumerState, 'consumer'> {
  const letter = engine.file
    .prepare('SELECT attempts FROM bus_dead WHERE message_id = ? AND grp = ? ORDER BY no DESC')
    .get(at.messageId, at.groupId)
  if (letter !== undefined) return { state: 'dead', attempts: Number(letter.attempts) }
  const kept = engine.file
    .prepare('SELECT attempts FROM bus_attempts WHERE seq = ? AND grp = ?')
    .get(at.seq, at.groupId)
  return { state: 'done', attempts: kept === undefined ? 1 : Number(kept.attempts) }
}
