import { invalidOption, type Policy, policyOrder, type Work } from './policy.ts'
import { type CallScope, enterScope, type RunOptions } from './scope.ts'

/** Several policies around one call. */
export interface ComposedPolicy {
  /** The policies, outer to inner. */
  readonly policies: readonly Policy[]
  run<T>(work: Work<T>, within?: CallScope | RunOptions): Promise<T>
}

/**
 * One policy out of several, always in the documented order, whatever the order they are given in: fallback → total
 * deadline → retry with budget → breaker → rate limit → bulkhead → hedge → attempt timeout → the call. The order is not a
 * choice: a retry inside a breaker would hammer an open one, a timeout outside a queue would count waiting as slowness.
 *
 * @throws HTTP_OPTIONS_INVALID when two have the same kind
 */
export function compose(...policies: readonly (Policy | undefined | false)[]): ComposedPolicy {
  const given = policies.filter((policy) => policy !== undefined && policy !== false)
  const ordered = policyOrder.flatMap((kind) => given.filter((policy) => policy.kind === kind))
  for (const [n, policy] of ordered.entries()) {
    if (policy.kind !== ordered[n - 1]?.kind) continue
    throw invalidOption(
      `two policies of kind ${policy.kind} are composed`,
      policy.kind === 'rateLimit'
        ? 'Nest rate limiters with within.'
        : `Keep one policy of kind ${policy.kind}.`,
    )
  }
  return {
    policies: ordered,
    run: <T>(work: Work<T>, within?: CallScope | RunOptions) =>
      enterScope(within, (scope) => runFrom(ordered, 0, { work, scope })),
  }
}

function runFrom<T>(
  policies: readonly Policy[],
  at: number,
  call: { readonly work: Work<T>; readonly scope: CallScope },
): Promise<T> {
  const policy = policies[at]
  if (policy === undefined) return call.work(call.scope) as Promise<T>
  if (at === policies.length - 1) return policy.run(call.work, call.scope)
  return policy.run((scope) => runFrom(policies, at + 1, { work: call.work, scope }), call.scope)
}
