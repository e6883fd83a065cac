import { parseDuration } from '../../core/duration.ts'
import type { Secret } from '../../core/secret.ts'
import type { Auth } from '../auth/create-auth.ts'
import type { ClientOptions, EgressOptions } from '../client/client-options.ts'
import type { TlsOptions } from '../client/connect.ts'
import { invalidOption } from '../resilience/policy.ts'

/** A connector as `connectors:` of a configuration has it. Durations are `5s`, shares `20%`, rates `10/s`. */
export interface ConnectorConfig {
  readonly type?: 'rest'
  /** The OpenAPI document; a path from the configuration's folder. */
  readonly contract?: string
  /** Default: the document's first server. */
  readonly baseUrl?: string
  /** Secrets by reference. */
  readonly auth?: Readonly<Record<string, unknown>>
  readonly tls?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly egress?: Pick<EgressOptions, 'https' | 'privateNetworks' | 'ports'>
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
      readonly adaptive?: 'headers' | 'off'
      readonly maxWait?: string
      readonly maxQueue?: number
    }
    readonly bulkhead?: { readonly concurrent: number; readonly queue?: number }
    readonly hedge?: { readonly delay?: string }
  }
}

function ms(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = parseDuration(text)
  if (value !== undefined) return value
  throw invalidOption(
    `${name} is ${JSON.stringify(text)}, no duration`,
    'Write it as 200ms, 5s or 2m.',
  )
}

function share(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const match = /^(\d+(?:\.\d+)?)%$/.exec(text)
  if (match) return Number(match[1]) / 100
  throw invalidOption(`${name} is ${JSON.stringify(text)}, no share`, 'Write it as 20%.')
}

function perSecond(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\/(s|m|h)$/.exec(text)
  const seconds = { s: 1, m: 60, h: 3600 }[match?.[2] ?? '']
  if (match && seconds !== undefined) return Number(match[1]) / seconds
  throw invalidOption(
    `rateLimit.rate is ${JSON.stringify(text)}, no rate`,
    'Write it as 10/s, 600/m or 5000/h.',
  )
}

/** Only what is there: options that are absent take their defaults. */
function present<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>
  }
}

function resilienceOf(config: ConnectorConfig): Partial<ClientOptions> {
  const { timeout, retry, breaker, rateLimit, bulkhead, hedge } = config.resilience ?? {}
  const budget = share('retry.budget', retry?.budget)
  return present({
    timeout:
      timeout &&
      present({
        attemptMs: ms('timeout.attempt', timeout.attempt),
        totalMs: ms('timeout.total', timeout.total),
      }),
    retry:
      retry &&
      present({
        attempts: retry.attempts,
        baseMs: ms('retry.backoff.base', retry.backoff?.base),
        capMs: ms('retry.backoff.cap', retry.backoff?.cap),
        jitter: retry.backoff?.jitter,
        maxRetryAfterMs: ms('retry.maxRetryAfter', retry.maxRetryAfter),
        budget: budget === undefined ? undefined : { ratio: budget },
      }),
    breaker:
      breaker &&
      present({
        windowMs: ms('breaker.window', breaker.window),
        minCalls: breaker.minCalls,
        failureRate: share('breaker.failureRate', breaker.failureRate),
        consecutive: breaker.consecutive,
        slowCallMs: ms('breaker.slowCall', breaker.slowCall),
        slowRate: share('breaker.slowRate', breaker.slowRate),
        openMs: ms('breaker.open', breaker.open),
        probes: breaker.probes,
      }),
    rateLimit: rateLimit && {
      ratePerSecond: perSecond(rateLimit.rate),
      burst: rateLimit.burst ?? Math.max(1, Math.ceil(perSecond(rateLimit.rate))),
      adaptive: rateLimit.adaptive === 'headers',
      ...present({
        maxWaitMs: ms('rateLimit.maxWait', rateLimit.maxWait),
        maxQueue: rateLimit.maxQueue,
      }),
    },
    bulkhead,
    hedge: hedge && present({ delayMs: ms('hedge.delay', hedge.delay) }),
  }) as Partial<ClientOptions>
}

/** Replaces secret references everywhere in a value. */
function withSecrets(value: unknown, resolve: (text: string) => Secret): unknown {
  if (typeof value === 'string')
    return value.startsWith('secret://') ? resolve(value).reveal() : value
  if (Array.isArray(value)) return value.map((each) => withSecrets(each, resolve))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, withSecrets(each, resolve)]),
  )
}

/**
 * The client options of a connector.
 *
 * @param resolve Gives the value of a `secret://` reference.
 * @throws HTTP_OPTIONS_INVALID, SECRET_NOT_FOUND
 */
export function connectorOptions(
  name: string,
  config: ConnectorConfig,
  context: { readonly resolve: (text: string) => Secret; readonly server: string | undefined },
): ClientOptions {
  const baseUrl = config.baseUrl ?? context.server
  if (baseUrl === undefined) {
    throw invalidOption(
      `the connector ${name} has no baseUrl`,
      'Add baseUrl, or a server to its contract.',
    )
  }
  return {
    name,
    baseUrl,
    ...resilienceOf(config),
    ...(config.egress === undefined ? {} : { egress: config.egress }),
    ...(config.headers === undefined ? {} : { headers: config.headers }),
    ...(config.auth === undefined
      ? {}
      : { auth: withSecrets(config.auth, context.resolve) as Auth }),
    ...(config.tls === undefined
      ? {}
      : { tls: withSecrets(config.tls, context.resolve) as TlsOptions }),
  }
}
