import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { TreatyError } from '../core/errors.ts'
import { defineContract } from './define.ts'
import type { ContractInput } from './read/contract-input.ts'
import { compileSchema } from './schema/validator.ts'

const base = {
  id: 'shop.orders',
  version: '1.0.0',
  purpose: 'Tells every service that an order was placed.',
  channels: { orders: { address: 'shop.orders', key: 'orderId' } },
  producers: { 'order-service': {} },
  consumers: { billing: { accepts: '^1.0.0', events: { 'order.placed': { needs: ['orderId'] } } } },
} as const

const withSchema = (schema: unknown): ContractInput => ({
  ...base,
  events: {
    'order.placed': {
      channel: 'orders',
      purpose: 'Sent when a checkout has been paid.',
      schema: schema as string,
    },
  },
})

describe('defineContract', () => {
  it.each([
    [
      'JSON Schema',
      {
        type: 'object',
        required: ['orderId'],
        properties: { orderId: { type: 'string' }, count: { type: 'integer' } },
      },
    ],
    ['zod', z.object({ orderId: z.string(), count: z.number().int().optional() })],
    ['arktype', type({ orderId: 'string', 'count?': 'number.integer' })],
    [
      'valibot',
      toStandardJsonSchema(
        v.object({ orderId: v.string(), count: v.optional(v.pipe(v.number(), v.integer())) }),
      ),
    ],
  ])('takes a schema of %s', (_what, schema) => {
    const contract = defineContract(withSchema(schema))
    const { check } = compileSchema(contract.events['order.placed']?.schema ?? false)
    expect(check({ orderId: 'a', count: 1 })).toBe(true)
    expect(check({ orderId: 7 })).toBe(false)
    expect(check({ orderId: 'a', count: 1.5 })).toBe(false)
    expect(check({})).toBe(false)
  })

  it('fills the defaults in as the file would', () => {
    const { consumers, channels, status } = defineContract(
      withSchema({ type: 'object', properties: { orderId: {} } }),
    )
    expect(status).toBe('active')
    expect(channels.orders).toMatchObject({ ordering: 'per-key' })
    expect(consumers.billing?.deadLetter).toMatchObject({
      address: 'shop.orders.billing.dlq',
      onDead: 'next',
    })
  })

  it('shares nothing with what it was given', () => {
    const schema = { type: 'object', properties: { orderId: { type: 'string' } } }
    const contract = defineContract(withSchema(schema))
    schema.properties.orderId.type = 'number'
    expect(contract.events['order.placed']?.schema).toMatchObject({
      properties: { orderId: { type: 'string' } },
    })
  })

  it.each([
    [
      'a valibot schema without its adapter',
      v.object({ orderId: v.string() }),
      'SCHEMA_INVALID',
      /toStandardJsonSchema/,
    ],
    [
      'a type with no form in JSON',
      z.object({ orderId: z.string(), when: z.bigint() }),
      'SCHEMA_INVALID',
      /./,
    ],
    ['a broken JSON Schema', { type: 'objekt' }, 'SCHEMA_INVALID', /./],
    ['a function', () => true, 'CONTRACT_TYPE_WRONG', /./],
    ['a missing file', './nope.json', 'SCHEMA_NOT_FOUND', /./],
  ])('refuses %s, with findings', (_what, schema, code, hint) => {
    const error = caught(() => defineContract(withSchema(schema)))
    expect(error.code).toBe('CONTRACT_INVALID')
    expect(error.findings.map((finding) => finding.code)).toContain(code)
    expect(error.hint).toMatch(hint)
  })

  it('lists every mistake, with pointers', () => {
    const input = {
      ...withSchema({ type: 'object', properties: {} }),
      version: 'one',
      purpose: 'TBD',
    }
    const pointers = caught(() => defineContract(input))
      .findings.filter(({ severity }) => severity === 'error')
      .map(({ pointer }) => pointer)
    expect(pointers).toEqual(
      expect.arrayContaining([
        '/version',
        '/purpose',
        '/channels/orders/key',
        '/consumers/billing/events/order.placed/needs/0',
      ]),
    )
  })

  it('a value that contains itself is refused, not followed', () => {
    const schema: Record<string, unknown> = { type: 'object' }
    schema.properties = { orderId: schema }
    const codes = caught(() => defineContract(withSchema(schema))).findings.map(({ code }) => code)
    expect(codes).toContain('JSON_TOO_DEEP')
  })

  it('a key that would reach the prototype is refused', () => {
    const schema = JSON.parse(
      '{"type":"object","properties":{"orderId":{},"__proto__":{"type":"string"}}}',
    ) as unknown
    const codes = caught(() => defineContract(withSchema(schema))).findings.map(({ code }) => code)
    expect(codes).toContain('KEY_FORBIDDEN')
    expect(({} as { type?: string }).type).toBeUndefined()
  })
})

function caught(run: () => unknown): TreatyError {
  try {
    run()
  } catch (error) {
    if (error instanceof TreatyError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
