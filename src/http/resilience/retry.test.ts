import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TreatyError } from '../../core/errors.ts'
import { seededRandom } from '../../core/random.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import { backoffDelay } from './backoff.ts'
import { compose } from './compose.ts'
import type { ResilienceEvent } from './policy.ts'
import { createRetry } from './retry.ts'
import { createRetryBudget } from './retry-budget.ts'
import { createDeadline } from './time-limit.ts'

const httpError = (status: number, retryAfterMs?: number) =>
  new TreatyError('HTTP_STATUS', `status ${status}`, {
    kind: 'http',
    status,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })

/** Runs to the end on a clock that jumps from timer to timer. */
async function untilSettled<T>(clock: ReturnType<typeof fakeClock>, run: Promise<T>) {
  let isSettled = false
  const outcome = run.then(
    (value) => ({ value }),
    (error: unknown) => ({ error: error as TreatyError }),
  )
  void outcome.then(() => {
    isSettled = true
  })
  await clock.tick()
  for (let step = 0; step < 1000 && !isSettled; step += 1)
    await clock.advance(clock.nextInMs() ?? 0)
  return outcome as Promise<{ value?: T; error?: TreatyError }>
}

describe('createRetry', () => {
  it('makes exactly as many attempts as configured and throws the last error', async () => {
    for (const attempts of [1, 2, 3, 7]) {
      const clock = fakeClock()
      let calls = 0
      const retry = createRetry({ attempts, clock, budget: false, random: seededRandom(1) })
      const { error } = await untilSettled(
        clock,
        retry.run(() => {
          calls += 1
          throw httpError(500 + (calls === attempts ? 3 : 0))
        }),
      )

      expect(calls).toBe(attempts)
      expect(error).toMatchObject({ kind: 'http', status: 503, attempts })
    }
  })

  it('asks a 400 once, and every other 4xx but 408, 425 and 429 too', async () => {
    for (let status = 400; status < 500; status += 1) {
      const clock = fakeClock()
      let calls = 0
      const retry = createRetry({ clock, budget: false })
      await untilSettled(
        clock,
        retry.run(() => {
          calls += 1
          return Promise.reject(httpError(status))
        }),
      )

      expect([status, calls]).toEqual([status, [408, 425, 429].includes(status) ? 3 : 1])
    }
  })

  it('takes a plain error as worth another try, an abort as final', async () => {
    const clock = fakeClock()
    const counts = { plain: 0, abort: 0 }
    const retry = createRetry({ clock, budget: false })
    await untilSettled(
      clock,
      retry.run(() => {
        counts.plain += 1
        throw new Error('no')
      }),
    )
    await untilSettled(
      clock,
      retry.run(() => {
        counts.abort += 1
        throw new DOMException('stop', 'AbortError')
      }),
    )

    expect(counts).toEqual({ plain: 3, abort: 1 })
  })

  it('never comes back earlier than Retry-After says', async () => {
    const clock = fakeClock()
    const times: number[] = []
    const retry = createRetry({ clock, baseMs: 1, capMs: 5, budget: false })
    await untilSettled(
      clock,
      retry.run(() => {
        times.push(clock.monotonic())
        throw httpError(503, 7000)
      }),
    )

    expect(times).toEqual([0, 7000, 14_000])
  })

  it('fails now when Retry-After exceeds the cap or the deadline', async () => {
    const clock = fakeClock()
    const capped = createRetry({ clock, maxRetryAfterMs: 5000 })
    const hurried = compose(createRetry({ clock }), createDeadline({ ms: 3000, clock }))
    for (const policy of [capped, hurried]) {
      let calls = 0
      const before = clock.monotonic()
      const { error } = await untilSettled(
        clock,
        policy.run(() => {
          calls += 1
          throw httpError(429, 6000)
        }),
      )

      expect(error).toMatchObject({
        kind: 'retry_after_exceeds_deadline',
        status: 429,
        retryAfterMs: 6000,
        attempts: 1,
      })
      expect(calls).toBe(1)
      expect(clock.monotonic()).toBe(before)
    }
  })

  it('does not wait for a deadline that the next attempt could not meet', async () => {
    const clock = fakeClock()
    const random = () => 0.999
    const policy = compose(
      createRetry({ clock, random, attempts: 10, baseMs: 1000, budget: false }),
      createDeadline({ ms: 5000, clock }),
    )
    const { error } = await untilSettled(
      clock,
      policy.run(() => {
        throw httpError(503)
      }),
    )

    // Waits of 999 and 1998 ms fit, the third of 3996 does not.
    expect(error).toMatchObject({ kind: 'http', status: 503, attempts: 3 })
    expect(clock.monotonic()).toBeLessThan(3000)
  })

  it('stops at once when the caller aborts while it waits', async () => {
    const clock = fakeClock()
    const controller = new AbortController()
    const retry = createRetry({ clock, random: () => 1, baseMs: 10_000 })
    let calls = 0
    const run = retry.run(
      () => {
        calls += 1
        throw httpError(503)
      },
      { signal: controller.signal },
    )
    await clock.tick()
    controller.abort(new Error('enough'))

    await expect(run).rejects.toMatchObject({ kind: 'aborted', attempts: 1 })
    expect(calls).toBe(1)
    expect(clock.pending()).toBe(0)
  })

  it('does not hammer an open breaker', async () => {
    const clock = fakeClock()
    let calls = 0
    const { error } = await untilSettled(
      clock,
      createRetry({ clock }).run(() => {
        calls += 1
        throw new TreatyError('BREAKER_OPEN', 'open', { kind: 'breaker_open', retryAfterMs: 5 })
      }),
    )

    expect(calls).toBe(1)
    expect(error).toMatchObject({ attempts: 0 })
  })

  it('gives up with the original error when the budget is spent, and says so', async () => {
    const clock = fakeClock()
    const events: ResilienceEvent[] = []
    const retry = createRetry({
      clock,
      budget: { ratio: 0, minPerSecond: 0 },
      onEvent: (event) => events.push(event),
    })
    const { error } = await untilSettled(
      clock,
      retry.run(() => {
        throw httpError(503)
      }),
    )

    expect(error).toMatchObject({ status: 503, attempts: 1 })
    expect(events.map(({ type }) => type)).toEqual(['retry_budget_exhausted'])
  })

  it('is not broken by a listener that throws', async () => {
    const clock = fakeClock()
    const retry = createRetry({
      clock,
      onEvent() {
        throw new Error('listener')
      },
    })
    let calls = 0
    const { value } = await untilSettled(
      clock,
      retry.run(() => {
        calls += 1
        if (calls < 2) throw httpError(503)
        return 'fine'
      }),
    )

    expect(value).toBe('fine')
  })

  it('refuses settings that make no sense, and 0 attempts in particular', () => {
    for (const options of [
      { attempts: 0 },
      { attempts: 1.5 },
      { baseMs: -1 },
      { capMs: Number.NaN },
    ]) {
      expect(() => createRetry(options)).toThrow(
        expect.objectContaining({ code: 'HTTP_OPTIONS_INVALID' }),
      )
    }
  })
})

describe('backoffDelay', () => {
  it('is even between 0 and the ceiling, and never above it', () => {
    const random = seededRandom(42)
    const options = { baseMs: 100, capMs: 20_000 }
    const draws = Array.from({ length: 1000 }, () => backoffDelay(3, options, random) / 400).sort(
      (a, b) => a - b,
    )
    // Kolmogorov-Smirnov: above 1.63 / √n the chance is below 1 % (rule R5).
    const distance = Math.max(
      ...draws.map((draw, n) =>
        Math.max(Math.abs(draw - n / 1000), Math.abs((n + 1) / 1000 - draw)),
      ),
    )

    expect(distance).toBeLessThan(1.63 / Math.sqrt(1000))
    expect(draws.at(-1)).toBeLessThan(1)
  })

  it('never exceeds the cap, however many retries', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.double({ min: 0, max: 0.9999, noNaN: true }),
        (retry, luck) => {
          const delay = backoffDelay(retry, { baseMs: 100, capMs: 20_000 }, () => luck)
          expect(delay).toBeGreaterThanOrEqual(0)
          expect(delay).toBeLessThanOrEqual(20_000)
        },
      ),
    )
  })
})

describe('createRetryBudget', () => {
  it('lets a dead upstream see at most 1230 requests of 1000 in a second', async () => {
    const clock = fakeClock()
    const budget = createRetryBudget({ clock })
    let sent = 0
    for (let n = 0; n < 1000; n += 1) {
      budget.noteRequest()
      sent += 1
      for (let retry = 0; retry < 2 && budget.takeRetry(); retry += 1) sent += 1
      await (n % 100 === 99 ? clock.advance(100) : undefined)
    }

    expect(sent).toBeLessThanOrEqual(1230)
    expect(sent).toBeGreaterThan(1150)
  })

  it('holds over every window: retries ≤ ratio · requests + 3 a second', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 3000 }), { maxLength: 60 }), async (gaps) => {
        const clock = fakeClock()
        const budget = createRetryBudget({ clock })
        let requests = 0
        let retries = 0
        for (const gap of gaps) {
          await clock.advance(gap)
          budget.noteRequest()
          requests += 1
          if (budget.takeRetry()) retries += 1
        }
        const seconds = clock.monotonic() / 1000
        expect(retries).toBeLessThanOrEqual(0.2 * requests + 3 * (seconds + 10))
      }),
      { numRuns: 20 },
    )
  })
})
