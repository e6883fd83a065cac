import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fillPath, joinPath, parseBase } from './url.ts'

const base = parseBase('https://api.example.com/v1/', 'required')

describe('joinPath', () => {
  it.each([
    ['/orders', '/v1/orders'],
    ['orders', '/v1/orders'],
    ['', '/v1'],
    ['/', '/v1/'],
    ['@evil.test/x', '/v1/@evil.test/x'],
    ['.evil.test', '/v1/.evil.test'],
    ['/a b/ü', '/v1/a%20b/%C3%BC'],
    ['/a%20b', '/v1/a%20b'],
    ['/orders?x=1', '/v1/orders?x=1'],
    ['/at/12:30', '/v1/at/12:30'],
  ])('puts %j under the base', (path, expected) => {
    expect(joinPath(base, path)).toBe(expected)
  })

  it.each([
    ...[
      'https://evil.test/',
      'HTTP:evil',
      'javascript:x',
      '//evil.test/x',
      '/\\evil.test',
      '\\\\evil',
    ],
    ...[
      '/..',
      '/../x',
      '/a/../../x',
      '/%2e%2e/x',
      '/.%2E/x',
      '/./x',
      '/a/.',
      '/x#y',
      '/a\nb',
      '/%zz',
    ],
    ...['/\ud800', '/a?x=\r\nb'],
  ])('refuses %j', (path) => {
    expect(() => joinPath(base, path)).toThrow(
      expect.objectContaining({ code: 'HTTP_OPTIONS_INVALID' }),
    )
  })

  it('adds parameters, repeats arrays, leaves out what is absent', () => {
    const query = { a: 1, b: ['x', 'y&z'], c: undefined, d: null, e: false }

    expect(joinPath(base, '/s?q=1', query)).toBe('/v1/s?q=1&a=1&b=x&b=y%26z&e=false')
  })

  it('never changes the origin nor leaves the base, whatever the path', () => {
    const pieces = fc.constantFrom(
      '/',
      '..',
      '.',
      '\\',
      '@',
      ':',
      '?',
      '#',
      '%2e',
      '%2f',
      'evil.test',
      'http:',
      '\t',
      ' ',
      'a',
    )
    const paths = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(pieces).map((each) => each.join('')),
    )
    fc.assert(
      fc.property(paths, (path) => {
        let joined: string
        try {
          joined = joinPath(base, path)
        } catch {
          return
        }
        const url = new URL(base.origin + joined)
        expect(url.origin).toBe(base.origin)
        expect(url.pathname === '/v1' || url.pathname.startsWith('/v1/')).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('fillPath', () => {
  it('keeps what is filled in one segment', () => {
    expect(fillPath('/users/{id}/x', { id: 'a/../b?c' })).toBe('/users/a%2F..%2Fb%3Fc/x')
    for (const id of ['..', '.', '']) {
      expect(() => fillPath('/users/{id}', { id })).toThrow(/path parameter id/)
    }
    expect(() => fillPath('/users/{id}', {})).toThrow(/missing/)
  })
})
