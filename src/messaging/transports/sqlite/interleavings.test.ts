import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openSqliteFile } from '../../../store/index.ts'
import { fakeClock } from '../../../testing/index.ts'
import type {
  Delivery,
  OutgoingRecord,
  Settlement,
  TransportSubscription,
} from '../../transport.ts'
import { nextTurn, openScene, type Scene } from './scene.ts'

/** What can happen, in any order, on two transports that share one database. */
type Step =
  | { do: 'publish'; by: number; key: number; priority: number; later: boolean; short: boolean }
  | { do: 'settle'; by: number; pick: number; as: Settlement['outcome']; delayed: boolean }
  | { do: 'grant'; by: number }
  | { do: 'replay' | 'discard'; by: number; pick: number }
  | { do: 'advance'; ms: number }
  | { do: 'silence'; by: number }

const who = fc.nat({ max: 1 })
const pick = fc.nat({ max: 30 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      by: who,
      key: fc.nat({ max: 3 }),
      priority: fc.nat({ max: 3 }),
      later: fc.boolean(),
      short: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      by: who,
      pick,
      as: fc.constantFrom('ack', 'ack', 'ack', 'retry', 'release', 'dead', 'drop'),
      delayed: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('grant' as const), by: who }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('replay' as const, 'discard' as const),
      by: who,
      pick,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      ms: fc.constantFrom(1, 100, 1000, 5000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('silence' as const), by: who }) },
)

interface Peer {
  readonly scene: Scene
  readonly clock: ReturnType<typeof fakeClock>
  readonly held: Delivery[]
  readonly subscriptions: readonly TransportSubscription[]
}

let worlds = 0

/**
 * Two transports, a group that blocks at the dead and one that goes on, and what became of each
 * message.
 */
async function openWorld() {
  worlds += 1
  const path = `memory:interleavings-${worlds}`
  const groups = [
    { name: 'shop.next' },
    { name: 'shop.block', deadLetter: { onDead: 'block' as const } },
  ]
  const published: OutgoingRecord[] = []
  const ended = new Map<string, number>()
  const out = new Map<string, Delivery>()
  const problems: string[] = []

  async function open(): Promise<Peer> {
    const clock = fakeClock()
    const scene = await openScene({ clock, path, groups, leaseMs: 20_000 })
    const held: Delivery[] = []
    const subscriptions: TransportSubscription[] = []
    for (const { name = '' } of groups) {
      const subscription = await scene.transport.subscribe({ group: name }, (arrived) => {
        for (const delivery of arrived) take(delivery, held)
      })
      subscriptions.push(subscription)
    }
    return { scene, clock, held, subscriptions }
  }
  function take(delivery: Delivery, held: Delivery[]): void {
    held.push(delivery)
    const { key } = delivery.record
    if (key === undefined) return
    const chain = `${delivery.group} ${key}`
    const other = out.get(chain)
    if (other !== undefined) {
      problems.push(`${chain}: ${delivery.record.id} beside ${other.record.id}`)
    }
    out.set(chain, delivery)
  }
  /** The delivery is no longer with its handler: settled, or its owner was given up. */
  function leave(delivery: Delivery): void {
    const chain = `${delivery.group} ${delivery.record.key}`
    if (out.get(chain) === delivery) out.delete(chain)
  }
  return { path, groups, published, ended, problems, open, leave }
}

type World = Awaited<ReturnType<typeof openWorld>>

function settlementOf(delivery: Delivery, step: Extract<Step, { do: 'settle' }>): Settlement {
  const delayMs = step.delayed ? 700 : 0
  if (step.as === 'dead') return { outcome: 'dead', delivery, failure: { reason: 'REJECTED' } }
  if (step.as === 'retry' || step.as === 'release') return { outcome: step.as, delivery, delayMs }
  return { outcome: step.as, delivery }
}

async function play(world: World, peers: Peer[], step: Step): Promise<void> {
  const peer = peers['by' in step ? step.by : 0] as Peer
  switch (step.do) {
    case 'publish': {
      const now = peer.clock.now()
      const [result] = await peer.scene.publish({
        id: `m${world.published.length}`,
        ...(step.key === 0 ? {} : { key: `k${step.key}` }),
        priority: step.priority,
        ...(step.later ? { deliverAt: now + 500 } : {}),
        ...(step.short ? { expiresAt: now + 1500 } : {}),
      })
      expect(result).not.toHaveProperty('error')
      world.published.push({ id: `m${world.published.length}` } as OutgoingRecord)
      return
    }
    case 'settle': {
      const [delivery] = peer.held.splice(step.pick % Math.max(1, peer.held.length), 1)
      if (delivery === undefined) return
      const settled = peer.scene.transport.settle([settlementOf(delivery, step)])
      world.leave(delivery)
      const [result] = await settled
      if (result?.ok && (step.as === 'ack' || step.as === 'drop')) {
        const name = `${delivery.group} ${delivery.record.id}`
        world.ended.set(name, (world.ended.get(name) ?? 0) + 1)
      }
      return
    }
    case 'grant':
      for (const subscription of peer.subscriptions) subscription.grant(2)
      return
    case 'replay':
    case 'discard': {
      const { dead } = peer.scene.transport
      const { items } = await dead.list({}, { limit: 100 })
      const letter = items[step.pick % Math.max(1, items.length)]
      if (letter === undefined) return
      await dead[step.do](letter.id)
      if (step.do === 'discard') world.ended.set(`${letter.group} ${letter.messageId}`, 1)
      return
    }
    case 'advance':
      for (const { clock } of peers) await clock.advance(step.ms)
      return
    case 'silence': {
      // The other's clock runs on beyond the lease, so that it takes over what is out here.
      for (const delivery of peer.held.splice(0)) world.leave(delivery)
      for (const subscription of peer.subscriptions) subscription.pause()
      const other = peers[1 - step.by] as Peer
      await other.clock.advance(25_000)
      await peer.clock.advance(25_000)
      for (const subscription of peer.subscriptions) subscription.resume()
    }
  }
}

/**
 * `deliveries = handled + skipped + dead + expired + waiting`, and waiting is what the rows say.
 */
async function checkLedger(world: World, peer: Peer): Promise<void> {
  const { counts } = await peer.scene.transport.stats()
  const file = openSqliteFile(world.path)
  const rows = file
    .prepare(
      `SELECT g.consumer, count(*) AS waiting FROM bus_delivery d JOIN bus_group g ON g.id = d.grp
       WHERE d.state <> 4 GROUP BY 1`,
    )
    .all()
  const held = file
    .prepare(
      `SELECT grp, chain, count(*) AS holders FROM bus_delivery
       WHERE chain IS NOT NULL AND state IN (0, 1, 3) GROUP BY 1, 2 HAVING count(*) > 1`,
    )
    .all()
  const stuck = file
    .prepare(
      `SELECT grp, chain FROM bus_delivery WHERE chain IS NOT NULL GROUP BY 1, 2
       HAVING sum(state IN (0, 1, 3, 4)) = 0`,
    )
    .all()
  file.close()
  expect(held).toEqual([])
  expect(stuck).toEqual([])
  for (const row of counts.filter(({ consumer }) => consumer !== null)) {
    const { deliveries, handled, skipped, dead, expired, waiting } = row
    expect(deliveries).toBe(handled + skipped + dead + expired + waiting)
    expect(deliveries).toBe(world.published.length)
    const found = rows.find(({ consumer }) => consumer === row.consumer)
    expect(waiting).toBe(found?.waiting ?? 0)
  }
}

/** Lets everything that can still come come, and acknowledges it. */
async function finish(world: World, peers: Peer[]): Promise<void> {
  for (let round = 0; round < 400; round += 1) {
    for (const peer of peers) {
      for (const subscription of peer.subscriptions) subscription.grant(50)
      await nextTurn()
      const deliveries = peer.held.splice(0)
      const settled = peer.scene.transport.settle(
        deliveries.map((delivery) => ({ outcome: 'ack', delivery })),
      )
      for (const delivery of deliveries) world.leave(delivery)
      for (const [at, result] of (await settled).entries()) {
        const { group, record } = deliveries[at] as Delivery
        if (result.ok) {
          const name = `${group} ${record.id}`
          world.ended.set(name, (world.ended.get(name) ?? 0) + 1)
        }
      }
      await peer.clock.advance(1000)
    }
    const { counts } = await (peers[0] as Peer).scene.transport.stats()
    const { items } = await (peers[0] as Peer).scene.transport.dead.list({}, { limit: 100 })
    for (const { id } of items) await (peers[0] as Peer).scene.transport.dead.replay(id)
    if (items.length === 0 && counts.every(({ waiting }) => waiting === 0)) return
  }
}

describe('any interleaving on two transports', () => {
  it('loses nothing, ends nothing twice, keeps the order of each key and balances the ledger', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const world = await openWorld()
        const peers = [await world.open(), await world.open()]
        for (const each of steps) {
          await play(world, peers, each)
          await checkLedger(world, peers[0] as Peer)
        }
        await finish(world, peers)
        await checkLedger(world, peers[0] as Peer)

        const names = world.groups.flatMap(({ name }) =>
          world.published.map(({ id }) => `${name} ${id}`),
        )
        expect(names.filter((name) => world.ended.get(name) !== 1)).toEqual([])
        expect(world.problems).toEqual([])
        for (const { scene } of peers) await scene.transport.close({ drainMs: 0 })
      }),
      { numRuns: 25 },
    )
  }, 60_000)
})
