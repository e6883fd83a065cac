import { type Clock, systemClock } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'
import { type Breaker, type BreakerOptions, createBreaker } from './breaker.ts'
import { type Bulkhead, type BulkheadOptions, createBulkhead } from './bulkhead.ts'
import { type ComposedPolicy, compose } from './compose.ts'
import { createFallback, type Fallback, type FallbackOptions } from './fallback.ts'
import { createHedge, type HedgeOptions } from './hedge.ts'
import { invalidOption, type Policy, type ResilienceEvent } from './policy.ts'
import { createRateLimiter, type RateLimiterOptions, type RateLimitPolicy } from './rate-limiter.ts'
import { createRetry, type RetryOptions } from './retry.ts'
import { createRetryBudget, type RetryBudget } from './retry-budget.ts'
import { type DependencySnapshot, watchDependency } from './running.ts'
import { createSharedRateLimiter, type SharedLimiterOptions } from './shared-limiter.ts'
import { createDeadline, createTimeout } from './time-limit.ts'

type Own<Options> = Omit<Options, 'name' | 'onEvent' | 'clock' | 'random'>

/** The policies around calls to one dependency; `false` switches one off. */
export interface ResilienceOptions {
  /** Defaults: an attempt 30 000, all together 90 000; Infinity: no bound. */
  readonly timeout?: { readonly attemptMs?: number; readonly totalMs?: number } | false
  /** Default: 3 attempts, full jitter, a budget of a fifth. */
  readonly retry?: Own<RetryOptions> | false
  /** Default: half of at least 20 calls in 30 seconds. */
  readonly breaker?: Own<BreakerOptions> | false
  /** Default: none. */
  readonly rateLimit?:
    | (Own<RateLimiterOptions> & {
        /** Where several processes keep it together; without, each has its own. */
        readonly shared?: Pick<SharedLimiterOptions, 'bucket' | 'replicas'>
      })
    | false
  /** Default: none. */
  readonly bulkhead?: Own<BulkheadOptions> | false
  /** Default: none. */
  readonly hedge?: Own<HedgeOptions> | false
  /** Default: none. */
  readonly fallback?: Own<FallbackOptions> | false
}

/** What all policies of a dependency have in common. */
export interface ResilienceContext {
  readonly name?: string | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
  readonly onEvent?: ((event: ResilienceEvent) => void) | undefined
}

/** One neighbour, and everything that guards calls to it. */
export interface Dependency {
  readonly name: string
  readonly policy: ComposedPolicy
  readonly breaker: Breaker | undefined
  readonly rateLimiter: RateLimitPolicy | undefined
  readonly bulkhead: Bulkhead | undefined
  readonly fallback: Fallback | undefined
  snapshot(): DependencySnapshot
}

const timeoutDefaults = { attemptMs: 30_000, totalMs: 90_000 } as const

function timeLimits(options: ResilienceOptions, common: ResilienceContext): (Policy | undefined)[] {
  if (options.timeout === false) return []
  const { attemptMs, totalMs } = { ...timeoutDefaults, ...options.timeout }
  const isBound = (ms: number) => ms !== Number.POSITIVE_INFINITY
  return [
    isBound(totalMs) ? createDeadline(withContext({ ms: totalMs }, common)) : undefined,
    isBound(attemptMs) ? createTimeout(withContext({ ms: attemptMs }, common)) : undefined,
  ]
}

function withContext<Options extends object>(options: Options, common: ResilienceContext) {
  const { name, clock = systemClock, random, onEvent } = common
  return { ...options, name, clock, onEvent, ...(random === undefined ? {} : { random }) }
}

function budgetOf(retry: ResilienceOptions['retry'], clock: Clock): RetryBudget | false {
  const budget = retry === false ? undefined : retry?.budget
  if (budget === false) return false
  return budget !== undefined && 'takeRetry' in budget
    ? budget
    : createRetryBudget({ ...budget, clock })
}

/**
 * The policies of one dependency, made from their options and composed.
 *
 * @throws HTTP_OPTIONS_INVALID
 */
export function createDependency(
  options: ResilienceOptions,
  context: ResilienceContext = {},
): Dependency {
  const { name = 'the dependency', clock = systemClock } = context
  const events: Record<string, number> = {}
  const common: ResilienceContext = {
    ...context,
    onEvent(event) {
      events[event.type] = (events[event.type] ?? 0) + 1
      context.onEvent?.(event)
    },
  }
  const make = <Options extends object, Made>(
    chosen: Options | false | undefined,
    create: (options: Options & ReturnType<typeof withContext>) => Made,
  ) =>
    chosen === false || chosen === undefined
      ? undefined
      : create(withContext(chosen, common) as Options & ReturnType<typeof withContext>)
  const budget = budgetOf(options.retry, clock)
  const retry = options.retry === false ? { attempts: 1, budget: false as const } : options.retry
  const breaker = make(options.breaker ?? { minCalls: 20 }, createBreaker)
  const rateLimiter = make(
    options.rateLimit,
    ({ shared, ...own }): RateLimitPolicy =>
      shared === undefined
        ? createRateLimiter(own)
        : createSharedRateLimiter({ ...own, ...shared }),
  )
  const bulkhead = make(options.bulkhead, createBulkhead)
  const fallback = make(options.fallback, createFallback)
  const hedgeOptions = options.hedge && {
    ...(budget === false ? {} : { budget }),
    ...options.hedge,
  }
  const dependency: Dependency = {
    name,
    breaker,
    rateLimiter,
    bulkhead,
    fallback,
    policy: compose(
      fallback,
      ...timeLimits(options, common),
      make({ ...retry, budget: retry?.budget === false ? (false as const) : budget }, createRetry),
      breaker,
      rateLimiter,
      bulkhead,
      make(hedgeOptions, createHedge),
    ),
    snapshot: () => ({
      name,
      ...(breaker && { breaker: breaker.snapshot() }),
      ...(rateLimiter && { rateLimit: rateLimiter.snapshot() }),
      ...(bulkhead && { bulkhead: bulkhead.snapshot() }),
      events: { ...events },
    }),
  }
  watchDependency(dependency)
  return dependency
}

/** The dependencies of one process: everybody who calls a neighbour shares its breaker and its limits. */
export interface DependencyRegistry {
  /**
   * The dependency of this name, made on first use.
   *
   * @throws HTTP_OPTIONS_INVALID when it exists with other options: two configurations of one breaker cannot both hold
   */
  get(name: string, options?: ResilienceOptions): Dependency
  /** All of them, by name. */
  snapshot(): readonly DependencySnapshot[]
}

/** A registry of its own; a process usually has one. */
export function createDependencyRegistry(
  context: Omit<ResilienceContext, 'name'> = {},
): DependencyRegistry {
  const known = new Map<string, { readonly dependency: Dependency; readonly options: string }>()
  return {
    get(name, options) {
      const found = known.get(name)
      if (found && options !== undefined && fingerprint(options) !== found.options) {
        throw invalidOption(
          `the dependency ${name} is configured twice, differently`,
          'Configure it in one place and get it by name alone elsewhere.',
        )
      }
      if (found) return found.dependency
      const dependency = createDependency(options ?? {}, { ...context, name })
      known.set(name, { dependency, options: fingerprint(options ?? {}) })
      return dependency
    },
    snapshot: () =>
      [...known.values()]
        .map(({ dependency }) => dependency.snapshot())
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
  }
}

/** Equal options in any order of their keys give the same text; functions count by their source. */
function fingerprint(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === 'function') return String(each)
    if (typeof each === 'number' && !Number.isFinite(each)) return String(each)
    if (typeof each !== 'object' || each === null || Array.isArray(each)) return each
    return Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
