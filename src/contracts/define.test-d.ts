import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import * as v from 'valibot'
import { expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import type { ContractTypesOf } from './define.ts'
import { defineContract } from './define.ts'
import type { ContractTypes } from './model.ts'

const contract = defineContract({
  id: 'shop.orders',
  version: '1.0.0',
  purpose: 'Tells every service that an order was placed.',
  channels: { orders: { address: 'shop.orders', key: 'orderId' } },
  events: {
    'order.placed': {
      channel: 'orders',
      purpose: 'Sent when a checkout has been paid.',
      schema: {
        type: 'object',
        required: ['orderId', 'total'],
        properties: {
          orderId: { type: 'string' },
          total: {
            type: 'object',
            required: ['amount'],
            properties: { amount: { type: 'integer' } },
          },
          currency: { enum: ['EUR', 'USD'] },
          labels: { type: 'object', additionalProperties: { type: 'string' } },
          lines: {
            type: 'array',
            items: { type: 'object', properties: { sku: { type: 'string' } } },
          },
        },
      },
    },
    'order.zod': {
      channel: 'orders',
      purpose: 'The same, by zod.',
      schema: z.object({ orderId: z.string(), count: z.number().int().default(1) }),
    },
    'order.ark': {
      channel: 'orders',
      purpose: 'The same, by arktype.',
      schema: type({ orderId: 'string', 'note?': 'string' }),
    },
    'order.valibot': {
      channel: 'orders',
      purpose: 'The same, by valibot.',
      schema: toStandardJsonSchema(v.object({ orderId: v.string() })),
    },
  },
  commands: {
    'payment.capture': {
      channel: 'orders',
      schema: {
        type: 'object',
        required: ['orderId'],
        properties: { orderId: { type: 'string' } },
      },
      reply: {
        type: 'object',
        required: ['captured'],
        properties: { captured: { type: 'boolean' } },
      },
      errors: { declined: { type: 'object', properties: { reason: { type: 'string' } } } },
      handler: 'payments',
    },
  },
  producers: { 'order-service': {} },
  consumers: {
    billing: {
      accepts: '^1.0.0',
      events: { 'order.placed': { needs: ['orderId'] }, 'order.zod': {} },
    },
    audit: { accepts: '^1.0.0', events: { 'order.ark': {} } },
  },
})
type Types = ContractTypesOf<typeof contract>

test('a defined contract carries its types', () => {
  expectTypeOf<Types>().toExtend<ContractTypes>()
  expectTypeOf<keyof Types['events']>().toEqualTypeOf<
    'order.placed' | 'order.zod' | 'order.ark' | 'order.valibot'
  >()
})

test('data of a JSON Schema literal is inferred, closed at every level', () => {
  type Data = Types['events']['order.placed']
  expectTypeOf<Data['orderId']>().toEqualTypeOf<string>()
  expectTypeOf<Data['currency']>().toEqualTypeOf<'EUR' | 'USD' | undefined>()
  expectTypeOf<Data['labels']>().toEqualTypeOf<{ [name: string]: string } | undefined>()
  const good: Data = { orderId: 'o-1', total: { amount: 3 }, lines: [{ sku: 'a' }] }
  // @ts-expect-error a required field is missing
  const missing: Data = { orderId: 'o-1' }
  // @ts-expect-error a field that the schema does not declare
  const extra: Data = { orderId: 'o-1', total: { amount: 3 }, ordrId: 'x' }
  // @ts-expect-error a nested field that the schema does not declare
  const nested: Data = { orderId: 'o-1', total: { amount: 3, amonut: 3 } }
  // @ts-expect-error a field of another type
  const wrong: Data = { orderId: 7, total: { amount: 3 } }
  expectTypeOf([good, missing, extra, nested, wrong]).toBeArray()
})

test('data of zod, arktype and valibot is inferred as it is on the wire', () => {
  expectTypeOf<Types['events']['order.zod']>().toEqualTypeOf<{
    orderId: string
    count?: number | undefined
  }>()
  expectTypeOf<Types['events']['order.ark']>().toEqualTypeOf<{ orderId: string; note?: string }>()
  expectTypeOf<Types['events']['order.valibot']>().toEqualTypeOf<{ orderId: string }>()
})

test('commands carry data, reply and errors', () => {
  type Capture = Types['commands']['payment.capture']
  expectTypeOf<Capture['data']>().toEqualTypeOf<{ orderId: string }>()
  expectTypeOf<Capture['reply']>().toEqualTypeOf<{ captured: boolean }>()
  expectTypeOf<Capture['errors']['declined']>().toEqualTypeOf<{ reason?: string }>()
})

test('consumers carry the names of their events', () => {
  expectTypeOf<Types['consumers']['billing']>().toEqualTypeOf<'order.placed' | 'order.zod'>()
  expectTypeOf<Types['consumers']['audit']>().toEqualTypeOf<'order.ark'>()
})

test('a key that the format does not know is a type error', () => {
  defineContract({
    id: 'a',
    version: '1.0.0',
    purpose: 'Shows a misspelt key.',
    // @ts-expect-error the key is `channels`
    chanels: {},
    producers: {},
  })
})
