import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import {
  connectorOptions,
  createClient,
  createRateLimiter,
  createSharedRateLimiter,
  type RateLimiterOptions,
  storeBucket,
} from '../../src/http/index.ts'
import { openStore } from '../../src/store/index.ts'
import { type FakeClock, fakeClock } from '../../src/testing/fake-clock.ts'
import { type HostileServer, hostile, hostileServer } from '../../src/testing/hostile-server.ts'
import { holds } from './law.ts'
import { sampleLimiter } from './seed-models.ts'

// Capabilities 5.H, rows 158 to 165: rate limits.

interface Limit {
  readonly capacity: number
  readonly perSecond: number
}
interface Limiter {
  acquire(): Promise<void>
}
type Make = (limit: Limit, clock: Clock) => Limiter

const subjects: { readonly ours: Make; readonly seed: Make } = {
  ours: ({ capacity, perSecond }, clock) =>
    createRateLimiter({ burst: capacity, ratePerSecond: perSecond, clock }),
  seed: (limit, clock) => sampleLimiter(limit, clock),
}
const lawOf = (law: (make: Make) => Promise<void>) => holds<Make>(law, subjects)
const own = (options: Partial<RateLimiterOptions>, clock: Clock = fakeClock()) =>
  createRateLimiter({ ratePerSecond: 10, burst: 1, clock, ...options })

/** Takes turns at the times given; when each was admitted. */
async function admittedAt(limiter: Limiter, clock: FakeClock, arrivals: readonly number[]) {
  const admitted: number[] = []
  let now = 0
  for (const at of arrivals.toSorted((a, b) => a - b)) {
    await clock.advance(at - now)
    now = at
    void limiter.acquire().then(() => admitted.push(clock.monotonic()))
    await clock.tick()
  }
  for (let n = 0; n < 300; n += 1) await clock.advance(100)
  return admitted
}

let server: HostileServer
beforeAll(async () => {
  server = await hostileServer()
})
afterAll(() => server.close())
const loopback = { egress: { https: 'optional', privateNetworks: 'allow' } } as const

describe('5.H Rate limiting', () => {
  it('C158 refuses a capacity below one and a rate of zero, which would never admit or always look', async () => {
    await lawOf(async (make) => {
      for (const limit of [
        { capacity: 1, perSecond: 0 },
        { capacity: 0, perSecond: 1 },
        { capacity: 1, perSecond: Number.NaN },
      ]) {
        expect(() => make(limit, fakeClock())).toThrow(
          expect.objectContaining({ code: 'HTTP_OPTIONS_INVALID' }),
        )
      }
    })
  })

  it('C159 admits on whole tokens only: never more than capacity and rate allow, whatever comes when', async () => {
    const law =
      (capacity: number, perSecond: number, arrivals: readonly number[]) => async (make: Make) => {
        const clock = fakeClock()
        const admitted = await admittedAt(make({ capacity, perSecond }, clock), clock, arrivals)
        for (const [first, from] of admitted.entries()) {
          for (const [last, to] of admitted.entries()) {
            if (last < first) continue
            const most = capacity + (perSecond * (to - from)) / 1000
            expect(last - first + 1).toBeLessThanOrEqual(most + 1e-6)
          }
        }
      }
    await lawOf(law(1, 10, [0, 6]))
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 12 }),
        async (capacity, perSecond, arrivals) => law(capacity, perSecond, arrivals)(subjects.ours),
      ),
      { numRuns: 15 },
    )
  })

  it('C160 serves in order of arrival, with one timer and few wakeups', async () => {
    await lawOf(async (make) => {
      const clock = fakeClock()
      let wakeups = 0
      const counted: Clock = {
        ...clock,
        setTimeout: (run, delayMs) =>
          clock.setTimeout(() => {
            wakeups += 1
            run()
          }, delayMs),
      }
      const limiter = make({ capacity: 1, perSecond: 10 }, counted)
      const order: number[] = []
      const join = (n: number) => void limiter.acquire().then(() => order.push(n))
      for (let n = 0; n < 20; n += 1) join(n)
      await clock.advance(1050)
      // A newcomer must not overtake those who wait.
      join(20)
      await clock.advance(5000)
      expect(order).toEqual(Array.from({ length: 21 }, (_, n) => n))
      expect(wakeups).toBeLessThanOrEqual(25)
    })
    const clock = fakeClock()
    const limiter = own({}, clock)
    const waiting = Array.from({ length: 20 }, () => limiter.acquire())
    await clock.tick()
    expect(clock.pending()).toBe(1)
    await clock.advance(3000)
    await Promise.all(waiting)
  })

  it('C161 takes costs, tries without waiting, gives up in time, lets go on abort, and bounds its queue', async () => {
    const clock = fakeClock()
    const limiter = own({ burst: 3, maxWaitMs: 250, maxQueue: 2 }, clock)
    expect(limiter.tryAcquire(2)).toBe(true)
    expect(limiter.tryAcquire(2)).toBe(false)
    await expect(limiter.acquire({ cost: 4 })).rejects.toMatchObject({
      code: 'HTTP_OPTIONS_INVALID',
    })
    expect(limiter.tryAcquire(1)).toBe(true)

    const controller = new AbortController()
    const left = limiter.acquire({ signal: controller.signal })
    const next = limiter.acquire()
    const full = await limiter.acquire().catch((error: unknown) => error)
    expect(full).toMatchObject({ kind: 'rate_limited', retryAfterMs: expect.any(Number) })
    controller.abort()
    await expect(left).rejects.toMatchObject({ kind: 'aborted' })
    await clock.advance(100)
    // The place of the one that left is the next one's.
    await next
    expect(limiter.snapshot()).toMatchObject({ waiting: 0 })
    await expect(limiter.acquire({ cost: 3 })).rejects.toMatchObject({ kind: 'rate_limited' })
  })

  it('C162 mints and destroys nothing when a clock goes back', async () => {
    await lawOf(async (make) => {
      const clock = fakeClock()
      let backMs = 0
      const stepping: Clock = {
        ...clock,
        now: () => clock.now() - backMs,
        monotonic: () => clock.monotonic() - backMs,
      }
      const limiter = make({ capacity: 10, perSecond: 1 }, stepping)
      await limiter.acquire()
      backMs = 3_600_000
      let admitted = 0
      for (let n = 0; n < 9; n += 1) {
        void limiter.acquire().then(() => {
          admitted += 1
        })
        await clock.tick()
      }
      expect(admitted).toBe(9)
    })
  })

  it('C163 pauses for everybody when the other side says so', async () => {
    for (const headers of [
      { 'retry-after': '7' },
      { ratelimit: '"default";r=0;t=7' },
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '7' },
    ]) {
      server.script('/limited', hostile.json({}, 429, headers))
      const client = createClient({
        baseUrl: server.url,
        ...loopback,
        retry: false,
        rateLimit: { ratePerSecond: 1000, burst: 1000 },
      })
      await client.request({ method: 'GET', path: '/limited' }).catch(() => undefined)
      const { pausedMs = 0 } = client.snapshot().rateLimit ?? {}
      expect(pausedMs, JSON.stringify(headers)).toBeGreaterThan(6000)
      expect(pausedMs).toBeLessThanOrEqual(7000)
      await client.close()
    }
  })

  it('C164 is configured for each service, and nested scopes hold together', async () => {
    const options = connectorOptions(
      'shop',
      { baseUrl: 'https://a.test', resilience: { rateLimit: { rate: '120/m', burst: 4 } } },
      { resolve: () => expect.fail('there is no secret'), server: undefined },
    )
    const client = createClient(options)
    expect(client.snapshot().rateLimit).toMatchObject({ ratePerSecond: 2, burst: 4 })
    await client.close()

    const clock = fakeClock()
    const service = own({ ratePerSecond: 10, burst: 2 }, clock)
    const endpoints = [1, 2].map(() => own({ ratePerSecond: 8, burst: 2, within: service }, clock))
    const admitted: number[] = []
    for (let n = 0; n < 40; n += 1) {
      void endpoints[n % 2]?.acquire().then(() => admitted.push(n % 2))
    }
    await clock.advance(1000)
    expect(admitted.length).toBeLessThanOrEqual(2 + 10)
    expect(admitted.length).toBeGreaterThanOrEqual(11)
    for (const endpoint of [0, 1]) {
      expect(admitted.filter((each) => each === endpoint).length).toBeLessThanOrEqual(2 + 8)
    }
  })

  it('C165 is shared by all processes on a store, and shrinks to a part while that cannot be reached', async () => {
    const store = await openStore('memory:')
    const limiters = [1, 2, 3].map(() =>
      createSharedRateLimiter({ bucket: storeBucket(store, 'api'), ratePerSecond: 100, burst: 5 }),
    )
    const begunAt = performance.now()
    let admitted = 0
    const until = begunAt + 500
    await Promise.all(
      limiters.map(async (limiter) => {
        while (performance.now() < until) {
          await limiter.acquire()
          admitted += 1
        }
      }),
    )
    const seconds = (performance.now() - begunAt) / 1000
    expect(admitted).toBeLessThanOrEqual(5 + 100 * seconds + 1)
    expect(admitted).toBeGreaterThan(20)
    await store.close()

    const events: string[] = []
    const clock = fakeClock()
    const alone = createSharedRateLimiter({
      bucket: { take: () => Promise.reject(new Error('gone')), pause: async () => undefined },
      ratePerSecond: 30,
      burst: 3,
      replicas: 3,
      clock,
      onEvent: ({ type }) => events.push(type),
    })
    let served = 0
    for (let n = 0; n < 100; n += 1) {
      void alone.acquire().then(() => {
        served += 1
      })
    }
    await clock.advance(1000)
    expect(events).toContain('rate_limit_degraded')
    expect(served).toBeGreaterThan(5)
    expect(served).toBeLessThanOrEqual(1 + 10)
  })
})
