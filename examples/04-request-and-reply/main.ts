import { commandFailure, defineContract, isTreatyError, openBus } from 'treatyjs'

const payments = defineContract({
  id: 'shop.payments',
  version: '1.0.0',
  status: 'active',
  purpose: 'Takes money for orders.',
  channels: { payments: { address: 'shop.payments' } },
  commands: {
    'payment.capture': {
      channel: 'payments',
      purpose: 'Takes the money for one order.',
      schema: {
        type: 'object',
        required: ['orderId', 'amount'],
        properties: { orderId: { type: 'string' }, amount: { type: 'integer', minimum: 1 } },
      },
      reply: { type: 'object', required: ['receipt'], properties: { receipt: { type: 'string' } } },
      errors: {
        declined: { type: 'object', required: ['why'], properties: { why: { type: 'string' } } },
      },
      timeout: '2s',
      handler: 'payments',
    },
  },
  producers: { shop: {} },
})

await using bus = await openBus({ contracts: [payments], transport: 'memory:' })

await bus.handle('payment.capture', (message) => {
  // Typed by the contract: a wrong field or a reply without a receipt fails tsc.
  if (message.data.amount > 1000) throw commandFailure('declined', { why: 'above the limit' })
  return { receipt: `receipt for ${message.data.orderId}` }
})

const reply = await bus.request('payment.capture', { orderId: 'o-1', amount: 500 })
console.log(reply.data.receipt)

try {
  await bus.request('payment.capture', { orderId: 'o-2', amount: 5000 })
} catch (error) {
  if (!isTreatyError(error)) throw error
  console.log(error.code, JSON.stringify(error.details))
}
