import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'
import type { Auth } from '../auth/create-auth.ts'
import type { Resolve } from '../egress/check-url.ts'
import type { RateLimitHints } from '../headers/rate-limit.ts'
import type { Breaker } from '../resilience/breaker.ts'
import type { Dependency, ResilienceOptions } from '../resilience/dependencies.ts'
import type { ResilienceEvent } from '../resilience/policy.ts'
import type { RateLimitPolicy } from '../resilience/rate-limiter.ts'
import type { CallRequest, CallResponse } from './call.ts'
import type { ClientFallback } from './client-fallback.ts'
import type { TlsOptions } from './connect.ts'
import type { HeadersInput } from './message-headers.ts'
import type { PaginateOptions } from './paginate.ts'
import type { HttpTransport } from './transport.ts'

/** Which addresses may be called at all. */
export interface EgressOptions {
  /** Default `required`. */
  readonly https?: 'required' | 'optional'
  /** Default `deny`: every address must be global unicast, checked when connecting. */
  readonly privateNetworks?: 'deny' | 'allow'
  /** Default: any. */
  readonly ports?: readonly number[]
  /** Default: the system's resolver. */
  readonly resolve?: Resolve
}

/** What becomes of a 3xx. */
export interface RedirectOptions {
  /** Default `follow`; `manual` gives the 3xx itself; `error` rejects. */
  readonly mode?: 'follow' | 'manual' | 'error'
  /** Default 5. */
  readonly max?: number
}

/** Bounds on what one neighbour can make this process hold. */
export interface ClientLimits {
  /** Bytes of an answer, before and after it is decompressed; default 10 MiB. */
  readonly responseBytesMax?: number
  /** Bytes of an answer's headers; default 16 KiB. */
  readonly headerBytesMax?: number
  /** Connections to the base; default 100. */
  readonly connections?: number
}

/** How one neighbour is called; everything but `baseUrl` has a default. */
export interface ClientOptions extends Omit<ResilienceOptions, 'fallback'> {
  /** Default: none. */
  readonly fallback?: ClientFallback | false
  readonly baseUrl: string | URL
  /** Name in errors, events and metrics; default: the host. */
  readonly name?: string
  readonly auth?: Auth
  readonly tls?: TlsOptions
  /** Sent with every call. */
  readonly headers?: HeadersInput
  readonly egress?: EgressOptions
  readonly redirect?: RedirectOptions
  readonly limits?: ClientLimits
  readonly idempotency?: {
    /** Default `Idempotency-Key`. */
    readonly header?: string
    /** Whether the key is sent as a structured string, in quotes; default true. */
    readonly quoted?: boolean
  }
  /** How the neighbour's rate-limit headers are meant, where they leave it open. */
  readonly rateLimitHeaders?: RateLimitHints
  readonly onEvent?: (event: ResilienceEvent) => void
  readonly clock?: Clock
  readonly random?: Random
  /** In place of the network, or around it: a recording, a stand-in for tests. */
  readonly transport?: HttpTransport | ((network: HttpTransport) => HttpTransport)
}

/** Calls to one neighbour. */
export interface Client {
  readonly name: string
  /**
   * @throws every failure as TreatyError with `kind`, `attempts` and, where known, `status` and `retryAfterMs`;
   *   HTTP_OPTIONS_INVALID for a call that cannot be made
   */
  request<Body = unknown>(request: CallRequest): Promise<CallResponse<Body>>
  /** The items of all pages, read as they are asked for. @throws PAGINATION_LOOP, and as `request` */
  paginate<Item = unknown>(request: CallRequest, options: PaginateOptions): AsyncIterable<Item>
  /** The pages themselves. */
  pages(request: CallRequest, options: PaginateOptions): AsyncIterable<CallResponse>
  /** Breaker, limits and counts, as they stand. */
  snapshot(): ReturnType<Dependency['snapshot']>
  readonly breaker: Breaker | undefined
  readonly rateLimiter: RateLimitPolicy | undefined
  /** Lets running calls end, then closes the connections. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
