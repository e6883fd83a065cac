import { describe, expect, it } from 'vitest'
import { defineContract } from '../contracts/index.ts'
import { boundaryValues } from './generate/boundary.ts'
import { verifyHandlers } from './verify-handlers.ts'

const contract = defineContract({
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
        required: ['orderId', 'lines', 'country'],
        properties: {
          orderId: { type: 'string', minLength: 1, maxLength: 40 },
          country: { enum: ['DE', 'FR', 'JP'] },
          note: { type: ['string', 'null'] },
          coupon: {
            type: 'object',
            required: ['percent'],
            properties: { percent: { type: 'integer', minimum: 0, maximum: 100 } },
          },
          lines: {
            type: 'array',
            items: {
              type: 'object',
              required: ['price'],
              properties: { price: { type: 'number', minimum: 0 } },
            },
          },
        },
      },
      examples: [{ orderId: 'o-1', country: 'DE', lines: [{ price: 9.5 }] }],
    },
  },
  producers: { store: {} },
  consumers: {
    billing: {
      accepts: '^1.0.0',
      events: { 'order.placed': { needs: ['orderId', 'lines'] } },
      retry: { attempts: 5, base: '1s', factor: 2, cap: '5m', jitter: 'full' },
    },
  },
})

interface Order {
  orderId: string
  country: string
  note?: string | null
  coupon?: { percent: number }
  lines: { price: number }[]
}
const verify = (handler: (data: Order) => unknown, options = {}) =>
  verifyHandlers(
    contract,
    { billing: { 'order.placed': (message: { data: Order }) => void handler(message.data) } },
    options,
  )

describe('verifyHandlers', () => {
  it('finds nothing in a handler that copes with everything', async () => {
    const report = await verify((data) => data.lines.reduce((sum, line) => sum + line.price, 0))

    expect(report.findings).toEqual([])
    expect(report.ok).toBe(true)
    expect(report.checked).toBeGreaterThan(15)
  })

  it.each([
    ['an empty array', (data: Order) => data.lines[0]?.price.toFixed() ?? fail('no line'), 'lines'],
    ['null', (data: Order) => data.note !== undefined && (data.note as string).trim(), 'note'],
    [
      'an absent optional field',
      (data: Order) => data.coupon?.percent.toFixed() ?? fail('no coupon'),
      'coupon',
    ],
    [
      'a member of an enum',
      (data: Order) => data.country === 'JP' && fail('no tax rule for JP'),
      'JP',
    ],
    [
      'a bound',
      (data: Order) => 1 / (100 - (data.coupon?.percent ?? 0)) === Infinity && fail('free'),
      '100',
    ],
    [
      'characters beyond ASCII',
      (data: Order) => /[^ -~]/.test(data.orderId) && fail('latin only'),
      'scripts',
    ],
  ])('finds a handler that does not expect %s', async (_, handler, named) => {
    const report = await verify(handler)

    expect(report.ok).toBe(false)
    expect(report.findings.some((finding) => finding.message.includes(named))).toBe(true)
    expect(report.findings[0]).toMatchObject({
      code: 'HANDLER_FAILED',
      event: 'order.placed',
      consumer: 'billing',
      witness: expect.objectContaining({ lines: expect.anything() }),
    })
  })

  it('finds a handler that hangs', async () => {
    const report = await verifyHandlers(
      contract,
      { billing: { 'order.placed': () => new Promise(() => undefined) } },
      { timeoutMs: 100 },
    )

    expect(report.findings).toHaveLength(1)
    expect(report.findings[0]?.message).toContain('does not return')
  })

  it('finds a handler whose effect doubles when a message comes twice', async () => {
    let total = 0
    const report = await verify(
      (data) => {
        total += data.lines.length
      },
      { twice: true, state: () => total },
    )
    const booked = new Set<string>()
    const calm = await verify((data) => booked.add(data.orderId), {
      twice: true,
      state: () => [...booked],
    })

    expect(report.findings.some((finding) => finding.message.includes('comes twice'))).toBe(true)
    expect(calm.ok).toBe(true)
  })

  it('refuses handlers that do not fit the contract', async () => {
    await expect(verifyHandlers(contract, { billing: {} })).rejects.toMatchObject({
      code: 'HANDLER_MISSING',
    })
    await expect(verifyHandlers(contract, { biling: {} })).rejects.toMatchObject({
      code: 'CONSUMER_NOT_FOUND',
    })
  })
})

function fail(text: string): never {
  throw new Error(text)
}

describe('boundaryValues', () => {
  it('knows the dates that a JavaScript date cannot hold', () => {
    const schema = {
      type: 'object',
      required: ['at'],
      properties: { at: { type: 'string', format: 'date-time' } },
    }
    const edges = boundaryValues(schema, 1).map(({ value }) => (value as { at: string }).at)

    expect(edges).toContain('2016-12-31T23:59:60Z')
    expect(edges.some((at) => Number.isNaN(Date.parse(at)))).toBe(true)
  })

  it('gives each edge once, and only valid values', () => {
    const schema = contract.events['order.placed']?.schema ?? true
    const values = boundaryValues(schema, 1)

    expect(new Set(values.map(({ value }) => JSON.stringify(value))).size).toBe(values.length)
    expect(values.map(({ what }) => what)).toEqual(
      expect.arrayContaining([
        'required fields alone',
        'no /note',
        '/note: null',
        '/country: the value "JP"',
      ]),
    )
  })
})
