import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lineAndColumn, lineStarts, placeAt } from './code-frame.ts'

const text = 'fields:\n  - name: total\n    type: decimel\n    required: true\nend: 1\n'

describe('code frame', () => {
  it('shows the line with its neighbours and marks the place', () => {
    const at = text.indexOf('decimel')
    expect(placeAt(text, at, { end: at + 7 })).toEqual({
      line: 3,
      column: 11,
      frame: [
        '  2 |   - name: total',
        '> 3 |     type: decimel',
        '    |           ^^^^^^^',
        '  4 |     required: true',
      ].join('\n'),
    })
  })

  it('pads line numbers of different width', () => {
    const long = Array.from({ length: 12 }, (_, at) => `line ${at + 1}`).join('\n')
    expect(placeAt(long, long.indexOf('line 9')).frame.split('\n')).toEqual([
      '   8 | line 8',
      '>  9 | line 9',
      '     | ^',
      '  10 | line 10',
    ])
  })

  it('cuts a minified line around the place', () => {
    const minified = `{"a":"${'x'.repeat(5000)}","b":7,"c":"${'y'.repeat(5000)}"}`
    const { frame, column } = placeAt(minified, minified.indexOf('7'))
    const [line = '', carets = ''] = frame.split('\n')
    expect(column).toBe(minified.indexOf('7') + 1)
    expect(line.length).toBeLessThan(140)
    expect(line[carets.indexOf('^')]).toBe('7')
  })

  it('keeps control characters from the terminal', () => {
    const { frame } = placeAt('a: \u001b[31mred\u0007', 3)
    expect(frame).toContain('·[31mred·')
    expect(frame.includes('\u001b')).toBe(false)
  })

  it('does not mark beyond the end of a line', () => {
    expect(placeAt('a: b\nc: d', 3, { end: 9 }).frame.split('\n')[1]).toBe('    |    ^')
  })

  it('finds line and column of every offset', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ab\n]{0,40}$/), fc.nat(40), (any, wanted) => {
        const offset = Math.min(wanted, any.length)
        const before = any.slice(0, offset).split('\n')
        const expected = { line: before.length, column: (before.at(-1) ?? '').length + 1 }
        expect(lineAndColumn(lineStarts(any), offset)).toEqual(expected)
      }),
    )
  })
})

it('a neighbour that ends before the part shown of a long line gives no row of its own', () => {
  const text = `short\n${'x'.repeat(300)}\n`
  const { frame } = placeAt(text, 6 + 250)
  expect(frame.split('\n')).toHaveLength(2)
  expect(frame).not.toMatch(/\| …$/m)
})
