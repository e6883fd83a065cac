import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json } from '../../core/json.ts'
import { jsonErrorOffset, parseJson, placeInJson } from './json-source.ts'

/** Every path of a value, the root's included. */
function paths(value: Json, path: (string | number)[] = []): (string | number)[][] {
  if (Array.isArray(value)) {
    return [path, ...(value as Json[]).flatMap((item, at) => paths(item, [...path, at]))]
  }
  if (typeof value !== 'object' || value === null) return [path]
  return [
    path,
    ...Object.entries(value).flatMap(([key, item]) => paths(item as Json, [...path, key])),
  ]
}

function offsetOf(text: string, place: { line: number; column: number }): number {
  const before = text.split('\n').slice(0, place.line - 1)
  return before.reduce((sum, line) => sum + line.length + 1, 0) + place.column - 1
}

const json = fc
  .jsonValue()
  .filter((value) => !JSON.stringify(value).includes('__proto__')) as fc.Arbitrary<Json>

describe('places in JSON', () => {
  it('every scalar is found at the text that is its own', () => {
    fc.assert(
      fc.property(json, fc.constantFrom(undefined, 2), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        for (const path of paths(value)) {
          const found = path.reduce<unknown>(
            (at, step) => (at as Record<string, unknown>)[step],
            value,
          )
          if (typeof found === 'object' && found !== null) continue
          const place = placeInJson(text, path)
          expect(place).toBeDefined()
          expect(text.slice(offsetOf(text, place as { line: number; column: number }))).toMatch(
            new RegExp(`^${JSON.stringify(found).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}`),
          )
        }
      }),
    )
  })

  it('a key is marked where the key is asked for, and a container by its key', () => {
    const text = '{\n  "a": { "b": [1, 22] }\n}'
    expect(placeInJson(text, ['a', 'b', 1])).toMatchObject({ line: 2, column: 19 })
    expect(placeInJson(text, ['a', 'b', 1], 'key')).toMatchObject({ line: 2, column: 19 })
    expect(placeInJson(text, ['a', 'b'])).toMatchObject({ line: 2, column: 10 })
    expect(placeInJson(text, ['a'], 'key')).toMatchObject({ line: 2, column: 3 })
  })

  it('a path that ends early gives the place of what there is', () => {
    expect(placeInJson('{"a": 1}', ['a', 'b', 'c'])).toMatchObject({ line: 1, column: 7 })
    expect(placeInJson('', ['a'])).toBeUndefined()
  })
})

describe('parsing JSON', () => {
  it('agrees with the engine on what is JSON', () => {
    const soup = fc
      .array(
        fc.constantFrom('{', '}', '[', ']', ',', ':', '"a"', '1', '-', 'null', ' ', 'tru', '"'),
        { maxLength: 9 },
      )
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(soup, (text) => {
        expect(jsonErrorOffset(text) === undefined).toBe(isJson(text))
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['{"a": 1,}', 1, 9],
    ['{"a" 1}', 1, 6],
    ['{\n  "a": tru\n}', 2, 8],
    ['[1 2]', 1, 4],
    ['', 1, 1],
    ['{"a": "b', 1, 7],
    ["{'a': 1}", 1, 2],
  ])('%j is refused at line %i, column %i', (text, line, column) => {
    const parsed = parseJson(text, 'a.json')
    expect(parsed).toMatchObject({ finding: { code: 'JSON_SYNTAX', file: 'a.json', line, column } })
  })

  it('refuses what is nested too deeply, with the place, quickly', () => {
    const text = '['.repeat(100_000) + ']'.repeat(100_000)
    expect(parseJson(text)).toMatchObject({ finding: { code: 'JSON_TOO_DEEP', line: 1 } })
  })

  it('refuses a key that is there twice, escaped or not', () => {
    expect(parseJson('{"a": [{"b": 1}, {"b": 2, "\\u0062": 3}]}')).toMatchObject({
      finding: { code: 'JSON_DUPLICATE_KEY', column: 27 },
    })
    expect(parseJson('{"a": {"a": ["a", "a"]}, "b": "a"}')).toHaveProperty('value')
  })

  it('takes every JSON text, whatever colons and quotes are in its texts, and misses no key that is repeated', () => {
    const anyObject = fc.dictionary(
      fc.string({ unit: fc.constantFrom('a', ':', '"', '\\', ' ', '{', 'é') }),
      fc.jsonValue({ maxDepth: 3 }),
    )
    fc.assert(
      fc.property(anyObject, fc.constantFrom(0, 2, '\t'), (object, space) => {
        expect(parseJson(JSON.stringify(object, null, space))).toEqual({
          value: JSON.parse(JSON.stringify(object)),
        })
        const [key] = Object.keys(object)
        if (key === undefined) return
        const text = JSON.stringify({ around: object }, null, space)
        const twice = text.replace(
          /\{(\s*)/,
          `{ ${JSON.stringify(key)} :0, ${JSON.stringify(key)}\n: 1,`,
        )
        expect(parseJson(twice)).toMatchObject({ finding: { code: 'JSON_DUPLICATE_KEY' } })
      }),
    )
  })

  it('refuses a key that would reach the prototype', () => {
    const parsed = parseJson('{"a": {"__proto__": {"x": 1}}}')
    expect(parsed).toMatchObject({
      finding: { code: 'KEY_FORBIDDEN', pointer: '/a/__proto__', column: 8 },
    })
    expect(({} as { x?: number }).x).toBeUndefined()
  })
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
