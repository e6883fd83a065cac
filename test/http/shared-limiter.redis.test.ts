import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { createSharedRateLimiter, redisBucket, redisBucketAt } from '../../src/http/index.ts'
import { withService } from '../conformance/service-url.ts'

await withService('redis', (url) => {
  describe('a limit that is shared through Redis (L1, L2)', () => {
    const redis = new Redis(url)
    afterAll(() => redis.disconnect())
    const limiters = () => {
      const name = `test-${randomUUID()}`
      const options = { bucket: redisBucket(redis, name), ratePerSecond: 100, burst: 5 }
      return { name, all: [1, 2, 3].map(() => createSharedRateLimiter(options)) }
    }

    it('admits at most 105 in any second, and does not fall far below', async () => {
      const { all } = limiters()
      const at: number[] = []
      const until = performance.now() + 3000
      const worker = async (limiter: (typeof all)[number]) => {
        while (performance.now() < until) {
          await limiter.acquire()
          at.push(performance.now())
        }
      }
      await Promise.all(all.flatMap((each) => Array.from({ length: 8 }, () => worker(each))))
      at.sort((a, b) => a - b)
      // Seen a moment after the server admitted them: a slow moment here shifts some together.
      for (const [n, from] of at.entries()) {
        const next = at.findIndex((each) => each - from >= 1000)
        expect((next < 0 ? at.length : next) - n).toBeLessThanOrEqual(105 + 10)
      }
      const seconds = ((at.at(-1) ?? 0) - (at[0] ?? 0)) / 1000
      expect(at.length).toBeLessThanOrEqual(5 + 100 * seconds + 2)
      expect(at.length).toBeGreaterThan(100 * seconds * 0.7)
    })

    it('is there for a connector by its URL, and shrinks to a part of its own where nobody answers', async () => {
      const name = `test-${randomUUID()}`
      const bucket = redisBucketAt(url, name)
      const request = { ratePerSecond: 1, burst: 3, costs: [1, 1, 1, 1] }
      expect(await bucket.take(request)).toMatchObject({ admitted: 3 })
      expect(await redisBucket(redis, name).take(request)).toMatchObject({ admitted: 0 })
      await bucket.close?.()

      const gone = redisBucketAt('redis://127.0.0.1:1', name)
      const events: string[] = []
      const limiter = createSharedRateLimiter({
        bucket: gone,
        ratePerSecond: 90,
        burst: 3,
        replicas: 3,
        onEvent: ({ type }) => events.push(type),
      })
      await limiter.acquire()
      expect(events).toContain('rate_limit_degraded')
      await gone.close?.()
    })

    it('pauses every process, and its keys vanish by themselves', async () => {
      const { name, all } = limiters()
      await all[0]?.acquire()
      await redisBucket(redis, name).pause(300)
      const begunAt = performance.now()
      await all[1]?.acquire()

      expect(performance.now() - begunAt).toBeGreaterThan(250)
      for (const key of await redis.keys(`treaty:{rate:${name}}*`)) {
        expect(await redis.pttl(key)).toBeGreaterThan(0)
      }
    })
  })
})
