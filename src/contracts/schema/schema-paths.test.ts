import { describe, expect, it } from 'vitest'
import type { JsonSchema } from '../model.ts'
import { fieldAt, undeclaredRequired } from './schema-paths.ts'

const schema: JsonSchema = {
  type: 'object',
  required: ['id', 'total'],
  properties: {
    id: { type: 'string' },
    total: { $ref: '#/$defs/money' },
    lines: { type: 'array', items: { type: 'object', properties: { sku: { type: 'string' } } } },
    pair: { prefixItems: [{ type: 'object', properties: { first: {} } }] },
    free: { type: 'object' },
    anything: true,
    never: false,
    map: { type: 'object', additionalProperties: { type: 'object', properties: { x: {} } } },
    node: { $ref: '#/$defs/node' },
  },
  patternProperties: { '^x-': { type: 'string' } },
  allOf: [{ required: ['via'], properties: { via: { type: 'string' } } }],
  oneOf: [{ required: ['a'], properties: { a: {} } }, { properties: { b: {} } }],
  if: { properties: { id: { const: 'x' } } },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: { properties: { onlyThen: {} } },
  $defs: {
    money: { type: 'object', required: ['amount'], properties: { amount: { type: 'integer' } } },
    node: { type: 'object', properties: { next: { $ref: '#/$defs/node' }, v: {} } },
  },
}

describe('dotted paths into a schema', () => {
  it.each([
    ['id', true],
    ['total.amount', true],
    ['via', true],
    ['a', false],
    ['b', false],
    ['onlyThen', false],
    ['lines', false],
    ['lines.0.sku', false],
    ['lines.*.sku', false],
    ['pair.0.first', false],
    ['free.whatever.deep', false],
    ['anything.at.all', false],
    ['map.key.x', false],
    ['x-custom', false],
    ['node.next.next.next.v', false],
  ])('%s is there, required: %s', (path, isRequired) => {
    expect(fieldAt(schema, path)).toMatchObject({ isRequired })
  })

  it.each([
    'nope',
    'total.amonut',
    'id.length',
    'never',
    'lines.sku',
    'map.key.y',
    'node.next.w',
    'constructor',
    'total.__proto__',
  ])('%s is not there', (path) => {
    expect(fieldAt(schema, path)).toBeUndefined()
  })

  it('a schema that says nothing has every field', () => {
    expect(fieldAt(true, 'a.b')).toMatchObject({ isRequired: false })
    expect(fieldAt({}, 'a.b')).toMatchObject({ isRequired: false })
    expect(fieldAt({ type: 'string' }, 'a')).toBeUndefined()
  })

  it('finds what is required and declared nowhere', () => {
    expect(undeclaredRequired(schema)).toEqual([])
    expect(undeclaredRequired({ properties: { a: {} }, required: ['a', 'b'] })).toEqual(['b'])
    expect(undeclaredRequired({ required: ['b'] })).toEqual([])
  })
})
