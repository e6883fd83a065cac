import { describe, expect, it } from 'vitest'
import { fakeClock } from '../../testing/index.ts'
import { createBrokerWatch } from './broker-watch.ts'

describe('the watch on a broker', () => {
  it('looks once a minute, however often it is asked, and not twice at a time', async () => {
    const clock = fakeClock()
    let looks = 0
    const watch = createBrokerWatch(clock, async () => {
      looks += 1
      return { drift: [], facts: { version: `${looks}`, unsafe: [] } }
    })
    const version = async () => (await watch.latest())?.facts?.version

    expect(await Promise.all([version(), version()])).toEqual(['1', '1'])
    await clock.advance(59_000)
    expect(await version()).toBe('1')
    await clock.advance(1000)
    expect(await version()).toBe('1')
    await clock.advance(1)
    expect([await version(), looks]).toEqual(['2', 2])
  })

  it('keeps nobody waiting for longer than half a second', async () => {
    const clock = fakeClock()
    const watch = createBrokerWatch(clock, () => new Promise<never>(() => {}))
    const asked = watch.latest()
    await clock.advance(500)

    expect(await asked).toBeUndefined()
  })

  it('knows nothing where looking fails, and tries again later', async () => {
    const clock = fakeClock()
    let isAway = true
    const watch = createBrokerWatch(clock, async () => {
      if (isAway) throw new Error('it is away')
      return { drift: [] }
    })

    expect(await watch.latest()).toBeUndefined()
    isAway = false
    await clock.advance(60_000)
    expect(await watch.latest()).toEqual({ drift: [] })
  })
})
