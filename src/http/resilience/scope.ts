import { isTreatyError, TreatyError } from '../../core/errors.ts'

/** What a fallback put in the place of an answer. */
export interface Degraded {
  readonly by: 'static' | 'cached' | 'alternate' | 'queued'
  /** Why the call itself failed. */
  readonly cause: unknown
}

/** How one call is bounded from outside. */
export interface RunOptions {
  readonly signal?: AbortSignal | undefined
}

type CancelListener = (reason: unknown) => void

/**
 * One call, or one part of it: who may end it, by when it must have ended, which attempt it is on. Policies
 * hand it inwards. It is a light stand-in for `AbortSignal`, which costs microseconds to make and to link;
 * {@link CallScope.signal} gives a real one to whoever asks.
 */
export class CallScope {
  readonly #parent: CallScope | undefined
  #isCancelled = false
  #reason: unknown
  #listeners: Set<CancelListener> | undefined
  #unlink: (() => void) | undefined
  #controller: AbortController | undefined
  /** On the monotonic clock; Infinity: none. */
  deadlineAt: number
  /** Milliseconds for everything, where this call has its own bound; undefined: the deadline policy's. */
  totalMs: number | undefined
  /** Counts from 1; 0 before the first attempt. */
  attempt: number
  /** The error of the attempt before; undefined on the first. */
  lastError: unknown
  /** Whether an error of this call may be followed by another attempt; undefined: the retry policy's own view. */
  canRetry: ((error: unknown) => boolean) | undefined
  /** Under which a fallback keeps good answers; null: it keeps none. */
  cacheKey: string | null | undefined
  /** Set by a fallback that stepped in. */
  degraded: Degraded | undefined
  /** True where a second request at the same time does no harm. */
  canHedge = true
  /** False: the call wants its own failure, and no fallback in its place. */
  canFallBack = true

  constructor(parent?: CallScope) {
    this.#parent = parent
    this.deadlineAt = parent?.deadlineAt ?? Number.POSITIVE_INFINITY
    this.attempt = parent?.attempt ?? 0
    this.canRetry = parent?.canRetry
    this.totalMs = parent?.totalMs
    this.cacheKey = parent?.cacheKey
    this.canHedge = parent?.canHedge ?? true
    this.canFallBack = parent?.canFallBack ?? true
  }

  /** True once this call, or the one it is part of, was told to end. */
  get isCancelled(): boolean {
    return this.#isCancelled || (this.#parent?.isCancelled ?? false)
  }

  get reason(): unknown {
    return this.#isCancelled ? this.#reason : this.#parent?.reason
  }

  /** Ends the call; a second time does nothing. */
  cancel(reason: unknown): void {
    if (this.isCancelled) return
    this.#isCancelled = true
    this.#reason = reason
    this.#tell(reason)
  }

  /** Runs `listener` when the call is told to end, at once when it was; the function returned takes it back. */
  onCancel(listener: CancelListener): () => void {
    if (this.isCancelled) {
      listener(this.reason)
      return () => undefined
    }
    this.#listeners ??= new Set()
    this.#listeners.add(listener)
    this.#unlink ??= this.#parent?.onCancel((reason) => this.#tell(reason))
    return () => {
      this.#listeners?.delete(listener)
      if (this.#listeners?.size !== 0) return
      this.#unlink?.()
      this.#unlink = undefined
    }
  }

  /** For `fetch` and its like; made when it is first asked for. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController()
      this.#controller = controller
      this.onCancel((reason) => controller.abort(reason))
    }
    return this.#controller.signal
  }

  child(): CallScope {
    return new CallScope(this)
  }

  #tell(reason: unknown): void {
    const listeners = this.#listeners
    this.#listeners = undefined
    this.#unlink = undefined
    for (const listener of listeners ?? []) listener(reason)
  }
}

/** The error of a call that its caller ended. */
export function abortedError(cause: unknown): TreatyError {
  return new TreatyError('HTTP_ABORTED', 'the call was aborted by its caller', {
    kind: 'aborted',
    cause,
  })
}

/** Runs in the scope given, or in a new one that ends with the caller's signal. */
export function enterScope<T>(
  within: CallScope | RunOptions | undefined,
  run: (scope: CallScope) => Promise<T>,
): Promise<T> {
  if (within instanceof CallScope) return run(within)
  const scope = new CallScope()
  const signal = within?.signal
  if (signal === undefined) return run(scope)
  const onAbort = () => scope.cancel(abortedError(signal.reason))
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  return run(scope).finally(() => signal.removeEventListener('abort', onAbort))
}

/** Calls `work` so that a synchronous throw is a rejection too. */
export function startWork<T>(
  work: (scope: CallScope) => Promise<T> | T,
  scope: CallScope,
): Promise<T> {
  try {
    return Promise.resolve(work(scope))
  } catch (error) {
    return Promise.reject(error)
  }
}

/** Says how many attempts were made; only an error of a call carries that, and the innermost word counts. */
export function noteAttempts(error: unknown, attempts: number): void {
  if (!isTreatyError(error) || error.kind === undefined || error.attempts !== undefined) return
  Object.assign(error, { attempts })
}
