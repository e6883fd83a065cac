import { type Clock, delay, systemClock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import type { Bus, DeadLetter } from '../../messaging/index.ts'
import type { ClaimResult, Store } from '../../store/index.ts'
import { createRate, type Rate } from '../rate.ts'
import { verify } from '../verify.ts'
import { decoded } from './body.ts'
import {
  type InboundAnswer,
  type InboundDelivery,
  type InboundRequest,
  keptHeaders,
} from './delivery.ts'
import { createGathering } from './gathering.ts'
import { answerChallenge, answerQuestion, mayAsk } from './handshake.ts'
import { createKeptAnswers, type KeptAnswers } from './kept-answers.ts'
import { purgeReceived } from './received-bytes.ts'
import { createReceiverCounts, type ReceiverEvent, type ReceiverStats } from './receiver-events.ts'
import { createRecent, type Recent } from './recent.ts'
import { replayQuarantined } from './replaying.ts'
import { claimKey, fieldText, isTypeTaken, jsonOf, publicUrl, unsignedId } from './request-facts.ts'
import { type Source, type SourceOptions, sourceOf } from './source.ts'
import { createPublisher, type Publisher, type Stored } from './store-delivery.ts'

/** What a receiver takes, and where it keeps it. */
export interface ReceiverOptions {
  /** By name, which is also the last part of the path. */
  readonly sources: Readonly<Record<string, SourceOptions>>
  /** Where claims are kept, by which duplicates are recognised in all processes. */
  readonly store: Store
  /** Needed where a source names an event. */
  readonly bus?: Bus
  /** True for peers whose `X-Forwarded-*` is believed; default: none. */
  readonly trustProxy?: (remoteAddress: string | undefined) => boolean
  /** Told what became of each request: for metrics, logs and command lines. */
  readonly onEvent?: (event: ReceiverEvent) => void
  readonly clock?: Clock
}

/** Takes webhooks in: verified, kept, deduplicated, and only then answered. */
export interface Receiver {
  readonly sourceNames: readonly string[]
  /** Answers one request. Never rejects. */
  receive(source: string, request: InboundRequest): Promise<InboundAnswer>
  stats(): ReceiverStats
  /** The limits under which a server reads the body for a source; undefined for an unknown one. */
  limitsOf(source: string): { readonly bytesMax: number; readonly timeMs: number } | undefined
  readonly clock: Clock
  /**
   * Maps a quarantined delivery again, as its source says now, and publishes it under the same id; the dead letter goes. Undefined: it is
   * no delivery of these sources, or the provider's bytes are not kept; nothing was done.
   *
   * @throws SCHEMA_MISMATCH · WEBHOOK_UNMAPPED with the findings; the letter stays
   */
  replay(letter: DeadLetter): Promise<true | undefined>
}

/** Seconds after which a sender may try again when the store could not take a delivery. */
const retryAfterSeconds = 5
/** Milliseconds that a duplicate waits for the process that is at work on the same delivery. */
const rivalWaitMs = 2000
/** Milliseconds between looks whether it is done, doubling. */
const rivalLookMs = 50
const rivalLookMsMax = 500
const purgeEveryMs = 600_000
/** Ids that a process remembers by itself, so that most duplicates cost no write. */
const recentMost = 20_000
/** How long the bus recognises an id. */
const busWindowMs = 7 * 86_400_000

/** @throws OPTION_INVALID · UNKNOWN_EVENT */
export function createReceiver(options: ReceiverOptions): Receiver {
  return new StoringReceiver(options)
}

type Ending = Omit<ReceiverEvent, 'source' | 'status' | 'elapsedMs'>
interface Reply {
  readonly answer: InboundAnswer
  readonly ending: Ending
}

class StoringReceiver implements Receiver {
  readonly clock: Clock
  readonly #options: ReceiverOptions
  readonly #sources: ReadonlyMap<string, Source>
  readonly #rates = new Map<string, Rate>()
  readonly #publisher: Publisher | undefined
  readonly #running = new Map<string, Promise<Reply>>()
  readonly #atWork = new Map<string, number>()
  readonly #counts = createReceiverCounts()
  readonly #recent: Recent
  readonly #gather = createGathering()
  readonly #answers = new Map<string, KeptAnswers>()
  #purgedAt: number

  constructor(options: ReceiverOptions) {
    this.#options = options
    this.clock = options.clock ?? systemClock
    this.#purgedAt = this.clock.monotonic()
    this.#recent = createRecent(recentMost, busWindowMs, this.clock)
    const entries = Object.entries(options.sources)
    this.#sources = new Map(entries.map(([name, source]) => [name, sourceOf(name, source)]))
    const { bus, store } = options
    this.#publisher = bus && createPublisher(bus, store, this.clock)
    for (const source of this.#sources.values()) {
      if (source.handle) {
        const window = { keepMs: source.keepMs, now: () => this.clock.now() }
        this.#answers.set(source.name, createKeptAnswers(store, source.name, window))
      }
      checkEvent(source, options.bus)
      const { ratePerSecond, burst } = source.limits ?? {}
      if (ratePerSecond === undefined) continue
      const most = burst ?? Math.max(1, ratePerSecond)
      this.#rates.set(source.name, createRate(ratePerSecond, most, this.clock))
    }
  }

  get sourceNames(): readonly string[] {
    return [...this.#sources.keys()]
  }

  stats(): ReceiverStats {
    return this.#counts.read()
  }

  limitsOf(name: string) {
    const bounds = this.#sources.get(name)?.bounds
    return bounds && { bytesMax: bounds.bodyBytes, timeMs: bounds.bodyMs }
  }

  async replay(letter: DeadLetter): Promise<true | undefined> {
    const { bus, store } = this.#options
    const publisher = this.#publisher
    if (!bus || !publisher) return undefined
    const sourceOf = (name: string) => this.#sources.get(name)
    return replayQuarantined(letter, { bus, store, publisher, sourceOf })
  }

  async receive(name: string, request: InboundRequest): Promise<InboundAnswer> {
    const source = this.#sources.get(name)
    if (!source) return answer(404)
    const begunAt = this.clock.monotonic()
    const atWork = this.#atWork.get(name) ?? 0
    this.#atWork.set(name, atWork + 1)
    let reply: Reply
    try {
      reply = atWork >= source.bounds.concurrent ? tooBusy() : await this.#judge(source, request)
    } catch (thrown) {
      reply = unavailable(thrown)
    } finally {
      this.#atWork.set(name, (this.#atWork.get(name) ?? 1) - 1)
    }
    const elapsedMs = this.clock.monotonic() - begunAt
    const event: ReceiverEvent = {
      source: name,
      status: reply.answer.status,
      elapsedMs,
      ...reply.ending,
    }
    this.#counts.add(event)
    this.#options.onEvent?.(event)
    this.#purgeSometimes()
    return reply.answer
  }

  async #judge(source: Source, request: InboundRequest): Promise<Reply> {
    if (request.method === 'GET' || request.method === 'OPTIONS' || request.method === 'HEAD') {
      return question(source, request)
    }
    if (request.method !== 'POST') return refusal(405, 'malformed', { allow: 'POST' })
    const waitMs = this.#rates.get(source.name)?.take() ?? 0
    if (waitMs > 0) {
      return refusal(429, 'limited', { 'retry-after': String(Math.ceil(waitMs / 1000)) })
    }
    if (!isTypeTaken(source, request)) return refusal(415, 'malformed')
    if (request.rawBody.length > source.bounds.bodyBytes) return refusal(413, 'limited')
    const verified = this.#verify(source, request)
    if ('answer' in verified) return verified
    const encoding = fieldText(request, 'content-encoding') ?? ''
    const body = await decoded(request.rawBody, encoding, source.bounds.bodyBytes)
    if ('refusal' in body)
      return refusal(body.refusal, body.refusal === 413 ? 'limited' : 'malformed')
    const delivery = this.#deliveryOf(source, request, { ...verified, rawBody: body.bytes })
    const challenged = this.#challenge(source, delivery)
    if (challenged) return challenged
    return this.#once(source, delivery)
  }

  #verify(
    source: Source,
    request: InboundRequest,
  ): { readonly id: string | undefined; readonly secretIndex: number | undefined } | Reply {
    const { verify: how } = source
    if (how === 'unsigned') return { id: undefined, secretIndex: undefined }
    const verdict = verify({
      scheme: how.scheme,
      secrets: source.secrets(),
      headers: request.headers,
      rawBody: request.rawBody,
      url: publicUrl(how.publicUrl, request, this.#options.trustProxy),
      method: request.method,
      now: new Date(this.clock.now()),
      ...(how.toleranceSeconds === undefined ? {} : { toleranceSeconds: how.toleranceSeconds }),
    })
    if (verdict.ok) return { id: verdict.id, secretIndex: verdict.secretIndex }
    // One answer for all reasons: who forges learns nothing from it.
    return { answer: answer(401), ending: { outcome: 'unverified', reason: verdict.reason } }
  }

  #deliveryOf(
    source: Source,
    request: InboundRequest,
    known: { id: string | undefined; secretIndex: number | undefined; rawBody: Uint8Array },
  ): InboundDelivery {
    const { rawBody, secretIndex } = known
    const headers = keptHeaders(request.headers)
    let json: { value: Json | undefined } | undefined
    const delivery: InboundDelivery = {
      source: source.name,
      id: known.id ?? unsignedId(headers, rawBody),
      headers,
      rawBody,
      get json() {
        // Parsed when somebody asks: the bus parses for itself.
        json ??= { value: jsonOf(rawBody) }
        return json.value
      },
      receivedAt: this.clock.now(),
      secretIndex,
      url: request.url,
    }
    const key = source.dedupe?.key
    return key ? Object.assign(delivery, { id: key(delivery) ?? delivery.id }) : delivery
  }

  #challenge(source: Source, delivery: InboundDelivery): Reply | undefined {
    const { handshakeList } = source
    if (handshakeList.length === 0 || !mayAsk(handshakeList, delivery.rawBody)) return undefined
    const answered = answerChallenge(handshakeList, delivery.json, source.secrets())
    return answered && { answer: answered, ending: { outcome: 'handshake', id: delivery.id } }
  }

  /** Of several requests with one id in this process, the first does the work and all give its answer. */
  async #once(source: Source, delivery: InboundDelivery): Promise<Reply> {
    const key = `${source.name}\n${delivery.id}`
    const running = this.#running.get(key)
    if (running !== undefined) {
      const { answer: same, ending } = await running
      return {
        answer: same,
        ending: same.status < 300 ? { ...ending, outcome: 'duplicate' } : ending,
      }
    }
    const work = this.#begin(source, delivery)
    this.#running.set(key, work)
    try {
      return await work
    } finally {
      this.#running.delete(key)
    }
  }

  async #begin(source: Source, delivery: InboundDelivery): Promise<Reply> {
    await this.#gather()
    const isByBus = source.dedupe?.by === 'bus'
    return isByBus ? this.#byBus(source, delivery) : this.#claimed(source, delivery)
  }

  /** The claim is the first thing that is written, so that of several processes one does the work. */
  async #claimed(source: Source, delivery: InboundDelivery): Promise<Reply> {
    const { claims } = this.#options.store
    const scope = scopeOf(source)
    const claim = await this.#claim(source, delivery)
    if (claim.state === 'done') {
      const ending: Ending = { outcome: 'duplicate', id: delivery.id, ...secretOf(delivery) }
      const first = await this.#answers.get(source.name)?.find(claimKey(delivery.id))
      return { answer: first ?? answer(source.ackStatus ?? 200), ending }
    }
    // Neither yes nor no: the other may still fail, and then this delivery is needed.
    if (claim.state === 'running') return refusal(503, 'limited', retryLater())
    const { token } = claim
    let reply: Reply
    try {
      reply = await this.#keep(source, delivery)
    } catch (thrown) {
      // If this fails too, the lease frees it.
      await claims.release(scope, claimKey(delivery.id), token).catch(() => false)
      throw thrown
    }
    const answers = this.#answers.get(source.name)
    if (answers && reply.ending.outcome === 'handled') {
      // Before the claim is done, and before anybody is answered: a repetition must find it.
      await answers.keep(claimKey(delivery.id), reply.answer)
      await claims.complete(scope, claimKey(delivery.id), token, source.keepMs)
      return reply
    }
    if (reply.answer.status >= 300) {
      await claims.release(scope, claimKey(delivery.id), token).catch(() => false)
      return reply
    }
    // It is kept already, so nobody waits for this; if it fails, the lease frees the claim, and the bus knows the id. A
    // duplicate that comes meanwhile asks after this write.
    claims.complete(scope, claimKey(delivery.id), token, source.keepMs).catch(() => false)
    return reply
  }

  /** Waits for a process that is at work on the same delivery, for as long as it may take to answer. */
  async #claim(source: Source, delivery: InboundDelivery): Promise<ClaimResult> {
    const { claims } = this.#options.store
    const claim = () => claims.claim(scopeOf(source), claimKey(delivery.id), source.leaseMs)
    const until = this.clock.monotonic() + (source.handle ? source.bounds.handleMs : rivalWaitMs)
    let stepMs = rivalLookMs
    let result = await claim()
    while (result.state === 'running' && this.clock.monotonic() < until) {
      const leftMs = Math.max(0, result.untilMs - this.clock.now())
      await delay(this.clock, Math.min(stepMs, leftMs, until - this.clock.monotonic()))
      stepMs = Math.min(2 * stepMs, rivalLookMsMax)
      result = await claim()
    }
    return result
  }

  /** The broker refuses a second message of an id in the very write that stores it, so that no claim is needed before. */
  async #byBus(source: Source, delivery: InboundDelivery): Promise<Reply> {
    const key = `${source.name}\n${delivery.id}`
    if (this.#recent.has(key)) {
      const ending: Ending = { outcome: 'duplicate', id: delivery.id, ...secretOf(delivery) }
      return { answer: answer(source.ackStatus ?? 200), ending }
    }
    const reply = await this.#keep(source, delivery)
    if (reply.answer.status < 300) this.#recent.add(key)
    return reply
  }

  async #keep(source: Source, delivery: InboundDelivery): Promise<Reply> {
    const base = { id: delivery.id, ...secretOf(delivery) }
    if (source.handle) return this.#handleNow(source, delivery, source.handle)
    if (source.inbox) {
      await source.inbox.add(delivery)
      return { answer: answer(source.ackStatus ?? 200), ending: { outcome: 'kept', ...base } }
    }
    const publisher = this.#publisher
    if (!publisher) throw new TreatyError('BUS_CLOSED', 'the receiver has no bus')
    const stored = await publisher.store(source, delivery)
    if (stored.outcome === 'refused') {
      const body = JSON.stringify({ findings: stored.findings })
      return {
        answer: { status: 422, headers: { 'content-type': 'application/json' }, body },
        ending: { outcome: 'refused', ...base },
      }
    }
    return { answer: answer(source.ackStatus ?? 200), ending: { ...base, ...endingOf(stored) } }
  }

  async #handleNow(
    source: Source,
    delivery: InboundDelivery,
    handle: NonNullable<SourceOptions['handle']>,
  ): Promise<Reply> {
    const base = { id: delivery.id, ...secretOf(delivery) }
    const controller = new AbortController()
    const timeout = Promise.withResolvers<never>()
    const timer = this.clock.setTimeout(() => {
      controller.abort()
      timeout.reject(new TreatyError('HANDLER_ABORTED', 'the handler took longer than its time'))
    }, source.bounds.handleMs)
    try {
      const given = await Promise.race([
        handle(delivery, { signal: controller.signal }),
        timeout.promise,
      ])
      const { status = source.ackStatus ?? 200, headers = {}, body = '' } = given ?? {}
      // What it gives below 500 is its answer for good; a failure of its own is asked again.
      const outcome = status < 500 ? 'handled' : 'failed'
      return { answer: { status, headers, body }, ending: { outcome, ...base } }
    } catch (thrown) {
      const error = isTreatyError(thrown)
        ? thrown
        : new TreatyError('HANDLER_FAILED', errorMessage(thrown), { cause: thrown })
      return { answer: answer(500), ending: { outcome: 'failed', error, ...base } }
    } finally {
      this.clock.clearTimeout(timer)
    }
  }

  /** Keeps the store bounded without a timer that would keep the process alive. */
  #purgeSometimes(): void {
    const now = this.clock.monotonic()
    if (now - this.#purgedAt < purgeEveryMs) return
    this.#purgedAt = now
    const { store } = this.#options
    store.claims.purge().catch(() => 0)
    for (const answers of this.#answers.values()) answers.purge().catch(() => undefined)
    for (const { name, keepMs, event } of this.#sources.values()) {
      if (event !== undefined) {
        purgeReceived(store, name, { keepMs, clock: this.clock }).catch(() => undefined)
      }
    }
  }
}

function endingOf(stored: Exclude<Stored, { outcome: 'refused' }>): Ending {
  if (stored.outcome === 'published') return { outcome: 'published', messageId: stored.messageId }
  if (stored.outcome === 'quarantined') {
    return { outcome: 'quarantined', deadLetter: stored.deadLetter }
  }
  return { outcome: 'ignored' }
}

function secretOf({ secretIndex }: InboundDelivery): { secretIndex?: number } {
  return secretIndex === undefined ? {} : { secretIndex }
}

function answer(status: number, headers: Readonly<Record<string, string>> = {}): InboundAnswer {
  return { status, headers, body: '' }
}

function refusal(
  status: number,
  outcome: 'malformed' | 'limited',
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return { answer: answer(status, headers), ending: { outcome } }
}

function retryLater(): Readonly<Record<string, string>> {
  return { 'retry-after': String(retryAfterSeconds) }
}

function tooBusy(): Reply {
  return refusal(503, 'limited', { 'retry-after': '1' })
}

/** Nothing was kept, so the sender must come again: store full or locked, bus closed, or a defect of ours. */
function unavailable(thrown: unknown): Reply {
  const error = isTreatyError(thrown)
    ? thrown
    : new TreatyError('UNFORESEEN', errorMessage(thrown), { cause: thrown })
  return { answer: answer(503, retryLater()), ending: { outcome: 'failed', error } }
}

function question(source: Source, request: InboundRequest): Reply {
  const at = request.url.indexOf('?')
  const answered = answerQuestion(source.handshakeList, {
    method: request.method,
    query: new URLSearchParams(at < 0 ? '' : request.url.slice(at + 1)),
    header: (name) => fieldText(request, name),
    secrets: source.secrets(),
  })
  if (answered) return { answer: answered, ending: { outcome: 'handshake' } }
  return refusal(405, 'malformed', { allow: 'POST' })
}

/** Under which the claims of a source are kept. */
function scopeOf({ name }: Source): string {
  return `webhook.${name}`
}

function checkEvent(source: Source, bus: Bus | undefined): void {
  const { event, name } = source
  if (source.dedupe?.by === 'bus') checkBusDedupe(source, bus)
  if (event === undefined) return
  if (!bus) {
    throw new TreatyError(
      'OPTION_INVALID',
      `the webhook source ${name} needs a bus for its event`,
      {
        hint: 'Give the bus option, or an inbox, or handle.',
      },
    )
  }
  if (typeof event !== 'string') return
  if (bus.contracts.some(({ events }) => Object.hasOwn(events, event))) return
  throw new TreatyError('UNKNOWN_EVENT', `no loaded contract has the event "${event}" of ${name}`, {
    details: { event, source: name },
  })
}

function checkBusDedupe({ name, event, keepMs }: Source, bus: Bus | undefined): void {
  const windowMs = Math.min(bus?.transport.capabilities.publishDedupWindowMs ?? 0, busWindowMs)
  if (event !== undefined && windowMs >= keepMs) return
  throw new TreatyError(
    'OPTION_INVALID',
    `the bus cannot recognise duplicates of the webhook source ${name} for ${keepMs} ms`,
    { hint: 'Leave dedupe.by out, or shorten dedupe.keepMs.' },
  )
}
