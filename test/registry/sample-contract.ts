import { contractToSource, defineContract } from '../../src/contracts/index.ts'
import type { JsonObject } from '../../src/core/json.ts'

/** A small contract in the shape of its file; `amount` is the type of the total's amount. */
export function sampleSource(version: string, amount = 'integer'): JsonObject {
  const contract = defineContract({
    id: 'shop.orders',
    version,
    status: 'active',
    purpose: 'Tells every service that an order was placed.',
    owner: { team: 'orders', contact: 'orders@example.com' },
    channels: { orders: { address: 'shop.orders', key: 'orderId' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when a checkout has been paid, so that billing can start.',
        schema: {
          $id: 'https://shop.example/order.placed.json',
          type: 'object',
          properties: {
            orderId: { type: 'string' },
            total: {
              type: 'object',
              properties: { amount: { type: amount }, currency: { type: 'string' } },
              required: ['amount', 'currency'],
            },
          },
          required: ['orderId', 'total'],
        },
        examples: [
          { orderId: 'o-1', total: { amount: amount === 'string' ? '1' : 1, currency: 'EUR' } },
        ],
      },
    },
    producers: { 'order-service': {} },
    consumers: {
      billing: {
        accepts: '>=2',
        events: {
          'order.placed': { needs: ['orderId', 'total.amount'], handling: 'Creates an invoice.' },
        },
      },
    },
  } as never)
  return contractToSource(contract)
}
