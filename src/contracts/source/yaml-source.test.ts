import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { parseYaml } from './yaml-source.ts'

const codes = (text: string) => parseYaml(text).report.findings.map(({ code }) => code)

describe('parsing YAML', () => {
  it('gives the values that the library gives', () => {
    const value = fc.jsonValue().filter((any) => !/__proto__|<</.test(JSON.stringify(any)))
    fc.assert(
      fc.property(value, (any) => {
        const text = stringify(any, { aliasDuplicateObjects: false })
        expect(parseYaml(text)).toMatchObject({ report: { findings: [] } })
        expect(JSON.stringify(parseYaml(text).value)).toBe(JSON.stringify(parse(text)))
      }),
    )
  })

  it('finds each key and value again', () => {
    const { report } = parseYaml('a:\n  b: [1, two]\n  c: { d: x }\n')
    expect(report.source.place(['a', 'b', 1])).toMatchObject({ line: 2, column: 10 })
    expect(report.source.place(['a', 'b'])).toMatchObject({ line: 2, column: 3 })
    expect(report.source.place(['a', 'c', 'd'])).toMatchObject({ line: 3, column: 11 })
    expect(report.source.place(['a', 'c', 'd'], 'key')).toMatchObject({ line: 3, column: 8 })
  })

  it('a place that is not there is the place of what should hold it', () => {
    const { report } = parseYaml('a:\n  b: 1\n')
    expect(report.source.place(['a', 'zzz'])).toMatchObject({ line: 1, column: 1 })
  })

  it('reports each duplicate key at its second place', () => {
    const { findings } = parseYaml('a: 1\nb: 2\na: 3\nb: 4\n').report
    expect(findings).toMatchObject([
      {
        code: 'YAML_DUPLICATE_KEY',
        line: 3,
        message: 'the key `a` is there twice, first in line 1',
      },
      { code: 'YAML_DUPLICATE_KEY', line: 4 },
    ])
  })

  it('takes defaults in by a merge key, and lets them be overridden', () => {
    const text = 'base: &base { attempts: 5, cap: 1m }\nretry:\n  <<: *base\n  attempts: 3\n'
    const { value, report } = parseYaml(text)
    expect(report.findings).toEqual([])
    expect(value).toMatchObject({ retry: { attempts: 3, cap: '1m' } })
    expect(report.source.place(['retry', 'cap'])).toMatchObject({ line: 1 })
  })

  it('refuses an alias bomb before it goes off', () => {
    const lines = ['a: &a [x,x,x,x,x,x,x,x,x]']
    for (const [at, name] of [...'bcdefghijk'].entries()) {
      lines.push(`${name}: &${name} [${Array(9).fill(`*${'abcdefghij'[at]}`).join(',')}]`)
    }
    const started = process.memoryUsage().heapUsed
    expect(codes(lines.join('\n'))).toEqual(['YAML_ALIASES'])
    expect(process.memoryUsage().heapUsed - started).toBeLessThan(100_000_000)
  })

  it('refuses an alias that contains itself, and one that has no anchor', () => {
    expect(codes('a: &a [*a]')).toEqual(['YAML_ALIASES'])
    expect(codes('a: *nope')).toEqual(['YAML_SYNTAX'])
  })

  it('shows the alias that is too much, not the first line of the file', () => {
    const text = 'treaty: 1\nowner: &o\n  team: *o\n'
    expect(parseYaml(text).report.findings[0]).toMatchObject({ line: 3, column: 9 })
  })

  it('hints about what is wrong: depth and tags are no matter of indentation', () => {
    const hint = (text: string) => parseYaml(text).report.findings[0]?.hint
    expect(hint('['.repeat(10_000) + ']'.repeat(10_000))).toBe('Flatten it.')
    expect(hint('a: !!js/function "x"')).toContain('tag')
  })

  it.each([
    ['flow', '['.repeat(10_000) + ']'.repeat(10_000)],
    ['flow maps', `${'{a: '.repeat(10_000)}1${'}'.repeat(10_000)}`],
    ['blocks', Array.from({ length: 200 }, (_, at) => `${' '.repeat(at)}a:`).join('\n')],
    ['unclosed', '['.repeat(50_000)],
  ])('refuses deep nesting: %s', (_what, text) => {
    const { report, value } = parseYaml(text)
    expect(report.findings.length).toBeGreaterThan(0)
    if (_what !== 'unclosed') expect(report.findings[0]?.code).toBe('YAML_TOO_DEEP')
    expect(value === undefined || JSON.stringify(value).length < 2000).toBe(true)
  })

  it('never assigns a key that would reach the prototype', () => {
    const { value, report } = parseYaml('__proto__: { polluted: true }\nok: 1\n')
    expect(report.findings).toMatchObject([{ code: 'KEY_FORBIDDEN', line: 1, column: 1 }])
    expect(value).toEqual({ ok: 1 })
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  it.each([
    ['two documents', 'a: 1\n---\nb: 2\n', 'YAML_SYNTAX'],
    ['a tab', 'a:\n\tb: 1\n', 'YAML_SYNTAX'],
    ['an unknown tag', 'a: !ruby/object 1\n', 'YAML_SYNTAX'],
    ['infinity', 'a: .inf\n', 'YAML_NOT_JSON'],
    ['a map as a key', '{ {a: 1}: 2 }\n', 'YAML_NOT_JSON'],
  ])('refuses %s', (_what, text, code) => {
    expect(codes(text)).toContain(code)
  })

  it('reports one line once, however often the parser stumbles over it', () => {
    expect(codes('a: 1\n\n  : - [')).toEqual(['YAML_SYNTAX'])
  })

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const { report, value } = parseYaml(text)
        expect(value !== undefined || report.findings.length > 0).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })
})
