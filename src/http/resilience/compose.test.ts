import { describe, expect, it } from 'vitest'
import { TreatyError } from '../../core/errors.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import { createBreaker } from './breaker.ts'
import { createBulkhead } from './bulkhead.ts'
import { compose } from './compose.ts'
import { createDependencyRegistry } from './dependencies.ts'
import { createFallback } from './fallback.ts'
import { createHedge } from './hedge.ts'
import type { ResilienceEvent } from './policy.ts'
import { createRateLimiter } from './rate-limiter.ts'
import { createRetry } from './retry.ts'
import { createRetryBudget } from './retry-budget.ts'
import type { CallScope } from './scope.ts'
import { createDeadline, createTimeout } from './time-limit.ts'

const unavailable = () =>
  new TreatyError('HTTP_STATUS', 'unavailable', { kind: 'http', status: 503 })
const hang = () => new Promise<never>(() => undefined)

describe('compose', () => {
  it('keeps the documented order, whatever the order given', () => {
    const clock = fakeClock()
    const { policies } = compose(
      createTimeout({ ms: 1, clock }),
      createBulkhead({ concurrent: 1 }),
      createRetry({ clock }),
      undefined,
      createFallback({ value: 1 }),
      createBreaker({ clock }),
      createHedge({ clock }),
      createDeadline({ ms: 1, clock }),
      createRateLimiter({ ratePerSecond: 1, burst: 1, clock }),
    )

    expect(policies.map(({ kind }) => kind)).toEqual([
      'fallback',
      'deadline',
      'retry',
      'breaker',
      'rateLimit',
      'bulkhead',
      'hedge',
      'timeout',
    ])
    expect(() => compose(createHedge(), createHedge())).toThrow(/two policies of kind hedge/)
  })

  it('counts every attempt at the breaker and does not retry once it is open', async () => {
    const clock = fakeClock()
    const breaker = createBreaker({ clock, consecutive: 2, openMs: 10_000 })
    let calls = 0
    const run = compose(createRetry({ clock, attempts: 5, baseMs: 1, budget: false }), breaker).run(
      () => {
        calls += 1
        throw unavailable()
      },
    )
    const settled = expect(run).rejects.toMatchObject({ kind: 'breaker_open', attempts: 2 })
    await clock.advance(100)
    await settled

    expect(calls).toBe(2)
  })

  it('bounds attempts, waits and queues together by the deadline', async () => {
    const clock = fakeClock()
    const scopes: CallScope[] = []
    const run = compose(
      createDeadline({ ms: 1000, clock }),
      createRetry({ clock, attempts: 100, baseMs: 1, budget: false }),
      createTimeout({ ms: 300, clock }),
    ).run((scope) => {
      scopes.push(scope)
      return hang()
    })
    const settled = expect(run).rejects.toMatchObject({
      kind: 'deadline',
      attempts: 4,
      cause: { kind: 'timeout' },
    })
    await clock.advance(1000)
    await settled

    expect(scopes).toHaveLength(4)
    expect(scopes.every((scope) => scope.isCancelled)).toBe(true)
    expect(clock.pending()).toBe(0)
  })

  it('ends everything at once when the caller aborts', async () => {
    const clock = fakeClock()
    const controller = new AbortController()
    let signal: AbortSignal | undefined
    const run = compose(
      createDeadline({ ms: 1000, clock }),
      createRetry({ clock }),
      createBreaker({ clock }),
      createBulkhead({ concurrent: 1 }),
      createHedge({ clock, delayMs: 5 }),
      createTimeout({ ms: 300, clock }),
    ).run(
      (scope) => {
        signal = scope.signal
        return hang()
      },
      { signal: controller.signal },
    )
    await clock.tick()
    controller.abort()

    await expect(run).rejects.toMatchObject({ kind: 'aborted', attempts: 1 })
    expect(signal?.aborted).toBe(true)
    await clock.tick()
    expect(clock.pending()).toBe(0)
  })
})

describe('createBulkhead', () => {
  it('refuses overflow at once, serves the queue in order, and returns every place', async () => {
    const bulkhead = createBulkhead({ concurrent: 2, queue: 2 })
    const order: number[] = []
    const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
    const runs = gates.map(({ promise }, n) =>
      bulkhead.run(() => {
        order.push(n)
        return promise
      }),
    )
    await expect(bulkhead.run(() => 'fifth')).rejects.toMatchObject({ kind: 'bulkhead_full' })
    expect(bulkhead.snapshot()).toEqual({ running: 2, waiting: 2, rejected: 1 })
    gates[1]?.resolve()
    gates[0]?.reject(new Error('also frees'))
    gates[2]?.resolve()
    gates[3]?.resolve()
    await Promise.allSettled(runs)

    expect(order).toEqual([0, 1, 2, 3])
    expect(bulkhead.snapshot()).toEqual({ running: 0, waiting: 0, rejected: 1 })
  })

  it('lets an aborted waiter leave', async () => {
    const bulkhead = createBulkhead({ concurrent: 1, queue: 1 })
    const gate = Promise.withResolvers<void>()
    const running = bulkhead.run(() => gate.promise)
    const controller = new AbortController()
    const waiting = bulkhead.run(() => 'never', { signal: controller.signal })
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ kind: 'aborted' })
    gate.resolve()
    await running

    expect(bulkhead.snapshot()).toMatchObject({ running: 0, waiting: 0 })
  })
})

describe('createHedge', () => {
  it('starts one more where the first is slow, takes the faster and cancels the other', async () => {
    const clock = fakeClock()
    const scopes: CallScope[] = []
    const run = createHedge({ clock, delayMs: 50 }).run((scope) => {
      scopes.push(scope)
      return scopes.length === 1 ? hang() : Promise.resolve('second')
    })
    await clock.advance(49)
    expect(scopes).toHaveLength(1)
    await clock.advance(1)

    await expect(run).resolves.toBe('second')
    expect(scopes.map((scope) => scope.isCancelled)).toEqual([true, false])
  })

  it('does not start a second where the call may not be doubled or the budget is spent', async () => {
    const clock = fakeClock()
    const budget = createRetryBudget({ ratio: 0, minPerSecond: 0, clock })
    for (const [hedge, canHedge] of [
      [createHedge({ clock, delayMs: 5 }), false],
      [createHedge({ clock, delayMs: 5, budget }), true],
    ] as const) {
      let calls = 0
      const { CallScope } = await import('./scope.ts')
      const scope = new CallScope()
      scope.canHedge = canHedge
      void hedge.run(() => {
        calls += 1
        return hang()
      }, scope)
      await clock.advance(100)

      expect(calls).toBe(1)
    }
  })

  it('fails with the first error when both fail', async () => {
    const clock = fakeClock()
    const gate = Promise.withResolvers<never>()
    let calls = 0
    const run = createHedge({ clock, delayMs: 5 }).run(() => {
      calls += 1
      return calls === 1 ? gate.promise : Promise.reject(new Error('second'))
    })
    const settled = expect(run).rejects.toThrow('second')
    await clock.advance(5)
    gate.reject(new Error('first'))
    await settled
  })
})

describe('createFallback', () => {
  it('answers with a fixed value, marked as degraded', async () => {
    const events: ResilienceEvent[] = []
    const fallback = createFallback({ value: { rate: 1 }, onEvent: (event) => events.push(event) })
    const cause = unavailable()

    expect(await fallback.runMarked(() => Promise.reject(cause))).toEqual({
      value: { rate: 1 },
      degraded: { by: 'static', cause },
    })
    expect(await fallback.runMarked(() => 'fine')).toEqual({ value: 'fine' })
    expect(events).toMatchObject([{ type: 'fallback', by: 'static' }])
  })

  it('answers with the last good value while it is young enough, as a copy', async () => {
    const clock = fakeClock()
    const fallback = createFallback({ cached: { maxAgeMs: 1000 }, clock })
    const good = { n: 1 }
    await fallback.run(() => good)
    good.n = 2
    expect(await fallback.run(() => Promise.reject(unavailable()))).toEqual({ n: 1 })
    await clock.advance(1001)

    const cause = unavailable()
    await expect(fallback.run(() => Promise.reject(cause))).rejects.toMatchObject({
      code: 'FALLBACK_FAILED',
      kind: 'http',
      status: 503,
      cause,
    })
  })

  it('asks an alternate, or keeps the call for later', async () => {
    const queued: unknown[] = []
    const alternate = createFallback({ alternate: () => 'elsewhere' })
    const queue = createFallback({
      queue(cause) {
        queued.push(cause)
        return { accepted: true }
      },
    })

    expect(await alternate.run(() => Promise.reject(unavailable()))).toBe('elsewhere')
    expect(await queue.run(() => Promise.reject(unavailable()))).toEqual({ accepted: true })
    expect(queued).toHaveLength(1)
  })

  it('leaves 4xx, invalid answers and aborts alone', async () => {
    const fallback = createFallback({ value: 1 })
    for (const error of [
      new TreatyError('HTTP_STATUS', 'x', { kind: 'http', status: 404 }),
      new TreatyError('HTTP_SCHEMA_MISMATCH', 'x', { kind: 'schema' }),
      new TreatyError('HTTP_ABORTED', 'x', { kind: 'aborted' }),
    ]) {
      await expect(fallback.run(() => Promise.reject(error))).rejects.toBe(error)
    }
  })

  it('is exactly one thing', () => {
    expect(() => createFallback({})).toThrow(/exactly one/)
    expect(() => createFallback({ value: 1, alternate: () => 2 })).toThrow(/exactly one/)
  })
})

describe('createDependencyRegistry', () => {
  it('shares one breaker by name and reports a conflicting configuration', async () => {
    const registry = createDependencyRegistry()
    const billing = registry.get('billing', {
      breaker: { openMs: 5, consecutive: 1 },
      retry: false,
    })
    expect(registry.get('billing')).toBe(billing)
    expect(registry.get('billing', { retry: false, breaker: { consecutive: 1, openMs: 5 } })).toBe(
      billing,
    )
    expect(() => registry.get('billing', { retry: { attempts: 2 } })).toThrow(/configured twice/)
    await billing.policy.run(() => Promise.reject(unavailable())).catch(() => undefined)

    expect(registry.snapshot()).toMatchObject([
      { name: 'billing', breaker: { state: 'open' }, events: { breaker_state: 1 } },
    ])
  })
})
