import { expect, it } from 'vitest'
import { createRecent } from './recent.ts'

it('remembers at least the newest keys that it is told to, and never more than twice as many', () => {
  const recent = createRecent(10, 1000, { monotonic: () => 0 })
  for (let n = 0; n < 1000; n += 1) {
    recent.add(`k${n}`)
    for (let back = 0; back < Math.min(10, n); back += 1) {
      expect(recent.has(`k${n - back}`)).toBe(true)
    }
    expect(recent.has(`k${n - 20}`)).toBe(false)
  }
})

it('forgets what is older than it may be', () => {
  let now = 0
  const recent = createRecent(10, 1000, { monotonic: () => now })
  recent.add('k')
  now = 999
  expect(recent.has('k')).toBe(true)
  now = 1000
  expect(recent.has('k')).toBe(false)
})
