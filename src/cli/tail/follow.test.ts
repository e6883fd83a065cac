import { describe, expect, it } from 'vitest'
import { defineContract, type Message } from '../../contracts/index.ts'
import { systemClock } from '../../core/clock.ts'
import { type Bus, openBus, openTransport } from '../../messaging/index.ts'
import type { CommandContext } from '../command.ts'
import { follow, type TailQuery } from './follow.ts'

const shop = defineContract({
  id: 'shop',
  version: '1.0.0',
  purpose: 'Something to look at.',
  channels: { orders: { address: 'shop.orders', retention: '1d' } },
  events: {
    'order.placed': { channel: 'orders', purpose: 'An order.', schema: { type: 'object' } },
    'order.lost': {
      channel: 'orders',
      purpose: 'An order that was lost.',
      schema: { type: 'object' },
    },
  },
  producers: { shop: {} },
  consumers: { billing: { accepts: '^1.0.0', events: { 'order.placed': { needs: [] } } } },
})

/** A broker that cannot look back, as some cannot. */
async function blindBus(): Promise<Bus> {
  const { browse: _browse, ...blind } = await openTransport('memory:')
  return (await openBus({ contracts: [shop], transport: blind })) as Bus
}

async function look(bus: Bus, query: TailQuery, max: number): Promise<unknown[]> {
  const seen: unknown[] = []
  const stop = new AbortController()
  const context = { clock: systemClock, stopping: stop.signal } as CommandContext
  await follow(bus, query, {
    context,
    async take({ message }) {
      seen.push((message as Message<{ number: number }>).data.number)
      return seen.length < max
    },
  })
  return seen
}

describe('looking at a broker that cannot look back', () => {
  it('shows what comes from now on, and takes nothing from anybody', async () => {
    const bus = await blindBus()
    await bus.publish('order.placed', { number: 1 })
    const looking = look(bus, { event: 'order.placed' }, 2)
    await expect.poll(async () => (await bus.transport.stats()).groups.length).toBe(2)
    for (const number of [2, 3]) {
      await bus.publish('order.lost', { number: 100 + number })
      await bus.publish('order.placed', { number })
    }

    expect(await looking).toEqual([2, 3])
    const { groups } = await bus.transport.stats()
    expect(groups.find(({ group }) => group === 'shop.billing')?.ready).toBe(3)
    await bus.close({ drainMs: 0 })
  })

  it('begins with what is kept where a start is given', async () => {
    const bus = await blindBus()
    for (const number of [1, 2, 3]) await bus.publish('order.placed', { number })

    expect(await look(bus, { from: 0 }, 3)).toEqual([1, 2, 3])
    await bus.close({ drainMs: 0 })
  })
})
