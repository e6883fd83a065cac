import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../core/json.ts'
import { defineContract } from '../define.ts'
import { needView } from '../evolve/needs.ts'
import { createMessageValidator } from '../message/message-validator.ts'
import type { Contract, JsonSchema } from '../model.ts'
import { compileSchema } from '../schema/validator.ts'
import { compareContracts } from './compare-contracts.ts'
import { consumerImpact } from './impact.ts'

/** A contract with one event of this schema. */
function contractOf(schema: JsonSchema, policy: 'evolvable' | 'strict'): Contract {
  return defineContract({
    id: 'shop.orders',
    version: '1.0.0',
    purpose: 'Tells that an order was placed.',
    owner: { team: 'orders' },
    channels: { orders: { address: 'shop.orders' } },
    events: {
      'order.placed': { channel: 'orders', purpose: 'Sent when paid.', schema: schema as never },
    },
    producers: { shop: {} },
    consumers: { billing: { accepts: '*', events: { 'order.placed': { handling: 'Bills.' } } } },
    evolution: { policy, mode: 'full' },
  } as never)
}

const names = ['a', 'b', 'c', 'd'] as const
const scalar: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.constantFrom<JsonObject>(
    { type: 'string' },
    { type: 'integer' },
    { type: 'number' },
    { type: ['string', 'null'] },
    { type: 'boolean' },
    { enum: ['x', 'y'] },
    { enum: ['x', 'y', 'z', 1] },
    { type: 'string', maxLength: 1 },
    { type: 'integer', minimum: 0, maximum: 3 },
    { type: 'number', multipleOf: 0.5 },
    { type: 'string', pattern: '^x' },
    { $ref: '#/definitions/shared' },
  ),
)
const closing = fc.constantFrom<JsonObject>(
  {},
  { additionalProperties: false },
  { additionalProperties: { type: 'integer' } },
  { additionalProperties: true },
)

function objectOf(child: fc.Arbitrary<JsonObject>): fc.Arbitrary<JsonObject> {
  return fc
    .record({
      properties: fc.dictionary(fc.constantFrom(...names), child, { maxKeys: 3 }),
      required: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 2 }),
      closing,
    })
    .map(({ properties, required, closing: more }) => ({
      type: 'object',
      properties: { ...properties },
      ...(required.length === 0 ? {} : { required }),
      ...more,
    }))
}

const listOf = (child: fc.Arbitrary<JsonObject>) =>
  child.map((items): JsonObject => ({ type: 'array', items, maxItems: 2 }))
const nested = fc.oneof(scalar, objectOf(scalar), listOf(scalar))

/** Objects alone, with branches beside, under conditions, behind references. */
const root = fc.oneof(
  { weight: 4, arbitrary: objectOf(nested) },
  fc.tuple(objectOf(nested), objectOf(scalar)).map(([a, b]): JsonObject => ({ ...a, allOf: [b] })),
  fc.tuple(objectOf(scalar), objectOf(scalar)).map(
    ([a, b]): JsonObject => ({
      type: 'object',
      anyOf: [a, b],
    }),
  ),
  fc.tuple(objectOf(scalar), objectOf(scalar)).map(
    ([a, b]): JsonObject => ({
      type: 'object',
      oneOf: [a, b],
    }),
  ),
  fc.tuple(objectOf(nested), objectOf(scalar)).map(
    ([a, b]): JsonObject => ({
      ...a,
      if: { properties: { a: { const: 'x' } }, required: ['a'] },
      else: b,
    }),
  ),
)
const schemas = fc
  .tuple(root, scalar, fc.constantFrom('07', '2020-12'))
  .map(([schema, shared, draft]): JsonObject => {
    const uri =
      draft === '07'
        ? 'http://json-schema.org/draft-07/schema#'
        : 'https://json-schema.org/draft/2020-12/schema'
    const definition: JsonObject = '$ref' in shared ? { type: 'boolean' } : shared
    return { $schema: uri, ...schema, definitions: { shared: definition } }
  })

/** A second version: often the first with one part exchanged, as changes are. */
const pairs = fc.oneof(
  fc.tuple(schemas, schemas),
  fc
    .tuple(schemas, fc.constantFrom(...names), nested)
    .map(([schema, name, child]): [JsonObject, JsonObject] => {
      const properties = { ...(schema.properties as JsonObject | undefined), [name]: child }
      return [schema, { ...schema, properties }]
    }),
  fc
    .tuple(schemas, fc.uniqueArray(fc.constantFrom(...names), { maxLength: 3 }))
    .map(([schema, required]): [JsonObject, JsonObject] => [schema, { ...schema, required }]),
)

const values: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>('x', 'y', 'xyz', '', 0, 1, 2.5, -1, true, null),
  fc.dictionary(fc.constantFrom(...names), fc.constantFrom<Json>('x', 1, 0.5, null), {
    maxKeys: 2,
  }),
  fc.array(fc.constantFrom<Json>('x', 1, 'yy'), { maxLength: 3 }),
)
const data = fc.dictionary(fc.constantFrom(...names, 'e'), values, { maxKeys: 4 })

const runs = Number(process.env.TREATY_LAW_RUNS ?? 150)

function validators(contract: Contract) {
  const side = (view: 'producer' | 'reader') =>
    createMessageValidator({ contracts: [contract], view }).forEvent('order.placed')
  return { sends: side('producer'), reads: side('reader') }
}

const message = (value: unknown) => ({
  id: '5d976e66-8c32-483f-a9d1-8feaade0e1e0',
  type: 'order.placed',
  source: 'shop',
  timestamp: '2026-11-21T18:00:00Z',
  correlation_id: '5d976e66-8c32-483f-a9d1-8feaade0e1e1',
  data: value,
})

describe('the verdict is what happens', { timeout: 120_000 }, () => {
  it.each(['evolvable', 'strict'] as const)('under %s', (policy) => {
    const seen = { compatible: 0, breaking: 0, unknown: 0 }
    const property = fc.property(
      pairs,
      fc.array(data, { maxLength: 12 }),
      ([old, now], messages) => {
        const [before, after] = [contractOf(old, policy), contractOf(now, policy)]
        const sides = { before: validators(before), after: validators(after) }
        const found = compareContracts(before, after).messages['order.placed']
        for (const direction of ['forward', 'backward'] as const) {
          const [sends, reads] =
            direction === 'forward'
              ? [sides.after.sends, sides.before.reads]
              : [sides.before.sends, sides.after.reads]
          const broken = found?.breaks.find((each) => each.direction === direction)
          seen[broken?.verdict.verdict ?? 'compatible'] += 1
          if (broken?.verdict.verdict === 'breaking') {
            expect(sends?.check(message(broken.witness))).toBe(true)
            expect(reads?.check(message(broken.witness))).toBe(false)
          } else if (broken === undefined) {
            const lost = messages.filter(
              (each) =>
                sends?.check(message(each)) === true && reads?.check(message(each)) === false,
            )
            expect(lost).toEqual([])
          }
        }
      },
    )
    fc.assert(property, { numRuns: runs })

    expect(seen.breaking).toBeGreaterThan(runs / 10)
    expect(seen.compatible).toBeGreaterThan(runs / 10)
    expect(seen.unknown).toBeLessThan(runs / 50)
  })
})

describe('a consumer is hurt exactly when its needs are', () => {
  it('of two generated versions', { timeout: 120_000 }, () => {
    const seen = { compatible: 0, breaking: 0, unknown: 0 }
    const needs = fc.uniqueArray(fc.constantFrom(...names, 'a.b', 'b.c'), {
      minLength: 1,
      maxLength: 2,
    })
    const property = fc.property(
      pairs,
      needs,
      fc.array(data, { maxLength: 12 }),
      ([old, now], paths, messages) => {
        const [before, after] = [contractOf(old, 'evolvable'), contractOf(now, 'evolvable')]
        const billing = before.consumers.billing
        if (billing === undefined) return
        const consumer = {
          ...billing,
          since: '1.0.0',
          events: { 'order.placed': { needs: paths } },
        }
        const { sends } = validators(after)
        const view = compileSchema(needView(before.events['order.placed']?.schema ?? true, paths))
        const [found] = consumerImpact(consumer, after, { earlier: [before] }).events
        seen[found?.verdict ?? 'unknown'] += 1
        if (found?.verdict === 'breaking') {
          expect(sends?.check(message(found.witness))).toBe(true)
          expect(view.check(found.witness)).toBe(false)
        } else if (found?.verdict === 'compatible') {
          const lost = messages.filter(
            (each) => sends?.check(message(each)) === true && !view.check(each),
          )
          expect(lost).toEqual([])
        }
      },
    )
    fc.assert(property, { numRuns: runs })

    expect(seen.breaking).toBeGreaterThan(runs / 20)
    expect(seen.compatible).toBeGreaterThan(runs / 20)
  })
})
