import type { BreakerSnapshot } from './breaker.ts'
import type { Bulkhead } from './bulkhead.ts'
import type { RateLimitPolicy } from './rate-limiter.ts'

/** What a dependency's policies have counted and where they stand. */
export interface DependencySnapshot {
  readonly name: string
  readonly breaker?: BreakerSnapshot
  readonly rateLimit?: ReturnType<RateLimitPolicy['snapshot']>
  readonly bulkhead?: ReturnType<Bulkhead['snapshot']>
  /** How often each kind of event happened. */
  readonly events: Readonly<Record<string, number>>
}

interface Watched {
  snapshot(): DependencySnapshot
}

/** Weakly held, so that a client that nobody has any more disappears by itself. */
const watched = new Set<WeakRef<Watched>>()
const pruneEvery = 256

/** From now on it is among the {@link runningDependencies}, until nobody holds it. */
export function watchDependency(dependency: Watched): void {
  if (watched.size % pruneEvery === pruneEvery - 1) prune()
  watched.add(new WeakRef(dependency))
}

/** What the policies of this process have counted and where they stand: for metrics. Names may come more than once. */
export function runningDependencies(): readonly DependencySnapshot[] {
  prune()
  return [...watched].flatMap((reference) => reference.deref()?.snapshot() ?? [])
}

function prune(): void {
  for (const reference of watched) if (reference.deref() === undefined) watched.delete(reference)
}
