import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareVersions, parseRange, parseVersion, satisfies } from './semver.ts'

describe('versions', () => {
  it.each(['1.2.3', '0.0.0', '1.2.3-rc.1', '1.2.3+build.5', '1.0.0-0.x-y'])('%s is one', (text) => {
    expect(parseVersion(text)).toBeDefined()
  })

  it.each([
    '1',
    '1.2',
    'v1.2.3',
    '01.2.3',
    '1.2.3-',
    '1.2.3-01',
    'latest',
    '',
    `1.2.3-${'a'.repeat(300)}`,
  ])('%s is none', (text) => {
    expect(parseVersion(text)).toBeUndefined()
  })

  it('rank as section 11 of semver lists them', () => {
    const ranked = [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
    ]
    const all = [...ranked, '1.0.0-beta.11', '1.0.0-rc.1', '1.0.0', '1.0.1', '1.1.0', '2.0.0']
    const shuffled = [...all].reverse()
    shuffled.sort((a, b) => compareVersions(version(a), version(b)))
    expect(shuffled).toEqual(all)
  })

  it('rank in a total order', () => {
    fc.assert(
      fc.property(anyVersion, anyVersion, anyVersion, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0)
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) {
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0)
        }
      }),
    )
  })
})

describe('ranges', () => {
  // Expected values were taken from npm's own reading of these ranges.
  it.each([
    ['^1.2.3', '1.2.3 1.9.0', '1.2.2 2.0.0 2.0.0-alpha 1.3.0-alpha'],
    ['^0.2.3', '0.2.3 0.2.9', '0.3.0 1.0.0'],
    ['^0.0.3', '0.0.3', '0.0.4'],
    ['^0', '0.9.9', '1.0.0'],
    ['~1.2.3', '1.2.3 1.2.9', '1.3.0'],
    ['~1', '1.0.0 1.9.9', '2.0.0'],
    ['1.x', '1.0.0 1.9.9', '0.9.9 2.0.0'],
    ['1.2.*', '1.2.0 1.2.9', '1.3.0'],
    ['*', '0.0.0 9.9.9', '1.0.0-rc.1'],
    ['>=2 <3', '2.0.0 2.9.9', '1.9.9 3.0.0 3.0.0-rc.1'],
    ['>1.2', '1.3.0', '1.2.9'],
    ['<=1.2', '1.2.9', '1.3.0'],
    ['1.2 - 2.3', '1.2.0 2.3.9', '1.1.9 2.4.0'],
    ['1.2.3 - 2.3.4', '1.2.3 2.3.4', '2.3.5'],
    ['^1 || ^3', '1.5.0 3.0.0', '2.0.0'],
    ['>=1.2.3-rc.1', '1.2.3-rc.1 1.2.3-rc.2 1.2.3 4.0.0', '1.2.3-beta 1.2.4-rc.1'],
    ['~>4.0.3-0', '4.0.3-0 4.0.9', '4.1.0'],
    ['=1.2.3', '1.2.3', '1.2.4'],
  ])('%s holds %s and not %s', (range, inside, outside) => {
    for (const text of inside.split(' '))
      expect([text, satisfies(text, range)]).toEqual([text, true])
    for (const text of outside.split(' ')) {
      expect([text, satisfies(text, range)]).toEqual([text, false])
    }
  })

  it.each(['latest', '', '1.x.3', '^^1', '>=', '1.2.3.4', 'a || b', '<*'])('%s is none', (text) => {
    expect(parseRange(text)).toBeUndefined()
    expect(satisfies('1.0.0', text)).toBe(false)
  })

  it('a caret range holds what has the same leftmost non-zero number and is not older', () => {
    fc.assert(
      fc.property(release, release, (base, other) => {
        const [a = 0, b = 0, c = 0] = base
        const same =
          a > 0
            ? other[0] === a
            : b > 0
              ? other[0] === 0 && other[1] === b
              : other[0] === 0 && other[1] === 0 && other[2] === c
        const isNotOlder = compareVersions(version(other.join('.')), version(base.join('.'))) >= 0
        expect(satisfies(other.join('.'), `^${base.join('.')}`)).toBe(same && isNotOlder)
      }),
    )
  })
})

const small = fc.integer({ min: 0, max: 3 })
const release = fc.tuple(small, small, small)
const anyVersion = fc
  .tuple(release, fc.constantFrom('', '-alpha', '-alpha.1', '-rc.2', '-1'))
  .map(([numbers, suffix]) => version(numbers.join('.') + suffix))

function version(text: string) {
  const parsed = parseVersion(text)
  if (!parsed) throw new Error(`${text} is no version`)
  return parsed
}
