import type { Clock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import { createIdSource } from '../../core/ids.ts'
import type { Random } from '../../core/random.ts'
import type { Lock } from '../../store/index.ts'
import { sign } from '../verify.ts'
import type { Directory } from './directory.ts'
import type { Egress } from './egress.ts'
import type { EndpointRecord } from './endpoint.ts'
import { ownTypePrefix } from './event-types.ts'
import { type DisableOptions, judgeHealth } from './health.ts'
import { Lane, type Row } from './lane.ts'
import { MessageCache } from './message-cache.ts'
import { judgeResult } from './outcome.ts'
import type { Post, PostResult } from './post.ts'
import type { Attempt, SenderEvent } from './sender-events.ts'
import type { Health, SenderRecords, StoredMessage } from './sender-records.ts'

/** What the dispatcher works on, and whom it tells. */
export interface DispatcherOptions {
  readonly records: SenderRecords
  readonly directory: Directory
  readonly egress: Egress
  readonly post: Post
  readonly clock: Clock
  readonly random: Random
  readonly schedule: readonly number[]
  readonly jitter: number
  readonly timeoutMs: number
  readonly overloadDelayMs: number
  /** Deliveries at work in this process. */
  readonly concurrency: number
  readonly disable: DisableOptions
  readonly leaseMs: number
  readonly pollMs: number
  readonly retentionMs: number
  readonly userAgent: string
  readonly emit: (event: SenderEvent) => void
}

interface LaneState {
  readonly lane: Lane
  readonly order: EndpointRecord['order']
  readonly shape: string
  health: Health
  /** Key up to which the store has been read. */
  tail: string
  /** Nothing lies behind the tail. */
  isWhole: boolean
  isLoading: boolean
  /** Something was committed while it was read. */
  isStale: boolean
  timer: unknown
}

/** Rows of one endpoint that are held in memory at most; the rest waits in the store. */
const windowRows = 1000
const refillBelow = 200
/** How long a row may wait for its message, which another process may just be writing. */
const orphanMs = 60_000
const pruneEveryMs = 3_600_000

/**
 * Delivers what lies in the store. Of several processes on one store one delivers at a time, by a lease, so that order, throttle
 * and concurrency of an endpoint hold; when it dies, another takes over.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #lanes = new Map<string, LaneState>()
  readonly #hungry = new Set<string>()
  readonly #atWork = new Set<Promise<void>>()
  readonly #aborting = new AbortController()
  readonly #cache: MessageCache
  readonly #nextId: () => string
  readonly #holder: string
  #lock: Lock | undefined
  #leaderUntil = 0
  #sickAtWork = 0
  #isOpen = false
  #leaseTimer: unknown
  #newsTimer: unknown
  #prunedAt: number

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#nextId = createIdSource(options.clock)
    this.#holder = this.#nextId()
    this.#cache = new MessageCache((seq) => options.records.message(seq))
    this.#prunedAt = options.clock.monotonic()
  }

  get isLeader(): boolean {
    return this.#lock !== undefined && this.#options.clock.monotonic() < this.#leaderUntil
  }
  get atWork(): number {
    return this.#atWork.size
  }
  /** Rows in memory that are not settled. */
  get waiting(): number {
    let sum = 0
    for (const { lane } of this.#lanes.values()) sum += lane.size
    return sum
  }

  async start(): Promise<void> {
    this.#isOpen = true
    await this.#lead()
    this.#watchNews()
  }

  /** Waits up to `drainMs` for deliveries at work, then aborts them: they come again. */
  async stop(drainMs: number): Promise<void> {
    this.#isOpen = false
    const { clock, records } = this.#options
    clock.clearTimeout(this.#leaseTimer)
    clock.clearTimeout(this.#newsTimer)
    for (const { timer } of this.#lanes.values()) clock.clearTimeout(timer)
    const timer = clock.setTimeout(() => this.#aborting.abort(), drainMs)
    await Promise.all(this.#atWork)
    clock.clearTimeout(timer)
    this.#lanes.clear()
    const lock = this.#lock
    this.#lock = undefined
    if (lock) await records.locks.release(lock).catch(() => false)
  }

  /** A message that this process has just committed. False: another process delivers, and is to be told. */
  offer(endpointId: string, row: Row, message: StoredMessage): boolean {
    if (!this.isLeader || !this.#isOpen) return false
    this.#cache.put(message)
    const state = this.#lanes.get(endpointId)
    if (!state) {
      this.#open(endpointId).catch((error) => this.#report(error))
      return true
    }
    if (state.isWhole && !state.isLoading && state.lane.size < windowRows) {
      state.lane.add(row)
      if (row.key > state.tail) state.tail = row.key
    } else if (state.isLoading) state.isStale = true
    else state.isWhole = false
    this.#pump(endpointId)
    return true
  }

  /** Looks at an endpoint anew: it was changed, or something was committed for it elsewhere. */
  async poke(endpointId: string): Promise<void> {
    if (!this.isLeader || !this.#isOpen) return
    const record = this.#options.directory.known(endpointId)
    const state = this.#lanes.get(endpointId)
    if (state && (record?.status !== 'active' || state.shape !== shapeOf(record))) {
      this.#options.clock.clearTimeout(state.timer)
      this.#lanes.delete(endpointId)
    }
    await this.#open(endpointId)
  }

  async #lead(): Promise<void> {
    const { clock, records, leaseMs, directory } = this.#options
    try {
      const begunAt = clock.monotonic()
      if (this.#lock && !(await records.locks.renew(this.#lock, leaseMs))) this.#stepDown()
      const isNew = this.#lock === undefined
      this.#lock ??= await records.locks.acquire(records.lockName, this.#holder, leaseMs)
      if (this.#lock) this.#leaderUntil = begunAt + leaseMs
      await directory.refresh(isNew)
      if (this.#lock && isNew) await this.#openAll()
      await this.#pruneSometimes()
    } catch (error) {
      this.#report(error)
    }
    if (!this.#isOpen) return
    this.#leaseTimer = clock.setTimeout(() => void this.#lead(), leaseMs / 3)
  }

  #stepDown(): void {
    this.#lock = undefined
    for (const { timer } of this.#lanes.values()) this.#options.clock.clearTimeout(timer)
    this.#lanes.clear()
    this.#hungry.clear()
  }

  async #openAll(): Promise<void> {
    for (const { id, status } of await this.#options.directory.list()) {
      if (status === 'active') await this.#open(id)
    }
  }

  #watchNews(): void {
    if (!this.#isOpen) return
    const { clock, pollMs } = this.#options
    this.#newsTimer = clock.setTimeout(() => void this.#readNews(), pollMs)
  }

  async #readNews(): Promise<void> {
    const { records, directory } = this.#options
    try {
      const news = this.isLeader ? await records.takeNews() : []
      if (news.length > 0) await directory.refresh(true)
      for (const id of news) await this.poke(id)
    } catch (error) {
      this.#report(error)
    }
    this.#watchNews()
  }

  async #open(endpointId: string): Promise<void> {
    const { directory, clock, records } = this.#options
    const record = directory.known(endpointId)
    if (record?.status !== 'active') return
    let state = this.#lanes.get(endpointId)
    if (!state) {
      const { order, concurrency, throttlePerSecond } = record
      const throttle = throttlePerSecond === undefined ? {} : { throttlePerSecond }
      state = {
        lane: new Lane({ order, concurrency, clock, ...throttle }),
        order,
        shape: shapeOf(record),
        health: { failures: 0, alerted: 0 },
        tail: '',
        isWhole: false,
        isLoading: false,
        isStale: false,
        timer: undefined,
      }
      this.#lanes.set(endpointId, state)
      state.health = await records.health(endpointId)
    } else if (state.isLoading) state.isStale = true
    else rewind(state)
    await this.#load(endpointId, state)
  }

  async #load(endpointId: string, state: LaneState): Promise<void> {
    if (state.isLoading || state.isWhole) return
    state.isLoading = true
    try {
      const rows = await this.#options.records.rows(endpointId, state.tail, windowRows)
      for (const row of rows) state.lane.add(row)
      state.tail = rows.at(-1)?.key ?? state.tail
      state.isWhole = rows.length < windowRows
    } finally {
      state.isLoading = false
    }
    if (state.isStale) {
      state.isStale = false
      rewind(state)
      await this.#load(endpointId, state)
      return
    }
    this.#pump(endpointId)
  }

  #pump(endpointId: string): void {
    const state = this.#lanes.get(endpointId)
    if (!state || !this.isLeader || !this.#isOpen) return
    const { lane } = state
    while (this.#hasSlot(lane)) {
      const row = lane.next()
      if (!row) break
      this.#run(endpointId, state, row)
    }
    const waitMs = lane.waitMs()
    const { clock } = this.#options
    clock.clearTimeout(state.timer)
    if (waitMs === 0) this.#hungry.add(endpointId)
    else if (waitMs !== undefined) {
      state.timer = clock.setTimeout(() => this.#pump(endpointId), waitMs)
    }
    if (lane.size < refillBelow && !state.isWhole && !state.isLoading) {
      this.#load(endpointId, state).catch((error) => this.#report(error))
    }
  }

  /** The sick may hold half of all slots together, so that they never starve the others. */
  #hasSlot(lane: Lane): boolean {
    const { concurrency } = this.#options
    if (this.#atWork.size >= concurrency) return false
    return !lane.isSick || this.#sickAtWork < Math.max(1, concurrency / 2)
  }

  #run(endpointId: string, state: LaneState, row: Row): void {
    const wasSick = state.lane.isSick
    if (wasSick) this.#sickAtWork += 1
    const work = this.#deliver(endpointId, state, row)
      .catch((error) => {
        this.#report(error)
        state.lane.retry(row, { ...row, dueAt: this.#options.clock.now() + 1000 })
      })
      .finally(() => {
        this.#atWork.delete(work)
        if (wasSick) this.#sickAtWork -= 1
        this.#feed()
        this.#pump(endpointId)
      })
    this.#atWork.add(work)
  }

  /** One slot is free: to who has waited longest. */
  #feed(): void {
    const [first] = this.#hungry
    if (first === undefined) return
    this.#hungry.delete(first)
    this.#pump(first)
  }

  async #deliver(endpointId: string, state: LaneState, row: Row): Promise<void> {
    const { clock, records, directory } = this.#options
    const message = await this.#cache.get(row.message)
    const record = directory.known(endpointId)
    if (!message) {
      if (clock.now() - timeOf(row.message) > orphanMs) {
        await records.deleteRow(row.key)
        state.lane.finish(row)
      } else state.lane.retry(row, { ...row, dueAt: clock.now() + 1000 })
      return
    }
    if (record?.status !== 'active') {
      state.lane.retry(row, { ...row, dueAt: clock.now() + 60_000 })
      return
    }
    const begunAt = clock.monotonic()
    const at = clock.now()
    const result = await this.#attempt(record, message)
    if ('failure' in result && result.failure === 'aborted') {
      state.lane.retry(row, row)
      return
    }
    const elapsedMs = Math.round(clock.monotonic() - begunAt)
    await this.#settle({ record, state, row, message, result, at, elapsedMs })
  }

  #attempt(record: EndpointRecord, message: StoredMessage): Promise<PostResult> {
    const { clock, directory, egress, post, timeoutMs, userAgent } = this.#options
    const shape = egress.checkShape(record.url)
    if (!shape.allowed) return Promise.resolve({ failure: 'denied', message: shape.reason })
    const rawBody = this.#cache.bytesOf(message)
    const signed = sign({
      scheme: 'standard-webhooks',
      secrets: directory.secretsOf(record),
      id: message.id,
      timestamp: new Date(clock.now()),
      rawBody,
    })
    return post({
      url: record.url,
      headers: {
        ...record.headers,
        'content-type': message.contentType,
        'user-agent': userAgent,
        ...traceOf(message),
        ...signed,
      },
      body: rawBody,
      timeoutMs: record.timeoutMs ?? timeoutMs,
      signal: this.#aborting.signal,
    })
  }

  async #settle(done: Settled): Promise<void> {
    const { clock, records, random, jitter, overloadDelayMs } = this.#options
    const { record, state, row, message, result, at, elapsedMs } = done
    const attemptNumber = row.attempts + 1
    const judged = judgeResult(attemptNumber, result, {
      now: clock.now(),
      schedule: record.schedule ?? this.#options.schedule,
      jitter,
      random,
      overloadDelayMs,
    })
    const { outcome, delayMs, pauseMs } = judged
    const nextAt = delayMs === undefined ? undefined : clock.now() + delayMs
    const attempt: Attempt = {
      id: this.#nextId(),
      endpointId: record.id,
      messageId: message.id,
      type: message.type,
      attempt: attemptNumber,
      outcome,
      at,
      elapsedMs,
      ...('status' in result
        ? { status: result.status, responseHeaders: result.headers, response: result.excerpt }
        : { error: `${result.failure}: ${result.message}` }),
      ...(nextAt === undefined ? {} : { nextAt }),
    }
    state.lane.learn(outcome === 'delivered', pauseMs)
    const isOver = outcome === 'delivered' || outcome === 'exhausted'
    const again: Row = { ...row, attempts: attemptNumber, dueAt: nextAt ?? clock.now() }
    const writes = [
      records.log(attempt, message.seq),
      isOver ? records.deleteRow(row.key) : records.putRow(again),
    ]
    const failures = (await Promise.allSettled(writes)).filter(
      ({ status }) => status === 'rejected',
    )
    // What was not written is done again after a restart, under the same id.
    for (const failure of failures) this.#report((failure as PromiseRejectedResult).reason)
    if (isOver) state.lane.finish(row)
    else state.lane.retry(row, again)
    // The row is settled: what goes wrong from here on must not settle it twice.
    await this.#conclude(done, attempt).catch((error) => this.#report(error))
  }

  /** Tells of the attempt, and draws the conclusions for the endpoint. */
  async #conclude({ record, state, message }: Settled, attempt: Attempt): Promise<void> {
    const { emit } = this.#options
    const { response: _response, responseHeaders: _headers, id: _id, at: _at, ...told } = attempt
    const { outcome } = attempt
    emit({ kind: 'attempt', ...told })
    const named = { endpointId: record.id, messageId: message.id, type: message.type }
    if (outcome === 'exhausted') emit({ kind: 'exhausted', ...named, attempts: attempt.attempt })
    const isStopped =
      outcome === 'exhausted' && record.order !== 'none' && record.onExhausted === 'stop'
    if (isStopped || outcome === 'gone') {
      await this.#disable(record.id, isStopped ? 'stopped' : 'gone')
      return
    }
    const isOwn = message.type.startsWith(ownTypePrefix)
    await this.#learn(record.id, state, { isSuccess: outcome === 'delivered', isOwn })
  }

  async #learn(
    endpointId: string,
    state: LaneState,
    attempt: { isSuccess: boolean; isOwn: boolean },
  ): Promise<void> {
    const { clock, records, disable, emit } = this.#options
    const before = state.health
    const judged = judgeHealth(before, attempt.isSuccess, { now: clock.now(), ...disable })
    if (judged.health === before) return
    state.health = judged.health
    await records.putHealth(endpointId, judged.health)
    if (attempt.isSuccess && before.alerted > 0) emit({ kind: 'endpoint.recovered', endpointId })
    if (judged.alert !== undefined && !attempt.isOwn) {
      const failingSince = judged.health.failingSince ?? clock.now()
      emit({ kind: 'endpoint.failing', endpointId, share: judged.alert, failingSince })
    }
    if (judged.isOver) await this.#disable(endpointId, 'failing')
  }

  async #disable(endpointId: string, reason: string): Promise<void> {
    const record = this.#options.directory.known(endpointId)
    if (record?.status !== 'active') return
    await this.#options.directory.setStatus(endpointId, 'disabled', reason)
    await this.#options.records.putHealth(endpointId, { failures: 0, alerted: 0 })
    this.#options.emit({ kind: 'endpoint.disabled', endpointId, reason })
  }

  async #pruneSometimes(): Promise<void> {
    const { clock, records, retentionMs } = this.#options
    if (!this.#lock || clock.monotonic() - this.#prunedAt < pruneEveryMs) return
    this.#prunedAt = clock.monotonic()
    const before = clock.now() - retentionMs
    for await (const message of records.messages()) {
      if (message.at >= before || !this.isLeader) return
      await records.forget(message)
    }
  }

  #report(error: unknown): void {
    const known = isTreatyError(error)
      ? error
      : new TreatyError('UNFORESEEN', errorMessage(error), { cause: error })
    this.#options.emit({ kind: 'problem', error: known })
  }
}

/** Reads again from the beginning: rows of other processes may sort before what was read last. */
function rewind(state: LaneState): void {
  state.tail = ''
  state.isWhole = false
}

interface Settled {
  readonly record: EndpointRecord
  readonly state: LaneState
  readonly row: Row
  readonly message: StoredMessage
  readonly result: PostResult
  readonly at: number
  readonly elapsedMs: number
}

/** The trace goes on at the receiver. @see W3C Trace Context */
function traceOf({ metadata }: StoredMessage): Record<string, string> {
  const traceparent = metadata?.traceparent
  const isOne = typeof traceparent === 'string' && /^[\da-f]{2}(-[\da-f]+){3}$/.test(traceparent)
  return isOne ? { traceparent } : {}
}

/** What of an endpoint needs a new lane when it changes. */
function shapeOf({ order, concurrency, throttlePerSecond }: EndpointRecord): string {
  return `${order}/${concurrency}/${throttlePerSecond ?? ''}`
}

/** The time in a UUID of version 7. @see RFC 9562 section 5.7 */
export function timeOf(seq: string): number {
  return Number.parseInt(seq.slice(0, 8) + seq.slice(9, 13), 16)
}
