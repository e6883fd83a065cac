import { type Clock, systemClock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import { createIdSource } from '../../core/ids.ts'
import { systemRandom } from '../../core/random.ts'
import { isPlainId } from '../scheme.ts'
import { Directory, endpointNotFound } from './directory.ts'
import { Dispatcher, timeOf } from './dispatcher.ts'
import { createEgress, type Egress } from './egress.ts'
import { ownTypePrefix } from './event-types.ts'
import type { Row } from './lane.ts'
import { decode } from './message-cache.ts'
import { filterMessage, outgoingMessage, type UnaddressedMessage } from './outgoing-message.ts'
import { createPost, type Post } from './post.ts'
import { type CatalogueEntry, createTypeCheck, webhookCatalogue } from './receiver-catalogue.ts'
import { scheduleDefault } from './schedule.ts'
import { createSecretBox } from './sealing.ts'
import { isSubscribed, type Selection, Selector } from './selection.ts'
import type { SenderEvent } from './sender-events.ts'
import type { Sender, SenderOptions, SenderStats, SendOptions, Sent } from './sender-options.ts'
import { SenderRecords, type StoredMessage } from './sender-records.ts'
import { type Proof, proveEndpoint } from './verification.ts'

const hourMs = 3_600_000
/** Filters that take too long block the whole process: after so many times in a row the endpoint is disabled. */
const slowFiltersMax = 3

/** Opens a sender and begins to deliver. @throws the STORE_ codes */
export async function createSender(options: SenderOptions): Promise<Sender> {
  const sender = new StoringSender(options)
  await sender.start()
  return sender
}

class StoringSender implements Sender {
  readonly #options: SenderOptions
  readonly #clock: Clock
  readonly #records: SenderRecords
  readonly #directory: Directory
  readonly #dispatcher: Dispatcher
  readonly #egress: Egress
  readonly #post: Post
  readonly #closeAgent: () => Promise<void>
  readonly #nextId: () => string
  readonly #checkType: ((type: string, data: unknown) => void) | undefined
  readonly #selector = new Selector()
  readonly #slowFilters = new Map<string, number>()
  readonly #counts = {
    sent: 0,
    delivered: 0,
    failed: 0,
    exhausted: 0,
    filtered: 0,
    filterFailures: 0,
  }

  constructor(options: SenderOptions) {
    this.#options = options
    const { store, name = 'default', contracts, random = systemRandom, disable = {} } = options
    this.#clock = options.clock ?? systemClock
    this.#records = new SenderRecords(store, name)
    this.#nextId = createIdSource(this.#clock)
    this.#checkType =
      contracts && options.checksData !== false ? createTypeCheck(contracts) : undefined
    this.#egress = createEgress(options.egress)
    const agent = this.#egress.createAgent({ connections: 1000 })
    this.#post = options.post ?? createPost(agent, this.#clock)
    this.#closeAgent = () => agent.destroy()
    this.#directory = new Directory({
      records: this.#records,
      egress: this.#egress,
      box: createSecretBox(options.sealKey),
      clock: this.#clock,
      overlapMs: options.secretOverlapMs ?? 24 * hourMs,
      startsAs: (options.verification ?? 'none') === 'none' ? 'active' : 'unverified',
      maxEndpoints: options.maxEndpoints ?? 100_000,
      onChange: (id) => this.#changed(id),
    })
    this.#dispatcher = new Dispatcher({
      records: this.#records,
      directory: this.#directory,
      egress: this.#egress,
      post: this.#post,
      clock: this.#clock,
      random,
      schedule: options.schedule ?? scheduleDefault,
      jitter: options.jitter ?? 0.2,
      timeoutMs: options.timeoutMs ?? 15_000,
      overloadDelayMs: options.overloadDelayMs ?? 60_000,
      concurrency: options.concurrency ?? 1000,
      disable: { failingForMs: 120 * hourMs, alertAt: [0.5, 0.7, 0.9, 1], ...disable },
      leaseMs: options.leaseMs ?? 15_000,
      pollMs: options.pollMs ?? 500,
      retentionMs: options.retentionMs ?? 720 * hourMs,
      userAgent: 'Treaty-Webhooks/1',
      emit: (event) => this.#emit(event),
    })
  }

  async start(): Promise<void> {
    await this.#directory.refresh(true)
    if (this.#options.dispatch !== false) await this.#dispatcher.start()
  }

  readonly endpoints: Sender['endpoints'] = {
    add: (options) => this.#directory.add(options),
    put: (options) => this.#directory.put(options),
    get: (id) => this.#directory.get(id),
    list: () => this.#directory.list(),
    update: (id, change) => this.#directory.update(id, change),
    disable: (id, reason = 'by hand') => this.#directory.setStatus(id, 'disabled', reason),
    enable: (id) => this.#directory.setStatus(id, 'active'),
    rotateSecret: (id, secret) => this.#directory.rotate(id, secret),
    verify: (id) => this.#prove(id),
    remove: (id) => this.#directory.remove(id),
  }

  async send(options: SendOptions): Promise<Sent> {
    const { type, id, endpoints } = options
    if (id !== undefined && (!isPlainId(id) || id.includes('.'))) {
      throw new TreatyError('WEBHOOK_SIGN_INVALID', 'the id of the message cannot be signed', {
        hint: 'Use printable characters without space, comma or dot.',
      })
    }
    if (!type.startsWith(ownTypePrefix)) this.#checkType?.(type, options.data)
    await this.#directory.refresh()
    const seq = this.#nextId()
    const claimed = id === undefined ? seq : await this.#records.claimId(id, seq)
    const known = claimed === seq ? undefined : await this.#records.message(claimed)
    if (known) return this.#repair(known)
    const made = this.#messageOf(options, claimed)
    const { targets, failures, filtered } = endpoints
      ? { targets: endpoints, failures: [], filtered: 0 }
      : this.#select(made, 'body' in options ? undefined : { data: options.data })
    const unjudged = failures.map(({ endpointId }) => endpointId)
    const message = { ...made, targets, ...(unjudged.length === 0 ? {} : { unjudged }) }
    const rows = targets.map((target) => this.#rowOf(target, message))
    await Promise.all([
      this.#records.putMessage(message),
      ...rows.map(({ row }) => this.#records.putRow(row)),
      ...failures.map(({ endpointId, failure }) => this.#logUnjudged(message, endpointId, failure)),
    ])
    await this.#handOut(rows, message)
    for (const { endpointId, failure } of failures) {
      this.#emitUnjudged(message, endpointId, failure)
    }
    this.#counts.sent += 1
    this.#counts.filtered += filtered
    return { id: message.id, endpoints: targets.length, isDuplicate: false }
  }

  async attempts(options: Parameters<Sender['attempts']>[0]) {
    const { endpointId, messageId, limit = 100, cursor } = options
    const seq = messageId === undefined ? undefined : await this.#records.seqOf(messageId)
    if (messageId !== undefined && seq === undefined) return { items: [] }
    const found = await this.#records.attempts(endpointId, {
      limit,
      ...(seq === undefined ? {} : { seq }),
      ...(cursor === undefined ? {} : { after: cursor }),
    })
    const last = found.length === limit ? found.at(-1)?.key : undefined
    const items = found.map(({ attempt }) => attempt)
    return last === undefined ? { items } : { items, next: last }
  }

  async message(id: string) {
    const seq = await this.#records.seqOf(id)
    const found = seq === undefined ? undefined : await this.#records.message(seq)
    if (!found) return undefined
    const { type, at, contentType, full } = found
    return { type, at, contentType, body: decode(full === undefined ? found : { body: full }) }
  }

  async redeliver(messageId: string, endpointId: string): Promise<void> {
    if (!(await this.#directory.get(endpointId))) throw endpointNotFound(endpointId)
    const seq = await this.#records.seqOf(messageId)
    const message = seq === undefined ? undefined : await this.#records.message(seq)
    if (!message) {
      throw new TreatyError('WEBHOOK_MESSAGE_NOT_FOUND', `the message ${messageId} is not kept`, {
        details: { id: messageId },
      })
    }
    await this.#again(endpointId, message)
  }

  async recover(
    endpointId: string,
    { since, until }: { since: Date; until?: Date },
  ): Promise<number> {
    await this.#directory.refresh(true)
    const endpoint = this.#directory.known(endpointId)
    if (!endpoint) throw endpointNotFound(endpointId)
    const waiting = await this.#waitingFor(endpointId)
    let count = 0
    for await (const message of this.#records.messages(firstSeq(since.getTime()))) {
      if (until !== undefined && timeOf(message.seq) > until.getTime()) break
      const isMeant =
        message.targets.includes(endpointId) ||
        (isSubscribed(endpoint.events, message.type) &&
          this.#selector.select([endpoint], () => filterMessage(message)).targets.length > 0)
      if (!isMeant || waiting.has(message.seq)) continue
      if (await this.#isDelivered(endpointId, message.seq)) continue
      await this.#again(endpointId, message)
      count += 1
    }
    return count
  }

  catalogue(): readonly CatalogueEntry[] {
    return webhookCatalogue(this.#options.contracts ?? [])
  }

  stats(): SenderStats {
    const { isLeader, atWork, waiting } = this.#dispatcher
    return { isDispatching: isLeader, atWork, waiting, ...this.#counts }
  }

  async close({ drainMs = 5000 }: { drainMs?: number } = {}): Promise<void> {
    await this.#dispatcher.stop(drainMs)
    await this.#closeAgent()
  }

  #messageOf(options: SendOptions, seq: string): UnaddressedMessage {
    const { bodyBytesMax = 262_144, oversize = 'thin', hrefOf } = this.#options
    return outgoingMessage(
      options,
      { seq, at: this.#clock.now() },
      { bodyBytesMax, oversize, hrefOf },
    )
  }

  #select(message: UnaddressedMessage, given?: { readonly data: unknown }): Selection {
    const subscribers = this.#directory.subscribers(message.type)
    return this.#selector.select(subscribers, () => filterMessage(message, given))
  }

  async #logUnjudged(message: StoredMessage, endpointId: string, error: string): Promise<void> {
    const { id: messageId, type, seq } = message
    const named = { id: this.#nextId(), endpointId, messageId, type }
    const what = { attempt: 0, outcome: 'filter_failed', at: this.#clock.now() } as const
    await this.#records.log({ ...named, ...what, elapsedMs: 0, error }, seq)
  }

  #emitUnjudged({ id: messageId, type }: StoredMessage, endpointId: string, error: string): void {
    this.#emit({ kind: 'filter.failed', endpointId, messageId, type, error })
    const times = error.includes('took longer') ? (this.#slowFilters.get(endpointId) ?? 0) + 1 : 0
    this.#slowFilters.set(endpointId, times)
    if (times < slowFiltersMax) return
    this.#slowFilters.delete(endpointId)
    const reason = 'slow filter'
    this.#directory.setStatus(endpointId, 'disabled', reason).then(
      () => this.#emit({ kind: 'endpoint.disabled', endpointId, reason }),
      (cause) => this.#report(cause),
    )
  }

  #report(cause: unknown): void {
    const error = isTreatyError(cause)
      ? cause
      : new TreatyError('UNFORESEEN', errorMessage(cause), { cause })
    this.#options.onEvent?.({ kind: 'problem', error })
  }

  #rowOf(
    endpointId: string,
    message: StoredMessage,
    seq = message.seq,
  ): { endpointId: string; row: Row } {
    const { orderKey } = message
    const row: Row = {
      key: `${endpointId}/${seq}`,
      message: message.seq,
      attempts: 0,
      dueAt: this.#clock.now(),
      ...(orderKey === undefined ? {} : { orderKey }),
    }
    return { endpointId, row }
  }

  /** The process that committed it before may have died half-way: what is missing is written, nothing is sent twice. */
  async #repair(message: StoredMessage): Promise<Sent> {
    const missing: { endpointId: string; row: Row }[] = []
    for (const target of message.targets) {
      const made = this.#rowOf(target, message)
      if (await this.#records.hasRow(made.row.key)) continue
      const { length } = await this.#records.attempts(target, { seq: message.seq, limit: 1 })
      if (length === 0) missing.push(made)
    }
    await Promise.all(missing.map(({ row }) => this.#records.putRow(row)))
    await this.#handOut(missing, message)
    return { id: message.id, endpoints: message.targets.length, isDuplicate: true }
  }

  async #again(endpointId: string, message: StoredMessage): Promise<void> {
    const made = this.#rowOf(endpointId, message, this.#nextId())
    await this.#records.putRow(made.row)
    await this.#handOut([made], message)
  }

  async #handOut(
    rows: readonly { endpointId: string; row: Row }[],
    message: StoredMessage,
  ): Promise<void> {
    const elsewhere = rows.filter(
      ({ endpointId, row }) => !this.#dispatcher.offer(endpointId, row, message),
    )
    if (elsewhere.length > 0)
      await this.#records.announce(elsewhere.map(({ endpointId }) => endpointId))
  }

  async #waitingFor(endpointId: string): Promise<ReadonlySet<string>> {
    const found = new Set<string>()
    let after = ''
    for (;;) {
      const rows = await this.#records.rows(endpointId, after, 1000)
      for (const { message } of rows) found.add(message)
      const last = rows.at(-1)
      if (last === undefined || rows.length < 1000) return found
      after = last.key
    }
  }

  async #isDelivered(endpointId: string, seq: string): Promise<boolean> {
    const found = await this.#records.attempts(endpointId, { seq, limit: 1000 })
    return found.some(({ attempt }) => attempt.outcome === 'delivered')
  }

  async #prove(id: string): Promise<Proof> {
    await this.#directory.refresh(true)
    const record = this.#directory.known(id)
    if (!record) throw endpointNotFound(id)
    const proof = await proveEndpoint(record.url, {
      kind: this.#options.verification === 'cloudevents' ? 'cloudevents' : 'challenge',
      secrets: this.#directory.secretsOf(record),
      origin: this.#options.origin ?? 'treaty',
      post: this.#post,
      egress: this.#egress,
      clock: this.#clock,
      nextId: this.#nextId,
      timeoutMs: this.#options.timeoutMs ?? 15_000,
    })
    if (proof.ok && record.status === 'unverified') await this.#directory.setStatus(id, 'active')
    return proof
  }

  async #changed(id: string): Promise<void> {
    if (this.#dispatcher.isLeader) await this.#dispatcher.poke(id)
    else await this.#records.announce([id])
  }

  #emit(event: SenderEvent): void {
    if (event.kind === 'attempt') {
      if (event.outcome === 'delivered') this.#counts.delivered += 1
      else this.#counts.failed += 1
    }
    if (event.kind === 'exhausted') this.#counts.exhausted += 1
    if (event.kind === 'filter.failed') this.#counts.filterFailures += 1
    this.#options.onEvent?.(event)
    this.#alert(event)
  }

  /** Tells those who subscribe to `webhook.…` what became of endpoints and messages. */
  #alert(event: SenderEvent): void {
    const isAlert = event.kind === 'exhausted' || event.kind.startsWith('endpoint.')
    if (!isAlert || ('type' in event && event.type.startsWith(ownTypePrefix))) return
    const { kind, ...data } = event
    const type = kind === 'exhausted' ? 'webhook.message.exhausted' : `webhook.${kind}`
    const own = 'endpointId' in event ? event.endpointId : ''
    const subscribers = this.#directory.subscribers(type).filter(({ id }) => id !== own)
    if (subscribers.length === 0) return
    const seen = { event: type, id: '', data, key: null, source: '', correlationId: null }
    const timestamp = new Date(this.#clock.now()).toISOString()
    const message = () => ({ ...seen, timestamp, metadata: {} })
    const endpoints = this.#selector.select(subscribers, message).targets
    if (endpoints.length === 0) return
    this.send({ type, data, endpoints }).catch((error) => this.#report(error))
  }
}

/** A key that sorts before every sequence of that time and after all before it. */
function firstSeq(at: number): string {
  const hex = Math.max(0, Math.floor(at)).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-`
}
