import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type FakeClock, fakeClock } from '../../testing/fake-clock.ts'
import { createRateLimiter, type RateLimiter } from './rate-limiter.ts'

const make = (clock: FakeClock, options: Partial<Parameters<typeof createRateLimiter>[0]> = {}) =>
  createRateLimiter({ ratePerSecond: 10, burst: 1, clock, ...options })

/** Notes when each acquisition came through, by name. */
function acquireAll(limiter: RateLimiter, names: readonly string[], clock: FakeClock) {
  const admitted: { name: string; at: number }[] = []
  const runs = names.map((name) =>
    limiter.acquire().then(() => admitted.push({ name, at: clock.monotonic() })),
  )
  return { admitted, all: Promise.all(runs) }
}

/** For every pair of admissions: count in between ≤ burst + rate · time. */
function expectLaw(at: readonly number[], burst: number, ratePerSecond: number): void {
  for (let from = 0; from < at.length; from += 1) {
    for (let to = from; to < at.length; to += 1) {
      const span = ((at[to] as number) - (at[from] as number)) / 1000
      expect(to - from + 1).toBeLessThanOrEqual(burst + ratePerSecond * span + 1e-6)
    }
  }
}

describe('createRateLimiter', () => {
  it('refuses a rate of 0 and a burst below 1', () => {
    const clock = fakeClock()
    for (const options of [
      { ratePerSecond: 0 },
      { ratePerSecond: -1 },
      { ratePerSecond: Number.NaN },
      { burst: 0 },
      { burst: 0.5 },
      { maxWaitMs: -1 },
    ]) {
      expect(() => make(clock, options)).toThrow(
        expect.objectContaining({ code: 'HTTP_OPTIONS_INVALID' }),
      )
    }
  })

  it('admits on a whole token only', async () => {
    const clock = fakeClock()
    const limiter = make(clock)
    expect(limiter.tryAcquire()).toBe(true)
    await clock.advance(6)
    expect(limiter.tryAcquire()).toBe(false)
    await clock.advance(93)
    expect(limiter.tryAcquire()).toBe(false)
    await clock.advance(1)
    expect(limiter.tryAcquire()).toBe(true)
  })

  it('admits after ten looks of 10 ms as after one wait of 100', async () => {
    const clock = fakeClock()
    const limiter = make(clock)
    limiter.tryAcquire()
    const seen: boolean[] = []
    for (let n = 0; n < 10; n += 1) {
      await clock.advance(10)
      seen.push(limiter.tryAcquire())
    }

    expect(seen).toEqual([...new Array(9).fill(false), true])
  })

  it('admits at most burst + rate · time, for any pattern of arrivals', async () => {
    const arrivals = fc.array(
      fc.record({
        gap: fc.nat({ max: 400 }),
        wait: fc.boolean(),
        cost: fc.integer({ min: 1, max: 3 }),
      }),
      { maxLength: 60 },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 3, max: 8 }),
        arrivals,
        async (ratePerSecond, burst, pattern) => {
          const clock = fakeClock()
          const limiter = make(clock, { ratePerSecond, burst })
          const at: number[] = []
          const admit = (cost: number) => at.push(...new Array(cost).fill(clock.monotonic()))
          const runs: Promise<unknown>[] = []
          for (const { gap, wait, cost } of pattern) {
            await clock.advance(gap)
            if (wait)
              runs.push(
                limiter.acquire({ cost }).then(
                  () => admit(cost),
                  () => undefined,
                ),
              )
            else if (limiter.tryAcquire(cost)) admit(cost)
          }
          await clock.advance(120_000)
          await Promise.all(runs)
          expectLaw(
            at.toSorted((a, b) => a - b),
            burst,
            ratePerSecond,
          )
        },
      ),
      { numRuns: 60 },
    )
  })

  it('serves twenty waiters in order of arrival, with one timer, and newcomers behind them', async () => {
    const clock = fakeClock()
    const limiter = make(clock)
    const names = Array.from({ length: 20 }, (_, n) => `w${n}`)
    const { admitted, all } = acquireAll(limiter, names, clock)
    await clock.advance(950)
    expect(clock.pending()).toBe(1)
    expect(limiter.tryAcquire()).toBe(false)
    const late = acquireAll(limiter, ['late'], clock)
    await clock.advance(2000)
    await Promise.all([all, late.all])

    expect(admitted.map(({ name }) => name)).toEqual(names)
    expect(admitted.map(({ at }) => at)).toEqual(names.map((_, n) => n * 100))
    expect(late.admitted).toEqual([{ name: 'late', at: 2000 }])
    expect(clock.pending()).toBe(0)
  })

  it('lets higher priorities go first, equals in order', async () => {
    const clock = fakeClock()
    const limiter = make(clock)
    limiter.tryAcquire()
    const order: string[] = []
    const runs = (
      [
        ['a', 0],
        ['b', 1],
        ['c', 0],
        ['d', 1],
      ] as const
    ).map(([name, priority]) => limiter.acquire({ priority }).then(() => order.push(name)))
    await clock.advance(1000)
    await Promise.all(runs)

    expect(order).toEqual(['b', 'd', 'a', 'c'])
  })

  it('refuses a cost above the burst, whose turn would never come', async () => {
    const limiter = make(fakeClock(), { burst: 5 })

    expect(() => limiter.tryAcquire(6)).toThrow(/never come/)
    await expect(limiter.acquire({ cost: 6 })).rejects.toThrow(/never come/)
    expect(limiter.tryAcquire(5)).toBe(true)
  })

  it('gives the turn of an aborted waiter to the next', async () => {
    const clock = fakeClock()
    const limiter = make(clock)
    limiter.tryAcquire()
    const controller = new AbortController()
    const aborted = limiter.acquire({ signal: controller.signal })
    const next = acquireAll(limiter, ['next'], clock)
    controller.abort()
    await expect(aborted).rejects.toMatchObject({ kind: 'aborted' })
    await clock.advance(100)

    expect(next.admitted).toEqual([{ name: 'next', at: 100 }])
    await next.all
  })

  it('refuses at once what would wait too long, and what finds the queue full', async () => {
    const clock = fakeClock()
    const limiter = make(clock, { maxWaitMs: 250 })
    limiter.tryAcquire()
    const { all } = acquireAll(limiter, ['1', '2'], clock)
    await expect(limiter.acquire()).rejects.toMatchObject({
      kind: 'rate_limited',
      retryAfterMs: 300,
    })
    await clock.advance(300)
    await all
    const short = make(clock, { maxQueue: 1 })
    short.tryAcquire()
    const waiting = short.acquire()
    await expect(short.acquire()).rejects.toMatchObject({ kind: 'rate_limited' })
    await clock.advance(100)
    await waiting
  })

  it('mints and destroys nothing when the wall clock steps', async () => {
    const clock = fakeClock()
    const limiter = make(clock)
    limiter.tryAcquire()
    clock.set(Date.UTC(2040, 0, 1))
    expect(limiter.tryAcquire()).toBe(false)
    clock.set(Date.UTC(1990, 0, 1))
    await clock.advance(100)
    expect(limiter.tryAcquire()).toBe(true)
  })

  it('mints nothing on a monotonic clock that goes back after all', () => {
    let now = 1000
    const clock = { ...fakeClock(), monotonic: () => now }
    const limiter = createRateLimiter({ ratePerSecond: 10, burst: 1, clock })
    expect(limiter.tryAcquire()).toBe(true)
    now = 0
    expect(limiter.tryAcquire()).toBe(false)
    now = 1099
    expect(limiter.tryAcquire()).toBe(false)
    now = 1100
    expect(limiter.tryAcquire()).toBe(true)
  })

  it('pauses everybody, also those who already wait', async () => {
    const clock = fakeClock()
    const limiter = make(clock, { burst: 3 })
    limiter.pause(500)
    const { admitted, all } = acquireAll(limiter, ['a', 'b'], clock)
    await clock.advance(200)
    limiter.pause(1000)
    limiter.pause(10)
    await clock.advance(999)
    expect(admitted).toEqual([])
    await clock.advance(1)
    await all

    expect(admitted.map(({ at }) => at)).toEqual([1200, 1200])
  })

  it('ends the patience of those whom a pause made wait too long', async () => {
    const clock = fakeClock()
    const limiter = make(clock, { maxWaitMs: 200 })
    limiter.tryAcquire()
    const run = limiter.acquire()
    limiter.pause(5000)
    const settled = expect(run).rejects.toMatchObject({ kind: 'rate_limited', retryAfterMs: 4800 })
    await clock.advance(200)
    await settled
  })

  it('follows what the server says, downwards only', async () => {
    const clock = fakeClock()
    const limiter = make(clock, { ratePerSecond: 100, burst: 10, adaptive: true })
    limiter.adapt({ limit: 100, remaining: 10, resetMs: 10_000 })
    expect(limiter.snapshot().ratePerSecond).toBeCloseTo(1)
    limiter.adapt({ remaining: 1_000_000, resetMs: 1000 })
    expect(limiter.snapshot().ratePerSecond).toBeCloseTo(100)
    limiter.adapt({ remaining: 0, resetMs: 3000 })
    expect(limiter.snapshot().pausedMs).toBe(3000)
  })

  it('satisfies nested limits together and holds the law in each', async () => {
    const clock = fakeClock()
    const whole = make(clock, { ratePerSecond: 10, burst: 2 })
    const tenants = [0, 1].map(() => make(clock, { ratePerSecond: 8, burst: 3, within: whole }))
    const at: number[][] = [[], []]
    const runs = Array.from({ length: 30 }, (_, n) => {
      const tenant = n % 2
      return (tenants[tenant] as RateLimiter)
        .acquire()
        .then(() => at[tenant]?.push(clock.monotonic()))
    })
    await clock.advance(10_000)
    await Promise.all(runs)

    for (const own of at) expectLaw(own, 3, 8)
    expectLaw(
      at.flat().sort((a, b) => a - b),
      2,
      10,
    )
    expect(
      at
        .flat()
        .toSorted((a, b) => a - b)
        .at(-1),
    ).toBe(2800)
    // Neither starves: both finish at about the same time.
    expect(Math.abs((at[0]?.at(-1) ?? 0) - (at[1]?.at(-1) ?? 0))).toBeLessThanOrEqual(200)
  })

  it('takes nothing from the wider limit for a waiter that left', async () => {
    const clock = fakeClock()
    const whole = make(clock)
    const inner = make(clock, { ratePerSecond: 100, burst: 5, within: whole })
    expect(whole.tryAcquire()).toBe(true)
    const controller = new AbortController()
    const run = inner.acquire({ signal: controller.signal })
    controller.abort()
    await expect(run).rejects.toMatchObject({ kind: 'aborted' })
    await clock.advance(100)
    await clock.tick()

    expect(whole.tryAcquire()).toBe(true)
  })

  it('lets a deadline that passes in the queue not count against the dependency', async () => {
    const clock = fakeClock()
    const limiter = make(clock)
    limiter.tryAcquire()
    let isCalled = false
    const { createDeadline } = await import('./time-limit.ts')
    const run = createDeadline({ ms: 50, clock }).run((scope) =>
      limiter.run(() => {
        isCalled = true
      }, scope),
    )
    const settled = expect(run).rejects.toMatchObject({ kind: 'deadline' })
    await clock.advance(200)
    await settled

    expect(isCalled).toBe(false)
    expect(limiter.snapshot().waiting).toBe(0)
  })
})
