import { afterEach, describe, expect, it } from 'vitest'
import { fakeClock } from '../../../testing/index.ts'
import type { ChannelTopology, GroupTopology } from '../../transport.ts'
import { groupOf, openScene, type Scene } from './scene.ts'

const scenes: Scene[] = []
async function scene(options: Partial<Parameters<typeof openScene>[0]> = {}): Promise<Scene> {
  const opened = await openScene({ clock: fakeClock(), ...options })
  scenes.push(opened)
  return opened
}
const channel = (change: Partial<ChannelTopology> = {}): ChannelTopology => ({
  address: 'orders',
  ordering: 'per-key',
  ...change,
})
const types = (...names: string[]): Pick<GroupTopology, 'subscriptions'> => ({
  subscriptions: [{ address: 'orders', types: names }],
})
const codes = (drift: readonly { code: string; severity: string }[]) =>
  drift.map(({ code, severity }) => `${severity} ${code}`)

afterEach(async () => {
  for (const { transport } of scenes.splice(0)) await transport.close({ drainMs: 0 })
})

describe('ensure', () => {
  it('names what is missing, makes it once, and then finds nothing to do', async () => {
    const { transport } = await scene({ groups: [] })
    const wanted = { channels: [channel({ address: 'new' })], groups: [groupOf(types())] }

    const looked = await transport.ensure(wanted, 'verify')
    const made = await transport.ensure(wanted, 'create')
    const again = await transport.ensure(wanted, 'create')
    const verified = await transport.ensure(wanted, 'verify')

    const nothing = { missing: [], created: [], drift: [] }
    expect(looked).toEqual({ ...nothing, missing: ['channel new', 'group shop.billing'] })
    expect(made.created).toEqual([
      'channel new',
      'group shop.billing',
      'subscription of shop.billing to orders',
    ])
    expect([again, verified]).toEqual([nothing, nothing])
  })

  it('makes the same once when two ask at the same time', async () => {
    const { transport } = await scene({ groups: [] })
    const wanted = { channels: [channel({ address: 'new' })], groups: [groupOf()] }

    const diffs = await Promise.all([1, 2].map(() => transport.ensure(wanted, 'create')))

    expect(diffs.flatMap(({ created }) => created)).toHaveLength(3)
  })

  it('adds types and never takes any away, so that an older contract does not starve a newer one', async () => {
    const { transport, publish, join } = await scene({ groups: [types('order.placed')] })
    const newer = { channels: [], groups: [groupOf(types('order.placed', 'order.cancelled'))] }
    const older = { channels: [], groups: [groupOf(types('order.placed'))] }

    const short = await transport.ensure(newer, 'verify')
    const added = await transport.ensure(newer, 'create')
    const restart = await transport.ensure(older, 'create')
    const checked = await transport.ensure(older, 'verify')
    const consumer = await join()
    await publish({ id: 'a', type: 'order.cancelled' })

    expect(codes(short.drift)).toEqual(['error TOPOLOGY_TYPES_DIFFER'])
    expect(codes(added.drift)).toEqual(['warning TOPOLOGY_TYPES_DIFFER'])
    expect(codes(restart.drift)).toEqual(['info TOPOLOGY_TYPES_DIFFER'])
    expect(codes(checked.drift)).toEqual(['info TOPOLOGY_TYPES_DIFFER'])
    expect(consumer.ids()).toEqual(['a'])
  })

  it('takes on the stricter order and the longer retention, and keeps them', async () => {
    const { transport } = await scene({ channel: { ordering: 'none' } })
    const strict = { channels: [channel({ ordering: 'per-key', retentionMs: 5000 })], groups: [] }
    const loose = { channels: [channel({ ordering: 'none' })], groups: [] }

    const first = await transport.ensure(strict, 'create')
    const second = await transport.ensure(loose, 'create')
    const third = await transport.ensure(strict, 'verify')

    expect(codes(first.drift)).toEqual([
      'warning TOPOLOGY_ORDERING_DIFFERS',
      'warning TOPOLOGY_RETENTION_DIFFERS',
    ])
    expect(codes(second.drift)).toEqual([
      'info TOPOLOGY_ORDERING_DIFFERS',
      'info TOPOLOGY_RETENTION_DIFFERS',
    ])
    expect(third.drift).toEqual([])
  })

  it('takes the failure policy of the latest that creates, and reports the change', async () => {
    const { transport } = await scene()
    const changed = {
      channels: [],
      groups: [groupOf({ deliveriesMax: 5, deadLetter: { onDead: 'block' } })],
    }

    const before = await transport.ensure(changed, 'verify')
    const during = await transport.ensure(changed, 'create')
    const after = await transport.ensure(changed, 'verify')

    expect(codes(before.drift)).toEqual([
      'error TOPOLOGY_POLICY_DIFFERS',
      'error TOPOLOGY_POLICY_DIFFERS',
    ])
    expect(before.drift.map(({ message }) => message)).toEqual([
      "the group 'shop.billing' has onDead next, and the contract says block",
      "the group 'shop.billing' has deliveriesMax 20, and the contract says 5",
    ])
    expect(during.drift.every(({ severity }) => severity === 'warning')).toBe(true)
    expect(after.drift).toEqual([])
  })

  it('is seen by the other transports on the same database', async () => {
    const path = 'memory:topology'
    const first = await scene({ path, groups: [] })
    const second = await scene({ path, groups: [] })

    await first.transport.ensure({ channels: [], groups: [groupOf()] }, 'create')
    const consumer = await second.join(10, 'shop.billing')
    await second.publish({ id: 'a' })

    expect(consumer.ids()).toEqual(['a'])
  })
})

describe('an ephemeral group', () => {
  it('vanishes with the transport that made it, with its messages and its channel', async () => {
    const path = 'memory:ephemeral'
    const [first, second] = [await scene({ path }), await scene({ path })]
    const replies = groupOf({
      name: 'replies.1',
      ephemeral: true,
      subscriptions: [{ address: 'replies.1', types: '*' }],
    })
    const topology = { channels: [channel({ address: 'replies.1' })], groups: [replies] }
    await first.transport.ensure(topology, 'create')
    await second.publish({ id: 'a', address: 'replies.1' })

    await first.transport.close({ drainMs: 0 })
    const found = await second.transport.ensure(topology, 'verify')
    await second.publish({ id: 'b', address: 'replies.1' })

    expect(found.missing).toEqual(['channel replies.1', 'group replies.1'])
    const { counts, groups } = await second.transport.stats()
    expect(groups.map(({ group }) => group)).toEqual(['shop.billing'])
    expect(counts.find(({ consumer }) => consumer === '1')).toMatchObject({
      deliveries: 1,
      expired: 1,
      waiting: 0,
    })
    expect((await second.transport.browse?.({ limit: 9 }))?.items).toEqual([])
  })
})
