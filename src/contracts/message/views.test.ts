import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import { compileSchema } from '../schema/validator.ts'
import { producerView, readerView } from './views.ts'

const draft07 = 'http://json-schema.org/draft-07/schema#'
const closes = (schema: JsonSchema, value: unknown) =>
  !compileSchema(producerView(schema), { unevaluated: true }).check(value)
const opens = (schema: JsonSchema, value: unknown) => compileSchema(readerView(schema)).check(value)

/** Schemas over few names and kinds, so that generated values often match. */
const { schema: anySchema } = fc.letrec<{ schema: Json; object: Json; list: Json[] }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<Json>(
      true,
      {},
      { type: 'integer' },
      { type: 'string' },
      { const: 1 },
      { $ref: '#/DEFS/x' },
      { $ref: '#/DEFS/y' },
      { $ref: '#' },
    ),
    tie('object'),
    fc.record({ allOf: tie('list') }),
    fc.record({ anyOf: tie('list') }),
    fc.record({ oneOf: tie('list') }),
    fc.record({ not: tie('schema') }),
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    fc.record({ if: tie('schema'), then: tie('schema'), else: tie('schema') }),
    fc.record({ type: fc.constant('array'), items: tie('schema') }),
    fc.record({ contains: tie('schema') }),
  ),
  list: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }),
  object: fc.record(
    {
      type: fc.constant('object'),
      properties: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('schema'), { maxKeys: 3 }),
      required: fc.uniqueArray(fc.constantFrom('a', 'b'), { maxLength: 2 }),
      additionalProperties: fc.oneof(fc.constant<Json>(false), tie('schema')),
      patternProperties: fc.dictionary(fc.constantFrom('^a', 'b$'), tie('schema'), { maxKeys: 1 }),
      allOf: tie('list'),
      oneOf: tie('list'),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<Json>,
}))
const { value: anyValue } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<Json>(1, 2, 'x', null),
    fc.array(tie('value'), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), tie('value'), { maxKeys: 4 }),
  ),
}))

describe('views', () => {
  it.each([draft07, 'https://json-schema.org/draft/2020-12/schema'])(
    'closed ⊆ as written ⊆ opened, %s',
    ($schema) => {
      const container = $schema === draft07 ? 'definitions' : '$defs'
      fc.assert(
        fc.property(
          fc.record({ root: anySchema, x: anySchema, y: anySchema }),
          fc.array(anyValue, { minLength: 5, maxLength: 20 }),
          ({ root, x, y }, values) => {
            const text = JSON.stringify({
              $schema,
              allOf: [root],
              [container]: { x, y },
            }).replaceAll('DEFS', container)
            // A definition that is nothing but itself has no meaning; a validator may run round in it.
            fc.pre(isGrounded(text))
            const schema = JSON.parse(text) as JsonSchema
            const written = compileSchema(schema)
            const closed = compileSchema(producerView(schema), { unevaluated: true })
            const opened = compileSchema(readerView(schema))
            for (const value of values) {
              if (closed.check(value))
                expect(written.check(value), JSON.stringify(value)).toBe(true)
              if (written.check(value))
                expect(opened.check(value), JSON.stringify(value)).toBe(true)
            }
          },
        ),
        { numRuns: 150 },
      )
    },
  )
})

function isGrounded(text: string): boolean {
  const root = JSON.parse(text) as Record<string, Json>
  const definitions = (root.definitions ?? root.$defs) as Record<string, Json>
  const visit = (node: Json | undefined, stack: readonly unknown[]): boolean => {
    if (typeof node !== 'object' || node === null) return true
    if (stack.includes(node)) return false
    const {
      $ref,
      allOf,
      anyOf,
      oneOf,
      not,
      if: condition,
      then,
      else: otherwise,
    } = node as Record<string, Json>
    const name = typeof $ref === 'string' ? $ref.split('/')[2] : undefined
    const target = $ref === '#' ? root : name === undefined ? undefined : definitions[name]
    const lists = [allOf, anyOf, oneOf].flatMap((list) =>
      Array.isArray(list) ? (list as Json[]) : [],
    )
    return [target, not, condition, then, otherwise, ...lists].every((next) =>
      visit(next, [...stack, node]),
    )
  }
  return [root, ...Object.values(definitions)].every((node) => visit(node, []))
}

describe('producerView', () => {
  const nested: JsonSchema = {
    properties: {
      a: { properties: { b: { type: 'string' } } },
      list: { items: { properties: { c: {} } } },
    },
  }
  it('closes every object that declares fields, wherever it stands', () => {
    expect(producerView(nested)).toEqual({
      properties: {
        a: { properties: { b: { type: 'string' } }, additionalProperties: false },
        list: { items: { properties: { c: {} }, additionalProperties: false } },
      },
      additionalProperties: false,
    })
  })
  it('leaves maps open, and what the author wrote', () => {
    for (const schema of [
      { type: 'object' },
      { type: 'object', additionalProperties: { type: 'string' } },
      { type: 'object', properties: { a: {} }, additionalProperties: true },
      { patternProperties: { '^x-': {} } },
    ]) {
      expect(closes(schema, { extra: 'x' })).toBe(false)
    }
  })
  it.each([undefined, draft07])('sees fields through branches and references, %s', ($schema) => {
    const container = $schema ? 'definitions' : '$defs'
    const schema = {
      ...($schema ? { $schema } : {}),
      allOf: [{ $ref: `#/${container}/base` }],
      properties: { own: { $ref: `#/${container}/base` } },
      [container]: { base: { properties: { id: { type: 'string' } } } },
    }
    expect(closes(schema, { id: 'x', own: { id: 'y' } })).toBe(false)
    expect(closes(schema, { id: 'x', extra: 1 })).toBe(true)
    expect(closes(schema, { own: { id: 'y', extra: 1 } })).toBe(true)
  })
  it('closes inside branches of oneOf, also where the branches overlap', () => {
    const branch = (field: string) => ({
      properties: { [field]: { properties: { x: {} } } },
      required: [field],
    })
    const apart = (kind: string) => ({
      type: 'object',
      required: ['kind'],
      properties: { kind: { const: kind }, in: { properties: { [kind]: {} } } },
    })
    expect(closes({ oneOf: [branch('a'), branch('b')] }, { a: { x: 1 } })).toBe(false)
    expect(closes({ oneOf: [branch('a'), branch('b')] }, { a: { y: 1 } })).toBe(true)
    expect(
      closes({ oneOf: [apart('card'), apart('cash')] }, { kind: 'card', in: { card: 1 } }),
    ).toBe(false)
    expect(
      closes({ oneOf: [apart('card'), apart('cash')] }, { kind: 'card', in: { cash: 1 } }),
    ).toBe(true)
  })
  it('does not touch what stands under not and if', () => {
    const schema = { not: { properties: { a: { properties: { b: {} } } }, required: ['a'] } }
    expect(producerView(schema)).toEqual(schema)
  })
  it('follows a schema that refers to itself', () => {
    const tree: JsonSchema = { properties: { child: { $ref: '#' }, name: { type: 'string' } } }
    expect(closes(tree, { child: { child: { name: 'x' } } })).toBe(false)
    expect(closes(tree, { child: { child: { nme: 'x' } } })).toBe(true)
  })
  it('follows identifiers and anchors', () => {
    const schema: JsonSchema = {
      $id: 'https://example.com/order.json',
      properties: { a: { $ref: 'item.json' }, b: { $ref: '#it' } },
      $defs: {
        item: { $id: 'item.json', properties: { x: {} } },
        it: { $anchor: 'it', properties: { y: {} } },
      },
    }
    expect(closes(schema, { a: { x: 1 }, b: { y: 1 } })).toBe(false)
    expect([closes(schema, { a: { y: 1 } }), closes(schema, { b: { x: 1 } })]).toEqual([true, true])
  })
  it('is the same object each time', () => {
    expect(producerView(nested)).toBe(producerView(nested))
  })
})

describe('readerView', () => {
  it('opens what was closed, at every depth and through references', () => {
    const schema: JsonSchema = {
      additionalProperties: false,
      properties: { a: { $ref: '#/$defs/a' } },
      $defs: { a: { properties: { b: {} }, unevaluatedProperties: false } },
    }
    expect(opens(schema, { a: { b: 1, c: 2 }, d: 3 })).toBe(true)
  })
  it('keeps closed branches of oneOf closed: that may be all that tells them apart', () => {
    const only = (name: string) => ({ properties: { [name]: {} }, additionalProperties: false })
    expect(opens({ oneOf: [only('a'), only('b')] }, { a: 1 })).toBe(true)
    expect(opens({ oneOf: [only('a'), only('b')] }, { a: 1, b: 1 })).toBe(false)
  })
  it('opens branches of oneOf that a type or a field tells apart', () => {
    const only = (name: string) => ({ properties: { [name]: {} }, additionalProperties: false })
    const nullable: JsonSchema = { oneOf: [{ type: 'object', ...only('a') }, { type: 'null' }] }
    expect(opens(nullable, { a: 1, b: 1 })).toBe(true)
    expect(opens(nullable, null)).toBe(true)
  })
  it('takes const for a field that tells apart only in drafts that know it', () => {
    const branch = (kind: string, field: string): JsonObject => ({
      type: 'object',
      required: ['kind'],
      properties: { kind: { const: kind }, [field]: {} },
      additionalProperties: false,
    })
    const $schema = 'http://json-schema.org/draft-04/schema#'
    const view = readerView({ $schema, oneOf: [branch('card', 'x'), branch('cash', 'y')] })
    expect(view).toMatchObject({
      oneOf: [{ additionalProperties: false }, { additionalProperties: false }],
    })
  })
})
