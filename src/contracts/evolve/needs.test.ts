import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../core/json.ts'
import { readerView } from '../message/views.ts'
import type { JsonSchema } from '../model.ts'
import { compileSchema } from '../schema/validator.ts'
import { needView } from './needs.ts'

const accepts = (schema: JsonSchema, value: unknown) => compileSchema(schema).check(value)
const text = { type: 'string' } as const

describe('the view of a need', () => {
  const order: JsonSchema = {
    type: 'object',
    additionalProperties: false,
    required: ['total'],
    properties: {
      total: {
        type: 'object',
        required: ['amount'],
        properties: { amount: { type: 'integer' }, currency: text },
      },
      note: { type: 'string', maxLength: 3 },
    },
  }

  it('asks for what the path asks for, and for nothing else', () => {
    const view = needView(order, ['total.amount'])

    expect(view).toEqual({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      required: ['total'],
      properties: {
        total: {
          type: 'object',
          required: ['amount'],
          properties: { amount: { type: 'integer' } },
        },
      },
    })
  })

  it('does not ask for a field that was optional, but for its form', () => {
    const view = needView(order, ['note'])

    expect(accepts(view, {})).toBe(true)
    expect(accepts(view, { note: 'long' })).toBe(false)
  })

  it('follows references, also those that lead back', () => {
    const tree: JsonSchema = {
      $ref: '#/$defs/node',
      $defs: {
        node: {
          type: 'object',
          required: ['value'],
          properties: { value: text, next: { $ref: '#/$defs/node' } },
        },
      },
    }
    const view = needView(tree, ['next.next'])

    expect(accepts(view, { next: { next: { value: 'x' } } })).toBe(true)
    expect(accepts(view, { next: { next: { value: 1 } } })).toBe(false)
    expect(accepts(view, { next: { value: 1 } })).toBe(true)
  })

  it('steps into lists', () => {
    const lines: JsonSchema = {
      type: 'object',
      properties: {
        lines: {
          type: 'array',
          items: { type: 'object', required: ['sku'], properties: { sku: text } },
        },
      },
    }
    const view = needView(lines, ['lines.*.sku'])

    expect(accepts(view, { lines: [{ sku: 'a' }, { sku: 1 }] })).toBe(false)
    expect(accepts(view, { lines: [{ sku: 'a', more: 1 }] })).toBe(true)
  })

  it('takes a union apart', () => {
    const union: JsonSchema = {
      oneOf: [
        { type: 'object', required: ['a'], properties: { a: text } },
        { type: 'object', required: ['a'], properties: { a: { type: 'integer' } } },
      ],
    }

    expect(
      [{ a: 'x' }, { a: 1 }, { a: null }].map((value) => accepts(needView(union, ['a']), value)),
    ).toEqual([true, true, false])
  })

  it('is the schema as written under strict, and everything without paths', () => {
    expect(needView(order, [], { policy: 'strict' })).toBe(order)
    expect(accepts(needView(order, []), { total: { amount: 1 }, more: 1 })).toBe(true)
  })

  it.each(['07', '2020-12'] as const)('accepts whatever the schema accepts (draft %s)', (draft) => {
    const names = fc.constantFrom('a', 'b', 'c')
    const leaf = fc.constantFrom<JsonObject>(
      text,
      { type: 'integer' },
      { enum: ['x', 1] },
      { $ref: '#/definitions/shared' },
      {},
    )
    const objectOf = (child: fc.Arbitrary<JsonObject>) =>
      fc
        .record({
          properties: fc.dictionary(names, child, { maxKeys: 3 }),
          required: fc.uniqueArray(names, { maxLength: 2 }),
          additionalProperties: fc.constantFrom<Json>(true, false, { type: 'integer' }),
        })
        .map(
          (parts): JsonObject => ({
            type: 'object',
            ...parts,
            properties: { ...parts.properties },
          }),
        )
    const flat = objectOf(leaf)
    const root = fc.oneof(
      objectOf(fc.oneof(leaf, flat)),
      fc.tuple(flat, flat).map(([a, b]): JsonObject => ({ ...a, allOf: [b] })),
      fc.tuple(flat, flat).map(([a, b]): JsonObject => ({ oneOf: [a, b] })),
      fc.tuple(flat, flat, flat).map(([a, b, c]): JsonObject => ({ ...a, if: b, else: c })),
    )
    const uri =
      draft === '07'
        ? 'http://json-schema.org/draft-07/schema#'
        : 'https://json-schema.org/draft/2020-12/schema'
    const value = fc.dictionary(
      names,
      fc.oneof(fc.constantFrom<Json>('x', 1, null), fc.dictionary(names, fc.constantFrom('x', 1))),
    )
    const needs = fc.uniqueArray(fc.constantFrom('a', 'b', 'a.b', 'b.c'), { minLength: 1 })
    const property = fc.property(root, needs, fc.array(value), (written, paths, values) => {
      const schema = { $schema: uri, ...written, definitions: { shared: text } } as JsonSchema
      const [whole, view] = [readerView(schema), needView(schema, paths)]
      const lost = values.filter((each) => accepts(whole, each) && !accepts(view, each))
      expect(lost).toEqual([])
    })
    fc.assert(property, { numRuns: 200 })
  })
})
