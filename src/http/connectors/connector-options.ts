import { parseDuration } from '../../core/duration.ts'
import { parseRate } from '../../core/rate.ts'
import type { Secret } from '../../core/secret.ts'
import type { Auth } from '../auth/create-auth.ts'
import type { ClientFallback } from '../client/client-fallback.ts'
import type { ClientOptions } from '../client/client-options.ts'
import type { TlsOptions } from '../client/connect.ts'
import { invalidOption } from '../resilience/policy.ts'
import { redisBucketAt } from '../resilience/redis-connection.ts'
import { type SharedBucket, storeBucket } from '../resilience/shared-bucket.ts'
import type { OpenConnectorOptions } from './connector.ts'
import { type ConnectorConfig, type ConnectorContext, sharesTokens } from './connector-config.ts'

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
  const rate = parseRate(text)
  if (rate !== undefined) return rate
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

function missingStore(name: string, what: string): Error {
  return invalidOption(
    `the connector ${name} shares ${what}, and no store was given`,
    'Give the store that all processes use.',
  )
}

/** The bucket that processes share; undefined: each has its own. */
function bucketOf(
  name: string,
  config: ConnectorConfig,
  context: ConnectorContext,
): SharedBucket | undefined {
  const { scope, redis } = config.resilience?.rateLimit ?? {}
  if (scope !== 'cluster') return undefined
  if (redis !== undefined) {
    return redisBucketAt(withSecrets(redis, context.resolve) as string, name)
  }
  if (context.store === undefined) throw missingStore(name, 'its rate limit')
  return storeBucket(context.store, name)
}

function fallbackOf(
  name: string,
  config: ConnectorConfig,
  { queue }: ConnectorContext,
): ClientFallback | undefined {
  const { value, cached, alternate, queue: place } = config.resilience?.fallback ?? {}
  if (place !== undefined && queue === undefined) throw missingStore(name, 'calls for later')
  const maxAgeMs = ms('fallback.cached.maxAge', cached?.maxAge)
  const fallback: ClientFallback = {
    ...(value === undefined ? {} : { value }),
    ...(alternate === undefined ? {} : { alternate }),
    ...(maxAgeMs === undefined
      ? {}
      : {
          cached: {
            maxAgeMs,
            ...(cached?.entries === undefined ? {} : { entriesMax: cached.entries }),
          },
        }),
    ...(place === undefined || queue === undefined
      ? {}
      : {
          queue: async (cause, _, request) => ({
            queued: true,
            ...(await queue.add(request, cause)),
          }),
        }),
  }
  return Object.keys(fallback).length === 0 ? undefined : fallback
}

/** `token` is a secret everywhere else in a configuration, so the two paths have names of their own there. */
function authOf(
  name: string,
  config: ConnectorConfig,
  context: ConnectorContext,
): Auth | undefined {
  if (config.auth === undefined) return undefined
  const revealed = withSecrets(config.auth, context.resolve) as Record<string, unknown>
  const { share: _, ttl, tokenPath, expiresInPath, ...auth } = revealed
  const isShared = sharesTokens(config.auth)
  if (isShared && context.store === undefined) throw missingStore(name, 'its tokens')
  return {
    ...auth,
    ...present({
      ttlMs: ms('auth.ttl', ttl as string | undefined),
      token: auth.type === 'token' ? tokenPath : auth.token,
      expiresIn: expiresInPath,
      store: isShared ? context.store : undefined,
    }),
  } as unknown as Auth
}

function resilienceOf(
  name: string,
  config: ConnectorConfig,
  context: ConnectorContext,
): Partial<ClientOptions> {
  const { timeout, retry, breaker, rateLimit, bulkhead, hedge } = config.resilience ?? {}
  const bucket = bucketOf(name, config, context)
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
      ...(bucket && { shared: { bucket, replicas: rateLimit.replicas ?? 1 } }),
    },
    fallback: fallbackOf(name, config, context),
    bulkhead,
    hedge: hedge && present({ delayMs: ms('hedge.delay', hedge.delay) }),
  }) as Partial<ClientOptions>
}

/** Replaces secret references everywhere in a value. */
function withSecrets(value: unknown, resolve: (text: string) => Secret): unknown {
  if (typeof value === 'string') {
    return value.includes('secret://') ? resolve(value).reveal() : value
  }
  if (Array.isArray(value)) return value.map((each) => withSecrets(each, resolve))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, withSecrets(each, resolve)]),
  )
}

/**
 * The options of a connector, from its configuration.
 *
 * @throws HTTP_OPTIONS_INVALID, also where it needs a store and none is given; SECRET_NOT_FOUND
 */
export function connectorOptions(
  name: string,
  config: ConnectorConfig,
  context: ConnectorContext,
): OpenConnectorOptions {
  const baseUrl = config.baseUrl ?? context.server
  const auth = authOf(name, config, context)
  const { header, format } = config.idempotency ?? {}
  if (baseUrl === undefined) {
    throw invalidOption(
      `the connector ${name} has no baseUrl`,
      'Add baseUrl, or a server to its contract.',
    )
  }
  return {
    name,
    baseUrl,
    ...resilienceOf(name, config, context),
    ...(config.egress === undefined ? {} : { egress: config.egress }),
    ...(config.headers === undefined ? {} : { headers: config.headers }),
    ...(config.operations === undefined ? {} : { operations: config.operations }),
    ...(auth === undefined ? {} : { auth }),
    ...(config.idempotency === undefined
      ? {}
      : {
          idempotency: {
            ...(header === undefined ? {} : { header }),
            quoted: format !== 'plain',
          },
        }),
    ...(config.tls === undefined
      ? {}
      : { tls: withSecrets(config.tls, context.resolve) as TlsOptions }),
  }
}
