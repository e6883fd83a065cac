import { describe, expect, it } from 'vitest'
import type { JsonSchema } from '../model.ts'
import { compileSchema } from './validator.ts'

const isX = { properties: { a: { const: 'x' } }, required: ['a'] }
const closed = { unevaluatedProperties: false }
const accepts = (schema: object, value: unknown) =>
  compileSchema(schema as JsonSchema, { draft: '2020-12' }).check(value)
/** `then`, without an object that could be taken for a promise. */
const withThen = (schema: object, clause: object) =>
  Object.fromEntries([...Object.entries(schema), ['then', clause]]) as object

describe('what conditional keywords evaluate', () => {
  it('counts for the names of `if` where `else` is not taken', () => {
    const schema = { if: isX, else: { properties: { d: true } }, ...closed }

    expect(accepts(schema, { a: 'x' })).toBe(true)
    expect(accepts(schema, { a: 'x', d: 1 })).toBe(false)
    expect(accepts(schema, { d: 1 })).toBe(true)
  })

  it('does not count where `if` fails', () => {
    const schema = { if: isX, else: { properties: { d: true } }, ...closed }

    expect(accepts(schema, { a: 'y' })).toBe(false)
  })

  it('counts for `if` alone', () => {
    expect(accepts({ if: isX, ...closed }, { a: 'x' })).toBe(true)
    expect(accepts({ if: isX, ...closed }, { a: 'y' })).toBe(false)
  })

  it('counts for both clauses', () => {
    const schema = withThen(
      { if: isX, else: { properties: { e: true } }, ...closed },
      { properties: { t: true } },
    )

    expect(accepts(schema, { a: 'x', t: 1 })).toBe(true)
    expect(accepts(schema, { a: 'x', e: 1 })).toBe(false)
    expect(accepts(schema, { e: 1 })).toBe(true)
  })

  it('keeps what stood beside a dependent schema that does not apply', () => {
    const schema = {
      allOf: [{ properties: { b: true } }],
      dependentSchemas: { a: { properties: { a: true, c: true } } },
      ...closed,
    }

    expect(accepts(schema, { b: 1 })).toBe(true)
    expect(accepts(schema, { a: 1, b: 1, c: 1 })).toBe(true)
    expect(accepts(schema, { b: 1, c: 1 })).toBe(false)
  })

  it('keeps the items that stood beside a clause that is not taken', () => {
    const schema = {
      allOf: [{ prefixItems: [true] }],
      if: { minItems: 2 },
      else: { maxItems: 1 },
      unevaluatedItems: false,
    }

    expect(accepts(schema, [1])).toBe(true)
    expect(accepts(schema, [1, 2])).toBe(false)
  })

  it('still names the clause that fails', () => {
    const schema = withThen({ if: isX, ...closed }, { required: ['t'] })
    const errors = compileSchema(schema as JsonSchema, { draft: '2020-12' }).errors({ a: 'x' })

    expect(errors.map(({ keyword }) => keyword)).toEqual(['required', 'if'])
  })
})
