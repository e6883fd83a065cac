import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../core/random.ts'
import { retryDelayMs } from './retry-policy.ts'

const policy = { attempts: 5, baseMs: 100, factor: 2, capMs: 1000, jitter: 'none' } as const

describe('retryDelayMs', () => {
  it('doubles from the base and stops growing at the cap', () => {
    const waits = [1, 2, 3, 4, 5].map((attempt) => retryDelayMs(policy, attempt, Math.random))

    expect(waits).toEqual([100, 200, 400, 800, 1000])
  })

  it('draws below the cap with full jitter, whatever the attempt', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), fc.integer(), (attempt, seed) => {
        const wait = retryDelayMs({ ...policy, jitter: 'full' }, attempt, seededRandom(seed))
        expect(wait).toBeGreaterThanOrEqual(0)
        expect(wait).toBeLessThan(1000)
      }),
    )
  })
})
