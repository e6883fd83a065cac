import { afterEach, describe, expect, it } from 'vitest'
import { defineContract } from '../contracts/index.ts'
import type { Transport } from '../messaging/index.ts'
import { openTransport } from '../messaging/index.ts'
import { faultTransport } from './fault-transport.ts'
import { createTestBus } from './index.ts'

const open: { close(options: { drainMs: number }): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close({ drainMs: 0 })))
})

const contract = defineContract({
  id: 'shop.orders',
  version: '1.0.0',
  purpose: 'Tells that orders were placed.',
  channels: { orders: { address: 'shop.orders', key: 'customer', ordering: 'per-key' } },
  events: {
    'order.placed': {
      channel: 'orders',
      purpose: 'Sent when an order was placed.',
      schema: {
        type: 'object',
        required: ['orderId', 'customer'],
        properties: { orderId: { type: 'integer' }, customer: { type: 'string' } },
      },
    },
  },
  producers: { store: {} },
  consumers: { billing: { accepts: '^1.0.0', events: { 'order.placed': { needs: ['orderId'] } } } },
})

async function faulty(faults: Omit<Parameters<typeof faultTransport>[1], 'seed'>, seed = 7) {
  const transport = faultTransport(await openTransport('memory:'), { ...faults, seed })
  const bus = await createTestBus(contract, { transport: transport as Transport })
  open.push(bus)
  return { bus, transport }
}

describe('faultTransport', () => {
  it.each([1, 2, 3])(
    'loses nothing through dropped acknowledgements and duplicates (seed %i)',
    async (seed) => {
      const { bus, transport } = await faulty(
        { dropAck: 0.2, duplicate: 0.2, delay: 0.1, delayMsMax: 5, reorder: 0.3 },
        seed,
      )
      const seen = new Map<number, number>()
      await bus.consume('billing', {
        'order.placed': (message) => {
          seen.set(message.data.orderId, (seen.get(message.data.orderId) ?? 0) + 1)
        },
      })

      for (let orderId = 0; orderId < 300; orderId += 1) {
        await bus.publish('order.placed', { orderId, customer: `c-${orderId % 20}` })
      }
      await bus.settled({ realMs: 15_000 })

      const handled = [...seen.values()].reduce((sum, count) => sum + count, 0)
      expect(seen.size).toBe(300)
      expect(handled).toBeLessThanOrEqual(
        300 + transport.faults.droppedAcks + transport.faults.duplicated,
      )
      expect(transport.faults.droppedAcks).toBeGreaterThan(10)
      expect(transport.faults.duplicated).toBeGreaterThan(10)
      expect(await bus.deadLetters()).toEqual([])
    },
  )

  it('keeps the order of a key through dropped acknowledgements', async () => {
    const { bus } = await faulty({ dropAck: 0.3, reorder: 0.5 })
    const last = new Map<string, number>()
    const problems: string[] = []
    await bus.consume('billing', {
      'order.placed': ({ data }) => {
        const before = last.get(data.customer) ?? -1
        // The same again is a redelivery; a smaller one would be out of order.
        if (data.orderId < before)
          problems.push(`${data.customer}: ${data.orderId} after ${before}`)
        last.set(data.customer, data.orderId)
      },
    })
    for (let orderId = 0; orderId < 200; orderId += 1) {
      await bus.publish('order.placed', { orderId, customer: `c-${orderId % 5}` })
    }

    await bus.settled({ realMs: 15_000 })

    expect(problems).toEqual([])
    expect([...last.values()].sort((a, b) => a - b)).toEqual([195, 196, 197, 198, 199])
  })

  it('fails a publish before the broker took it, or after', async () => {
    const { bus, transport } = await faulty({ failPublish: 0.3, loseConfirm: 0.3 })
    const outcomes = { taken: 0, failed: 0 }
    for (let orderId = 0; orderId < 100; orderId += 1) {
      await bus.publish('order.placed', { orderId, customer: 'c' }).then(
        () => (outcomes.taken += 1),
        () => (outcomes.failed += 1),
      )
    }

    const { published } = await bus.stats()

    expect(outcomes.failed).toBe(transport.faults.failedPublishes + transport.faults.lostConfirms)
    expect(published).toBe(outcomes.taken + transport.faults.lostConfirms)
    expect(transport.faults.lostConfirms).toBeGreaterThan(5)
  })

  it('makes the same faults for the same seed', async () => {
    const runs = await Promise.all(
      [5, 5, 6].map(async (seed) => {
        const transport = faultTransport(await openTransport('memory:'), { seed, failPublish: 0.5 })
        open.push(transport)
        await transport.connect()
        await transport.ensure(
          { channels: [{ address: 'a', ordering: 'none' }], groups: [] },
          'create',
        )
        const record = {
          address: 'a',
          type: 't',
          body: new Uint8Array(),
          headers: {},
          contentType: 'text/plain',
        }
        const results = await transport.publish(
          Array.from({ length: 40 }, (_, at) => ({ ...record, id: String(at) })),
        )
        return results.map((result) => 'error' in result).join()
      }),
    )

    expect(runs[0]).toBe(runs[1])
    expect(runs[0]).not.toBe(runs[2])
  })
})
