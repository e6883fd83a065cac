import type { Secret } from '../../core/secret.ts'
import type { Store } from '../../store/index.ts'
import type { EgressOptions } from '../client/client-options.ts'
import type { PaginateOptions } from '../client/paginate.ts'
import type { CallQueue } from './call-queue.ts'

/** A connector as `connectors:` of a configuration has it. Durations are `5s`, shares `20%`, rates `10/s`. */
export interface ConnectorConfig {
  readonly type?: 'rest'
  /** The OpenAPI document; a path from the configuration's folder. */
  readonly contract?: string
  /** Default: the document's first server. */
  readonly baseUrl?: string
  /**
   * Secrets by reference. `share: store` keeps tokens, sealed, in the store for all processes; a refresh token is always kept
   * there unless `share: off`, because its successor would be lost with the process.
   */
  readonly auth?: Readonly<Record<string, unknown>>
  readonly tls?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly egress?: Pick<EgressOptions, 'https' | 'privateNetworks' | 'ports'>
  /** By operationId: what the contract leaves open. */
  readonly operations?: Readonly<
    Record<string, { readonly idempotent?: boolean; readonly paginate?: PaginateOptions }>
  >
  readonly idempotency?: {
    /** Default `Idempotency-Key`. */
    readonly header?: string
    /** Default `structured`: in quotes. */
    readonly format?: 'structured' | 'plain'
  }
  readonly resilience?: {
    readonly timeout?: { readonly attempt?: string; readonly total?: string }
    readonly retry?: {
      readonly attempts?: number
      readonly backoff?: {
        readonly base?: string
        readonly cap?: string
        readonly jitter?: 'full' | 'none'
      }
      readonly budget?: string
      readonly maxRetryAfter?: string
    }
    readonly breaker?: {
      readonly window?: string
      readonly minCalls?: number
      readonly failureRate?: string
      readonly consecutive?: number
      readonly slowCall?: string
      readonly slowRate?: string
      readonly open?: string
      readonly probes?: number
    }
    readonly rateLimit?: {
      readonly rate: string
      readonly burst?: number
      /** `cluster`: all processes on the store, or on `redis`, keep it together. Default `process`. */
      readonly scope?: 'process' | 'cluster'
      /** URL of a Redis or Valkey in place of the store. */
      readonly redis?: string
      /** Processes that share it: each keeps to its part while the store cannot be reached. Default 1. */
      readonly replicas?: number
      readonly adaptive?: 'headers' | 'off'
      readonly maxWait?: string
      readonly maxQueue?: number
    }
    readonly bulkhead?: { readonly concurrent: number; readonly queue?: number }
    readonly hedge?: { readonly delay?: string }
    /** What answers in place of a neighbour that fails; exactly one of these. Such an answer is marked as degraded. */
    readonly fallback?: {
      /** The same body each time. */
      readonly value?: unknown
      /** The last good answer to the same question, while it is young enough. */
      readonly cached?: { readonly maxAge: string; readonly entries?: number }
      /** Base URL of a second neighbour that takes the same calls. */
      readonly alternate?: string
      /** `store`: kept in the store and made later. */
      readonly queue?: 'store'
    }
  }
}

/** What a connector needs of its surroundings. */
export interface ConnectorContext {
  /** Gives a text with its `secret://` references resolved. */
  readonly resolve: (text: string) => Secret
  /** The first server of its contract. */
  readonly server: string | undefined
  /** Where tokens, limits and queued calls are shared; see {@link needsStore}. */
  readonly store?: Store | undefined
  /** Takes calls for later; see {@link needsStore}. */
  readonly queue?: Pick<CallQueue, 'add'> | undefined
}

/** Whether a connector of this configuration shares something through the store. */
export function needsStore({ auth, resilience = {} }: ConnectorConfig): boolean {
  const { rateLimit, fallback } = resilience
  const isSharedLimit = rateLimit?.scope === 'cluster' && rateLimit.redis === undefined
  return isSharedLimit || fallback?.queue !== undefined || sharesTokens(auth)
}

/** Whether tokens of this credential are kept in the store. */
export function sharesTokens(auth: ConnectorConfig['auth']): boolean {
  if (auth?.type !== 'oauth2' && auth?.type !== 'token') return false
  if (auth.share !== undefined) return auth.share === 'store'
  return auth.grant === 'refresh_token'
}
