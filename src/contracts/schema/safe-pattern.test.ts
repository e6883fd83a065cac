import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isExponential } from './pattern-ambiguity.ts'
import { acceptsPlainly } from './plain-accept.ts'
import { compilePattern } from './safe-pattern.ts'
import { compileSchema } from './validator.ts'

const long = 'a'.repeat(5000)

describe('a pattern that a backtracking engine would try for years', () => {
  it.each([
    '^(a+)+$',
    '^(a*)*$',
    '^(a|a)*$',
    '^(a|aa)+$',
    '^(a?){30}$',
    '^(.{1,1000}){1,1000}!$',
    '^([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+$',
    '^(\\w+\\s?)*$',
    '^((ab)*)*$',
    '(x+x+)+y',
  ])('is found: %s', (source) => {
    expect(isExponential(source, 'u')).toBe(true)
  })

  it('does not hold up a message: its schema judges 5000 letters at once', () => {
    const schema = { type: 'object', properties: { name: { type: 'string', pattern: '^(a+)+$' } } }
    const { check, findings } = compileSchema(schema)

    expect(check({ name: long })).toBe(true)
    expect(check({ name: `${long}!` })).toBe(false)
    expect(findings({ name: `${long}!` })[0]?.pointer).toBe('/name')
    expect(acceptsPlainly(schema, { name: `${long}!` })).toBe(false)
  })

  it('is tamed in patternProperties too', () => {
    const { check } = compileSchema({ patternProperties: { '^(a+)+$': false } })
    expect(check({ [`${long}!`]: 1 })).toBe(true)
    expect(check({ [long]: 1 })).toBe(false)
  })
})

it.each([
  '^[a-z0-9]+(?:-[a-z0-9]+)*$',
  '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$',
  '^(0|[1-9]\\d*)\\.(0|[1-9]\\d*)(?:-((?:0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\\.(?:0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?$',
  '^-?\\d{1,3}(,\\d{3})*(\\.\\d\\d)?$',
  '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,}$',
  '^[A-Z]{2}\\d{2}(?: ?[0-9A-Z]{4}){3,6}$',
  '^(?:ab|cd)+$',
])('an ordinary pattern stays with the engine of JavaScript: %s', (source) => {
  expect(isExponential(source, 'u')).toBe(false)
  expect(compilePattern(source)).toBeInstanceOf(RegExp)
})

it('a tamed pattern answers as the engine does', () => {
  const sources = ['^(a+)+$', '^(a|ab|b)*$', '(a*b*)*c', '^((a|b)+,?)*$']
  const texts = fc.array(fc.constantFrom('a', 'b', 'c', ','), { maxLength: 22 })
  fc.assert(
    fc.property(fc.constantFrom(...sources), texts, (source, letters) => {
      const text = letters.join('')
      expect(compilePattern(source).test(text)).toBe(new RegExp(source, 'u').test(text))
    }),
  )
})

it('what is no regular expression is a syntax error, and what has a back reference is left alone', () => {
  expect(() => compilePattern('^(a')).toThrow(SyntaxError)
  expect(compilePattern('^(ab|cd)+-\\1$').test('ab-ab')).toBe(true)
})
