import { defineContract } from '../../src/index.ts'

/** Orders, each with its place in its key, so that a doubled, lost or overtaken message shows. */
export const orders = defineContract({
  id: 'shop.orders',
  version: '1.0.0',
  purpose: 'Tells of orders, so that the outbox has something to send.',
  channels: { orders: { address: 'shop.orders', key: 'orderId', ordering: 'per-key' } },
  events: {
    'order.placed': {
      channel: 'orders',
      purpose: 'Sent when an order was placed.',
      schema: {
        type: 'object',
        required: ['orderId', 'number'],
        properties: {
          orderId: { type: 'string' },
          number: { type: 'integer' },
          note: { type: 'string' },
        },
      },
    },
  },
  producers: { shop: {} },
  consumers: {
    billing: {
      accepts: '^1.0.0',
      events: { 'order.placed': { needs: ['orderId'] } },
      idempotency: { key: 'id', window: '30d' },
    },
  },
})
