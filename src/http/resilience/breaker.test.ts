import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TreatyError } from '../../core/errors.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import { type BreakerOptions, createBreaker } from './breaker.ts'
import type { ResilienceEvent } from './policy.ts'
import { createTimeout } from './time-limit.ts'

const boom = () => Promise.reject(new Error('boom'))
const fine = () => Promise.resolve('fine')

function setUp(options: BreakerOptions = {}) {
  const clock = fakeClock()
  const events: ResilienceEvent[] = []
  const breaker = createBreaker({
    consecutive: 5,
    openMs: 1000,
    probes: 1,
    clock,
    onEvent: (event) => events.push(event),
    ...options,
  })
  const fail = async (times: number) => {
    for (let n = 0; n < times; n += 1) await breaker.run(boom).catch(() => undefined)
  }
  return { clock, breaker, events, fail }
}

/** A call whose end is in the test's hands. */
function pendingCall() {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  return {
    work: () => promise,
    resolve: () => resolve('late'),
    reject: () => reject(new Error('late')),
  }
}

describe('createBreaker', () => {
  it('opens after the configured failures in a row and then calls nobody', async () => {
    const { breaker, fail } = setUp()
    await fail(4)
    expect(breaker.state).toBe('closed')
    await fail(1)
    expect(breaker.state).toBe('open')

    let isCalled = false
    const before = breaker.snapshot()
    const rejection = breaker.run(() => {
      isCalled = true
    })
    await expect(rejection).rejects.toMatchObject({
      code: 'BREAKER_OPEN',
      kind: 'breaker_open',
      retryAfterMs: 1000,
      details: { retryAt: Date.UTC(2026, 0, 1) + 1000 },
    })
    expect(isCalled).toBe(false)
    expect(breaker.snapshot()).toEqual({ ...before, rejected: 1 })
  })

  it('has by default 5 failures in a row', async () => {
    const clock = fakeClock()
    const breaker = createBreaker({ clock })
    for (let n = 0; n < 5; n += 1) await breaker.run(boom).catch(() => undefined)

    expect(breaker.state).toBe('open')
  })

  it('trips on half of a thousand calls failing, though never twice in a row', async () => {
    const { breaker } = setUp({ minCalls: 20, failureRate: 0.5 })
    let calls = 0
    for (let n = 0; n < 1000; n += 1) {
      await breaker
        .run(() => {
          calls += 1
          return n % 2 ? boom() : fine()
        })
        .catch(() => undefined)
    }

    expect(calls).toBe(20)
    expect(breaker.state).toBe('open')
  })

  it('never opens by rate below the minimum of calls, nor by what is older than the window', async () => {
    const clock = fakeClock()
    const breaker = createBreaker({ windowMs: 10_000, minCalls: 20, failureRate: 0.5, clock })
    for (let n = 0; n < 19; n += 1) await breaker.run(boom).catch(() => undefined)
    expect(breaker.state).toBe('closed')
    await clock.advance(11_000)
    for (let n = 0; n < 19; n += 1) await breaker.run(boom).catch(() => undefined)
    expect(breaker.state).toBe('closed')
    await breaker.run(boom).catch(() => undefined)
    expect(breaker.state).toBe('open')
  })

  it('opens on slow calls', async () => {
    const clock = fakeClock()
    const breaker = createBreaker({ minCalls: 4, slowCallMs: 100, slowRate: 0.5, clock })
    for (let n = 0; n < 4; n += 1) {
      await breaker.run(async () => {
        const { promise, resolve } = Promise.withResolvers<void>()
        clock.setTimeout(resolve, n < 2 ? 10 : 100)
        const moving = clock.advance(100)
        await promise
        await moving
      })
    }

    expect(breaker.state).toBe('open')
  })

  it('lets one of fifty callers through when half open', async () => {
    const { breaker, fail, clock } = setUp()
    await fail(5)
    await clock.advance(1000)
    const call = pendingCall()
    let calls = 0
    const runs = Array.from({ length: 50 }, () =>
      breaker.run(() => {
        calls += 1
        return call.work()
      }),
    )
    const settled = Promise.allSettled(runs)
    call.resolve()
    const results = await settled

    expect(calls).toBe(1)
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(49)
    expect(breaker.state).toBe('closed')
  })

  it('closes after as many successes as probes, and one failure reopens for twice as long', async () => {
    const { breaker, fail, clock } = setUp({ probes: 3 })
    await fail(5)
    await clock.advance(1000)
    await breaker.run(fine)
    await fail(1)
    expect(breaker.snapshot()).toMatchObject({ state: 'open', retryAfterMs: 2000 })
    await clock.advance(1999)
    expect(breaker.state).toBe('open')
    await clock.advance(1)
    for (let n = 0; n < 3; n += 1) await breaker.run(fine)
    expect(breaker.state).toBe('closed')
    await fail(5)
    expect(breaker.snapshot().retryAfterMs).toBe(1000)
  })

  it('frees the place of a probe that never returns', async () => {
    const { breaker, fail, clock } = setUp({ probeTimeoutMs: 300 })
    await fail(5)
    await clock.advance(1000)
    void breaker.run(() => new Promise(() => undefined)).catch(() => undefined)
    await clock.advance(300)
    expect(breaker.state).toBe('open')
    await clock.advance(2000)

    await expect(breaker.run(fine)).resolves.toBe('fine')
    expect(breaker.state).toBe('closed')
  })

  it('frees the place of a probe that is cancelled, without a verdict', async () => {
    const { breaker, fail, clock } = setUp()
    await fail(5)
    await clock.advance(1000)
    for (let n = 0; n < 3; n += 1) {
      const controller = new AbortController()
      const run = breaker.run(() => new Promise(() => undefined), { signal: controller.signal })
      await clock.tick()
      controller.abort()
      await expect(run).rejects.toMatchObject({ kind: 'aborted' })
    }
    expect(breaker.state).toBe('half_open')

    await expect(breaker.run(fine)).resolves.toBe('fine')
  })

  it('ignores a late success from before it opened', async () => {
    const { breaker, fail } = setUp()
    const late = pendingCall()
    const run = breaker.run(late.work)
    await fail(5)
    late.resolve()
    await run

    expect(breaker.state).toBe('open')
  })

  it('is not held open longer by a late failure from before', async () => {
    const { breaker, fail, clock } = setUp()
    const late = pendingCall()
    const run = breaker.run(late.work).catch(() => undefined)
    await fail(5)
    await clock.advance(400)
    late.reject()
    await run

    expect(breaker.snapshot().retryAfterMs).toBe(600)
  })

  it('does not count 4xx, aborts, invalid answers and its own kind', async () => {
    const { breaker } = setUp({ consecutive: 1 })
    const errors = [
      new TreatyError('HTTP_STATUS', 'x', { kind: 'http', status: 404 }),
      new TreatyError('HTTP_ABORTED', 'x', { kind: 'aborted' }),
      new TreatyError('HTTP_SCHEMA_MISMATCH', 'x', { kind: 'schema' }),
      new TreatyError('HTTP_UNREADABLE', 'x', { kind: 'parse' }),
      new TreatyError('RATE_LIMITED', 'x', { kind: 'rate_limited' }),
      new TreatyError('BULKHEAD_FULL', 'x', { kind: 'bulkhead_full' }),
      new TreatyError('HTTP_DEADLINE', 'x', {
        kind: 'deadline',
        details: { waitingFor: 'bulkhead' },
      }),
      new DOMException('x', 'AbortError'),
    ]
    for (const error of errors)
      await breaker.run(() => Promise.reject(error)).catch(() => undefined)
    expect(breaker.state).toBe('closed')

    for (const status of [500, 503, 429]) {
      breaker.reset()
      const error = new TreatyError('HTTP_STATUS', 'x', { kind: 'http', status })
      await breaker.run(() => Promise.reject(error)).catch(() => undefined)
      expect([status, breaker.state]).toEqual([status, 'open'])
    }
  })

  it('takes a synchronous throw as a failure', async () => {
    const { breaker } = setUp({ consecutive: 1 })
    const run = breaker.run(() => {
      throw new Error('at once')
    })

    await expect(run).rejects.toThrow('at once')
    expect(breaker.state).toBe('open')
  })

  it('opens, closes and resets by hand, and reports each change', async () => {
    const { breaker, events, clock } = setUp({ name: 'billing' })
    breaker.open()
    await clock.advance(1_000_000)
    expect(breaker.snapshot()).toMatchObject({ state: 'open', isForced: true })
    breaker.close()
    expect(breaker.state).toBe('closed')
    breaker.reset()
    expect(breaker.snapshot()).toMatchObject({ calls: 0, rejected: 0, consecutiveFailures: 0 })
    expect(events).toEqual([
      {
        type: 'breaker_state',
        from: 'closed',
        to: 'open',
        reason: 'manual',
        dependency: 'billing',
      },
      {
        type: 'breaker_state',
        from: 'open',
        to: 'closed',
        reason: 'manual',
        dependency: 'billing',
      },
    ])
  })

  it('does not notice a wall clock that steps', async () => {
    const { breaker, fail, clock } = setUp()
    await fail(5)
    clock.set(Date.UTC(2030, 0, 1))
    expect(breaker.state).toBe('open')
    clock.set(Date.UTC(2000, 0, 1))
    await clock.advance(1000)
    expect(breaker.state).toBe('half_open')
  })

  it('refuses settings that make no sense', () => {
    for (const options of [
      { failureRate: 0 },
      { failureRate: 1.1 },
      { consecutive: 0 },
      { probes: 0 },
      { openMs: 0 },
      { windowMs: Number.NaN },
    ]) {
      expect(() => createBreaker(options)).toThrow(
        expect.objectContaining({ code: 'HTTP_OPTIONS_INVALID' }),
      )
    }
  })

  it('never has more probes at a time than allowed, whatever happens', async () => {
    const step = fc.oneof(
      fc.constant('start' as const),
      fc.constant('succeed' as const),
      fc.constant('fail' as const),
      fc.constant('wait' as const),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { maxLength: 60 }),
        async (probes, steps) => {
          const { breaker, clock, fail } = setUp({
            probes,
            openMsMax: 1000,
            probeTimeoutMs: 100_000,
          })
          await fail(5)
          const running: ReturnType<typeof pendingCall>[] = []
          for (const each of steps) {
            const isHalfOpen = breaker.state === 'half_open'
            if (each === 'wait') await clock.advance(1000)
            else if (each === 'start') {
              const call = pendingCall()
              const before = running.length
              void breaker
                .run(() => {
                  running.push(call)
                  return call.work()
                })
                .catch(() => undefined)
              await clock.tick()
              if (isHalfOpen && running.length > before) {
                expect(breaker.state === 'half_open' ? running.length : 0).toBeLessThanOrEqual(
                  probes,
                )
              }
            } else {
              const call = running.shift()
              if (each === 'succeed') call?.resolve()
              else call?.reject()
              await clock.tick()
              // A change of state forgets what still runs; so does this model.
              if (breaker.state !== 'half_open') running.length = 0
            }
          }
        },
      ),
      { numRuns: 40 },
    )
  })
})

describe('createTimeout', () => {
  it('abandons work that hangs, tells it so, and leaves no timer behind', async () => {
    const clock = fakeClock()
    let reason: unknown
    const run = createTimeout({ ms: 50, clock }).run((scope) => {
      scope.onCancel((why) => {
        reason = why
      })
      return new Promise(() => undefined)
    })
    const settled = expect(run).rejects.toMatchObject({ kind: 'timeout', code: 'HTTP_TIMEOUT' })
    await clock.advance(50)
    await settled

    expect(reason).toMatchObject({ kind: 'timeout' })
    expect(clock.pending()).toBe(0)
  })
})
