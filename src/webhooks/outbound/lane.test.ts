import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fakeClock } from '../../testing/fake-clock.ts'
import { matchesType } from './event-types.ts'
import { judgeHealth } from './health.ts'
import { Lane, type Row } from './lane.ts'
import { nextDelayMs, scheduleDefault } from './schedule.ts'

const row = (n: number, orderKey?: string): Row => ({
  key: `e/${String(n).padStart(4, '0')}`,
  message: String(n),
  attempts: 0,
  dueAt: 0,
  ...(orderKey === undefined ? {} : { orderKey }),
})

describe('a lane', () => {
  it('gives out every row, in order within each chain, whatever fails in between', async () => {
    const steps = fc.array(
      fc.record({ key: fc.constantFrom('a', 'b', 'c'), failures: fc.nat(3) }),
      { maxLength: 40 },
    )
    await fc.assert(
      fc.asyncProperty(steps, fc.constantFrom('none', 'key', 'fifo'), async (given, order) => {
        const clock = fakeClock()
        const lane = new Lane({ order, concurrency: 5, clock })
        const done: number[] = []
        for (const [n, { key }] of given.entries()) lane.add(row(n, key))
        const fails = given.map(({ failures }) => failures)
        for (let turn = 0; turn < 2000 && lane.size > 0; turn += 1) {
          const taken = lane.next()
          if (!taken) {
            clock.set(clock.now() + Math.max(1, lane.waitMs() ?? 1))
            continue
          }
          const n = Number(taken.message)
          if ((fails[n] ?? 0) > 0) {
            fails[n] = (fails[n] ?? 0) - 1
            lane.learn(false)
            lane.retry(taken, { ...taken, attempts: taken.attempts + 1, dueAt: clock.now() + 100 })
          } else {
            lane.learn(true)
            done.push(n)
            lane.finish(taken)
          }
        }
        expect(done.toSorted((a, b) => a - b)).toEqual(given.map((_, n) => n))
        const chain = (n: number) => (order === 'fifo' ? '' : given[n]?.key)
        if (order === 'none') return
        for (const one of new Set(done.map(chain))) {
          const own = done.filter((n) => chain(n) === one)
          expect(own).toEqual(own.toSorted((a, b) => a - b))
        }
      }),
      { numRuns: 50 },
    )
  })

  it('begins with two, doubles with success, halves with failure, and probes a sick endpoint one at a time', () => {
    const clock = fakeClock()
    const lane = new Lane({ order: 'none', concurrency: 16, clock })
    for (let n = 0; n < 100; n += 1) lane.add(row(n))
    const drain = () => {
      const taken: Row[] = []
      for (let next = lane.next(); next; next = lane.next()) taken.push(next)
      return taken
    }
    const first = drain()
    expect(first).toHaveLength(2)
    for (const one of first) {
      lane.learn(true)
      lane.finish(one)
    }
    const second = drain()
    expect(second).toHaveLength(8)
    for (const one of second) {
      lane.learn(false)
      lane.retry(one, { ...one, dueAt: clock.now() + 3_600_000 })
    }
    expect(lane.isSick).toBe(true)
    expect(drain()).toEqual([])
    clock.set(clock.now() + 60_000)
    expect(drain()).toHaveLength(1)
  })
})

describe('event types', () => {
  it.each([
    ['order.placed', 'order.placed', true],
    ['order.*', 'order.placed', true],
    ['order.*', 'order.line.added', false],
    ['order.*', 'order', false],
    ['order.#', 'order', true],
    ['order.#', 'order.line.added', true],
    ['#.added', 'order.line.added', true],
    ['*.line.#', 'order.line', true],
    ['#', 'anything.at.all', true],
    ['#', 'webhook.endpoint.failing', false],
    ['webhook.#', 'webhook.endpoint.failing', true],
    ['order.placed', 'order.placed2', false],
  ])('%s means %s: %s', (pattern, type, expected) => {
    expect(matchesType(pattern, type)).toBe(expected)
  })
})

describe('the schedule', () => {
  it('stays within a fifth of its plan, never undercuts Retry-After and ends', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.nat(20_000_000),
        (attempt, luck, retryAfterMs) => {
          const options = { schedule: scheduleDefault, jitter: 0.2, random: () => luck }
          const plan = scheduleDefault[attempt - 1]
          const delay = nextDelayMs({ attempt, isTimeout: false, status: 500 }, options)
          if (plan === undefined) {
            expect(delay).toBeUndefined()
            return
          }
          expect(delay).toBeGreaterThanOrEqual(plan * 0.8 - 1e-6)
          expect(delay).toBeLessThanOrEqual(plan * 1.2)
          const asked =
            nextDelayMs({ attempt, isTimeout: false, status: 503, retryAfterMs }, options) ?? 0
          expect(asked).toBeGreaterThanOrEqual(
            Math.min(retryAfterMs, Math.max(2 * plan, 3_600_000)),
          )
        },
      ),
    )
  })
})

describe('health', () => {
  it('of an endpoint that is well costs no write', () => {
    const well = { failures: 0, alerted: 0 }
    const options = { now: 1, failingForMs: 100, alertAt: [0.5, 1] }

    expect(judgeHealth(well, true, options).health).toBe(well)
  })
})
