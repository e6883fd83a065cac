import { type Contract, defineContract } from 'treatyjs'

// The message that the benches send: an order as a shop would, about 500 bytes of JSON in its envelope.

const money = {
  type: 'object',
  required: ['amount', 'currency'],
  additionalProperties: false,
  properties: {
    amount: { type: 'number', minimum: 0 },
    currency: { type: 'string', pattern: '^[A-Z]{3}$' },
  },
} as const

export const orderSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  required: ['orderId', 'placedAt', 'customer', 'lines', 'total'],
  additionalProperties: false,
  properties: {
    orderId: { type: 'string', format: 'uuid' },
    placedAt: { type: 'string', format: 'date-time' },
    customer: {
      type: 'object',
      required: ['id', 'country'],
      additionalProperties: false,
      properties: {
        id: { type: 'string', minLength: 1, maxLength: 64 },
        country: { enum: ['DE', 'FR', 'IT', 'NL', 'PL'] },
      },
    },
    lines: {
      type: 'array',
      minItems: 1,
      maxItems: 100,
      items: {
        type: 'object',
        required: ['sku', 'quantity'],
        additionalProperties: false,
        properties: {
          sku: { type: 'string', pattern: '^[A-Z0-9-]{4,20}$' },
          quantity: { type: 'integer', minimum: 1 },
        },
      },
    },
    total: money,
    note: { type: 'string', maxLength: 500 },
  },
} as const

export interface Order {
  readonly orderId: string
  readonly placedAt: string
  readonly customer: { readonly id: string; readonly country: string }
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[]
  readonly total: { readonly amount: number; readonly currency: string }
  readonly note?: string
}

/** Bytes of one message on the wire, envelope and all; the note is as long as it takes. */
export const messageBytes = 500
const envelopeBytes = 227

export function makeOrder(n: number): Order {
  const hex = n.toString(16).padStart(12, '0')
  const order = {
    orderId: `0b8f6a52-3c1e-4d7a-9f00-${hex}`,
    placedAt: '2026-11-20T09:30:00.123456Z',
    customer: { id: `customer-${n % 1000}`, country: 'DE' },
    lines: [{ sku: 'TEA-0042', quantity: 1 + (n % 3) }],
    total: { amount: 19.5, currency: 'EUR' },
  }
  const room = messageBytes - envelopeBytes - JSON.stringify({ ...order, note: '' }).length
  return room > 0 ? { ...order, note: 'x'.repeat(room) } : order
}

/** One producer, one consumer; `key` orders by customer, without it nothing is ordered. */
export function orderContract(
  options: {
    readonly key?: string
    readonly address?: string
    readonly bindings?: Readonly<Record<string, Record<string, string | number | boolean>>>
  } = {},
): Contract {
  const { address = 'bench.orders', bindings } = options
  return defineContract({
    treaty: 1,
    id: 'bench.orders',
    version: '1.0.0',
    status: 'active',
    purpose: 'Carries orders from a shop to its billing, as fast as it can.',
    owner: { team: 'bench' },
    pattern: 'pub-sub',
    envelope: 'treaty',
    channels: {
      orders: {
        address,
        ...(bindings === undefined ? {} : { bindings }),
        ...(options.key === undefined ? {} : { key: options.key, ordering: 'per-key' }),
      },
    },
    events: { 'order.placed': { channel: 'orders', purpose: 'An order.', schema: orderSchema } },
    producers: { shop: {} },
    consumers: {
      billing: {
        accepts: '^1.0.0',
        events: { 'order.placed': { needs: ['orderId', 'total.amount'] } },
      },
    },
  })
}
