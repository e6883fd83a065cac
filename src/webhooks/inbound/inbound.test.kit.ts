import { type Contract, defineContract } from '../../contracts/index.ts'
import type { Scheme } from '../scheme.ts'
import { sign } from '../verify.ts'
import type { InboundRequest } from './delivery.ts'

// What the tests of receivers send and expect.

export const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
export const startMs = Date.UTC(2026, 0, 1)

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** One event whose data is the body of a webhook, as it came. */
export function paymentContract(envelope: 'none' | 'treaty' = 'none'): Contract {
  return defineContract({
    treaty: 1,
    id: `shop.payments.${envelope}`,
    version: '1.0.0',
    status: 'active',
    purpose: 'Tells that a payment was made, so that billing can close the invoice.',
    owner: { team: 'payments' },
    pattern: 'pub-sub',
    envelope,
    channels: { payments: { address: `shop.payments.${envelope}` } },
    events: {
      'payment.made': {
        channel: 'payments',
        purpose: 'A payment was made.',
        schema: {
          type: 'object',
          required: ['amount'],
          properties: { amount: { type: 'number' } },
        },
      },
    },
    producers: { psp: {} },
    consumers: {
      billing: { accepts: '^1.0.0', events: { 'payment.made': { needs: ['amount'] } } },
    },
  })
}

export interface SignedOptions {
  readonly scheme?: Scheme
  readonly secret?: string
  readonly id?: string
  readonly at?: number
  readonly url?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A signed request. */
export function request(body: string | Uint8Array, options: SignedOptions = {}): InboundRequest {
  const rawBody = typeof body === 'string' ? bytes(body) : body
  const headers = sign({
    scheme: options.scheme ?? 'standard-webhooks',
    secrets: [options.secret ?? secret],
    id: options.id ?? 'msg_1',
    timestamp: new Date(options.at ?? startMs),
    rawBody,
    url: 'http://localhost/hooks/psp',
  })
  return {
    method: 'POST',
    url: options.url ?? '/hooks/psp',
    headers: { 'content-type': 'application/json', ...headers, ...options.headers },
    rawBody,
  }
}
