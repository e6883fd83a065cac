import type { Contract } from '../../contracts/index.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import { createIdSource } from '../../core/ids.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import type { Store } from '../../store/index.ts'
import { isPlainId } from '../scheme.ts'
import { Directory, endpointNotFound, isSubscribed } from './directory.ts'
import { Dispatcher, timeOf } from './dispatcher.ts'
import { createEgress, type Egress, type EgressOptions } from './egress.ts'
import type { Endpoint, EndpointOptions } from './endpoint.ts'
import { ownTypePrefix } from './event-types.ts'
import type { DisableOptions } from './health.ts'
import type { Row } from './lane.ts'
import { decode } from './message-cache.ts'
import { createPost, type Post } from './post.ts'
import { type CatalogueEntry, createTypeCheck, webhookCatalogue } from './receiver-catalogue.ts'
import { scheduleDefault } from './schedule.ts'
import { createSecretBox } from './sealing.ts'
import type { Attempt, SenderEvent } from './sender-events.ts'
import { SenderRecords, type StoredMessage } from './sender-records.ts'
import { type Proof, proveEndpoint } from './verification.ts'

export interface SenderOptions {
  /** Everything that has to outlive the process. Several processes may share it. */
  readonly store: Store
  /** Tells several senders on one store apart. Default `default`. */
  readonly name?: string
  /** Types and schemas of what is sent; absent: any type, any data. */
  readonly contracts?: readonly Contract[]
  /** Milliseconds before each attempt after the first. Default 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h. */
  readonly schedule?: readonly number[]
  /** Share of a delay that luck adds or takes away. Default 0.2. */
  readonly jitter?: number
  /** Milliseconds for one attempt. Default 15 000. */
  readonly timeoutMs?: number
  /** Deliveries at work at the same time, of all endpoints. Default 1000. */
  readonly concurrency?: number
  /** Default: 120 h of nothing but failures, alerts at 50, 70, 90 and 100 per cent. */
  readonly disable?: Partial<DisableOptions>
  readonly egress?: EgressOptions
  /** Largest body in bytes; default 256 KiB. */
  readonly bodyBytesMax?: number
  /** What becomes of a larger one: a thin event that says where to fetch it, or an error. Default `thin`. */
  readonly oversize?: 'thin' | 'refuse'
  /** Where receivers fetch what a thin event stands for. */
  readonly hrefOf?: (messageId: string) => string
  /** How an endpoint proves that it wants deliveries, before it gets any. Default `none`. */
  readonly verification?: 'none' | 'challenge' | 'cloudevents'
  /** Who asks, in the CloudEvents handshake. Default `treaty`. */
  readonly origin?: string
  /** Milliseconds for which a secret that was replaced still signs. Default 24 h. */
  readonly secretOverlapMs?: number
  /** Encrypts secrets in the store. */
  readonly sealKey?: string
  /** Milliseconds for which messages and attempts are kept. Default 30 days. */
  readonly retentionMs?: number
  /** False: only commits and manages, and leaves delivering to others. Default true. */
  readonly dispatch?: boolean
  /** Milliseconds after which another process takes over from one that went silent. Default 15 000. */
  readonly leaseMs?: number
  /** Milliseconds between looks for what other processes have committed. Default 500. */
  readonly pollMs?: number
  readonly maxEndpoints?: number
  readonly onEvent?: (event: SenderEvent) => void
  readonly clock?: Clock
  readonly random?: Random
  /** Makes the calls; for tests. */
  readonly post?: Post
}

export interface SendOptions {
  readonly type: string
  /** Becomes `{ type, timestamp, data }`. Either this or `body`. */
  readonly data?: unknown
  /** Bytes that are sent as they are. */
  readonly body?: Uint8Array
  /** Default `application/json`. */
  readonly contentType?: string
  /** Known to receivers, the same in each attempt; a second send under one id is a duplicate. Default: a new one. */
  readonly id?: string
  /** Keeps order within it where an endpoint asks for that. */
  readonly key?: string
  /** RFC 3339; default: now. */
  readonly timestamp?: string
  /** Only these, whatever they subscribe to. */
  readonly endpoints?: readonly string[]
}

export interface Sent {
  readonly id: string
  /** How many endpoints it goes to. */
  readonly endpoints: number
  /** It was sent before, under the same id; nothing was done anew. */
  readonly isDuplicate: boolean
}

/** Sends webhooks: committed to the store first, then delivered at least once, in Standard Webhooks form. */
export interface Sender {
  /**
   * Resolves once message and deliveries are durable; what follows survives the end of the process.
   * @throws UNKNOWN_EVENT · SCHEMA_MISMATCH · MESSAGE_TOO_LARGE · WEBHOOK_SIGN_INVALID · the STORE_ codes
   */
  send(options: SendOptions): Promise<Sent>
  readonly endpoints: {
    /** The secret is given here and by `rotateSecret`, and nowhere else. */
    add(options: EndpointOptions): Promise<Endpoint & { readonly secret: string }>
    get(id: string): Promise<Endpoint | undefined>
    list(): Promise<readonly Endpoint[]>
    update(
      id: string,
      change: Partial<Omit<EndpointOptions, 'id' | 'secret' | 'algorithm'>>,
    ): Promise<Endpoint>
    /** Stops deliveries; what waits is kept. */
    disable(id: string, reason?: string): Promise<Endpoint>
    enable(id: string): Promise<Endpoint>
    rotateSecret(id: string, secret?: string): Promise<string>
    /** Asks the endpoint to prove itself and makes it active when it does. */
    verify(id: string): Promise<Proof>
    remove(id: string): Promise<boolean>
  }
  /** The delivery log, oldest first. */
  attempts(options: {
    endpointId: string
    messageId?: string
    limit?: number
    cursor?: string
  }): Promise<{
    readonly items: readonly Attempt[]
    readonly next?: string
  }>
  /** The body of a message, for thin events and for people; undefined when it is not kept. */
  message(
    id: string,
  ): Promise<{ type: string; at: number; body: Uint8Array; contentType: string } | undefined>
  /** Sends a kept message to an endpoint once more, under its id. @throws WEBHOOK_MESSAGE_NOT_FOUND · WEBHOOK_ENDPOINT_NOT_FOUND */
  redeliver(messageId: string, endpointId: string): Promise<void>
  /** Sends an endpoint what it has not taken since then: what failed, and what was sent while it was disabled. How many. */
  recover(endpointId: string, options: { since: Date; until?: Date }): Promise<number>
  catalogue(): readonly CatalogueEntry[]
  stats(): SenderStats
  /** Waits up to `drainMs` (default 5000) for deliveries at work. */
  close(options?: { drainMs?: number }): Promise<void>
}

export interface SenderStats {
  readonly isDispatching: boolean
  /** Deliveries under way at this moment, and held ready behind them. */
  readonly atWork: number
  readonly waiting: number
  /** Since this process began. */
  readonly sent: number
  readonly delivered: number
  readonly failed: number
  readonly exhausted: number
}

const hourMs = 3_600_000
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

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
  readonly #counts = { sent: 0, delivered: 0, failed: 0, exhausted: 0 }

  constructor(options: SenderOptions) {
    this.#options = options
    const { store, name = 'default', contracts, random = systemRandom, disable = {} } = options
    this.#clock = options.clock ?? systemClock
    this.#records = new SenderRecords(store, name)
    this.#nextId = createIdSource(this.#clock)
    this.#checkType = contracts && createTypeCheck(contracts)
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
    const targets = endpoints ?? this.#directory.subscribers(type)
    const message = this.#messageOf(options, claimed, targets)
    const rows = targets.map((target) => this.#rowOf(target, message))
    await Promise.all([
      this.#records.putMessage(message),
      ...rows.map(({ row }) => this.#records.putRow(row)),
    ])
    await this.#handOut(rows, message)
    this.#counts.sent += 1
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
        message.targets.includes(endpointId) || isSubscribed(endpoint.events, message.type)
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

  #messageOf(options: SendOptions, seq: string, targets: readonly string[]): StoredMessage {
    const { type, data, key } = options
    const at = this.#clock.now()
    const id = options.id ?? seq
    const timestamp = options.timestamp ?? new Date(at).toISOString()
    const bytes = options.body ?? Buffer.from(JSON.stringify({ type, timestamp, data }))
    const contentType = options.contentType ?? 'application/json'
    const ordered = key === undefined ? {} : { orderKey: key }
    const base = { seq, id, type, at, targets, contentType, ...ordered }
    const bytesMax = this.#options.bodyBytesMax ?? 262_144
    const text = textOf(bytes)
    if (bytes.length <= bytesMax) {
      return text === undefined
        ? { ...base, body: Buffer.from(bytes).toString('base64'), isBase64: true }
        : { ...base, body: text }
    }
    if (this.#options.oversize === 'refuse' || text === undefined) {
      throw new TreatyError(
        'MESSAGE_TOO_LARGE',
        `the body has ${bytes.length} bytes, and ${bytesMax} are allowed`,
        {
          hint: 'Send a reference instead, or raise bodyBytesMax.',
        },
      )
    }
    const href = this.#options.hrefOf?.(id)
    const thin = {
      type,
      timestamp,
      thin: true,
      data: { id, ...(href === undefined ? {} : { href }) },
    }
    return { ...base, contentType: 'application/json', body: JSON.stringify(thin), full: text }
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
    const endpoints = this.#directory.subscribers(type).filter((id) => id !== own)
    if (endpoints.length === 0) return
    this.send({ type, data, endpoints }).catch((error: unknown) => {
      if (error instanceof TreatyError) this.#options.onEvent?.({ kind: 'problem', error })
    })
  }
}

/** Undefined where the bytes are no UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

/** A key that sorts before every sequence of that time and after all before it. */
function firstSeq(at: number): string {
  const hex = Math.max(0, Math.floor(at)).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-`
}
