import { expect, test } from 'vitest'
import { fakeClock } from '../testing/fake-clock.ts'
import { createCallerLimit } from './rate-limit.ts'

test('each caller has a bucket of its own, which says what is left and fills again', async () => {
  const clock = fakeClock()
  const limit = createCallerLimit({ perSecond: 2, burst: 3 }, clock)
  const left = (caller: string) => limit.take(caller).headers.ratelimit
  expect([left('a'), left('a'), left('a')]).toEqual([
    '"default";r=2;t=1',
    '"default";r=1;t=1',
    '"default";r=0;t=1',
  ])
  expect(limit.take('a').refusal).toMatchObject({ code: 'RATE_LIMIT_REACHED', retryAfterMs: 1000 })
  expect(limit.take('b').refusal).toBeUndefined()
  expect(limit.take('b').headers['ratelimit-policy']).toBe('"default";q=3;w=2')
  await clock.advance(1000)
  expect(limit.take('a').refusal).toBeUndefined()
})

test('a slow rate is said in words that one can follow', () => {
  const limit = createCallerLimit({ perSecond: 1 / 60, burst: 1 }, fakeClock())
  limit.take('a')
  expect(limit.take('a').refusal?.hint).toBe('Wait 60 s, and ask once in 60 s at most.')
})

test('a rate of nothing is refused', () => {
  expect(() => createCallerLimit({ perSecond: 0 }, fakeClock())).toThrow(
    expect.objectContaining({ code: 'HTTP_OPTIONS_INVALID' }),
  )
})
