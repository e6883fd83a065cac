import { afterEach, describe, expect, it } from 'vitest'
import { type Contract, defineContract } from '../../contracts/index.ts'
import { openBus, openTransport } from '../index.ts'
import type { Transport } from '../transport.ts'
import { applyTopology, keepsPromises, planTopology } from './topology-plan.ts'

const event = (channel: string) => ({
  channel,
  purpose: 'Something happened.',
  schema: { type: 'object' as const },
})
function contract(more: {
  id?: string
  consumers: string[]
  channels?: string[]
  pending?: string[]
}): Contract {
  const { id = 'shop', consumers, channels = ['a'], pending = [] } = more
  const names = channels.map((name) => `${name}.happened`)
  return defineContract({
    id,
    version: '1.0.0',
    purpose: 'Topology that changes.',
    channels: Object.fromEntries(channels.map((name) => [name, { address: `${id}.${name}` }])),
    events: Object.fromEntries(channels.map((name, at) => [names[at] ?? '', event(name)])),
    producers: { p: {} },
    consumers: Object.fromEntries(
      [...consumers, ...pending].map((name) => [
        name,
        {
          accepts: '^1.0.0',
          pending: pending.includes(name),
          events: Object.fromEntries(names.map((one) => [one, { needs: [] }])),
        },
      ]),
    ),
  }) as unknown as Contract
}

const open: Transport[] = []
async function broker(): Promise<Transport> {
  const transport = await openTransport('memory:')
  await transport.connect()
  open.push(transport)
  return transport
}
afterEach(async () => {
  for (const transport of open.splice(0)) await transport.close({ drainMs: 0 })
})

describe('the plan of a topology', () => {
  it('names what is missing, and nothing once it is applied', async () => {
    const transport = await broker()
    const contracts = [contract({ consumers: ['billing'] })]

    const plan = await planTopology(transport, contracts)
    expect(plan.missing).toEqual(['channel shop.a', 'group shop.billing'])
    expect(keepsPromises(plan)).toBe(false)

    const applied = await applyTopology(transport, contracts, { allowDelete: false })
    expect(applied.created).toContain('group shop.billing')
    const after = await planTopology(transport, contracts)
    expect(after).toMatchObject({ missing: [], drift: [], surplus: { groups: [], channels: [] } })
    expect(keepsPromises(after)).toBe(true)
  })

  it('names groups and channels that the contract has no more, with what waits in them', async () => {
    const transport = await broker()
    const before = contract({ consumers: ['billing', 'old'], channels: ['a', 'b'] })
    await applyTopology(transport, [before], { allowDelete: false })
    const bus = await openBus({ contracts: [before], transport })
    await bus.publish('a.happened', {})
    await bus.publish('b.happened', {})
    const now = [contract({ consumers: ['billing'] })]

    const plan = await planTopology(transport, now)

    expect(plan.surplus).toEqual({
      groups: [{ name: 'shop.old', waiting: 2 }],
      subscriptions: [{ group: 'shop.billing', address: 'shop.b' }],
      channels: [{ address: 'shop.b', messages: 1 }],
    })
    expect(keepsPromises(plan)).toBe(true)
  })

  it('takes the surplus away only where that is allowed, and keeps the ledger balanced', async () => {
    const transport = await broker()
    const before = contract({ consumers: ['billing', 'old'], channels: ['a', 'b'] })
    const bus = await openBus({ contracts: [before], transport })
    await bus.publish('a.happened', {})
    await bus.publish('b.happened', {})
    const now = [contract({ consumers: ['billing'] })]

    expect(await applyTopology(transport, now, { allowDelete: false })).toMatchObject({
      isSurplusRemoved: false,
    })
    expect(await applyTopology(transport, now, { allowDelete: true })).toMatchObject({
      isSurplusRemoved: true,
    })

    const plan = await planTopology(transport, now)
    expect(plan.surplus).toEqual({ groups: [], subscriptions: [], channels: [] })
    for (const row of (await bus.stats()).rows) {
      const ended = row.handled + row.skipped + row.dead + row.expired + row.waiting
      expect(row.deliveries).toBe(ended)
    }
    expect(await bus.stats()).toMatchObject({ deliveries: 4, expired: 3, waiting: 1 })
  })

  it('leaves the groups of other contracts alone, also of one whose id begins alike', async () => {
    const transport = await broker()
    const other = contract({ id: 'shop.orders', consumers: ['billing'] })
    const unlike = contract({ id: 'shopping', consumers: ['billing'] })
    await applyTopology(transport, [other], { allowDelete: false })
    await applyTopology(transport, [unlike], { allowDelete: false })

    const plan = await planTopology(transport, [contract({ consumers: ['billing'] })])

    expect(plan.surplus).toEqual({ groups: [], subscriptions: [], channels: [] })
  })

  it('leaves the group of a pending consumer alone', async () => {
    const transport = await broker()
    const contracts = [contract({ consumers: ['billing'], pending: ['later'] })]
    const bus = await openBus({ contracts, transport })
    await bus.consume('later', { '*': () => undefined })

    const plan = await planTopology(transport, contracts)

    expect(plan.surplus.groups).toEqual([])
  })

  it('keeps a channel that somebody else reads', async () => {
    const transport = await broker()
    const before = contract({ consumers: ['billing'], channels: ['a', 'b'] })
    await applyTopology(transport, [before], { allowDelete: false })
    await transport.ensure(
      {
        channels: [],
        groups: [
          {
            name: 'other.reader',
            consumer: 'reader',
            subscriptions: [{ address: 'shop.b', types: '*' }],
            start: 'latest',
            deadLetter: { address: 'x', retentionMs: 1000, onDead: 'next', onExpired: 'drop' },
            deliveriesMax: 5,
          },
        ],
      },
      'create',
    )

    const plan = await planTopology(transport, [contract({ consumers: ['billing'] })])

    expect(plan.surplus.channels).toEqual([])
    await expect(
      transport.remove?.({ groups: [], subscriptions: [], channels: ['shop.b'] }),
    ).rejects.toMatchObject({ code: 'TOPOLOGY_IN_USE' })
  })
})
