import { expect, it } from 'vitest'
import { closest } from './text.ts'

it('stat means stats rather than start: of equally near names the one that goes on from it', () => {
  expect(closest('stat', ['start', 'stats', 'state'])).toBe('stats')
  expect(closest('startt', ['stats', 'start'])).toBe('start')
  expect(closest('nothing', ['start'])).toBeUndefined()
})
