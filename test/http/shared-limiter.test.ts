import { fork } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createSharedRateLimiter, type ResilienceEvent } from '../../src/http/index.ts'

describe('a limit that processes share through the store (L1, L2)', () => {
  it('is never exceeded by three workers together', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'treaty-rate-'))
    const notes = join(folder, 'notes')
    const children = [1, 2, 3].map(() =>
      fork(join(import.meta.dirname, 'rate-child.ts'), [join(folder, 'store.db'), notes, '4000']),
    )
    const codes = await Promise.all(
      children.map((child) => new Promise((resolve) => child.once('exit', resolve))),
    )
    const at = readFileSync(notes, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map(Number)
      .sort((a, b) => a - b)

    expect(codes).toEqual([0, 0, 0])
    // Noted a moment after they were admitted, so a slow moment may shift some of them together.
    for (const [n, from] of at.entries()) {
      const inSecond = at.slice(n).findIndex((each) => each - from >= 1000)
      expect(inSecond < 0 ? at.length - n : inSecond).toBeLessThanOrEqual(105 + 10)
    }
    const seconds = ((at.at(-1) ?? 0) - (at[0] ?? 0)) / 1000
    expect(at.length).toBeLessThanOrEqual(5 + 100 * seconds + 5)
    expect(at.length).toBeGreaterThan(100 * seconds * 0.5)
  })

  it('shrinks to a part for each process while the bucket cannot be reached, and says so', async () => {
    const events: ResilienceEvent[] = []
    const limiter = createSharedRateLimiter({
      bucket: {
        take: () => Promise.reject(new Error('the store is down')),
        pause: () => Promise.reject(new Error('the store is down')),
      },
      ratePerSecond: 100,
      burst: 10,
      replicas: 5,
      onEvent: (event) => events.push(event),
    })
    const begunAt = performance.now()
    await Promise.all(Array.from({ length: 6 }, () => limiter.acquire()))

    // 2 at once, the others at 20 a second.
    expect(performance.now() - begunAt).toBeGreaterThan(150)
    expect(events[0]).toMatchObject({ type: 'rate_limit_degraded' })
  })
})
