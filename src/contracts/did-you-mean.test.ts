import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editDistance, nearest, suggest } from './did-you-mean.ts'

describe('did you mean', () => {
  it.each([
    ['purpos', 'purpose'],
    ['chanels', 'channels'],
    ['evnets', 'events'],
    ['Purpose', 'purpose'],
  ])('%s is near %s', (word, wanted) => {
    expect(nearest(word, ['id', 'purpose', 'channels', 'events'])).toBe(wanted)
  })

  it('finds nothing more than two edits away', () => {
    expect(nearest('kafka', ['purpose', 'channels'])).toBeUndefined()
    expect(nearest('x', ['id', 'to'])).toBeUndefined()
  })

  it('lists what there is while it is short, else the beginning', () => {
    expect(suggest('zzz', ['a1', 'b1'])).toBe('use one of `a1`, `b1`')
    expect(
      suggest(
        'zzz',
        Array.from({ length: 20 }, (_, at) => `name${at}`),
      ),
    ).toContain('`name7`, …')
    expect(suggest('zzz', [])).toBeUndefined()
  })

  it('measures a distance: symmetric, zero for the same word alone, capped', () => {
    const word = fc.stringMatching(/^[abc]{0,7}$/)
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, b, 9)).toBe(editDistance(b, a, 9))
        expect(editDistance(a, b, 9) === 0).toBe(a === b)
        expect(editDistance(a, b, 2)).toBe(Math.min(3, editDistance(a, b, 9)))
      }),
    )
  })
})
