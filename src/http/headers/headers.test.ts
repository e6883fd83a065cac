import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRateLimit } from './rate-limit.ts'
import { parseRetryAfter } from './retry-after.ts'

const now = new Date('2026-01-01T00:00:00Z')

describe('parseRetryAfter', () => {
  it.each([
    ['120', 120_000],
    ['0', 0],
    [' 7 ', 7000],
    ['Thu, 01 Jan 2026 00:00:10 GMT', 10_000],
    ['Thursday, 01-Jan-26 00:00:10 GMT', 10_000],
    ['Thu Jan  1 00:00:10 2026', 10_000],
    ['Wed, 31 Dec 2025 23:59:00 GMT', 0],
    ['Saturday, 31-Dec-77 00:00:00 GMT', 0],
  ])('reads %j', (value, delayMs) => {
    expect(parseRetryAfter(value, now)).toEqual({ delayMs })
  })

  it.each([
    'soon',
    '',
    '-1',
    '1.5',
    '+5',
    '1e3',
    '0x10',
    '2026-01-01T00:00:10Z',
    'Thu, 31 Feb 2026 00:00:00 GMT',
    'Thu, 01 Jan 2026 25:00:00 GMT',
    'Thu, 1 Jan 2026 00:00:10 GMT',
    'Thu, 01 Jan 2026 00:00:10 +0100',
    '99999999999999999999',
  ])('leaves %j alone', (value) => {
    expect(parseRetryAfter(value, now)).toBeUndefined()
  })

  it('never throws and never gives a negative wait', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const parsed = parseRetryAfter(value, now)
        expect(parsed === undefined || parsed.delayMs >= 0).toBe(true)
      }),
    )
  })
})

describe('parseRateLimit', () => {
  it.each([
    [{ RateLimit: '"default";r=50;t=30' }, { remaining: 50, resetMs: 30_000 }],
    [
      {
        ratelimit: '"a";r=50;t=30, "b";r=2;t=9',
        'ratelimit-policy': '"a";q=100;w=60, "b";q=5;w=10',
      },
      { limit: 5, remaining: 2, resetMs: 9000 },
    ],
    [{ ratelimit: 'default;r=3' }, { remaining: 3 }],
    [
      { ratelimit: 'limit=100, remaining=50, reset=5' },
      { limit: 100, remaining: 50, resetMs: 5000 },
    ],
    [
      { 'RateLimit-Limit': '100, 100;w=60', 'RateLimit-Remaining': '1', 'RateLimit-Reset': '50' },
      { limit: 100, remaining: 1, resetMs: 50_000 },
    ],
    [
      {
        'X-RateLimit-Limit': '60',
        'X-RateLimit-Remaining': '0',
        'X-RateLimit-Reset': '1767225630',
      },
      { limit: 60, remaining: 0, resetMs: 30_000 },
    ],
    [{ 'x-ratelimit-reset': '1767225630000' }, { resetMs: 30_000 }],
    [{ 'x-ratelimit-reset': '2026-01-01T00:00:05Z' }, { resetMs: 5000 }],
    [{ 'x-ratelimit-reset': 'Thu, 01 Jan 2026 00:00:05 GMT' }, { resetMs: 5000 }],
    [
      { 'x-ratelimit-remaining-requests': '9', 'x-ratelimit-reset-requests': '6s' },
      { remaining: 9, resetMs: 6000 },
    ],
    [{ 'x-ratelimit-reset': '1767225000' }, { resetMs: 0 }],
  ])('reads %j', (headers, expected) => {
    expect(parseRateLimit(headers, now)).toEqual(expected)
    expect(parseRateLimit(new Headers(headers as Record<string, string>), now)).toEqual(expected)
  })

  it('takes the unit and the names that the contract declares', () => {
    const hints = { reset: 'delta-ms', resetHeader: 'x-wait', remainingHeader: 'x-left' } as const

    expect(parseRateLimit({ 'x-wait': '1500', 'x-left': '4' }, now, hints)).toEqual({
      remaining: 4,
      resetMs: 1500,
    })
  })

  it.each([{}, { ratelimit: ';;;' }, { ratelimit: '"a";r=x' }, { 'x-ratelimit-remaining': '-1' }])(
    'ignores %j',
    (headers) => {
      expect(parseRateLimit(headers as Record<string, string>, now)).toBeUndefined()
    },
  )

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (field, reset) => {
        parseRateLimit({ ratelimit: field, 'x-ratelimit-reset': reset }, now)
      }),
    )
  })
})
