import { describe, expect, it } from 'vitest'
import { parseRate } from './rate.ts'

describe('parseRate', () => {
  it('gives times a second', () => {
    expect(parseRate('10/s')).toBe(10)
    expect(parseRate('600/m')).toBe(10)
    expect(parseRate('5400/h')).toBe(1.5)
    expect(parseRate('0.5/s')).toBe(0.5)
  })

  it('takes nothing else', () => {
    for (const text of ['', '10', '10/d', '-1/s', '1/s ', 'x/s']) {
      expect(parseRate(text), text).toBeUndefined()
    }
  })
})
