import { expectTypeOf, test } from 'vitest'
import { defineContract, type Message } from '../contracts/index.ts'
import { createTestBus, fake } from './index.ts'

const shop = defineContract({
  id: 'shop.orders',
  version: '1.0.0',
  purpose: 'Tells that orders were placed.',
  channels: { orders: { address: 'shop.orders' } },
  events: {
    'order.placed': {
      channel: 'orders',
      purpose: 'Sent when an order was placed.',
      schema: {
        type: 'object',
        required: ['orderId'],
        properties: {
          orderId: { type: 'string' },
          total: { type: 'object', properties: { amount: { type: 'integer' } } },
        },
      },
    },
  },
  producers: { store: {} },
  consumers: { billing: { accepts: '^1.0.0', events: { 'order.placed': { needs: ['orderId'] } } } },
})

/** As `treaty gen` writes them. */
interface Contracts {
  events: { 'order.placed': { orderId: string; total?: { amount: number } } }
  commands: Record<never, never>
  consumers: { billing: 'order.placed' }
}

const inferred = await createTestBus(shop)
const generated = await createTestBus<Contracts>('./contracts')
const loose = await createTestBus('./contracts')

test('a contract in code types handlers, events and consumers of a test bus', () => {
  void inferred.consume('billing', {
    'order.placed': async (message, context) => {
      expectTypeOf(message.data.orderId).toEqualTypeOf<string>()
      expectTypeOf(context.attempt).toEqualTypeOf<number>()
    },
  })
  expectTypeOf(inferred.published('order.placed')[0]?.data.orderId).toEqualTypeOf<
    string | undefined
  >()
  expectTypeOf(inferred.handled('billing')[0]?.data.orderId).toEqualTypeOf<string | undefined>()
  // @ts-expect-error: no such event
  inferred.published('order.plcaed')
  // @ts-expect-error: no such consumer
  inferred.handled('biling')
  // @ts-expect-error: a field has another type
  inferred.fake('order.placed', { orderId: 7 })
})

test('generated types do the same', () => {
  expectTypeOf(generated.published('order.placed')).toEqualTypeOf<
    Message<{ orderId: string; total?: { amount: number } }>[]
  >()
  generated.fake('order.placed', { total: { amount: 3 } })
  // @ts-expect-error: no such event
  generated.fake('order.lost')
})

test('a test bus without types takes any name', () => {
  expectTypeOf(loose.published('anything')[0]?.type).toEqualTypeOf<string | undefined>()
})

test('fake takes its type from a contract, or from the caller', () => {
  const options = { contracts: shop }
  expectTypeOf(fake('order.placed', { orderId: 'o-1' }, options).orderId).toEqualTypeOf<string>()
  expectTypeOf(fake<{ orderId: string }>('order.placed').orderId).toEqualTypeOf<string>()
})
