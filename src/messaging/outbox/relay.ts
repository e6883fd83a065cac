import { type Clock, delay } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'
import { redactUrl } from '../../core/secret.ts'
import { retryDelayMs } from '../consume/retry-policy.ts'
import type { PublishResult, Transport } from '../transport.ts'
import type {
  OutboxDatabase,
  OutboxOptions,
  OutboxResult,
  OutboxRow,
  OutboxShard,
} from './outbox.ts'

export interface RelayOptions
  extends Pick<OutboxOptions, 'failuresMax' | 'onParked' | 'pollMs' | 'batch'> {
  readonly database: OutboxDatabase
  readonly transport: Pick<Transport, 'publish' | 'capabilities'>
  readonly clock: Clock
  readonly random: Random
  readonly onError: (error: TreatyError) => void
  /** Told after each batch that was sent. */
  readonly onSent?: (count: number) => void
}

/** Sends what an outbox holds. */
export interface Relay {
  /** Finishes the batch that is under way, and gives the shards back. */
  stop(): Promise<void>
}

const defaults = { failuresMax: 10, pollMs: 1000, batch: 500 } as const
/** Between two failures of one message; ten of them are spread over about a minute and a half. */
const again = { baseMs: 200, factor: 2, capMs: 60_000, jitter: 'none' } as const
/** First pause of a round that found rows and could send none of them. */
const idleMsMin = 25
/** Between two tries while the broker is away. */
const awayMsMin = 250
const awayMsMax = 5000
/** Milliseconds that a broker may take for one wave before the shard is given up for the time being. */
const publishMs = 30_000
/** Batches of one shard before the others get their turn. */
const batchesMax = 20
/** Sent rows that are deleted together while a batch is still under way. */
const deletedTogether = 200

/** True for errors that say nothing about the message: nobody could have sent one just now. */
export function isAway(error: unknown): boolean {
  if (!isTreatyError(error)) return false
  return (
    /^(BROKER|STORE)_/.test(error.code) ||
    ['TRANSPORT_NOT_CONNECTED', 'PUBLISH_UNCONFIRMED', 'BUS_CLOSED'].includes(error.code)
  )
}

/**
 * Sends the rows of all shards that it can get, again and again. Of a key one message is under way at a time: a refusal stops
 * the key there, while the others go on. A row is deleted after the broker's durable acknowledgement.
 */
export function startRelay(options: RelayOptions): Relay {
  const { database, clock, onError } = options
  const end = new AbortController()
  let wake: (() => void) | undefined
  let isWoken = false
  const poke = () => {
    isWoken = true
    wake?.()
  }
  database.onWake(poke)

  const rest = (ms: number) =>
    new Promise<void>((resolve) => {
      if (isWoken || end.signal.aborted) {
        resolve()
        return
      }
      const timer = clock.setTimeout(resolve, ms)
      wake = () => {
        clock.clearTimeout(timer)
        resolve()
      }
    })
  const run = async () => {
    const { pollMs = defaults.pollMs } = options
    let awayMs = 0
    let idleMs = idleMsMin
    while (!end.signal.aborted) {
      if (isWoken) idleMs = idleMsMin
      isWoken = false
      try {
        const found = await relayOnce(options, end.signal)
        awayMs = 0
        // What waits for somebody's commit, or for its next try, tells nobody when its time has come.
        idleMs = found === 'waiting' ? Math.min(pollMs, idleMs * 2) : idleMsMin
        if (found !== 'more') await rest(found === 'waiting' ? idleMs : pollMs)
      } catch (error) {
        if (!end.signal.aborted) onError(asTreatyError(error))
        awayMs = Math.min(awayMsMax, Math.max(awayMsMin, awayMs * 2))
        // What is committed meanwhile does not bring the broker back: only the end of the relay ends this pause.
        await delay(clock, awayMs, end.signal).catch(() => undefined)
      }
    }
  }
  const running = run()
  return {
    stop() {
      end.abort()
      poke()
      return running
    },
  }
}

/**
 * One round over the shards that have something. `more`: at least one has more that may be sent; `waiting`: what is there may not.
 *
 * @throws where the broker or the database is away
 */
async function relayOnce(
  options: RelayOptions,
  ending: AbortSignal,
): Promise<'more' | 'waiting' | 'empty'> {
  const { database } = options
  const shards = await database.pending()
  const rounds = await Promise.allSettled(
    shuffled(shards, options.random).map((shard) =>
      database.alone(shard, (rows) => drain(rows, options, ending)),
    ),
  )
  for (const round of rounds) if (round.status === 'rejected') throw round.reason
  const hasMore = rounds.some((round) => round.status === 'fulfilled' && round.value === true)
  if (hasMore) return 'more'
  return shards.length > 0 ? 'waiting' : 'empty'
}

/** True: it stopped to be fair to the others, and there may be more. */
async function drain(
  rows: OutboxShard,
  options: RelayOptions,
  ending: AbortSignal,
): Promise<boolean> {
  const limit = options.batch ?? defaults.batch
  for (let turn = 0; turn < batchesMax; turn += 1) {
    if (ending.aborted) return false
    const batch = await rows.read(limit)
    if (batch.length === 0) return false
    await sendBatch(rows, batch, options)
  }
  return true
}

interface Tried {
  readonly sent: string[]
  readonly failed: OutboxResult['failed'][number][]
}

async function sendBatch(
  rows: OutboxShard,
  batch: readonly OutboxRow[],
  options: RelayOptions,
): Promise<void> {
  let tried: Tried = { sent: [], failed: [] }
  let away: unknown
  const settle = async () => {
    const { sent, failed } = tried
    tried = { sent: [], failed: [] }
    if (sent.length + failed.length === 0) return
    await rows.finish({ sent, failed })
    if (sent.length > 0) options.onSent?.(sent.length)
  }
  const waves = createWaves(batch)
  try {
    for (let wave = waves.next(); wave.length > 0; wave = waves.next()) {
      const results = await publish(wave, options)
      for (const [at, row] of wave.entries()) {
        const result = results[at] as PublishResult
        if (!('error' in result)) {
          tried.sent.push(row.id)
          continue
        }
        waves.stop(row)
        if (isAway(result.error)) away = result.error
        tried.failed.push(failureOf(row, result.error, options))
      }
      if (tried.sent.length >= deletedTogether) await settle()
    }
  } finally {
    await settle()
  }
  if (away !== undefined) throw away
}

/** A batch in waves: of each key one message at a time, of what has no order everything at once. */
interface Waves {
  next(): readonly OutboxRow[]
  /** The key of this row goes no further. */
  stop(row: OutboxRow): void
}

function createWaves(batch: readonly OutboxRow[]): Waves {
  const free = batch.filter(({ chain }) => chain === null)
  const chains = new Map<string, OutboxRow[]>()
  for (const row of batch) {
    if (row.chain === null) continue
    const chain = chains.get(row.chain)
    if (chain === undefined) chains.set(row.chain, [row])
    else chain.push(row)
  }
  return {
    next: () => [...free.splice(0), ...[...chains.values()].flatMap((rows) => rows.shift() ?? [])],
    stop: ({ chain }) => void (chain !== null && chains.delete(chain)),
  }
}

/** A result for each row. A call that failed as a whole for a reason of one message is made again, one message at a time. */
async function publish(
  rows: readonly OutboxRow[],
  options: RelayOptions,
): Promise<readonly PublishResult[]> {
  const { transport, clock } = options
  const once = async (some: readonly OutboxRow[]): Promise<readonly PublishResult[]> => {
    const limit = new AbortController()
    const late = new TreatyError(
      'PUBLISH_UNCONFIRMED',
      `the broker did not confirm within ${publishMs} ms`,
      { hint: 'Look whether the broker is well; the messages are sent again.' },
    )
    const timer = clock.setTimeout(() => limit.abort(late), publishMs)
    const aborted = new Promise<never>((_, reject) => {
      limit.signal.addEventListener('abort', () => reject(late), { once: true })
    })
    try {
      const records = some.map(({ record }) => record)
      return await Promise.race([transport.publish(records, limit.signal), aborted])
    } finally {
      clock.clearTimeout(timer)
    }
  }
  try {
    return await once(rows)
  } catch (error) {
    if (isAway(error) || rows.length === 1) return rows.map(() => ({ error: asTreatyError(error) }))
  }
  const results: PublishResult[] = []
  for (const row of rows) {
    results.push(...(await once([row]).catch((error) => [{ error: asTreatyError(error) }])))
  }
  return results
}

function failureOf(
  row: OutboxRow,
  error: TreatyError,
  options: RelayOptions,
): OutboxResult['failed'][number] {
  const text = redactUrl(`${error.code}: ${error.message}`).slice(0, 2000)
  if (isAway(error)) return { id: row.id, error: text, counts: false, retryMs: awayMsMin }
  const failures = row.failures + 1
  const isParked = failures >= (options.failuresMax ?? defaults.failuresMax)
  if (isParked) options.onError(parkedError(row, text, failures))
  const retryMs = retryDelayMs({ ...again, attempts: failures }, failures, options.random)
  return { id: row.id, error: text, counts: true, retryMs: isParked ? undefined : retryMs }
}

function parkedError(row: OutboxRow, why: string, failures: number): TreatyError {
  const { id, type, address } = row.record
  return new TreatyError(
    'OUTBOX_PARKED',
    `the message '${id}' (${type}) is parked in the outbox after ${failures} ${failures === 1 ? 'failure' : 'failures'}: ${why}`,
    {
      hint: 'Mend the cause, then run treaty outbox retry, or treaty outbox discard.',
      details: { id, event: type, address, failures },
    },
  )
}

function asTreatyError(error: unknown): TreatyError {
  if (isTreatyError(error)) return error
  return new TreatyError('TRANSPORT_FAILED', errorMessage(error), { cause: error })
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
