import { type Clock, systemClock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import { isUnavailable } from './failure.ts'
import {
  invalidOption,
  numberOption,
  type Policy,
  type Reporting,
  reporter,
  type Work,
} from './policy.ts'
import { type CallScope, type Degraded, enterScope, type RunOptions, startWork } from './scope.ts'

/** What stands in for an answer. Exactly one of `value`, `cached`, `alternate`, `queue`. */
export interface FallbackOptions extends Reporting {
  /** Always the same answer. */
  readonly value?: unknown
  /** The last good answer of the same call, where it is young enough. */
  readonly cached?: { readonly maxAgeMs: number; readonly entriesMax?: number }
  /** Another way of getting it, such as a second endpoint. */
  readonly alternate?: (cause: unknown, scope: CallScope) => unknown
  /** Keeps the call for later, and answers what the caller is told meanwhile. */
  readonly queue?: (cause: unknown, scope: CallScope) => unknown
  /** When it steps in; default: the dependency failed, or was not asked for its own good. */
  readonly when?: (error: unknown) => boolean
  readonly clock?: Clock
}

/** A fallback, usable alone: `fallback.runMarked(work)` says whether it stepped in. */
export interface Fallback extends Policy {
  readonly kind: 'fallback'
  /** As `run`, and says whether the value is the fallback's. */
  runMarked<T>(
    work: Work<T>,
    within?: CallScope | RunOptions,
  ): Promise<{ readonly value: T; readonly degraded?: Degraded }>
}

interface Kept {
  readonly value: unknown
  readonly at: number
}

/** Good answers by call; the oldest go first. */
class AnswerCache {
  readonly #kept = new Map<string, Kept>()
  readonly #maxAgeMs: number
  readonly #entriesMax: number
  readonly #clock: Clock

  constructor(options: { readonly maxAgeMs: number; readonly entriesMax?: number }, clock: Clock) {
    this.#maxAgeMs = numberOption('fallback.cached.maxAgeMs', options.maxAgeMs, { min: 1 })
    this.#entriesMax = numberOption('fallback.cached.entriesMax', options.entriesMax ?? 1000, {
      min: 1,
    })
    this.#clock = clock
  }

  keep(key: string | null, value: unknown): void {
    if (key === null) return
    this.#kept.delete(key)
    // A copy: what the caller does with its answer must not change what others get later.
    this.#kept.set(key, { value: structuredClone(value), at: this.#clock.monotonic() })
    if (this.#kept.size <= this.#entriesMax) return
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest)
      return
    }
  }

  find(key: string | null): Kept | undefined {
    const kept = key === null ? undefined : this.#kept.get(key)
    if (kept === undefined || this.#clock.monotonic() - kept.at > this.#maxAgeMs) return undefined
    return { value: structuredClone(kept.value), at: kept.at }
  }
}

/** The key of calls that do not bring one. */
const soleKey = ''
const keyOf = (scope: CallScope) => (scope.cacheKey === undefined ? soleKey : scope.cacheKey)

/**
 * An answer in place of a failure; marked as degraded on the scope, in {@link Fallback.runMarked} and in events. Calls that
 * were aborted, refused (4xx) or answered with something invalid keep their error. Where the fallback fails too, the error is
 * FALLBACK_FAILED and its cause the failure of the call.
 *
 * @throws HTTP_OPTIONS_INVALID
 */
export function createFallback(options: FallbackOptions): Fallback {
  const ways = (['value', 'cached', 'alternate', 'queue'] as const).filter(
    (way) => options[way] !== undefined,
  )
  const [way] = ways
  if (ways.length !== 1 || way === undefined) {
    throw invalidOption(
      `a fallback has exactly one of value, cached, alternate and queue, not ${ways.length}`,
      'Keep one of them.',
    )
  }
  const by = (
    { value: 'static', cached: 'cached', alternate: 'alternate', queue: 'queued' } as const
  )[way]
  const cache = options.cached && new AnswerCache(options.cached, options.clock ?? systemClock)
  const applies = options.when ?? isUnavailable
  const report = reporter(options)

  function standIn(cause: unknown, scope: CallScope): unknown {
    if (cache) {
      const kept = cache.find(keyOf(scope))
      if (kept === undefined) throw new Error('no answer young enough is kept')
      return kept.value
    }
    if (options.alternate) return options.alternate(cause, scope)
    if (options.queue) return options.queue(cause, scope)
    return structuredClone(options.value)
  }

  async function runFor<T>(work: Work<T>, scope: CallScope): Promise<T> {
    try {
      const value = await startWork(work, scope)
      cache?.keep(keyOf(scope), value)
      return value
    } catch (cause) {
      if (scope.isCancelled || !scope.canFallBack || !applies(cause)) throw cause
      return await stepIn(cause, scope)
    }
  }

  async function stepIn<T>(cause: unknown, scope: CallScope): Promise<T> {
    try {
      const value = (await startWork(() => standIn(cause, scope), scope)) as T
      scope.degraded = { by, cause }
      report({ type: 'fallback', by, error: cause })
      return value
    } catch (error) {
      report({ type: 'fallback_failed', by, error })
      throw failedToo(by, cause, error)
    }
  }

  return {
    kind: 'fallback',
    run: (work, within) => enterScope(within, (scope) => runFor(work, scope)),
    runMarked: (work, within) =>
      enterScope(within, async (scope) => {
        const value = await runFor(work, scope)
        return scope.degraded === undefined ? { value } : { value, degraded: scope.degraded }
      }),
  }
}

function failedToo(by: string, cause: unknown, error: unknown): TreatyError {
  const facts = isTreatyError(cause) ? cause : undefined
  return new TreatyError(
    'FALLBACK_FAILED',
    `${errorMessage(cause)}; its fallback failed too: ${errorMessage(error)}`,
    {
      cause,
      details: { by, fallback: errorMessage(error) },
      ...(facts?.kind === undefined ? {} : { kind: facts.kind }),
      ...(facts?.status === undefined ? {} : { status: facts.status }),
      ...(facts?.attempts === undefined ? {} : { attempts: facts.attempts }),
      ...(facts?.retryAfterMs === undefined ? {} : { retryAfterMs: facts.retryAfterMs }),
    },
  )
}
