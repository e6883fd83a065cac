import type { Contract } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'
import type { Store } from '../../store/index.ts'
import type { EgressOptions } from './egress.ts'
import type { Endpoint, EndpointOptions } from './endpoint.ts'
import type { DisableOptions } from './health.ts'
import type { Post } from './post.ts'
import type { CatalogueEntry } from './receiver-catalogue.ts'
import type { Attempt, SenderEvent } from './sender-events.ts'
import type { Proof } from './verification.ts'

/** What a sender works on; everything but the store has a default. */
export interface SenderOptions {
  /** Everything that has to outlive the process. Several processes may share it. */
  readonly store: Store
  /** Tells several senders on one store apart. Default `default`. */
  readonly name?: string
  /** Types and schemas of what is sent; absent: any type, any data. */
  readonly contracts?: readonly Contract[]
  /** False: types and data were checked elsewhere, by a bus. Default true where there are contracts. */
  readonly checksData?: boolean
  /** Milliseconds before each attempt after the first. Default 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h. */
  readonly schedule?: readonly number[]
  /** Share of a delay that luck adds or takes away. Default 0.2. */
  readonly jitter?: number
  /** Milliseconds for one attempt. Default 15 000. */
  readonly timeoutMs?: number
  /** Milliseconds for which an endpoint is left alone at least after a timeout, 429, 502 or 504. Default 60 000. */
  readonly overloadDelayMs?: number
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

/** One message to all endpoints that want it. */
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
  /** Who produced it, for filters. */
  readonly source?: string
  readonly correlationId?: string
  /** For filters; a `traceparent` in it goes along as a header. JSON. */
  readonly metadata?: Readonly<Record<string, unknown>>
  /** Only these, whatever they subscribe to. */
  readonly endpoints?: readonly string[]
}

/** What became of a message that was given to the sender. */
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
    /** Adds it, or makes it what the options say, the secret too: safe to call at every start. */
    put(options: EndpointOptions & { readonly id: string }): Promise<Endpoint>
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

/** Counts of this process. */
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
  /** Pairs of message and endpoint that a filter kept apart, and those that it could not judge. */
  readonly filtered: number
  readonly filterFailures: number
}
