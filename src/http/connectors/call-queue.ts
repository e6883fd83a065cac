import { type Clock, systemClock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import { createIdSource } from '../../core/ids.ts'
import type { Json } from '../../core/json.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import type { Store, StoredRecord } from '../../store/index.ts'
import type { CallRequest, CallResponse } from '../client/call.ts'
import { backoffDelay } from '../resilience/backoff.ts'
import { localRejections } from '../resilience/failure.ts'

/** How calls are kept and made later. */
export interface CallQueueOptions {
  readonly store: Store
  /** One queue for each neighbour: calls of one name are sent in order. */
  readonly name: string
  /** Makes the call, without a fallback: `client.request`, usually. */
  readonly send: (request: CallRequest) => Promise<CallResponse>
  /** After so many attempts a call is put aside; default 20. */
  readonly attempts?: number
  /** Wait after the first failure; doubles, with full jitter. Default 1000. */
  readonly baseMs?: number
  /** Longest wait; default 300 000. */
  readonly capMs?: number
  /** Milliseconds between looks for what is due, once started. Default 1000. */
  readonly pollMs?: number
  /** Told of each look, once started, that sent something or put something aside. */
  readonly onDrained?: (drained: Drained) => void
  readonly clock?: Clock
  readonly random?: Random
}

/** A call that is kept. */
export interface QueuedCall {
  readonly id: string
  readonly method: string
  readonly path: string
  /** Epoch milliseconds. */
  readonly queuedAt: number
  readonly attempts: number
  /** Epoch milliseconds of the next attempt. */
  readonly dueAt: number
  /** Why the last attempt, or the call itself, failed. */
  readonly reason: string
}

/** What one look through the queue came to. */
export interface Drained {
  readonly sent: number
  /** Put aside: refused for good, or out of attempts. */
  readonly putAside: number
  readonly waiting: number
}

/** Calls to one neighbour that are made later, in order, at least once, by any process on the same store. */
export interface CallQueue {
  /**
   * Resolves once the call is kept. It gets an idempotency key if it has none: it was not done yet.
   *
   * @param cause Why it is not made now.
   * @throws CALL_NOT_KEPT where it may have been done already and may not be done twice, or its body can be read only once
   */
  add(request: CallRequest, cause: unknown): Promise<{ readonly id: string }>
  waiting(limit?: number): Promise<readonly QueuedCall[]>
  /** Calls that were put aside. */
  putAside(limit?: number): Promise<readonly QueuedCall[]>
  /** Sends what is due until one has to wait; all at once where `isForced`. Undefined: another process is at it. */
  drain(options?: { readonly isForced?: boolean }): Promise<Drained | undefined>
  /** Lets a call that was put aside wait again. False: not there. */
  replay(id: string): Promise<boolean>
  discard(id: string): Promise<boolean>
  /** Drains now and then until stopped. */
  start(): void
  /** Waits for the call that is being made; the rest stays kept. */
  stop(): Promise<void>
}

/** A call in the store. Credentials are not part of it: they are the client's. */
interface Row {
  readonly request: Omit<CallRequest, 'signal' | 'schema' | 'responseSchema'>
  readonly queuedAt: number
  readonly attempts: number
  readonly dueAt: number
  readonly reason: string
}

const leaseMs = 120_000
const pageSize = 100

/** @see FallbackOptions.queue */
export function createCallQueue(options: CallQueueOptions): CallQueue {
  return new StoredQueue(options)
}

class StoredQueue implements CallQueue {
  readonly #options: CallQueueOptions
  readonly #clock: Clock
  readonly #nextId: () => string
  readonly #waiting: string
  readonly #aside: string
  #running: Promise<unknown> = Promise.resolve()
  #timer: unknown
  #isStarted = false
  #isStopped = false

  constructor(options: CallQueueOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#nextId = createIdSource(this.#clock)
    this.#waiting = `http-calls.${options.name}`
    this.#aside = `${this.#waiting}.aside`
  }

  async add(request: CallRequest, cause: unknown): Promise<{ readonly id: string }> {
    const id = this.#nextId()
    const now = this.#clock.now()
    const row: Row = {
      request: {
        ...keepable(request, cause),
        // Not done yet, so a new key is the first that the neighbour sees; each attempt has the same.
        ...(isRead(request) ? {} : { idempotencyKey: request.idempotencyKey ?? id }),
      },
      queuedAt: now,
      attempts: 0,
      dueAt: now,
      reason: errorMessage(cause),
    }
    await this.#options.store.records.put(this.#waiting, id, row as unknown as Json)
    return { id }
  }

  waiting(limit = pageSize): Promise<readonly QueuedCall[]> {
    return this.#list(this.#waiting, limit)
  }

  putAside(limit = pageSize): Promise<readonly QueuedCall[]> {
    return this.#list(this.#aside, limit)
  }

  drain({ isForced = false }: { readonly isForced?: boolean } = {}): Promise<Drained | undefined> {
    const work = this.#drain(isForced)
    this.#running = Promise.all([this.#running, work.catch(() => undefined)])
    return work
  }

  async #drain(isForced: boolean): Promise<Drained | undefined> {
    const { locks } = this.#options.store
    const lock = await locks.acquire(this.#waiting, this.#nextId(), leaseMs)
    if (!lock) return undefined
    try {
      return await this.#sendAll(isForced, () => locks.renew(lock, leaseMs))
    } finally {
      await locks.release(lock)
    }
  }

  async replay(id: string): Promise<boolean> {
    const { records } = this.#options.store
    const record = await records.get(this.#aside, id)
    if (!record) return false
    const row = { ...rowOf(record), attempts: 0, dueAt: this.#clock.now() }
    await records.put(this.#waiting, id, row as unknown as Json)
    return records.delete(this.#aside, id)
  }

  discard(id: string): Promise<boolean> {
    return this.#options.store.records.delete(this.#aside, id)
  }

  start(): void {
    this.#isStarted = true
    this.#isStopped = false
    this.#lookLater()
  }

  async stop(): Promise<void> {
    this.#isStarted = false
    this.#isStopped = true
    this.#clock.clearTimeout(this.#timer)
    await this.#running
  }

  #lookLater(): void {
    if (!this.#isStarted) return
    this.#timer = this.#clock.setTimeout(() => {
      // What fails here is still in the store, for the next look.
      this.drain()
        .then((drained) => {
          if (drained && drained.sent + drained.putAside > 0) this.#options.onDrained?.(drained)
        })
        .catch(() => undefined)
        .finally(() => this.#lookLater())
    }, this.#options.pollMs ?? 1000)
  }

  /** In order, until one has to wait: a later call may rest on an earlier one. */
  async #sendAll(isForced: boolean, renew: () => Promise<boolean>): Promise<Drained> {
    const { records } = this.#options.store
    let sent = 0
    let putAside = 0
    while (!this.#isStopped) {
      const [first] = await records.list(this.#waiting, { limit: 1 })
      const mayGo = first && (isForced || rowOf(first).dueAt <= this.#clock.now())
      const outcome = mayGo && (await renew()) ? await this.#sendOne(first) : 'waits'
      if (outcome === 'waits') break
      if (outcome === 'sent') sent += 1
      else putAside += 1
    }
    const { length } = await records.list(this.#waiting, { limit: 1000 })
    return { sent, putAside, waiting: length }
  }

  async #sendOne(record: StoredRecord): Promise<'sent' | 'put aside' | 'waits'> {
    const { store, send, attempts: most = 20, random = systemRandom } = this.#options
    const { baseMs = 1000, capMs = 300_000 } = this.#options
    const row = rowOf(record)
    try {
      await send({ ...row.request, fallback: false })
      await store.records.delete(this.#waiting, record.key)
      return 'sent'
    } catch (error) {
      const attempts = row.attempts + 1
      const waitMs = Math.max(
        retryAfterOf(error),
        backoffDelay(attempts, { baseMs, capMs }, random),
      )
      const dueAt = this.#clock.now() + waitMs
      const failed: Row = { ...row, attempts, dueAt, reason: errorMessage(error) }
      const isFinal = attempts >= most || (isTreatyError(error) && !error.retryable)
      // Put aside before it is taken away: a crash in between leaves it in both places, never in none.
      await store.records.put(isFinal ? this.#aside : this.#waiting, record.key, asJson(failed))
      if (!isFinal) return 'waits'
      await store.records.delete(this.#waiting, record.key)
      return 'put aside'
    }
  }

  async #list(collection: string, limit: number): Promise<readonly QueuedCall[]> {
    const records = await this.#options.store.records.list(collection, { limit })
    return records.map((record) => {
      const { request, ...facts } = rowOf(record)
      return { id: record.key, method: request.method, path: request.path, ...facts }
    })
  }
}

/** The parts of a call that a later process needs, if it may be made later at all. */
function keepable(request: CallRequest, cause: unknown): Row['request'] {
  const { signal: _, schema: __, responseSchema: ___, headers, body, ...rest } = request
  const isSafe = request.idempotent ?? (request.idempotencyKey !== undefined || isRead(request))
  if (!isSafe && !wasNotSent(cause)) throw notKept('it may have been done already')
  const kept = body === undefined ? {} : { body: JSON.parse(textOf(body)) as Json }
  return {
    ...rest,
    ...kept,
    ...(headers === undefined
      ? {}
      : { headers: Object.fromEntries(new Headers(headers as never)) }),
  }
}

function isRead({ method }: CallRequest): boolean {
  return ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'].includes(method)
}

function wasNotSent(cause: unknown): boolean {
  return isTreatyError(cause) && (localRejections.has(cause.kind) || cause.attempts === 0)
}

function textOf(body: unknown): string {
  const isData =
    typeof body !== 'object' ||
    Array.isArray(body) ||
    Object.getPrototypeOf(body) === Object.prototype
  const text = isData && typeof body !== 'function' ? JSON.stringify(body) : undefined
  if (text !== undefined) return text
  throw notKept('its body is no plain data')
}

function notKept(why: string): TreatyError {
  return new TreatyError('CALL_NOT_KEPT', `the call is not kept for later: ${why}`, {
    hint: 'Give it an idempotencyKey, and a body that is text or plain data.',
  })
}

function retryAfterOf(error: unknown): number {
  return isTreatyError(error) ? (error.retryAfterMs ?? 0) : 0
}

function rowOf(record: StoredRecord): Row {
  return record.value as unknown as Row
}

function asJson(row: Row): Json {
  return row as unknown as Json
}
