import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileSchema, defineContract, loadPack, producerView } from '../contracts/index.ts'
import { fake } from './fake.ts'

const contracts = join(import.meta.dirname, '../../test/fixtures/shop')

const payments = defineContract({
  id: 'shop.payments',
  version: '1.0.0',
  purpose: 'Tells how a payment went.',
  channels: { payments: { address: 'shop.payments' } },
  events: {
    'payment.made': {
      channel: 'payments',
      purpose: 'Sent when money came.',
      schema: {
        type: 'object',
        required: ['id', 'amount', 'method'],
        properties: {
          id: { type: 'string', format: 'uuid' },
          amount: { type: 'integer', minimum: 1 },
          method: {
            oneOf: [
              {
                type: 'object',
                required: ['kind', 'last4'],
                properties: {
                  kind: { const: 'card' },
                  last4: { type: 'string', pattern: '^\\d{4}$' },
                },
              },
              {
                type: 'object',
                required: ['kind', 'iban'],
                properties: {
                  kind: { const: 'transfer' },
                  iban: { type: 'string', minLength: 15 },
                },
              },
            ],
          },
          note: { type: 'string' },
        },
      },
    },
  },
  producers: { till: {} },
  consumers: { ledger: { accepts: '^1.0.0', events: { 'payment.made': { needs: ['amount'] } } } },
})

describe('fake', () => {
  it('gives valid data for an event of a folder of contracts', () => {
    const data = fake('order.placed', undefined, { contracts })

    expect(data).toMatchObject({ orderId: expect.any(String) })
  })

  it('gives the same data for the same seed and other data for another', () => {
    const [one, again, other] = [1, 1, 2].map((seed) =>
      fake('payment.made', undefined, { contracts: payments, seed }),
    )

    expect(again).toEqual(one)
    expect(other).not.toEqual(one)
  })

  it('merges overrides deeply and makes the rest go with them', () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const data = fake('payment.made', { amount: 5, method: { kind: 'transfer' } } as never, {
        contracts: payments,
        seed,
      })

      expect(data).toMatchObject({
        amount: 5,
        method: { kind: 'transfer', iban: expect.any(String) },
      })
    }
  })

  it('never gives two fakes one identity, and writes ids as the contract does', () => {
    const ids = [1, 2, 3, 4].map(
      (seed) => fake<{ task_id: string }>('task.created', undefined, { seed }).task_id,
    )
    const orders = [1, 2, 3].map(
      (seed) => fake<{ orderId: string }>('order.placed', undefined, { contracts, seed }).orderId,
    )

    expect(new Set(ids).size).toBe(4)
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-/)
    expect(new Set(orders).size).toBe(3)
    expect(orders[0]).toMatch(/^order-\d+$/)
  })

  it('leaves out a field that is overridden with undefined', () => {
    const data = fake('payment.made', { note: undefined }, { contracts: payments, optional: 'all' })

    expect(data).not.toHaveProperty('note')
  })

  it('refuses overrides that break the schema, with the place', () => {
    const overrides = { amount: 0, extra: true }

    expect(() => fake('payment.made', overrides as never, { contracts: payments })).toThrow(
      expect.objectContaining({
        code: 'SCHEMA_MISMATCH',
        findings: expect.arrayContaining([
          expect.objectContaining({ pointer: '/amount' }),
          expect.objectContaining({ pointer: '/extra' }),
        ]),
      }),
    )
  })

  it('suggests the event that was meant', () => {
    expect(() => fake('payment.maid', undefined, { contracts: payments })).toThrow(
      expect.objectContaining({
        code: 'UNKNOWN_EVENT',
        hint: expect.stringContaining('payment.made'),
      }),
    )
  })

  it('is valid by construction for every event of the agent platform', () => {
    const events = loadPack('agent-platform').flatMap((each) => Object.values(each.events))

    expect(events.length).toBeGreaterThanOrEqual(25)
    fc.assert(
      fc.property(
        fc.constantFrom(...events),
        fc.integer({ min: 0, max: 1_000_000 }),
        fc.constantFrom('none', 'some', 'all'),
        (event, seed, optional) => {
          const data = fake(event.name, undefined, { seed, optional: optional as 'none' })
          return compileSchema(producerView(event.schema)).check(JSON.parse(JSON.stringify(data)))
        },
      ),
      { numRuns: 300 },
    )
  })
})
