import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { restMs, tierFor, tiersMs, waitHeaders, waitOf, withoutWait } from './tiers.ts'

describe('a delayed message', () => {
  it('reaches its channel at its time, and passes few queues', () => {
    fc.assert(
      fc.property(fc.integer({ min: restMs, max: 90_000_000 }), (delayMs) => {
        const to = { exchange: 'orders', routingKey: '3', until: 1000 + delayMs }
        let now = 1000
        let steps = 0
        while (to.until > now) {
          const tier = tierFor(to.until - now)
          const wait = waitOf(waitHeaders(to, now), tier)
          expect(wait?.to).toEqual(to)
          expect(wait?.leavesAt).toBeLessThanOrEqual(to.until)
          now = wait?.leavesAt ?? to.until
          steps += 1
        }
        expect(now).toBe(to.until)
        expect(steps).toBeLessThan(20 + delayMs / (tiersMs.at(-1) as number))
      }),
    )
  })

  it('leaves its queue in the order in which it came, so that nothing stands behind what is due later', () => {
    const waits = [0, 5, 90].map((since) =>
      waitOf(waitHeaders({ exchange: 'x', routingKey: '', until: since + 700 }, since), 500),
    )
    const times = waits.map((wait) => wait?.leavesAt ?? 0)
    expect(times).toEqual([...times].sort((one, two) => one - two))
  })

  it('has the headers of waiting only while it waits', () => {
    const headers = { own: '1', ...waitHeaders({ exchange: 'x', routingKey: '', until: 5 }, 1) }
    expect(withoutWait(headers)).toEqual({ own: '1' })
    expect(waitOf({ own: '1' }, 500)).toBeUndefined()
  })
})
