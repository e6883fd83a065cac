import { describe, expect, it } from 'vitest'
import { defineContract, openBus, openTransport } from '../../src/index.ts'
import { applyTopology, planTopology } from '../../src/messaging/index.ts'
import { freshSchema } from './postgres-place.ts'
import { withService } from './service-url.ts'

const event = (channel: string) =>
  ({ channel, purpose: 'Something happened.', schema: { type: 'object' } }) as const
const contractWith = (consumers: readonly string[], channels: readonly string[]) =>
  defineContract({
    id: 'shop',
    version: '1.0.0',
    purpose: 'Topology that changes.',
    channels: Object.fromEntries(channels.map((name) => [name, { address: `shop.${name}` }])),
    events: Object.fromEntries(channels.map((name) => [`${name}.happened`, event(name)])),
    producers: { p: {} },
    consumers: Object.fromEntries(
      consumers.map((name) => [
        name,
        {
          accepts: '^1.0.0',
          events: Object.fromEntries(channels.map((one) => [`${one}.happened`, { needs: [] }])),
        },
      ]),
    ),
  })

await withService('postgres', (server) => {
  describe('a topology on PostgreSQL', () => {
    it('is planned, applied, and freed of what no contract needs any more', async () => {
      const place = freshSchema(server)
      const before = contractWith(['billing', 'old'], ['a', 'b'])
      const now = [contractWith(['billing'], ['a'])]
      const bus = await openBus({ contracts: [before], transport: place.url })
      await bus.publish('a.happened', {})
      await bus.publish('b.happened', {})
      const transport = await openTransport(place.url)
      await transport.connect()

      const plan = await planTopology(transport, now)
      expect(plan.missing).toEqual([])
      expect(plan.surplus).toEqual({
        groups: [{ name: 'shop.old', waiting: 2 }],
        subscriptions: [{ group: 'shop.billing', address: 'shop.b' }],
        channels: [{ address: 'shop.b', messages: 1 }],
      })
      await applyTopology(transport, now, { allowDelete: true })

      const after = await planTopology(transport, now)
      expect(after.surplus).toEqual({ groups: [], subscriptions: [], channels: [] })
      expect(await bus.stats()).toMatchObject({ deliveries: 4, expired: 3, waiting: 1 })
      for (const row of (await bus.stats()).rows) {
        expect(row.deliveries).toBe(
          row.handled + row.skipped + row.dead + row.expired + row.waiting,
        )
      }
      await expect(
        transport.remove?.({ subscriptions: [], groups: [], channels: ['shop.a'] }),
      ).rejects.toMatchObject({ code: 'TOPOLOGY_IN_USE' })
      await transport.close({ drainMs: 0 })
      await bus.close({ drainMs: 0 })
      await place.drop()
    })
  })
})
