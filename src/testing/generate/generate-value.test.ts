import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonSchema } from '../../contracts/index.ts'
import { compileSchema } from '../../contracts/index.ts'
import { seededRandom } from '../../core/random.ts'
import { generateValue } from './generate-value.ts'

/** Schemas that are awkward to meet, by what is awkward about them. */
const awkward: Readonly<Record<string, JsonSchema>> = {
  'nothing is said': true,
  'an object with optional fields': {
    type: 'object',
    required: ['id'],
    properties: { id: { type: 'string', format: 'uuid' }, note: { type: ['string', 'null'] } },
    additionalProperties: false,
  },
  'numbers on steps between exclusive bounds': {
    type: 'object',
    required: ['a', 'b', 'c', 'd'],
    properties: {
      a: { type: 'number', multipleOf: 0.05, exclusiveMinimum: 0, maximum: 0.1 },
      b: { type: 'integer', multipleOf: 7, minimum: 8, maximum: 14 },
      c: { type: 'number', exclusiveMinimum: 0.999, exclusiveMaximum: 1.0001 },
      d: { type: 'integer', minimum: -5, maximum: -5 },
    },
  },
  'exclusive bounds of draft 04': {
    $schema: 'http://json-schema.org/draft-04/schema#',
    type: 'integer',
    minimum: 1,
    exclusiveMinimum: true,
    maximum: 3,
    exclusiveMaximum: true,
  },
  'oneOf with branches that overlap': {
    type: 'object',
    properties: { a: { type: 'integer' }, b: { type: 'integer' } },
    oneOf: [{ required: ['a'] }, { required: ['b'] }],
  },
  'anyOf beside allOf and a base': {
    type: 'object',
    required: ['kind'],
    allOf: [
      { properties: { kind: { enum: ['card', 'cash', 'cheque'] } } },
      { properties: { kind: { enum: ['cash', 'card'] }, amount: { type: 'integer', minimum: 1 } } },
    ],
    anyOf: [{ required: ['amount'] }, { properties: { kind: { const: 'cash' } } }],
  },
  'if, then and else': {
    type: 'object',
    required: ['kind'],
    properties: { kind: { enum: ['a', 'b'] }, of_a: { type: 'string' }, of_b: { type: 'number' } },
    if: { properties: { kind: { const: 'a' } } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: { required: ['of_a'], properties: { of_b: false } },
    else: { required: ['of_b'], properties: { of_a: false } },
    additionalProperties: false,
  },
  not: { type: 'integer', minimum: 0, maximum: 3, not: { enum: [0, 1, 3] } },
  'dependencies of both kinds': {
    type: 'object',
    properties: { card: { type: 'string' }, code: {}, zip: {} },
    minProperties: 1,
    dependentRequired: { card: ['code'] },
    dependentSchemas: {
      code: { required: ['zip'], properties: { zip: { pattern: '^[0-9]{5}$' } } },
    },
  },
  'arrays that are tuples, unique and contain': {
    type: 'object',
    required: ['tuple', 'set', 'holds'],
    properties: {
      tuple: {
        type: 'array',
        prefixItems: [{ const: 'x' }, { type: 'integer' }],
        items: false,
        minItems: 2,
      },
      set: { type: 'array', items: { enum: [1, 2, 3, 4] }, uniqueItems: true, minItems: 4 },
      holds: {
        type: 'array',
        contains: { const: 'key' },
        minContains: 2,
        items: { type: 'string' },
      },
    },
  },
  'maps with named patterns': {
    type: 'object',
    patternProperties: { '^x-[a-z]+$': { type: 'string' } },
    additionalProperties: false,
    minProperties: 2,
    maxProperties: 3,
  },
  'maps whose names are ruled': {
    type: 'object',
    propertyNames: { pattern: '^[A-Z]{3}$' },
    additionalProperties: { type: 'number' },
    minProperties: 3,
  },
  patterns: {
    type: 'object',
    required: ['iban', 'sem', 'slug', 'hex', 'money', 'twice', 'look', 'words'],
    properties: {
      iban: { type: 'string', pattern: '^[A-Z]{2}\\d{2}(?: ?[0-9A-Z]{4}){3,6}$', maxLength: 34 },
      sem: {
        type: 'string',
        pattern:
          '^(0|[1-9]\\d*)\\.(0|[1-9]\\d*)\\.(0|[1-9]\\d*)(?:-[0-9A-Za-z-]+(\\.[0-9A-Za-z-]+)*)?$',
      },
      slug: { type: 'string', pattern: '^[a-z0-9]+(?:-[a-z0-9]+)*$', minLength: 30, maxLength: 40 },
      hex: { type: 'string', pattern: '#([0-9a-f]{3}|[0-9a-f]{6})\\b' },
      money: { type: 'string', pattern: '^-?\\d{1,3}(,\\d{3})*(\\.\\d\\d)?$' },
      twice: { type: 'string', pattern: '^(ab|cd)-\\1$' },
      look: { type: 'string', pattern: '^(?=.*\\d)[a-z0-9]{6,}$' },
      words: { type: 'string', pattern: '^\\p{Lu}\\p{L}+$', minLength: 3, maxLength: 8 },
    },
  },
  'references, recursion and anchors': {
    type: 'object',
    required: ['tree', 'home'],
    properties: { tree: { $ref: '#/$defs/node' }, home: { $ref: '#address' } },
    $defs: {
      node: {
        type: 'object',
        required: ['value'],
        properties: {
          value: { type: 'integer' },
          next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] },
          children: { type: 'array', items: { $ref: '#/$defs/node' } },
        },
      },
      address: {
        $anchor: 'address',
        type: 'object',
        required: ['city'],
        properties: { city: { type: 'string', minLength: 1 } },
      },
    },
  },
  'every field closed by what is unevaluated': {
    allOf: [{ type: 'object', properties: { a: { type: 'string' } }, required: ['a'] }],
    properties: { b: { type: 'string' } },
    unevaluatedProperties: false,
  },
  'lengths in code points': { type: 'string', minLength: 40, maxLength: 41 },
  'a name that is in every prototype': {
    type: 'object',
    required: ['__proto__', 'constructor', 'toString'],
    properties: { constructor: { type: 'integer' } },
  },
}

const formats = [
  'date-time',
  'date',
  'time',
  'duration',
  'uuid',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'uri',
  'uri-reference',
  'uri-template',
  'json-pointer',
  'relative-json-pointer',
  'regex',
]

describe('generateValue', () => {
  for (const [name, schema] of Object.entries(awkward)) {
    it(`meets a schema where the difficulty is: ${name}`, () => {
      const compiled = compileSchema(schema)
      for (let seed = 0; seed < 60; seed += 1) {
        const value = generateValue(schema, seededRandom(seed))

        expect(compiled.errors(JSON.parse(JSON.stringify(value)))).toEqual([])
      }
    })
  }

  it.each(formats)('writes texts of the format %s', (format) => {
    const schema = { type: 'string', format }
    for (let seed = 0; seed < 50; seed += 1) generateValue(schema, seededRandom(seed))

    expect(compileSchema(schema).check(generateValue(schema))).toBe(true)
  })

  it('gives the same value for the same seed, and others for others', () => {
    const schema = awkward['references, recursion and anchors'] as JsonSchema
    fc.assert(
      fc.property(fc.integer({ min: 0 }), (seed) => {
        const [one, two] = [seed, seed].map((each) => generateValue(schema, seededRandom(each)))
        expect(one).toEqual(two)
      }),
      { numRuns: 30 },
    )
    const many = new Set(
      [1, 2, 3, 4, 5].map((seed) => JSON.stringify(generateValue(schema, seededRandom(seed)))),
    )
    expect(many.size).toBeGreaterThan(1)
  })

  it('takes its texts from examples, but never an identity', () => {
    const schema = {
      type: 'object',
      required: ['id', 'title'],
      properties: { id: { type: 'string', format: 'uuid' }, title: { type: 'string' } },
    }
    const example = { id: '7b1c1f0e-5d0a-4d0f-9e53-0a3f3f0a3d11', title: 'Blue teapot' }
    const values = Array.from({ length: 20 }, (_, seed) =>
      generateValue(schema, seededRandom(seed), { examples: [example] }),
    ) as (typeof example)[]

    expect(values.filter((value) => value.title === 'Blue teapot').length).toBeGreaterThan(8)
    expect(values.every((value) => value.id !== example.id)).toBe(true)
  })

  it('says where it found nothing', () => {
    const schema = {
      type: 'object',
      required: ['a'],
      properties: { a: { type: 'integer', minimum: 5, maximum: 4 } },
    }

    expect(() => generateValue(schema)).toThrow(
      expect.objectContaining({ code: 'FAKE_IMPOSSIBLE', message: expect.stringContaining('/a') }),
    )
  })
})
