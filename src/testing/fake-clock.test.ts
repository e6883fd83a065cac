import { describe, expect, it } from 'vitest'
import { delay } from '../core/clock.ts'
import { fakeClock } from './fake-clock.ts'

describe('fakeClock', () => {
  it('runs timers in the order of their time, then of their making', async () => {
    const clock = fakeClock()
    const ran: string[] = []
    clock.setTimeout(() => ran.push('late'), 20)
    clock.setTimeout(() => ran.push('first'), 10)
    clock.setTimeout(() => ran.push('second'), 10)

    await clock.advance(20)

    expect(ran).toEqual(['first', 'second', 'late'])
  })

  it('fires timers that a continuation sets while it advances, each at its own time', async () => {
    const clock = fakeClock(1000)
    const seen: number[] = []
    const walk = async () => {
      for (let step = 0; step < 3; step += 1) {
        await delay(clock, 10)
        seen.push(clock.now())
      }
    }
    const walking = walk()

    await clock.advance(100)
    await walking

    expect(seen).toEqual([1010, 1020, 1030])
    expect(clock.now()).toBe(1100)
  })

  it('steps the wall clock without moving timers or monotonic time', async () => {
    const clock = fakeClock(5000)
    let fired = false
    clock.setTimeout(() => {
      fired = true
    }, 100)

    clock.set(1_000_000)
    await clock.tick()

    expect(fired).toBe(false)
    expect(clock.now()).toBe(1_000_000)
    expect(clock.monotonic()).toBe(0)
    await clock.advance(100)
    expect(fired).toBe(true)
    expect(clock.now()).toBe(1_000_100)
  })

  it('forgets a timer that was cleared and says how many wait and when the next is due', async () => {
    const clock = fakeClock()
    const cleared = clock.setTimeout(() => expect.unreachable(), 5)
    clock.setTimeout(() => undefined, 30)

    clock.clearTimeout(cleared)

    expect(clock.pending()).toBe(1)
    expect(clock.nextInMs()).toBe(30)
    await clock.advance(30)
    expect(clock.pending()).toBe(0)
    expect(clock.nextInMs()).toBeUndefined()
  })

  it('lets two advances that overlap take turns', async () => {
    const clock = fakeClock()
    const seen: number[] = []
    for (const ms of [5, 15, 25]) clock.setTimeout(() => seen.push(clock.monotonic()), ms)

    await Promise.all([clock.advance(10), clock.advance(10), clock.advance(10)])

    expect(seen).toEqual([5, 15, 25])
    expect(clock.monotonic()).toBe(30)
  })
})
