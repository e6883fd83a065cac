import { createHash } from 'node:crypto'
import type { RetryPolicy } from '../../contracts/index.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { errorMessage } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import { retryDelayMs } from '../../messaging/index.ts'
import type { Store, StoredRecord } from '../../store/index.ts'
import type { InboundDelivery } from './delivery.ts'

/** Where deliveries are kept, and by whom and how often they are handled. */
export interface InboxOptions {
  readonly store: Store
  readonly name: string
  /** A throw counts as a failed attempt; the delivery comes again with the same id, headers and bytes. */
  readonly handle: (
    delivery: InboundDelivery,
    context: { readonly attempt: number; readonly signal: AbortSignal },
  ) => Promise<void>
  /** Default: 8 attempts from 1 s to 5 min. */
  readonly retry?: RetryPolicy
  /** Default 8. */
  readonly concurrency?: number
  /** Milliseconds after which the work of a crashed process is taken over. Default 60 000. */
  readonly leaseMs?: number
  /** Milliseconds between looks for what other processes have stored. Default 1000. */
  readonly pollMs?: number
  readonly clock?: Clock
  readonly random?: Random
}

/** A delivery whose attempts are spent. */
export interface InboxDeadLetter {
  readonly key: string
  readonly delivery: InboundDelivery
  readonly attempts: number
  readonly reason: string
  readonly failedAt: number
}

/** Deliveries kept in the store and handled from there, at least once, by any process on the same store. */
export interface Inbox {
  /** Resolves once it is durable. */
  add(delivery: InboundDelivery): Promise<void>
  start(): void
  /** Waits for handlers at work. */
  stop(): Promise<void>
  /** Deliveries that are not done. */
  pending(limit?: number): Promise<number>
  readonly dead: {
    list(options?: { limit?: number; after?: string }): Promise<readonly InboxDeadLetter[]>
    /** False: not there. */
    replay(key: string): Promise<boolean>
    discard(key: string): Promise<boolean>
  }
}

interface Row {
  readonly delivery: Omit<InboundDelivery, 'rawBody' | 'json'>
  readonly body: string
  readonly attempts: number
  readonly dueAt: number
  readonly reason?: string
  readonly failedAt?: number
}

const retryDefault: RetryPolicy = {
  attempts: 8,
  baseMs: 1000,
  factor: 3,
  capMs: 300_000,
  jitter: 'full',
}
const pageSize = 200

/** An inbox for receivers that have no bus. */
export function createInbox(options: InboxOptions): Inbox {
  return new StoredInbox(options)
}

class StoredInbox implements Inbox {
  readonly #options: InboxOptions
  readonly #clock: Clock
  readonly #waiting: string
  readonly #buried: string
  readonly #running = new Map<string, Promise<void>>()
  readonly #stopping = new AbortController()
  #timer: unknown
  #isLooking = false
  #isStarted = false

  constructor(options: InboxOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#waiting = `webhook.inbox.${options.name}`
    this.#buried = `webhook.inbox.${options.name}.dead`
  }

  async add(delivery: InboundDelivery): Promise<void> {
    const { rawBody, json: _json, ...rest } = delivery
    const row: Row = {
      delivery: rest,
      body: Buffer.from(rawBody).toString('base64'),
      attempts: 0,
      dueAt: delivery.receivedAt,
    }
    await this.#options.store.records.put(this.#waiting, keyOf(delivery), asJson(row))
    this.#wake(0)
  }

  start(): void {
    this.#isStarted = true
    this.#wake(0)
  }

  async stop(): Promise<void> {
    this.#isStarted = false
    this.#stopping.abort()
    this.#clock.clearTimeout(this.#timer)
    await Promise.all(this.#running.values())
  }

  async pending(limit = 1000): Promise<number> {
    return (await this.#options.store.records.list(this.#waiting, { limit })).length
  }

  readonly dead: Inbox['dead'] = {
    list: async ({ limit = 100, after } = {}) => {
      const { records } = this.#options.store
      const page = { limit, ...(after === undefined ? {} : { after }) }
      const rows = await records.list(this.#buried, page)
      return rows.map((record) => {
        const row = asRow(record)
        return {
          key: record.key,
          delivery: deliveryOf(row),
          attempts: row.attempts,
          reason: row.reason ?? '',
          failedAt: row.failedAt ?? 0,
        }
      })
    },
    replay: async (key) => {
      const { records } = this.#options.store
      const record = await records.get(this.#buried, key)
      if (!record) return false
      const row: Row = { ...asRow(record), attempts: 0, dueAt: this.#clock.now() }
      await records.put(this.#waiting, key, asJson(row))
      await records.delete(this.#buried, key)
      this.#wake(0)
      return true
    },
    discard: (key) => this.#options.store.records.delete(this.#buried, key),
  }

  #wake(afterMs: number): void {
    if (!this.#isStarted) return
    this.#clock.clearTimeout(this.#timer)
    this.#timer = this.#clock.setTimeout(() => void this.#look(), afterMs)
  }

  /** Takes what is due, as much as there is room for. A store that fails is asked again later. */
  async #look(): Promise<void> {
    if (this.#isLooking || !this.#isStarted) return
    this.#isLooking = true
    let nextMs = this.#options.pollMs ?? 1000
    try {
      nextMs = await this.#takeDue(nextMs)
    } catch {
      // The rows are still there.
    } finally {
      this.#isLooking = false
      this.#wake(nextMs)
    }
  }

  async #takeDue(pollMs: number): Promise<number> {
    const { store, concurrency = 8 } = this.#options
    let nextMs = pollMs
    let after = ''
    for (;;) {
      const rows = await store.records.list(this.#waiting, { after, limit: pageSize })
      for (const record of rows) {
        after = record.key
        if (this.#running.has(record.key)) continue
        const dueMs = asRow(record).dueAt - this.#clock.now()
        if (dueMs > 0) nextMs = Math.min(nextMs, dueMs)
        else if (this.#running.size >= concurrency) return nextMs
        else await this.#take(record)
      }
      if (rows.length < pageSize) return nextMs
    }
  }

  /** Claims a row, so that of several processes one handles it, and hands it out. */
  async #take(record: StoredRecord): Promise<void> {
    const { store, leaseMs = 60_000 } = this.#options
    const { key } = record
    const claim = await store.claims.claim(this.#waiting, key, leaseMs)
    if (claim.state !== 'claimed') return
    const work = this.#handle(key, claim.token)
      .catch(() => undefined)
      .finally(() => {
        this.#running.delete(key)
        this.#wake(0)
      })
    this.#running.set(key, work)
  }

  async #handle(key: string, token: number): Promise<void> {
    const { store, handle } = this.#options
    // It may have been handled between the look and the claim.
    const record = await store.records.get(this.#waiting, key)
    try {
      if (record) {
        const row = asRow(record)
        await this.#settle(record, row, await attempt(row, handle, this.#stopping.signal))
      }
    } finally {
      await store.claims.release(this.#waiting, key, token)
    }
  }

  async #settle(record: StoredRecord, row: Row, failure: unknown): Promise<void> {
    const { records } = this.#options.store
    const { retry = retryDefault, random = systemRandom } = this.#options
    const expect = { expect: record.revision }
    if (failure === undefined) {
      await records.delete(this.#waiting, record.key, expect)
      return
    }
    const attempts = row.attempts + 1
    const failed: Row = {
      ...row,
      attempts,
      reason: errorMessage(failure),
      failedAt: this.#clock.now(),
      dueAt: this.#clock.now() + retryDelayMs(retry, attempts, random),
    }
    if (attempts < retry.attempts) {
      await records.put(this.#waiting, record.key, asJson(failed), expect)
      return
    }
    // Buried first: a crash in between leaves it in both places, never in none.
    await records.put(this.#buried, record.key, asJson(failed))
    await records.delete(this.#waiting, record.key, expect)
  }
}

/** Undefined when it went well; else what was thrown, never undefined. */
async function attempt(
  row: Row,
  handle: InboxOptions['handle'],
  signal: AbortSignal,
): Promise<unknown> {
  try {
    await handle(deliveryOf(row), { attempt: row.attempts + 1, signal })
    return undefined
  } catch (error) {
    return error ?? new Error('the handler failed without a reason')
  }
}

/** In order of arrival; the same delivery has the same key only within one arrival, the receiver's claim does the rest. */
function keyOf({ id, source, receivedAt }: InboundDelivery): string {
  const hash = createHash('sha256').update(`${source}\n${id}`).digest('hex').slice(0, 32)
  return `${String(receivedAt).padStart(16, '0')}-${hash}`
}

function deliveryOf({ delivery, body }: Row): InboundDelivery {
  const rawBody = Buffer.from(body, 'base64')
  return { ...delivery, rawBody, json: jsonOf(rawBody) }
}

function jsonOf(bytes: Buffer): Json | undefined {
  try {
    return JSON.parse(bytes.toString('utf8')) as Json
  } catch {
    return undefined
  }
}

function asRow(record: StoredRecord): Row {
  return record.value as unknown as Row
}
function asJson(row: Row): Json {
  return row as unknown as Json
}
