import { defineContract } from '../../src/contracts/index.ts'

export const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

/** One event, kept for a day so that a test can count what has come. */
export const contract = defineContract({
  treaty: 1,
  id: 'shop.payments',
  version: '1.0.0',
  status: 'active',
  purpose: 'Tells that a payment was made, so that billing can close the invoice.',
  owner: { team: 'payments' },
  pattern: 'pub-sub',
  envelope: 'none',
  channels: { payments: { address: 'shop.payments', retention: '1d' } },
  events: {
    'payment.made': {
      channel: 'payments',
      purpose: 'A payment was made.',
      schema: { type: 'object', required: ['data'], properties: { data: { type: 'number' } } },
    },
  },
  producers: { psp: {} },
  consumers: { billing: { accepts: '^1.0.0', events: { 'payment.made': { needs: ['data'] } } } },
})
