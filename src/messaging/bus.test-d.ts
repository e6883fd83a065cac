import { expectTypeOf, test } from 'vitest'
import type { Message } from '../contracts/index.ts'
import { defineContract } from '../contracts/index.ts'
import { openBus } from './index.ts'
import type { Published } from './types.ts'

/** As `treaty gen` writes them. */
interface Contracts {
  events: {
    'order.placed': { orderId: string; total: { amount: number } }
    'order.cancelled': { orderId: string; reason?: string }
  }
  commands: {
    'payment.capture': {
      data: { orderId: string }
      reply: { receipt: string }
      errors: { declined: { why: string } }
    }
  }
  consumers: { billing: 'order.placed' | 'order.cancelled'; audit: 'order.placed' }
}

const bus = await openBus<Contracts>({ contracts: './contracts' })

test('publish takes the events of the contract and their data', () => {
  expectTypeOf(
    bus.publish('order.placed', { orderId: 'a', total: { amount: 1 } }),
  ).resolves.toEqualTypeOf<Published>()
  // @ts-expect-error: no such event
  void bus.publish('order.plcaed', { orderId: 'a', total: { amount: 1 } })
  // @ts-expect-error: a field has another type
  void bus.publish('order.placed', { orderId: 'a', total: { amount: '1' } })
  // @ts-expect-error: a field is missing
  void bus.publish('order.placed', { orderId: 'a' })
})

test('consume takes a handler for each event of the consumer, with its data', () => {
  void bus.consume('billing', {
    'order.placed': (message, context) => {
      expectTypeOf(message).toEqualTypeOf<Message<{ orderId: string; total: { amount: number } }>>()
      // @ts-expect-error: no such event
      void context.publish('order.lost', {})
    },
    'order.cancelled': async (message) => {
      expectTypeOf(message.data.reason).toEqualTypeOf<string | undefined>()
    },
  })
  void bus.consume('audit', { '*': (message) => void message.data.orderId })
  // @ts-expect-error: no such consumer
  void bus.consume('biling', { 'order.placed': () => {} })
  // @ts-expect-error: a listed event has no handler
  void bus.consume('billing', { 'order.placed': () => {} })
})

test('consume takes patterns over the events of the consumer', () => {
  void bus.consume('billing', {
    'order.*': (message) => void message.data.orderId,
  })
  void bus.consume('billing', {
    'order.#': (message) => void message.data.orderId,
    'order.placed': (message) => void message.data.total.amount,
  })
  // @ts-expect-error: no event of the consumer is like that
  void bus.consume('billing', { 'payment.*': () => {} })
  // @ts-expect-error: beside a pattern, too, an event must be one of the consumer's
  void bus.consume('billing', { 'order.*': () => {}, 'order.lost': () => {} })
})

test('consume takes handlers of batches with the data of their event', () => {
  void bus.consume(
    'audit',
    {
      'order.placed': (messages, context) => {
        expectTypeOf(messages[0]?.data.total.amount).toEqualTypeOf<number | undefined>()
        return messages.map((_, at) => (at === 0 ? context.retry() : undefined))
      },
    },
    { batch: 50 },
  )
  // @ts-expect-error: a listed event has no handler
  void bus.consume('billing', { 'order.placed': () => {} }, { batch: { size: 2 } })
})

test('request takes the data of the command and gives its reply', async () => {
  expectTypeOf((await bus.request('payment.capture', { orderId: 'a' })).data).toEqualTypeOf<{
    receipt: string
  }>()
  // @ts-expect-error: no such command
  void bus.request('payment.refund', { orderId: 'a' })
  // @ts-expect-error: the reply lacks the receipt
  void bus.handle('payment.capture', () => ({}))
})

test('contracts from defineContract give their types without a generic', async () => {
  const contract = defineContract({
    id: 'shop.orders',
    version: '1.0.0',
    purpose: 'Tells every service that an order was placed.',
    channels: { orders: { address: 'shop.orders' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when a checkout has been paid.',
        schema: {
          type: 'object',
          required: ['orderId'],
          properties: { orderId: { type: 'string' } },
        },
      },
    },
    producers: { shop: {} },
  })
  const defined = await openBus({ contracts: [contract] })
  void defined.publish('order.placed', { orderId: 'a' })
  // @ts-expect-error: no such event
  void defined.publish('order.lost', { orderId: 'a' })
  // @ts-expect-error: a field has another type
  void defined.publish('order.placed', { orderId: 1 })
})

test('a bus on a path is open to every name', async () => {
  const open = await openBus({ contracts: './contracts' })
  void open.publish('anything.at_all', { any: 'data' })
})
